"""Finds every moment in a flow at which the program can die, and lets it die there."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.faults.audit import Verdict, audit
from tests.faults.crashing import Launch
from tests.faults.flows import TRIES
from tests.faults.harness import Point, Stage, open_stage
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from tests.faults.flows import Flow
    from tests.faults.program import Nursery

    Opening = Callable[[Nursery, Path, Flow], AbstractAsyncContextManager[Stage]]

SECONDS = 0.3
"""How long VidGo takes for a task."""

PACES = (1.0, 3.0, 0.1, 5.0)
"""How much longer VidGo takes in each play of a flow until it comes past a point, as some hang on who is quicker."""

DEATH_SECONDS = 10.0
"""How long the news of a death may take."""

NEWS_SECONDS = 2.0
"""How long a flow that seems to be over is watched for what it may still come past."""


@dataclass(frozen=True)
class Outcome:
    """What became of one death.

    `reached` is False where no play came past the point: it is on a way that only chance takes, and not this time.
    """

    flow: str
    point: Point
    reached: bool
    verdict: Verdict


def alone(nursery: Nursery, directory: Path, flow: Flow) -> AbstractAsyncContextManager[Stage]:
    """Open a stage for a flow, with one process that notes where it comes past."""
    launch = Launch("", trail=True)
    return open_stage(nursery, directory, callbacks=flow.callbacks, settings=flow.settings, launch=launch)


async def find_points(nursery: Nursery, directory: Path, flow: Flow, opening: Opening = alone) -> list[Point]:
    """Play a flow undisturbed, and return the kinds of moments that it came past, commits before wires."""
    async with opening(nursery, directory, flow) as stage:
        prepared = await flow.prepare(stage) if flow.prepare is not None else None
        if flow.first is not None:
            reached = await _play(stage, flow, flow.first, prepared, recover=False)
            assert reached, f"{flow.name} never comes past {flow.first.name}"
        commits = len(stage.program.trail())
        stage.wire_trail.clear()
        if flow.first is not None:
            await stage.recover()
        else:
            assert not await _play(stage, flow, None, prepared)
        verdict = await audit(stage)
        assert not verdict.damages, f"{flow.name}, undisturbed: {verdict}"
        trail = list(dict.fromkeys(stage.program.trail()[commits:]))
        assert any(name.startswith("bot.") for name in trail), "no commit of the program's was seen"
        return [Point(name) for name in trail] + stage.wire_trail


async def die_at_each(
    nursery: Nursery,
    directory: Path,
    flow: Flow,
    points: Sequence[Point],
    told: Callable[[Outcome], None],
    opening: Opening = alone,
) -> None:
    """Let the program die at each point in turn, each time with the rows that the earlier deaths have left."""
    async with opening(nursery, directory, flow) as stage:
        for point in points:
            before = await audit(stage)
            for play, pace in enumerate(PACES):
                stage.vidgo.seconds = SECONDS * pace
                reached = (play > 0 and await _start_anew(stage, point)) or await _die(stage, flow, point)
                verdict = await audit(stage)
                verdict.subtract(before)
                if reached or verdict.damages:
                    break
            told(Outcome(flow.name, point, reached, verdict))


async def _start_anew(stage: Stage, point: Point) -> bool:
    """Let the program die at a point that it comes past in the first seconds of a life alone; tell whether it did."""
    stage.program.kill()
    await stage.until(lambda: not stage.program.alive, "death")
    await stage.died()
    stage.arm(point)
    await stage.program.start()
    return await _recover_if_dead(stage, point)


async def _die(stage: Stage, flow: Flow, point: Point) -> bool:
    """Play a flow, let the program die at the point and recover; tell whether it came past the point."""
    prepared = await flow.prepare(stage) if flow.prepare is not None else None
    if flow.first is None:
        return await _play(stage, flow, point, prepared)
    for _ in range(TRIES):
        if await _play(stage, flow, flow.first, prepared, recover=False):
            break
    else:
        return False
    stage.arm(point)
    await stage.program.start()
    return await _recover_if_dead(stage, point)


async def _play(
    stage: Stage, flow: Flow, point: Point | None, prepared: object = None, *, recover: bool = True
) -> bool:
    """Play a flow with the program armed, until nothing is under way; tell whether it died."""
    stage.arm(point)
    acting = asyncio.ensure_future(flow.act(stage, prepared))
    try:
        died = await _recover_if_dead(stage, point, acting, recover=recover)
        await acting
        if recover:
            await stage.settle()
    finally:
        acting.cancel()
    return died


async def _recover_if_dead(
    stage: Stage, point: Point | None, acting: asyncio.Future[object] | None = None, *, recover: bool = True
) -> bool:
    def over() -> bool:
        done = acting is None or acting.done()
        return not stage.program.is_whole or (done and stage.unsettled() is None)

    await stage.until(over, "end")
    if not await _dead(stage, point):
        return False
    await stage.died()
    if recover:
        await stage.recover()
    return True


async def _dead(stage: Stage, point: Point | None) -> bool:
    """Tell whether the program has died; where it has not, it will not any more. To come past a point is to die."""
    if point is None:
        return not stage.program.is_whole
    if not stage.came_past(point):
        await stage.program.dies_within(NEWS_SECONDS)
    if stage.came_past(point):
        assert await stage.program.dies_within(patient(DEATH_SECONDS)), f"came past {point} and lived"
        return True
    stage.arm(None)
    # What comes past just then may or may not have seen that it is spared.
    return await stage.program.dies_within(NEWS_SECONDS if stage.came_past(point) else 0)
