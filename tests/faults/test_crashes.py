"""kill -9 at every moment that has a name. `make faults` is the long form, of random ones and of troubles too."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.faults.flows import FLOWS, Flow
from tests.faults.points import die_at_each, find_points

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.harness import Point
    from tests.faults.points import Outcome
    from tests.faults.program import Nursery

pytestmark = pytest.mark.asyncio(loop_scope="module")

LANES = 2
FEW = 4
"""At how many points of a flow the program may not die, as only chance leads past them."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def points(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Point]]:
    """Every moment that has a name, with the first flow that comes past it."""
    found: dict[str, list[Point]] = {}

    async def find(flows: tuple[Flow, ...]) -> None:
        for flow in flows:
            found[flow.name] = await find_points(nursery, tmp_path_factory.mktemp("found"), flow)

    await asyncio.gather(*(find(FLOWS[lane::LANES]) for lane in range(LANES)))
    seen: set[Point] = set()
    first: dict[str, list[Point]] = {}
    for flow in FLOWS:
        first[flow.name] = [point for point in found[flow.name] if point not in seen]
        seen.update(found[flow.name])
    return first


@pytest.mark.parametrize("flow", FLOWS, ids=[flow.name for flow in FLOWS])
async def test_a_death_at_each_named_point(
    nursery: Nursery, tmp_path: Path, points: dict[str, list[Point]], flow: Flow, show: Callable[[str], None]
) -> None:
    outcomes: list[Outcome] = []
    mine = points[flow.name]
    await asyncio.gather(
        *(
            die_at_each(nursery, _lane(tmp_path, lane), flow, mine[lane::LANES], outcomes.append)
            for lane in range(LANES)
        )
    )
    assert {outcome.point: str(outcome.verdict) for outcome in outcomes if outcome.verdict.damages} == {}
    assert len(outcomes) == len(mine)
    missed = [outcome.point.name for outcome in outcomes if not outcome.reached]
    show(f"died at {len(mine) - len(missed)} points of {len(mine)}; on other ways than this time: {missed}")
    assert len(missed) <= max(FEW, len(mine) // 10)


def _lane(directory: Path, lane: int) -> Path:
    path = directory / str(lane)
    path.mkdir()
    return path
