"""Holds four ledgers against each other: what members asked for, what VidGo made and charged, what Discord shows, and
what the database says.

The rule is one ending for each request, one payment at most, nothing left behind and no file left half. Two things are
counted apart, because no protocol closes their windows (docs/reliability.md): a private sentence that was said twice
because the first could not be recorded, and a task that VidGo made although its answer never arrived, of which the
requester was told the truth.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from tests.faults.harness import COVER, LIVE, OPEN, SONG

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.discord import Message
    from sandbox.vidgo import Submission
    from tests.faults.harness import Order, Stage

Kind = Literal["lost", "twice", "paid twice", "left thinking", "left behind", "half file"]
KINDS: tuple[Kind, ...] = get_args(Kind)

MOMENTS = 5
"""How many moments are looked at until there is one in which nobody is at work on files."""

_UNCONFIRMED = {"lost", "nonsense", "time", "unknown", "no_files"}
"""Ends of a task in which the requester is told that VidGo may have made it all the same."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Damage:
    """One thing that is wrong."""

    kind: Kind
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}"


@dataclass
class Verdict:
    """What an audit has found; `repeated` and `unconfirmed` count what cannot be had exactly once."""

    damages: list[Damage] = field(default_factory=list)
    endings: int = 0
    repeated: int = 0
    unconfirmed: int = 0
    again: list[str] = field(default_factory=list)

    def note(self, kind: Kind, what: str) -> None:
        """Note a damage."""
        self.damages.append(Damage(kind, what))

    def add(self, other: Verdict) -> None:
        """Add what another audit has found."""
        self.damages += other.damages
        self.endings += other.endings
        self.repeated += other.repeated
        self.unconfirmed += other.unconfirmed
        self.again += other.again

    def subtract(self, earlier: Verdict) -> None:
        """Leave what an earlier audit of the same stage has not found yet."""
        self.damages = [damage for damage in self.damages if damage not in earlier.damages]
        self.endings -= earlier.endings
        self.repeated -= earlier.repeated
        self.unconfirmed -= earlier.unconfirmed
        self.again = [told for told in self.again if told not in earlier.again]

    @property
    def kinds(self) -> Counter[Kind]:
        """Return how often each kind of damage was found."""
        return Counter(damage.kind for damage in self.damages)

    def __str__(self) -> str:
        return "\n".join(map(str, self.damages)) or "no damage"


async def assert_sound(stage: Stage) -> Verdict:
    """Wait until nothing is under way any more and audit; raises AssertionError that names each damage."""
    await stage.settle()
    verdict = await audit(stage)
    assert not verdict.damages, f"{verdict}\n{stage.unsettled()}\n{stage.program.log[-6000:]}"
    return verdict


async def audit(stage: Stage) -> Verdict:
    """Hold the ledgers of a stage against each other once nothing is under way any more."""
    for _ in range(MOMENTS):
        # The archive gets what nobody waits for at times of its own, and each time only for a moment.
        with suppress(TimeoutError):
            await stage.until(lambda: not any(stage.posting.glob("*")), "moment without files on their way", 1)
        verdict = _audit(stage)
        if not any(stage.posting.glob("*")):
            break
    return verdict


def _audit(stage: Stage) -> Verdict:
    verdict = Verdict()
    notifications = stage.rows("SELECT * FROM notifications")
    tasks = stage.rows("SELECT * FROM tasks")
    by_place = {(row["user_id"], row["channel_id"]): row for row in notifications if row["kind"] == "result"}
    for order in stage.orders:
        _audit_endings(stage, order, by_place.get(order.place), verdict)
    _audit_notifications(stage, notifications, verdict)
    _audit_payments(stage, tasks, verdict)
    _audit_tasks(stage, tasks, verdict)
    _audit_files(stage, verdict)
    return verdict


# Discord against the members


def _audit_endings(stage: Stage, order: Order, row: dict[str, Any] | None, verdict: Verdict) -> None:
    name = f"{order.kind} of {order.member.name}"
    posts, sentences, call = stage.posts(order), order.sentences, order.call
    endings = len(posts) + len(sentences) + stage.cancelled(order)
    verdict.endings += endings
    told = [one.content for one in (*posts, *sentences)]
    if call.thinking and not call.expired:
        verdict.note("left thinking", name)
    if stage.ignored(order):
        # Discord has told the member that the application did not respond; that is the ending.
        if endings or (row is not None and row["task_id"] is not None):
            verdict.note("twice", f"{name} was never acknowledged, and yet: {told or row}")
        return
    if endings == 0:
        # A token that expired before anything was ordered: Discord ends the "thinking…" by itself.
        by_discord = call.expired and (row is None or row["task_id"] is None)
        if not order.unreachable and not by_discord:
            verdict.note("lost", f"{name} has no ending; its notification: {row}")
    elif endings > 1:
        if not posts[1:] and endings - 1 <= stage.untold(order):
            verdict.repeated += 1
            verdict.again.append(f"{name}: {told}")
        else:
            verdict.note("twice", f"{name}: {told}")
    if order.stopped and stage.cancelled(order) and posts:
        verdict.note("twice", f"{name} was stopped, and posted")


