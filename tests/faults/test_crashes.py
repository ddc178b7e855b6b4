"""kill -9 at every moment that has a name, and at random ones, and every trouble. `make faults` is the long form."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, TypeGuard

import pytest
import pytest_asyncio

from tests.faults.flows import FLOWS, SLOWLY, Flow
from tests.faults.points import die_at_each, find_points
from tests.faults.rounds import play_rounds
from tests.faults.troubles import TROUBLES, Trouble, play

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from pathlib import Path

    from tests.faults.audit import Verdict
    from tests.faults.harness import Point
    from tests.faults.points import Outcome
    from tests.faults.program import Nursery
    from tests.faults.rounds import Played

pytestmark = pytest.mark.asyncio(loop_scope="module")

LANES = 2
ROUNDS = 20
QUEUED_ROUNDS = 4
TASKS = 6
FEW = 4
"""At how many points of a flow the program may not die, as only chance leads past them."""

AT_ONCE = 4
"""How many troubles are played beside each other: most of them wait, most of the time."""


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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def playing(
    request: pytest.FixtureRequest, nursery: Nursery, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, asyncio.Task[Verdict]]]:
    """Every trouble that is asked for, under way."""
    room = asyncio.Semaphore(AT_ONCE)

    async def begin(trouble: Trouble) -> Verdict:
        async with room:
            _, verdict = await play(nursery, tmp_path_factory.mktemp("trouble"), trouble)
            return verdict

    asked = {item.callspec.id for item in request.session.items if _is_trouble(item)}
    begun = {trouble.name: asyncio.create_task(begin(trouble)) for trouble in TROUBLES if trouble.name in asked}
    yield begun
    for task in begun.values():
        task.cancel()
    await asyncio.gather(*begun.values(), return_exceptions=True)


def _is_trouble(item: pytest.Item) -> TypeGuard[pytest.Function]:
    return isinstance(item, pytest.Function) and item.originalname == test_a_trouble_does_no_damage.__name__


@pytest.mark.parametrize("trouble", TROUBLES, ids=[trouble.name for trouble in TROUBLES])
async def test_a_trouble_does_no_damage(playing: dict[str, asyncio.Task[Verdict]], trouble: Trouble) -> None:
    verdict = await playing[trouble.name]
    if verdict.damages:
        pytest.fail(str(verdict), pytrace=False)


def _lane(directory: Path, lane: int) -> Path:
    path = directory / str(lane)
    path.mkdir()
    return path
