"""What an order costs with one process, and with several on one database."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import programs
from benchmarks.figures import Figure
from benchmarks.scale.orders import play, prepare, settled
from benchmarks.stage import open_stage

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgresql import PostgreSQL

TARGET = 1.15
WARM_UP = 10


@dataclass(frozen=True)
class Load:
    """How many processes there are each time, the first of them one, and how many orders."""

    counts: tuple[int, ...]
    orders: int


async def cost_of_several(directory: Path, server: PostgreSQL, load: Load) -> list[Figure]:
    """Measure the processor of all bots together, from the command to the post."""
    alone, *others = load.counts
    floor = await _cost(directory, server, alone, load.orders)
    return [
        Figure(
            f"processes_{count}",
            f"Processor per order, {count} processes against one",
            "ms",
            floor,
            await _cost(directory, server, count, load.orders),
            "ratio",
            TARGET,
            load.orders,
        )
        for count in others
    ]


async def _cost(directory: Path, server: PostgreSQL, count: int, orders: int) -> float:
    """Return how many milliseconds of the bots' processors an order costs."""
    place = directory / f"processes-{count}"
    place.mkdir()
    url = await server.new_database()
    async with open_stage(place, orders + WARM_UP, url) as stage, AsyncExitStack() as stack:
        side = stage.bot
        prepare(stage.vidgo)
        bots = []
        for number in range(count):
            run = programs.bot(
                side.discord,
                stage.database,
                stage.vidgo.api_url,
                DATABASE_URL=url,
                PROCESS_NAME=f"bot{number}",
            )
            side.program = await stack.enter_async_context(run)
            bots.append(side.program)
            await side.program.ready()
        await play(side, WARM_UP)
        await settled(*bots)
        before = sum(bot.used() for bot in bots)
        await play(side, orders)
        cost = (sum(bot.used() for bot in bots) - before) / orders * 1000
    await server.drop(url)
    return cost
