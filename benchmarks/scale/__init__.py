"""What PostgreSQL costs, and what many tasks, many rows and many processes do to it: the part `scale`.

Each figure is held against something measured in the same run: the floor programs, the SQLite file, few rows, one
process. A server of its own is started for it; it waits for no disk, so its figures are about processors.
"""

from __future__ import annotations

import sys
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from benchmarks import acknowledgement, posting, programs
from benchmarks.scale import bursts, processes, quiet, rows, waiting
from benchmarks.stage import open_stage
from tests.postgresql import PostgreSQL

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.figures import Figure

READY_SECONDS = 60.0
ACK_TARGET, POST_TARGET = 1.3, 1.6


@dataclass(frozen=True)
class Load:
    """How much of everything is measured."""

    alone: acknowledgement.Load
    posts: posting.Load
    callbacks: int
    waiting: waiting.Load
    rows: rows.Load
    processes: processes.Load
    idle_seconds: float


WHOLE = Load(
    alone=acknowledgement.Load(rounds=20, commands=20),
    posts=posting.Load(posts=50, warm_up=5, size=3_000_000),
    callbacks=500,
    waiting=waiting.Load(tasks=10_000, seconds=60.0),
    rows=rows.Load(few=10_000, many=1_000_000, orders=200, rounds=3),
    processes=processes.Load(counts=(1, 2, 4), orders=200),
    idle_seconds=60.0,
)
QUICK = Load(
    alone=acknowledgement.Load(rounds=2, commands=5),
    posts=posting.Load(posts=4, warm_up=1, size=300_000),
    callbacks=20,
    waiting=waiting.Load(tasks=300, seconds=4.0),
    rows=rows.Load(few=100, many=1_000, orders=10, rounds=1),
    processes=processes.Load(counts=(1, 2), orders=10),
    idle_seconds=4.0,
)


async def measure(directory: Path, load: Load) -> list[Figure]:
    """Measure everything on a server of its own."""
    with closing(PostgreSQL()) as server:
        _say("what members wait for")
        figures = await _beside_floors(directory, server, load)
        _say(f"{load.callbacks} callbacks in a second")
        figures += await bursts.callbacks_in_a_second(directory, server, load.callbacks)
        _say(f"{load.waiting.tasks} waiting tasks")
        figures += await waiting.waiting_tasks(directory, server, load.waiting)
        _say("few rows and many")
        figures += await rows.few_and_many(directory, server, load.rows)
        _say("several processes")
        figures += await processes.cost_of_several(directory, server, load.processes)
        _say("a process that nobody uses")
        figures += await quiet.statements_of_an_idle_process(directory, server, load.idle_seconds)
    return figures


async def _beside_floors(directory: Path, server: PostgreSQL, load: Load) -> list[Figure]:
    """Measure acknowledgement and post as with the file, against the same floors."""
    alone, posts = load.alone, load.posts
    songs = alone.rounds * alone.commands + posts.posts + posts.warm_up
    url = await server.new_database()
    async with open_stage(directory, songs, url) as stage:
        floors, bot = [stage.floor, stage.keeper], stage.bot
        async with programs.bot(bot.discord, stage.database, stage.vidgo.api_url, DATABASE_URL=url) as bot.program:
            await bot.program.or_end(bot.discord.wait_ready(READY_SECONDS))
            await bot.program.ready()
            async with stage.floors("floor_ack", "floor_order"):
                for side in floors:
                    await side.program.or_end(side.discord.wait_ready(READY_SECONDS))
                figures = _on_postgresql(await acknowledgement.one_at_a_time(floors, bot, alone), ACK_TARGET)
            async with stage.floors("floor_pipe", "floor_delivery"):
                posting.prepare(stage.vidgo, posts)
                measured = await posting.callback_to_post(floors, bot, posts, picture=False)
                figures += _on_postgresql(measured, POST_TARGET)
    await server.drop(url)
    return figures


def _on_postgresql(figures: list[Figure], target: float) -> list[Figure]:
    """Name figures as PostgreSQL's; what is promised is the median, beside either floor."""
    return [
        replace(
            one,
            key=f"pg_{one.key}",
            title=f"PostgreSQL: {one.title}",
            target=target if one.key.endswith(("_p50", "_p50_kept")) else None,
        )
        for one in figures
    ]


def _say(what: str) -> None:
    print(f"measuring PostgreSQL: {what} …", file=sys.stderr, flush=True)
