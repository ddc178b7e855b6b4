"""A worker asks the database what is due, and does it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import Protocol, TypeVar

from sqlalchemy.exc import OperationalError

from storage.planned import Due, Gone
from storage.wakeups import Queue, Wakeups

V = TypeVar("V")

log = logging.getLogger(__name__)

IDLE_SECONDS = 30.0
"""A worker asks at least this often, whatever it was told."""

FULL_SECONDS = 60.0
"""For how long all places may be taken before somebody is told."""

_PAUSES = (1.0, 2.0, 5.0, 15.0, 30.0)
_SAME_AGAIN = 3
"""How often one id may be done at the very same planned time: whoever does the work has to change that time."""

_NOTES = 1000
"""How many ids are remembered that fail or come again."""


class TryLater(Exception):  # noqa: N818 (a word says what happened)
    """Work that has to be tried again in a while; the text says why."""


class Work(Protocol):
    """What a worker does."""

    async def claim(self, skip: Collection[str], limit: int) -> list[Due]:
        """Return up to `limit` things that are due now and not in `skip`."""

    async def next_due(self, skip: Collection[str]) -> float | None:
        """Return when the next one will be due, in Unix seconds."""

    async def do(self, item: str) -> None:
        """Do it, on fresh rows, and change what made it due.

        Raises `Gone` where somebody else was first, and `TryLater` where it has to be tried again.
        """


class Worker:
    """Does what is due in a queue, in up to `places` at once and never one id twice at a time.

    An id whose work raises rests for a growing pause, and so does one that comes again unchanged. Where others could do
    the work too, `release` lets them have what was claimed here and is done.
    """

    def __init__(
        self,
        queue: Queue,
        work: Work,
        wakeups: Wakeups,
        *,
        places: int,
        clock: Callable[[], float],
        release: Callable[[Collection[str]], Awaitable[None]] | None = None,
    ) -> None:
        self.name = str(queue)
        self._queue = queue
        self._work = work
        self._wakeups = wakeups
        self.places = places
        self._release = release
        self._claimed: set[str] = set()
        """What others cannot have yet; all of it where `release` is given."""
        self._clock = clock
        self._running: dict[str, asyncio.Task[None]] = {}
        self._failures: dict[str, int] = {}
        self._done: dict[str, tuple[float, int, int]] = {}
        """For which planned time an id was done, how often, and how often it has rested for that."""
        self._resting: set[str] = set()
        self._rests: set[asyncio.TimerHandle] = set()
        self._loop_task: asyncio.Task[None] | None = None
        self._turned_at = 0.0
        self._full_since: float | None = None

    def start(self) -> None:
        """Start the worker."""
        self._turned_at = asyncio.get_running_loop().time()
        self._loop_task = asyncio.create_task(self._loop(), name=self.name)

    @property
    def taken(self) -> int:
        """Return how many places are taken."""
        return len(self._running)

    @property
    def full_seconds(self) -> float:
        """Return for how long all places have been taken by the same work."""
        return 0.0 if self._full_since is None else asyncio.get_running_loop().time() - self._full_since

    def problem(self, stalled_seconds: float) -> str | None:
        """Return why the worker cannot be relied on, or None."""
        if self._loop_task is None or self._loop_task.done():
            return "does not turn"
        if asyncio.get_running_loop().time() - self._turned_at > IDLE_SECONDS + stalled_seconds:
            return "does not turn"
        if self.full_seconds > FULL_SECONDS:
            return f"all {self.places} places are taken for {self.full_seconds:.0f} s"
        return None

    async def stop(self, deadline: float) -> None:
        """Take no new work, let the work under way end until `deadline` on the event loop's clock, then cancel it."""
        if self._loop_task is not None:
            self._loop_task.cancel()
            with suppress(asyncio.CancelledError):
                await self._loop_task
        running = list(self._running.values())
        if running:
            _, late = await asyncio.wait(running, timeout=max(deadline - asyncio.get_running_loop().time(), 0))
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        for handle in self._rests:
            handle.cancel()

    async def _loop(self) -> None:
        while True:
            try:
                pause = await self._turn()
            except OperationalError as error:
                log.error("%s could not look for work: OperationalError: %s", self.name, error.orig)
                pause = _PAUSES[1]
            except Exception:  # a worker outlives whatever the database says
                log.exception("%s could not look for work", self.name)
                pause = _PAUSES[1]
            self._turned_at = asyncio.get_running_loop().time()
            await self._wakeups.wait(self._queue, pause)

    async def _turn(self) -> float:
        """Start what is due and return for how many seconds nothing else will be."""
        free = self.places - len(self._running)
        if free <= 0:
            return IDLE_SECONDS  # the end of any running work wakes the loop
        if self._release is not None and (done := self._claimed - self._running.keys() - self._resting):
            await self._release(done)
            self._claimed -= done
        skip = {*self._running, *self._resting}
        looked_for = self._done.keys() - skip  # not what ends meanwhile, which may still be due
        found = await self._work.claim(skip, free)
        if len(found) < free:
            self._forget(looked_for - {due.id for due in found})
        if self._release is not None:
            self._claimed.update(due.id for due in found)
        for due in found:
            if due.id not in self._running and due.id not in self._resting and not self._comes_again(due):
                self._start(due)
        if len(self._running) >= self.places:
            return IDLE_SECONDS
        if len(found) == free:
            return 0.0  # those that rest now stood before others
        at = await self._work.next_due({*self._running, *self._resting})
        return IDLE_SECONDS if at is None else min(max(at - self._clock(), 0.001), IDLE_SECONDS)

    def _forget(self, items: set[str]) -> None:
        """Forget what was done and is not due any more: due for the same time once more, it is news."""
        for item in items:
            self._done.pop(item, None)

    def _comes_again(self, due: Due) -> bool:
        """Tell whether an id is due again although what was done has changed nothing, and let it rest once for that."""
        at, times, rests = self._done.get(due.id, (due.at, 0, 0))
        if at != due.at or times < _SAME_AGAIN + rests:
            return False
        log.error("%s: %s is due again unchanged, after it was done %d times", self.name, due.id, times)
        _note(self._done, due.id, (at, times, rests + 1))
        self._rest(due.id, _PAUSES[min(rests, len(_PAUSES) - 1)])
        return True

    def _start(self, due: Due) -> None:
        self._running[due.id] = asyncio.create_task(self._do(due), name=f"{self.name} {due.id}")
        if len(self._running) >= self.places and self._full_since is None:
            self._full_since = asyncio.get_running_loop().time()

    async def _do(self, due: Due) -> None:
        try:
            with suppress(Gone):  # somebody else was there first
                await self._work.do(due.id)
            self._failures.pop(due.id, None)
            at, times, rests = self._done.get(due.id, (due.at, 0, 0))
            _note(self._done, due.id, (at, times + 1, rests) if at == due.at else (due.at, 1, 0))
        except TryLater as reason:
            log.warning("%s: %s is tried again later: %s", self.name, due.id, reason)
            self._try_later(due.id)
        except OperationalError as error:  # the disk, the server or a clash; what is due stays due
            log.error("%s: %s is tried again later: OperationalError: %s", self.name, due.id, error.orig)
            self._try_later(due.id)
        except Exception:  # one row must not stop the others
            log.exception("%s failed for %s", self.name, due.id)
            self._try_later(due.id)
        finally:
            del self._running[due.id]
            self._full_since = None
            self._wakeups.wake([self._queue])

    def _try_later(self, item: str) -> None:
        failures = self._failures.get(item, 0)
        _note(self._failures, item, failures + 1)
        self._rest(item, _PAUSES[min(failures, len(_PAUSES) - 1)])

    def _rest(self, item: str, seconds: float) -> None:
        self._resting.add(item)

        def end() -> None:
            self._resting.discard(item)
            self._rests.discard(handle)
            self._wakeups.wake([self._queue])

        handle = asyncio.get_running_loop().call_later(seconds, end)
        self._rests.add(handle)


def _note(notes: dict[str, V], item: str, value: V) -> None:
    """Note something about an id, and drop what is the oldest: an id that is in trouble comes back soon."""
    notes.pop(item, None)
    notes[item] = value
    if len(notes) > _NOTES:
        del notes[next(iter(notes))]
