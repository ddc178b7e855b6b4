"""What a process asks of the database while nobody uses it."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import asyncpg

from benchmarks import programs
from benchmarks.figures import Figure
from sandbox.discord import DiscordStandIn

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgresql import PostgreSQL

TARGET = 2.0
SETTLED_SECONDS = 3.0

_STATEMENT = re.compile(r"LOG:  (?:execute [^:]*|statement): (?!BEGIN|COMMIT|ROLLBACK)")


async def statements_of_an_idle_process(directory: Path, server: PostgreSQL, seconds: float) -> list[Figure]:
    """Count by the server's own log what an idle process asks, but for where its transactions begin and end."""
    url = await server.new_database()
    connection = await asyncpg.connect(url)
    name = await connection.fetchval("SELECT current_database()")
    await connection.execute(f"ALTER DATABASE {name} SET log_statement = 'all'")
    await connection.close()
    async with DiscordStandIn(openapi=None, rate_limits=False) as discord:
        discord.add_guild("Benchmark").add_channel("music")
        async with programs.bot(discord, directory / "quiet.db", DATABASE_URL=url) as bot:
            await bot.ready()
            await asyncio.sleep(SETTLED_SECONDS)
            log = server.directory / "log"
            before = log.stat().st_size
            await asyncio.sleep(seconds)
            with log.open(encoding="utf-8", errors="replace") as file:
                file.seek(before)
                found = len(_STATEMENT.findall(file.read()))
    await server.drop(url)
    title = "Statements of an idle process"
    return [Figure("idle_statements", title, "/s", TARGET, found / seconds, "absolute", TARGET, found)]
