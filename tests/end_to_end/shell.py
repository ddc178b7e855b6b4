"""What an owner's shell shows of a PostgreSQL database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    from tests.end_to_end.world import World


async def rows(world: World, query: str) -> list[asyncpg.Record]:
    """Read the program's database."""
    connection = await asyncpg.connect(world.bot.settings["DATABASE_URL"])
    try:
        return list(await connection.fetch(query))
    finally:
        await connection.close()
