"""What only the owner can mend, as it was last seen: whether it is so, and since when."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bot.vidgo import AnswerLost, Busy, KeyRefused, NoCredits, Nonsense, Question, VersionRefused, VidGoError
from bot.words.sentences import owners
from storage.schema import AlarmKind, AlarmState
from storage.servers.alarms import Alarm
from storage.wakeups import Queue, Wakeups

log = logging.getLogger(__name__)

SILENCE_SECONDS = 600.0
"""For how long VidGo must have given no usable answer until the owner is told."""

FULL_BYTES = 500 * 10**6
ROOM_BYTES = 750 * 10**6
"""A disk with less than the first is nearly full, and has room again with the second."""

_ANSWERS = {405, 429, 430, 455}
"""Codes of `Busy` with which VidGo itself says that it is asked too much."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Whether something is so, since when, what the owner's words need, and when it was seen."""

    is_so: bool
    since: float
    details: dict[str, Any]
    seen_at: float


class Conditions:
    """Keeps what was seen since the start; what was not seen is not known.

    `changed` has what nobody has written down yet, and `is_asked_for` tells that the balance should be known soon.
    """

    def __init__(self, wakeups: Wakeups, clock: Callable[[], float], *, warning: float) -> None:
        self._wakeups = wakeups
        self._clock = clock
        self._warning = warning
        self._known: dict[AlarmKind, Condition] = {}
        self._silent_since: float | None = None
        self._refused_questions: set[Question] = set()
        self._refused_for_credits = False
        self._lacked: float | None = None
        """How many credits there were when they were too few, until there are more."""
        self._took_order = False
        self.changed: dict[AlarmKind, Condition] = {}
        self.is_asked_for = False
        self.credits: float | None = None

    @property
    def is_silent(self) -> bool:
        """Return whether VidGo's last answer was of no use."""
        return self._silent_since is not None

    @property
    def is_troubled(self) -> bool:
        """Return whether something is so that the owner can mend at VidGo."""
        return any(map(self._is_so, (AlarmKind.KEY, AlarmKind.CREDITS_LOW, AlarmKind.CREDITS_GONE)))

    def recall(self, credits_gone: Alarm | None) -> None:
        """Take over from another process how many credits were too few, and have all that was seen written down anew.

        Balance and disk are looked at by one process alone, so what this one has seen of them is too old by then.
        """
        self._refused_for_credits, self._lacked, self._took_order = False, None, False
        for kind in (AlarmKind.CREDITS_LOW, AlarmKind.CREDITS_GONE, AlarmKind.DISK):
            self._known.pop(kind, None)
        self.changed = dict(self._known)
        if credits_gone is not None and credits_gone.state in (AlarmState.RAISED, AlarmState.TOLD):
            self._refused_for_credits, self._lacked = True, credits_gone.details.get("credits")

    def see_request(self, question: Question, error: BaseException | None) -> None:
        """See what came of a request to VidGo."""
        if error is not None and not isinstance(error, VidGoError):
            return  # broken off by the bot, which says nothing of VidGo
        self._see_reach(error)
        if isinstance(error, KeyRefused):
            self._refuse_key(question, error)
        elif error is None or isinstance(error, NoCredits):
            self._take_key(question)
        if isinstance(error, VersionRefused):
            if self._set(AlarmKind.VERSION, is_so=True):
                log.error(
                    "VidGo refuses VIDGO_MUSIC_VERSION (%s); members are told that it is not theirs", error.reason
                )
        elif error is None and question is Question.SUBMIT:  # a cover, which has no version, is ordered on a source
            self._set(AlarmKind.VERSION, is_so=False)
        if isinstance(error, NoCredits):
            self._refuse_for_credits(error)
        elif error is None and question.is_submission:
            self._take_order()

    def see_balance(self, amount: float) -> None:
        """See how many credits the account has."""
        self.credits = amount
        self.is_asked_for = False
        if self._is_too_few(amount):
            self._lack_credits(amount)
            return
        self._refused_for_credits, self._lacked = False, None
        self._set(AlarmKind.CREDITS_GONE, is_so=False, credits=amount)
        if amount >= self._warning:
            self._set(AlarmKind.CREDITS_LOW, is_so=False, credits=amount)
        elif self._set(AlarmKind.CREDITS_LOW, is_so=True, credits=amount, warning=self._warning):
            log.warning("the VidGo account has %s credits left, fewer than CREDITS_WARNING", owners.plain(amount))

    def miss_balance(self) -> None:
        """See that nobody can tell how many credits the account has."""
        self.is_asked_for = False
        if self._refused_for_credits:
            self._lack_credits(None)

    def see_disk(self, free: int) -> None:
        """See how many bytes are free where there are the fewest."""
        bound = ROOM_BYTES if self._is_so(AlarmKind.DISK) else FULL_BYTES
        if self._set(AlarmKind.DISK, is_so=free < bound, free=free // 10**6) and free < bound:
            log.error("the disk is nearly full: %d MB are free", free // 10**6)

    def _see_reach(self, error: VidGoError | None) -> None:
        is_usable = not isinstance(error, AnswerLost | Nonsense) and not (
            isinstance(error, Busy) and error.code not in _ANSWERS
        )
        now = self._clock()
        if is_usable:
            self._silent_since = None
            self._set(AlarmKind.VIDGO, is_so=False)
            return
        self._silent_since = now if self._silent_since is None else min(self._silent_since, now)
        if now - self._silent_since >= SILENCE_SECONDS:
            since = self._silent_since
            if self._set(AlarmKind.VIDGO, is_so=True, since=since):
                log.error("VidGo has given no usable answer for %.0f minutes", (now - since) / 60)
        elif now == self._silent_since:
            self._wakeups.wake([Queue.WATCH])  # it is asked more often from now on

    def _refuse_key(self, question: Question, error: KeyRefused) -> None:
        self._refused_questions.add(question)
        if self._set(AlarmKind.KEY, is_so=True):
            log.error("VidGo refuses VIDGO_API_KEY (%s); members are told that the owner has to act", error.reason)
            if question is not Question.BALANCE:
                self._ask()  # where that is refused too, it is what shows the end

    def _take_key(self, question: Question) -> None:
        """See that the key was taken, which proves little where it was refused for something else."""
        if question in self._refused_questions or not self._is_so(AlarmKind.KEY):
            self._refused_questions.clear()
            self._set(AlarmKind.KEY, is_so=False)

    def _refuse_for_credits(self, error: NoCredits) -> None:
        self._took_order = False
        if not self._refused_for_credits:
            self._refused_for_credits = True
            log.error(
                "VidGo has no credits left for this key (%s); members are told that the owner has to act", error.reason
            )
        if not self._is_so(AlarmKind.CREDITS_GONE):
            # How many there are is said along with it, and tells later whether there are more.
            self._ask()

    def _take_order(self) -> None:
        """See that an order was taken; a cheap one proves nothing where it is known how many credits were too few."""
        self._took_order = True
        if self._lacked is not None:
            self._ask()
        else:
            self._refused_for_credits = False
            self._set(AlarmKind.CREDITS_GONE, is_so=False)

    def _is_too_few(self, amount: float) -> bool:
        if amount <= 0:
            return True
        if self._lacked is None:
            return self._refused_for_credits
        return amount <= self._lacked and not (self._took_order and 0 < self._warning <= amount)

    def _lack_credits(self, amount: float | None) -> None:
        self._refused_for_credits = True
        self._lacked = amount if self._lacked is None else self._lacked
        # The greater alarm says it all.
        self._known.pop(AlarmKind.CREDITS_LOW, None)
        self.changed.pop(AlarmKind.CREDITS_LOW, None)
        self._set(AlarmKind.CREDITS_GONE, is_so=True, credits=amount)

    def _is_so(self, kind: AlarmKind) -> bool:
        known = self._known.get(kind)
        return known is not None and known.is_so

    def _ask(self) -> None:
        self.is_asked_for = True
        self._wakeups.wake([Queue.WATCH])

    def _set(self, kind: AlarmKind, *, is_so: bool, since: float | None = None, **details: Any) -> bool:
        """Keep what was seen, and tell whether it is news."""
        known = self._known.get(kind)
        if known is not None and known.is_so is is_so:
            return False
        now = self._clock()
        condition = Condition(is_so, now if since is None else since, details, now)
        self._known[kind] = self.changed[kind] = condition
        if known is not None and not is_so:
            log.info("%s: that is over", kind)
        self._wakeups.wake([Queue.WATCH])
        return True