def _audit_notifications(stage: Stage, rows: list[dict[str, Any]], verdict: Verdict) -> None:
    orders = {order.place: order for order in stage.orders}
    shown = {button: message for message in _visible(stage) for button in _own_buttons(message)}
    for row in rows:
        name, order = (
            f"notification {row['id']} ({row['kind']}, {row['state']})",
            orders.get((row["user_id"], row["channel_id"])),
        )
        if order is None:
            verdict.note("left behind", f"{name} is of nobody")
            continue
        if row["state"] in OPEN or row["ack_wanted"] or row["interaction_token"]:
            verdict.note("left behind", f"{name}: wants {row['ack_wanted']}, error {row['error']}")
        message = shown.pop(row["id"], None)
        if row["state"] == "delivered":
            gone = row["message_id"] not in {one.id for one in (*_visible(stage), *order.sentences)}
            if gone and not order.channel.deleted:
                verdict.note("lost", f"{name} is recorded as message {row['message_id']}, which is not there")
            public = order.public if row["kind"] == "result" else None
            # One whose token expired before it was acknowledged shows "thinking…" until Discord ends that.
            if (
                message is not None
                and public is not None
                and not public.thinking
                and str(message.id) not in public.content
            ):
                verdict.note("left behind", f"the acknowledgement of {name} says: {public.content}")
        elif message is not None and not stage.untold(order):
            verdict.note("left behind", f"{name} was posted as message {message.id}, unrecorded")
        if row["state"] == "undeliverable" and not order.unreachable:
            verdict.note("lost", f"{name} was given up: {row['error']}")
    for message in shown.values():
        verdict.note("left behind", f"message {message.id} belongs to no notification")


def _visible(stage: Stage) -> list[Message]:
    return [message for channel in stage.places for message in channel.messages]


def _own_buttons(message: Message) -> Iterator[str]:
    for button in message.buttons:
        name, _, notification = (button.custom_id or "").partition(":")
        if name == "remove":
            yield notification


# VidGo against the database


def _key_of(submission: Submission) -> tuple[str, str]:
    data = submission.input if isinstance(submission.input, dict) else {}
    return submission.model, str(data.get("task_id") if submission.model == COVER else data.get("prompt"))


def _audit_payments(stage: Stage, tasks: list[dict[str, Any]], verdict: Verdict) -> None:
    asked: dict[tuple[str, str], list[Submission]] = defaultdict(list)
    for submission in stage.vidgo.submissions:
        if submission.accepted or submission.status is None:
            asked[_key_of(submission)].append(submission)
    rows: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in tasks:
        if row["model"] in (COVER, SONG):
            request = json.loads(row["request"])
            rows[row["model"], str(request.get("task_id" if row["model"] == COVER else "prompt"))].append(row)
    charged = {task_id for task_id, _ in stage.vidgo.charged}
    known = {row["vidgo_id"] for row in tasks}
    for key, submissions in asked.items():
        paid = [one.task_id for one in submissions if one.task_id in charged]
        if len(paid) > 1:
            verdict.note("paid twice", f"{key}: {paid}")
        if len(submissions) > max(len(rows[key]), 1):
            verdict.note("paid twice", f"{key} was submitted {len(submissions)} times for {len(rows[key])} tasks")
        if not rows[key]:
            verdict.note("lost", f"VidGo works on {key}, of which the database knows nothing")
        for task_id in paid:
            if task_id not in known:
                _audit_unconfirmed(f"{key}, paid as {task_id}", rows[key], verdict)
    for key, same in rows.items():
        if key[0] == SONG and len(same) > 1:
            verdict.note("twice", f"{len(same)} tasks for {key}")


def _audit_unconfirmed(name: str, rows: list[dict[str, Any]], verdict: Verdict) -> None:
    if any(row["error_kind"] in _UNCONFIRMED for row in rows):
        verdict.unconfirmed += 1
    else:
        verdict.note("lost", f"{name}, is told to nobody: {[(row['status'], row['error_kind']) for row in rows]}")


def _audit_tasks(stage: Stage, tasks: list[dict[str, Any]], verdict: Verdict) -> None:
    charged = {task_id for task_id, _ in stage.vidgo.charged}
    for row in tasks:
        name = f"task {row['id']} ({row['status']} {row['error_kind']})"
        made = stage.vidgo.tasks.get(row["vidgo_id"])
        if row["status"] in LIVE:
            verdict.note("left behind", f"{name}; VidGo: {made and made.status}")
        elif row["status"] == "finished":
            if made is None or made.status != "finished":
                verdict.note("lost", f"{name} was never finished by VidGo")
        elif made is not None and made.id in charged:
            _audit_unconfirmed(f"{name}, paid as {made.id}", [row], verdict)


# Files


def _audit_files(stage: Stage, verdict: Verdict) -> None:
    connection = sqlite3.connect(f"file:{stage.database}?mode=ro", uri=True, timeout=10)
    try:
        found = [
            row for check in ("integrity_check", "foreign_key_check") for row in connection.execute(f"PRAGMA {check}")
        ]
    finally:
        connection.close()
    if found != [("ok",)]:
        verdict.note("half file", f"the database: {found}")
    promised = {row["sha256"]: row["size"] for row in stage.rows("SELECT sha256, size FROM media")}
    for path in sorted(stage.archive.glob("*/*")):
        data = path.read_bytes()
        whole = _SHA256.fullmatch(path.name) and hashlib.sha256(data).hexdigest() == path.name
        if not whole:
            verdict.note("half file", f"{path.name} in the archive, {len(data)} bytes")
        elif promised.pop(path.name, None) != len(data):
            verdict.note("left behind", f"{path.name} in the archive, which no row knows")
    for lacking in promised:
        verdict.note("half file", f"the archive promises {lacking}, which is not there")
    for row in stage.rows("SELECT task_id, audio_sha256, image_sha256 FROM files"):
        kept = {row["audio_sha256"], row["image_sha256"]} - {None}
        for lacking in kept - {path.name for path in stage.archive.glob("*/*")}:
            verdict.note("half file", f"a file of task {row['task_id']} is promised as {lacking}, which is not there")
    for path in stage.posting.glob("*"):
        verdict.note("half file", f"{path.name} waits to be posted by nobody: {sorted(path.rglob('*'))}")
