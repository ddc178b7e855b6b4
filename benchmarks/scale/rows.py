"""What an order costs with few rows behind it, and with many."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import asyncpg

from benchmarks import programs
from benchmarks.figures import Figure
from benchmarks.scale.orders import play, prepare, settled, used_by
from benchmarks.stage import open_stage

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgresql import PostgreSQL

TARGET = 1.1
READY_SECONDS = 60.0
WARM_UP = 10

_ID = "lpad(to_hex(n), 24, '0')"
_AT = "extract(epoch FROM now()) - 31536000 + n * 31"
FILL = (
    f"""INSERT INTO tasks (id, vidgo_id, token, model, user_id, title, request, status,
            created_at, submitted_at, finished_at)
        SELECT {_ID}, 'OLD' || n, 't', 'generate-music', 1000000 + n % 20000, 'Song ' || n, '{{}}', 'finished',
            {_AT}, {_AT}, {_AT} + 90 FROM generate_series(1, $1::bigint) AS n""",
    f"""INSERT INTO files (task_id, position, audio_url, image_urls, title, tags, duration)
        SELECT {_ID}, 0, 'https://example.com/' || n || '.mp3', '[]', 'Song ' || n, 'folk, warm', 120
        FROM generate_series(1, $1::bigint) AS n""",
    f"""INSERT INTO library (user_id, task_id, position, kind, title, folded_title, added_at)
        SELECT 1000000 + n % 20000, {_ID}, 0, 'song', 'Song ' || n, 'song ' || n, {_AT}
        FROM generate_series(1, $1::bigint) AS n""",
    f"""INSERT INTO notifications (id, interaction_id, task_id, user_id, guild_id, channel_id, application_id,
            token_expires_at, ephemeral, upload_limit, locale, ack_message_id, state, message_id, created_at,
            delivered_at)
        SELECT {_ID}, n, {_ID}, 1000000 + n % 20000, 1, 1 + n % 500, 1, {_AT} + 900, false, 10485760, 'en-US', n,
            'delivered', n, {_AT}, {_AT} + 91 FROM generate_series(1, $1::bigint) AS n""",
)
"""Members with songs that were made and posted long ago."""


@dataclass(frozen=True)
class Load:
    """How many rows of each kind there are, and how many orders a round has."""

    few: int
    many: int
    orders: int
    rounds: int


async def few_and_many(directory: Path, server: PostgreSQL, load: Load) -> list[Figure]:
    """Measure rounds in turns; what counts is the processor of the bot and of the server together."""
    costs: dict[int, list[float]] = {load.few: [], load.many: []}
    urls = {count: await filled(server, count) for count in costs}
    for number in range(load.rounds):
        for count in sorted(costs, reverse=bool(number % 2)):
            place = directory / f"rows-{count}-{number}"
            place.mkdir()
            costs[count].append(await _cost(place, server, urls[count], load.orders))
    for url in urls.values():
        await server.drop(url)
    few, many = (median(costs[count]) for count in (load.few, load.many))
    title = f"Processor per order, {load.many:,} rows against {load.few:,}"
    return [Figure("rows", title, "ms", few, many, "ratio", TARGET, load.rounds * load.orders)]


async def filled(server: PostgreSQL, count: int) -> str:
    """Make a database with so many rows of each kind, and return its address."""
    url = await server.new_database()
    connection = await asyncpg.connect(url)
    try:
        for statement in FILL:
            await connection.execute(statement, count)
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()
    return url


async def _cost(directory: Path, server: PostgreSQL, url: str, orders: int) -> float:
    """Return how many milliseconds of processors an order costs from the command to its post."""
    async with open_stage(directory, orders + WARM_UP, url) as stage:
        side = stage.bot
        prepare(stage.vidgo)
        async with programs.bot(side.discord, stage.database, stage.vidgo.api_url, DATABASE_URL=url) as side.program:
            await side.program.or_end(side.discord.wait_ready(READY_SECONDS))
            await side.program.ready()
            await play(side, WARM_UP)
            await settled(side.program)
            before = side.program.used() + used_by(server)
            await play(side, orders)
            await settled(side.program)
            return (side.program.used() + used_by(server) - before) / orders * 1000
