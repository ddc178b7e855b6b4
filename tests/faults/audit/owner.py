"""When what the owner is told is true, and that nobody is told anything twice."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.faults.audit.ledgers import Ledgers
    from tests.faults.audit.shown import Shown
    from tests.faults.audit.verdict import Verdict

    Owned = Callable[[Ledgers, Shown, Mapping[str, str]], str | None]

KEYLESS = (401, 403)
PENNILESS = (402, 429)
SILENCE_SECONDS = 600.0
DAY = 86_400.0

HELLO = "Hello! I make songs with VidGo, and covers of them."


def _answered(*statuses: int, path: str = "") -> Owned:
    """Demand that VidGo has answered some request like this before."""

    def check(ledgers: Ledgers, shown: Shown, _values: Mapping[str, str]) -> str | None:
        answers = [one.status for one in ledgers.stage.vidgo.requests if one.at <= shown.at and path in one.path]
        return None if set(statuses) & set(answers) else f"VidGo has answered nothing with {statuses}"

    return check


def _silent(ledgers: Ledgers, shown: Shown, values: Mapping[str, str]) -> str | None:
    """Demand that VidGo has given no answer that is of use for ten minutes."""
    if ledgers.stage.program.was_wrong:
        return None
    since = int(re.findall(r"\d+", values["since"])[0])
    asked = [one for one in ledgers.stage.vidgo.requests if since + 1 < one.at < shown.at - 1]
    if any(one.status == 200 and not one.path.startswith("/files/") for one in asked):
        return "VidGo has answered meanwhile"
    return None if shown.at - since >= SILENCE_SECONDS - 1 else "it was out of reach for a moment"


def _given_up(ledgers: Ledgers, shown: Shown, _values: Mapping[str, str]) -> str | None:
    """Demand that some result was given up."""
    ended = any(row["error_kind"] is not None for row in ledgers.tasks)
    # What was given up, and came after all, was told of as such before.
    words = ("is finished, but", "never confirmed the order", "stopped waiting")
    said = any(word in one.text for one in ledgers.shown if one.at <= shown.at + 1 for word in words)
    return None if ended or said or ledgers.forgotten else "nothing was given up"


def _anything(_ledgers: Ledgers, _shown: Shown, _values: Mapping[str, str]) -> str | None:
    return None


BEGINS: dict[str, Owned] = {
    "VidGo refuses this bot's key, first seen {since}, so nothing can be ordered. Make a new key in VidGo's dashboard, "
    "put it into `VIDGO_API_KEY`, and restart me.": _answered(*KEYLESS),
    "This bot's VidGo account has {credits} credits left, fewer than {warning}. Top it up before members are refused; "
    "`CREDITS_WARNING` sets from when on I tell you.": _answered(200, path="/balance"),
    "This bot's VidGo account has too few credits left for orders: {credits}. Top it up; I need no restart.": _answered(
        200, path="/balance"
    ),
    "VidGo refuses orders because this bot's account has too few credits. Top it up; I need no restart.": _answered(
        *PENNILESS
    ),
    "VidGo refuses the model version that I ask for, first seen {since}, so songs cannot be ordered. Set another one "
    "in `VIDGO_MUSIC_VERSION`, and restart me.": _answered(400, 404, 422, path="/submit"),
    "VidGo has given me no usable answer since {since}. I keep trying, and tell you when it answers again.": _silent,
    "The disk that I keep my files on is nearly full: {free} MB are free. Make room, or lower `ARCHIVE_MAX_BYTES`; "
    "when it is full I can take no orders.": _anything,
    "I have given up on a result for which VidGo may have charged. The log says why: look for task {task}.": _given_up,
    "I have given up on {count} results for which VidGo may have charged. The log says why; the last of them is task "
    "{task}.": _given_up,
}
"""What the owner is told at most once a day."""

OWNED: dict[str, Owned] = {
    **BEGINS,
    "VidGo takes this bot's key again.": _answered(200),
    "This bot's VidGo account has enough credits again: {credits}.": _answered(200, path="/balance"),
    "This bot's VidGo account has credits again: {credits}.": _answered(200, path="/balance"),
    "VidGo takes orders again.": _answered(200, path="/submit"),
    "VidGo takes the model version that I ask for again.": _answered(200, path="/submit"),
    "VidGo answers again. It gave me no usable answer from {since} to {until}.": _answered(200),
    "There is room again on the disk that I keep my files on: {free} MB are free.": _anything,
    "What I had given up on has come after all.": _answered(200),
    HELLO: _anything,
    "Begin with {generate}, or import a song with {bring}. Then {cover} makes a cover of it.": (_anything),
    "I may not write in any channel of **{server}**, so I tell you instead.": _anything,
    "In {channels} I lack {names}. Whoever manages the server can grant it.": _anything,
    "In {channels} and in {count} more channels I lack {names}. Whoever manages the server can grant it.": _anything,
}
"""What is about no order."""


def audit_owner(ledgers: Ledgers, verdict: Verdict) -> None:
    """Demand that no owner hears of one kind of trouble twice on a day, and no server a second greeting."""
    told: dict[tuple[int, str], list[float]] = defaultdict(list)
    for shown, _, sentences in ledgers.said:
        for sentence in sentences or ():
            if sentence.template in BEGINS or sentence.template == HELLO:
                told[shown.message.channel.id, sentence.template].append(shown.at)
    for (_, template), times in told.items():
        pause = float("inf") if template == HELLO else DAY
        is_soon = any(later - earlier < pause for earlier, later in itertools.pairwise(times))
        if is_soon and not ledgers.stage.program.was_wrong:
            verdict.note("twice", f"the owner was told {len(times)} times: {template}")
