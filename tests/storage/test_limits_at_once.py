"""A hundred orders at once with a limit of five: five are written down, on both databases, with three processes too."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from sqlalchemy import func, select

from bot.servers.limits import Limits
from bot.settings import Settings
from bot.words.sentences.errors import MemberError
from storage.database import Database
from storage.schema import TaskStatus, tasks
from storage.servers import usage
from storage.servers.usage import Used
from tests.storage.rows import NOW, a_task

TODAY = usage.day_of(NOW)


async def test_a_hundred_at_once_are_as_many_as_are_allowed(address: str, engine: str) -> None:
    settings = Settings(discord_token="a.b.c", vidgo_api_key="abc", daily_songs_per_user=5)
    async with AsyncExitStack() as stack:
        # With SQLite there is one process, and the file's lock holds a second one off.
        processes = [await Database.open(address) for _ in range(3 if engine == "postgresql" else 1)]
        for database in processes:
            stack.push_async_callback(database.close)

        async def order(database: Database) -> bool:
            limits = Limits(database, settings, lambda: NOW)
            try:
                async with database.write() as transaction:
                    await limits.order(transaction, a_task(status=TaskStatus.QUEUED), ())
            except MemberError:
                return False
            else:
                return True

        taken = await asyncio.gather(*(order(processes[number % len(processes)]) for number in range(100)))
        assert sum(taken) == 5
        async with processes[0].read() as snapshot:
            assert await usage.used(snapshot, 2, 1, TODAY) == Used(1, 0, 5)
            assert await usage.used(snapshot, 2, usage.WHOLE_SERVER, TODAY) == Used(0, 0, 5)
            assert (await snapshot.execute(select(func.count()).select_from(tasks))).scalar_one() == 5
