"""Work that many may want and that is done once: getting a file, making it smaller.

Whoever asks waits a moment and no longer: a place that somebody else could use is not held by one who waits for a slow
host or for a turn at the decoder. The work goes on, and whoever asks again finds it further on or done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from bot.fetching.fetch import FetchError, FetchProblem

T = TypeVar("T")


@dataclass(slots=True)
class _Job(Generic[T]):
    task: asyncio.Task[T]
    began: float
    ended: float = 0.0
    ending: asyncio.TimerHandle | None = None

    @property
    def has_result(self) -> bool:
        return self.task.done() and not self.task.cancelled() and self.task.exception() is None

    @property
    def has_failed(self) -> bool:
        return self.task.done() and not self.has_result


class Shared(Generic[T]):
    """Runs at most `most` pieces of work, each under a name, and keeps what each came to for `keep` seconds.

    `discard` gets every result that is kept no more.
    """

    def __init__(self, *, most: int, keep: float, discard: Callable[[T], object]) -> None:
        self._most = most
        self._keep = keep
        self._discard = discard
        self._jobs: dict[str, _Job[T]] = {}

    def __len__(self) -> int:
        return sum(not job.has_failed for job in self._jobs.values())

    def results(self) -> Iterator[T]:
        """Yield what is done and still kept."""
        return (job.task.result() for job in self._jobs.values() if job.has_result)

    def begin(self, name: str, work: Callable[[], Coroutine[Any, Any, T]], *, stale_after: float | None = None) -> bool:
        """Begin work unless it has begun already, and tell whether there was room for it.

        A failure that is older than `stale_after` seconds is no longer kept for the one who asks, who knows it.
        """
        old = self._jobs.get(name)
        age = 0.0 if old is None else asyncio.get_running_loop().time() - old.ended
        if old is not None and old.has_failed and stale_after is not None and age > stale_after:
            self._end(name, old)
        if name not in self._jobs:
            if sum(not job.task.done() for job in self._jobs.values()) >= self._most:
                return False
            task = asyncio.create_task(work(), name=name)
            job = self._jobs[name] = _Job(task, asyncio.get_running_loop().time())
            task.add_done_callback(lambda _: self._done(name, job))
        return True

    async def get(
        self,
        name: str,
        work: Callable[[], Coroutine[Any, Any, T]],
        *,
        wait: float | None = None,
        stale_after: float | None = None,
    ) -> T:
        """Return what work comes to, or raise what it raises, beginning it where `begin` would.

        Raises `FetchError` of the kind `UNDER_WAY` where it is not done `wait` seconds after its own beginning, or
        where too much else is under way.
        """
        if not self.begin(name, work, stale_after=stale_after):
            raise FetchError(FetchProblem.UNDER_WAY, "too many files are under way")
        job = self._jobs[name]
        left = None if wait is None else max(job.began + wait - asyncio.get_running_loop().time(), 0.0)
        # Not awaited itself: whoever is cancelled here must not take it from the others.
        await asyncio.wait([job.task], timeout=left)
        if not job.task.done() or job.task.cancelled():
            raise FetchError(FetchProblem.UNDER_WAY, "still under way")
        if job.has_result and self._jobs.get(name) is job:
            self._end_in(name, job, self._keep)
        return job.task.result()

    def drop(self, name: str, *, after: float) -> None:
        """Keep a result only so many seconds more."""
        job = self._jobs.get(name)
        if job is not None and job.has_result:
            self._end_in(name, job, after)

    async def close(self) -> None:
        """Cancel all work, and discard all results."""
        tasks = [job.task for job in self._jobs.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for name, job in list(self._jobs.items()):
            self._end(name, job)

    def _done(self, name: str, job: _Job[T]) -> None:
        job.ended = asyncio.get_running_loop().time()
        if not job.task.cancelled():
            job.task.exception()  # looked at, though perhaps nobody asks for it any more
        if self._jobs.get(name) is job:
            self._end_in(name, job, self._keep)

    def _end_in(self, name: str, job: _Job[T], seconds: float) -> None:
        if job.ending is not None:
            job.ending.cancel()
        job.ending = asyncio.get_running_loop().call_later(seconds, self._end, name, job)

    def _end(self, name: str, job: _Job[T]) -> None:
        if job.ending is not None:
            job.ending.cancel()
        if self._jobs.get(name) is job:
            del self._jobs[name]
            if job.has_result:
                self._discard(job.task.result())
