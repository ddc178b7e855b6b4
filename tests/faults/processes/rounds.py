"""Random rounds with three processes: members ask for many things, and one disaster comes after the other."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from tests.faults.audit import audit
from tests.faults.orders import COVER, SONG
from tests.faults.processes.disasters import DISASTERS, WITH_SHARDS
from tests.faults.processes.stage import SharedStage, open_shared_stage
from tests.faults.rounds import ARRIVAL_SECONDS, Played, member
from tests.faults.troubles.playing import due

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tests.faults.processes.disasters import Disaster
    from tests.faults.program import Nursery
    from tests.postgresql import PostgreSQL

ROUNDS_PER_STAGE = 5
DISASTERS_OF_ROUND = (2, 4)
PAUSE_SECONDS = (0.05, 1.5)
"""What lies between two disasters: by the last of them most results are posted."""

LONG_ARRIVAL_SECONDS = 8.0
"""Within which time members type where that is about who hears them."""

EACH_SECONDS = 30.0
"""How long a disaster may take until everything is mended."""


async def play_rounds(
    nursery: Nursery,
    directory: Callable[[], Path],
    server: PostgreSQL,
    seeds: Iterable[int],
    tasks: int,
    told: Callable[[Played], None],
    *,
    callbacks: bool,
    disasters: tuple[Disaster, ...] | None = None,
    stand_by: bool = False,
) -> None:
    """Play a round for each seed, several of them on each database; all hear members, or others `stand_by`."""
    disasters = disasters or (WITH_SHARDS if stand_by else DISASTERS)
    waiting = list(seeds)
    while waiting:
        now, waiting = waiting[:ROUNDS_PER_STAGE], waiting[ROUNDS_PER_STAGE:]
        async with open_shared_stage(
            nursery, directory(), server, callbacks=callbacks, channels=10, stand_by=stand_by
        ) as stage:
            for seed in now:
                before = await audit(stage)
                played = await _play(stage, seed, tasks, disasters, stand_by=stand_by)
                played.verdict.subtract(before)
                told(played)


async def _play(
    stage: SharedStage, seed: int, tasks: int, disasters: tuple[Disaster, ...], *, stand_by: bool
) -> Played:
    chance = random.Random(seed)
    orders, deaths = len(stage.orders), stage.deaths
    for model in (COVER, SONG):
        stage.vidgo.set_duration(model, chance.uniform(0.1, 0.5))
        stage.vidgo.set_failure(model, "it did not sound right" if chance.random() < 0.2 else None, times=2)
    shared = [stage.song() for _ in range(max(tasks // 6, 1))]
    arrival = LONG_ARRIVAL_SECONDS if stand_by else ARRIVAL_SECONDS
    acting = asyncio.gather(*(member(stage, chance.randrange(1 << 30), shared, arrival) for _ in range(tasks)))
    try:
        await asyncio.sleep(chance.uniform(0.02, ARRIVAL_SECONDS))
        for _ in range(chance.randint(*DISASTERS_OF_ROUND)):
            async with asyncio.timeout(EACH_SECONDS):
                await chance.choice(disasters)(stage, chance)
            await asyncio.sleep(chance.uniform(*PAUSE_SECONDS))
        await stage.mend()
        await stage.settle()
        await acting
        await stage.settle()
        if stand_by:  # whatever has happened, by now somebody hears what is typed
            stage.vidgo.set_failure(SONG, None)
            due(await stage.generate())
            await stage.settle()
    finally:
        acting.cancel()
    return Played(seed, len(stage.orders) - orders, stage.deaths - deaths, await audit(stage))
