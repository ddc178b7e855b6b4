"""Many results within one second, on both databases."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from benchmarks import programs
from benchmarks.figures import Figure
from benchmarks.scale.orders import order, posted, prepare, settled
from benchmarks.stage import open_stage

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgresql import PostgreSQL

READY_SECONDS = 60.0


async def callbacks_in_a_second(directory: Path, server: PostgreSQL, callbacks: int) -> list[Figure]:
    """Measure until the last one is posted, and what each costs; the file is the floor."""
    url = await server.new_database()
    places = [directory / name for name in ("burst-file", "burst-server")]
    for place in places:
        place.mkdir()
    file, shared = [await _burst(place, callbacks, at) for place, at in zip(places, (None, url), strict=True)]
    await server.drop(url)
    title = f"{callbacks} callbacks in a second"
    return [
        Figure("burst_seconds", f"{title}, all posted", "s", file[0], shared[0], "ratio", None, callbacks),
        Figure("burst_processor", f"{title}, processor each", "ms", file[1], shared[1], "ratio", None, callbacks),
    ]


async def _burst(directory: Path, callbacks: int, url: str | None) -> tuple[float, float]:
    """Return in how many seconds all are posted, and how many milliseconds of the bot's processor each costs."""
    settings = {} if url is None else {"DATABASE_URL": url}
    async with open_stage(directory, callbacks, url) as stage:
        side = stage.bot
        prepare(stage.vidgo)
        async with programs.bot(side.discord, stage.database, stage.vidgo.api_url, **settings) as side.program:
            await side.program.or_end(side.discord.wait_ready(READY_SECONDS))
            await side.program.ready()
            calls = await order(side, callbacks)
            await settled(side.program)
            used, began = side.program.used(), time.monotonic()
            waiting = [task for task in stage.vidgo.tasks.values() if not task.final]
            for number, task in enumerate(waiting):
                await asyncio.sleep(max(began + number / callbacks - time.monotonic(), 0.0))
                stage.vidgo.finish(task)
            await posted(side, calls)
            seconds = time.monotonic() - began
            await settled(side.program)
            return seconds, (side.program.used() - used) / callbacks * 1000
