"""The worker that looks at tasks that are due, by clock or by bell."""

from __future__ import annotations

from collections.abc import Callable, Collection

from bot.tasks.life import Tasks
from bot.tasks.schedule import Schedule
from bot.worker import Worker
from storage import tasks as rows
from storage.database import Database

CONCURRENCY = 8


def make_poller(database: Database, tasks: Tasks, schedule: Schedule, clock: Callable[[], float]) -> Worker:
    """Make the worker that sends queued tasks to VidGo and reads the others."""

    async def find(skip: Collection[str], limit: int) -> list[str]:
        now = clock()
        async with database.read() as connection:
            return await rows.due(connection, now, now + schedule.farthest, skip, limit)

    async def next_due(skip: Collection[str]) -> float | None:
        async with database.read() as connection:
            return await rows.next_due(connection, skip)

    return Worker("poller", find=find, next_due=next_due, work=tasks.look, concurrency=CONCURRENCY, clock=clock)
