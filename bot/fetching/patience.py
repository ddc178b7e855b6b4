"""When a file that cannot be had is asked for again, and when it never will be.

"Not yet" is not "no more". A host may answer anything in the first minutes, may be down for an hour, and one answer
proves nothing; VidGo keeps files for about a day (its documentation). So what is final is final only because it cannot
change, or because it was seen again and again over ten minutes.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from enum import IntEnum
from typing import Final

from bot.fetching.fetch import FetchProblem

KEEPS_SECONDS = 86400.0
"""How long VidGo keeps a file."""

YOUNG_SECONDS = 300.0
"""How long after its making a file may still be on its way to its host, which answers anything meanwhile."""

LASTS_SECONDS = 600.0
LASTS_TIMES = 4
"""Over how long, and how often, the same must have been seen to be taken for lasting."""

TELL_SECONDS = 10.0
"""From when on the member should read that the file is not there yet, which the contract promises within 30 s."""

LAST_WORD_SECONDS = 840.0
"""From when on the member should read that it goes on for a day, which the contract promises within 15 minutes."""

LONGEST_PAUSE_SECONDS = 300.0
UNDER_WAY_PAUSES = (1.0, 10.0)
"""The longest of them is shorter than what was fetched is kept for whoever asks again."""

# These are in the address or in the file, and another try cannot change them.
_CERTAIN: Final = frozenset({FetchProblem.TOO_LARGE, FetchProblem.REFUSED_ADDRESS, FetchProblem.BAD_URL})


class Stage(IntEnum):
    """What the member should have read by now about a file that is waited for."""

    NOTHING = 0
    NOT_YET = 1
    """It is not to be had yet; it is tried again."""
    STILL_NOT = 2
    """It is still not to be had; it is tried until VidGo deletes it."""


@dataclass(frozen=True, slots=True)
class Failures:
    """What asking for a file has come to so far. Times are Unix seconds.

    `problem` was seen `times` times in a row since `since`; all tries since `first_at`, the last of them at `last_at`,
    are `tries`. With `under_way`
    the last of them found it coming, which says nothing about what comes in the end. `told` is what the member knows.
    """

    first_at: float
    last_at: float
    tries: int
    problem: FetchProblem
    since: float
    times: int
    under_way: bool = False
    told: Stage = Stage.NOTHING

    def dump(self) -> str:
        """Return it as text for the database."""
        return json.dumps(asdict(self))

    def age(self, now: float) -> float | None:
        """Return how many seconds ago a file was last seen not to be had, None where it never was."""
        return max(now - self.last_at, 0.0) if self.tries else None

    @classmethod
    def load(cls, text: str | None) -> Failures | None:
        """Return what `dump` wrote, None for any other text."""
        try:
            values = json.loads(text or "")
            return cls(**{**values, "problem": FetchProblem(values["problem"]), "told": Stage(values["told"])})
        except (ValueError, TypeError, KeyError):
            return None


@dataclass(frozen=True, slots=True)
class Later:
    """Ask again in so many seconds, and meanwhile have the member know so much."""

    seconds: float
    stage: Stage


def failed(before: Failures | None, problem: FetchProblem, now: float) -> Failures:
    """Add a failure to what is known."""
    if before is None or before.first_at > now:  # or the clock was set back
        before = Failures(now, now, 0, problem, now, 0)
    if problem is FetchProblem.UNDER_WAY:
        return replace(before, under_way=True)
    if problem is not before.problem:
        before = replace(before, problem=problem, since=now, times=0)
    return replace(before, last_at=now, tries=before.tries + 1, times=before.times + 1, under_way=False)


def decide(failures: Failures, made_at: float, now: float, *, needed: bool = True) -> Later | None:
    """Say when to ask again for a file that was made at `made_at`; None when that would be of no use.

    A file that is not `needed`, because there is something to post without it, is not waited for longer than until
    the last word.
    """
    if is_hopeless(failures, made_at, now):
        return None
    waited = now - failures.first_at
    if not needed and waited >= LAST_WORD_SECONDS and failures.tries >= LASTS_TIMES:
        return None
    shortest, longest = UNDER_WAY_PAUSES
    if failures.under_way:
        pause = min(waited / 4, longest)
    else:
        pause = min(2.0 ** min(failures.tries, 10), LONGEST_PAUSE_SECONDS)
    stage = Stage.NOTHING
    for of, begins in ((Stage.NOT_YET, TELL_SECONDS), (Stage.STILL_NOT, LAST_WORD_SECONDS)):
        if waited >= begins:
            stage = of
        else:  # not slept through
            pause = min(pause, begins - waited)
    return Later(max(pause, shortest), stage)


def is_hopeless(failures: Failures, made_at: float, now: float) -> bool:
    """Tell whether a file will never be had."""
    if failures.under_way:
        return False
    age = now - made_at
    lasts = failures.times >= LASTS_TIMES and now - failures.since >= LASTS_SECONDS
    match failures.problem:
        case problem if problem in _CERTAIN:
            return True
        case FetchProblem.ARCHIVE:  # it is there as soon as its store or disk is
            return now - failures.first_at > KEEPS_SECONDS
        case FetchProblem.GONE if lasts or age > KEEPS_SECONDS:
            return True
        case FetchProblem.NOT_MEDIA if failures.times >= LASTS_TIMES and age > YOUNG_SECONDS:
            return True
    # After VidGo's day it is not worth more than it takes to see that it is not just a moment's trouble.
    return age > KEEPS_SECONDS and failures.tries >= LASTS_TIMES and now - failures.first_at >= LASTS_SECONDS
