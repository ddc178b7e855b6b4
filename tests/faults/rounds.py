"""Random rounds: many members ask for many things at once, and the program dies at a random moment."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.faults.audit import Verdict, audit
from tests.faults.crashing import Launch
from tests.faults.harness import Stage, open_stage
from tests.faults.orders import COVER, SONG
from tests.faults.passing import settle_in_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from sandbox.vidgo import Task
    from tests.faults.program import Nursery

ROUNDS_PER_STAGE = 10
"""How many rounds play on one database; the next ones start with an empty one."""

ARRIVAL_SECONDS = 0.4
"""Within which time all members of a round type their commands."""

LATEST_DEATH_SECONDS = 1.6
"""Until when the program dies: by then most results are posted."""

UNCONFIRMED_SECONDS = 400.0
"""When at the latest the requester knows that VidGo never confirmed an order; the time passes at once."""

SECOND_DEATH = 0.3
"""How likely the program dies again while it recovers."""


PASSING = Launch("", passing=True)


@dataclass(frozen=True)
class Played:
    """One round: with which seed, how many commands came, how often the program died, and what the audit says."""

    seed: int
    orders: int
    deaths: int
    verdict: Verdict


async def play_rounds(
    nursery: Nursery,
    directory: Callable[[], Path],
    seeds: Iterable[int],
    tasks: int,
    told: Callable[[Played], None],
    *,
    callbacks: bool,
    settings: Mapping[str, str] | None = None,
) -> None:
    """Play a round for each seed, several of them on each database."""
    waiting = list(seeds)
    while waiting:
        now, waiting = waiting[:ROUNDS_PER_STAGE], waiting[ROUNDS_PER_STAGE:]
        async with open_stage(
            nursery, directory(), callbacks=callbacks, channels=10, launch=PASSING, settings=settings
        ) as stage:
            for seed in now:
                before = await audit(stage)
                played = await _play(stage, seed, tasks)
                played.verdict.subtract(before)
                told(played)


async def _play(stage: Stage, seed: int, tasks: int) -> Played:
    chance = random.Random(seed)
    orders = len(stage.orders)
    lives = stage.program.lives
    for model in (COVER, SONG):
        stage.vidgo.set_duration(model, chance.uniform(0.1, 0.5))
        stage.vidgo.set_failure(model, "it did not sound right" if chance.random() < 0.2 else None, times=2)
    shared = [stage.song() for _ in range(max(tasks // 6, 1))]
    acting = asyncio.gather(*(member(stage, chance.randrange(1 << 30), shared) for _ in range(tasks)))
    try:
        await _die(stage, chance.uniform(0.02, LATEST_DEATH_SECONDS))
        if chance.random() < SECOND_DEATH:
            await stage.program.launch()
            await _die(stage, chance.uniform(0.02, LATEST_DEATH_SECONDS / 2))
        assert await stage.program.start(), f"it does not start again:\n{stage.program.log[-6000:]}"
        await settle_in_time(stage, UNCONFIRMED_SECONDS)
        await acting
        await settle_in_time(stage, UNCONFIRMED_SECONDS)
    finally:
        acting.cancel()
    return Played(seed, len(stage.orders) - orders, stage.program.lives - lives, await audit(stage))


async def _die(stage: Stage, seconds: float) -> None:
    await asyncio.sleep(seconds)  # the random moment itself
    stage.program.kill()
    await stage.died()


async def member(stage: Stage, seed: int, shared: list[Task], arrival: float = ARRIVAL_SECONDS) -> None:
    """Be somebody who asks for one thing, by chance, within some seconds, and may not want it any more."""
    chance = random.Random(seed)
    await asyncio.sleep(chance.uniform(0, arrival))
    what = chance.random()
    if what < 0.35:
        await stage.generate()
    elif what < 0.4:
        await stage.refused()
    elif what < 0.65:
        song = chance.choice(shared)
        await stage.cover(song, member=await stage.bring_in(song))
    else:
        order = await stage.cover(stage.song())
        if what > 0.9:
            # Whoever wants to stop it may come too late, or find the program dead.
            with suppress(TimeoutError):
                await stage.stop_posting(order)
