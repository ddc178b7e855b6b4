"""The worker that looks at tasks that are due, by clock or by callback."""

from __future__ import annotations

from collections.abc import Callable, Collection

from bot.tasks.reading import Reading
from bot.tasks.schedule import Schedule
from bot.worker import Worker
from storage import tasks as rows
from storage.database import Database
from storage.planned import Due
from storage.wakeups import Queue

PLACES = 256
"""More than can ever wait for VidGo's answers: 5 questions in a second, each for up to 30 s."""


class Polling:
    """What the poller does."""

    def __init__(self, database: Database, reading: Reading, schedule: Schedule, clock: Callable[[], float]) -> None:
        self._database = database
        self._reading = reading
        self._schedule = schedule
        self._clock = clock

    async def claim(self, skip: Collection[str], limit: int) -> list[Due]:
        """Return live tasks that are due."""
        now = self._clock()
        async with self._database.claiming() as snapshot:
            return await rows.claim(snapshot, now, now + self._schedule.farthest, skip, limit)

    async def next_due(self, skip: Collection[str]) -> float | None:
        """Return when the next live task is due."""
        async with self._database.read() as snapshot:
            return await rows.next_due(snapshot, skip)

    async def do(self, item: str) -> None:
        """Send a task that is queued, and read one that VidGo has."""
        await self._reading.look(item)


def make_poller(database: Database, reading: Reading, schedule: Schedule, clock: Callable[[], float]) -> Worker:
    """Make the worker."""
    work = Polling(database, reading, schedule, clock)
    release = database.releasing(rows.release)
    return Worker(Queue.POLLER, work, database.wakeups, places=PLACES, clock=clock, release=release)
