"""kill -9 at random moments. `make faults` is the long form."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from tests.faults.flows import SLOWLY
from tests.faults.rounds import play_rounds

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping
    from pathlib import Path

    import pytest

    from tests.faults.program import Nursery
    from tests.faults.rounds import Played

ROUNDS = 20
QUEUED_ROUNDS = 4
TASKS = 6


async def test_deaths_at_random_moments(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> None:
    seed = random.SystemRandom().randrange(1 << 31)
    played: list[Played] = []

    def directory() -> Path:
        return tmp_path_factory.mktemp("round")

    def rounds(seeds: range, *, callbacks: bool, settings: Mapping[str, str] | None = None) -> Awaitable[None]:
        return play_rounds(nursery, directory, seeds, TASKS, played.append, callbacks=callbacks, settings=settings)

    queued = range(seed, seed + QUEUED_ROUNDS)
    await asyncio.gather(
        rounds(range(queued.stop, seed + ROUNDS, 2), callbacks=True),
        rounds(range(queued.stop + 1, seed + ROUNDS, 2), callbacks=False),
        rounds(queued, callbacks=True, settings=SLOWLY),
    )
    assert {one.seed: str(one.verdict) for one in played if one.verdict.damages} == {}
    assert len(played) == ROUNDS
