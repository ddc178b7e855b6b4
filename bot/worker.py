"""A background worker that asks the database what is due, and does it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import Any

log = logging.getLogger(__name__)

IDLE_SECONDS = 30.0
"""A worker asks at least this often, whatever it was told."""

BREATH_SECONDS = 0.05
"""How long a worker with room rests after a piece of work before it asks what is next."""

_PAUSES = (1.0, 2.0, 5.0, 15.0, 30.0)


class Worker:
    """Runs `work` for each id that is due, at most `concurrency` at once and never one id twice at a time.

    `find` returns up to `limit` ids that are due and not in `skip`, and `next_due` when the next one will be (Unix
    seconds). `work` plans the next time in the database itself; when it raises, the id rests for a growing pause.
    """

    def __init__(
        self,
        name: str,
        *,
        find: Callable[[Collection[str], int], Awaitable[list[str]]],
        next_due: Callable[[Collection[str]], Awaitable[float | None]],
        work: Callable[..., Awaitable[object]],
        concurrency: int,
        clock: Callable[[], float],
    ) -> None:
        self.name = name
        self._find = find
        self._next_due = next_due
        self._work = work
        self._concurrency = concurrency
        self._clock = clock
        self._wake = asyncio.Event()
        self._running: dict[str, asyncio.Task[object]] = {}
        self._failures: dict[str, int] = {}
        self._resting: set[str] = set()
        self._rests: set[asyncio.TimerHandle] = set()
        self._loop_task: asyncio.Task[None] | None = None
        self._turned_at = 0.0

    def start(self) -> None:
        """Start the worker."""
        self._turned_at = asyncio.get_running_loop().time()
        self._loop_task = asyncio.create_task(self._loop(), name=self.name)

    def wake(self, after: float = 0.0) -> None:
        """Make the worker look now, or in some seconds; called after a commit that made something due."""
        if after:
            asyncio.get_running_loop().call_later(after, self._wake.set)
        else:
            self._wake.set()

    def start_now(self, item: str, *known: Any) -> asyncio.Task[object] | None:
        """Start work on an id that is due without asking the database, if there is room; else as `wake`.

        `known` is given to `work` besides the id. The result is what `work` returns, None where it failed.
        """
        running = self._loop_task is not None and not self._loop_task.done()
        if (
            running
            and item not in self._running
            and item not in self._resting
            and len(self._running) < self._concurrency
        ):
            return self._start(item, *known)
        self.wake()
        return None

    @property
    def stalled_seconds(self) -> float:
        """Seconds since the worker last turned, beyond the longest that it may rest."""
        if self._loop_task is None or self._loop_task.done():
            return float("inf")
        return max(0.0, asyncio.get_running_loop().time() - self._turned_at - IDLE_SECONDS)

    async def stop(self, grace: float) -> None:
        """Take no new work, wait up to `grace` seconds for the work under way, then cancel it."""
        if self._loop_task is not None:
            self._loop_task.cancel()
            with suppress(asyncio.CancelledError):
                await self._loop_task
        for handle in self._rests:
            handle.cancel()
        running = list(self._running.values())
        if not running:
            return
        _, late = await asyncio.wait(running, timeout=grace)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _loop(self) -> None:
        while True:
            self._wake.clear()
            pause = IDLE_SECONDS
            try:
                pause = await self._turn()
            except Exception:  # a worker outlives whatever the database says
                log.exception("%s could not look for work", self.name)
                pause = _PAUSES[1]
            self._turned_at = asyncio.get_running_loop().time()
            with suppress(TimeoutError):
                # Not `wait_for`: Python 3.11's forgets to be cancelled when what it waits for happens at that moment.
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    async def _turn(self) -> float:
        """Start what is due and return for how many seconds nothing else will be."""
        free = self._concurrency - len(self._running)
        if free <= 0:
            return IDLE_SECONDS  # the end of any running work wakes the loop
        skip = {*self._running, *self._resting}
        found = await self._find(skip, free)
        for item in found:
            if item not in self._running:  # somebody may have started it while the database was asked
                self._start(item)
        if len(found) == free:
            return IDLE_SECONDS
        due = await self._next_due({*self._running, *self._resting})
        return IDLE_SECONDS if due is None else min(max(due - self._clock(), 0.001), IDLE_SECONDS)

    def _start(self, item: str, *known: Any) -> asyncio.Task[object]:
        task = self._running[item] = asyncio.create_task(self._do(item, *known), name=f"{self.name} {item}")
        return task

    async def _do(self, item: str, *known: Any) -> object:
        result = None
        try:
            result = await self._work(item, *known)
            self._failures.pop(item, None)
        except Exception:  # one row must not stop the others
            failures = self._failures.get(item, 0)
            self._failures[item] = failures + 1
            log.exception("%s failed for %s", self.name, item)
            self._rest(item, _PAUSES[min(failures, len(_PAUSES) - 1)])
        finally:
            full = len(self._running) >= self._concurrency
            del self._running[item]
            # What the work has just made due somewhere else comes first; here only what is planned has to be noticed.
            self.wake(0.0 if full else BREATH_SECONDS)
        return result

    def _rest(self, item: str, seconds: float) -> None:
        self._resting.add(item)

        def end() -> None:
            self._resting.discard(item)
            self._rests.discard(handle)
            self._wake.set()

        handle = asyncio.get_running_loop().call_later(seconds, end)
        self._rests.add(handle)
