"""The bot in the test's event loop dies as a process does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sqlalchemy import text

from tests.tasks.room import open_room

if TYPE_CHECKING:
    from pathlib import Path

COUNT = text("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 3000000) SELECT count(*) FROM n")


async def test_a_bot_that_dies_while_a_thread_reads_the_database_comes_back(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        began = asyncio.Event()

        async def read() -> None:
            async with room.bot.parts.database.read() as snapshot:
                began.set()
                await snapshot.execute(COUNT)

        reading = room.bot.spawn(read())
        await began.wait()
        await room.bot.kill()
        assert reading.cancelled()
        await room.bot.start()
