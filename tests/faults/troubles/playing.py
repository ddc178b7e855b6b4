"""How a trouble is played: the real program on a stage of its own, the trouble, and the audit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.faults.audit import Verdict, audit
from tests.faults.crashing import Launch
from tests.faults.harness import Stage, open_stage
from tests.faults.orders import Order
from tests.faults.passing import settle_in_time

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.program import Nursery

PATIENT = {
    "POLL_MIN_SECONDS": "5",
    "POLL_MAX_SECONDS": "60",
    "TASK_TIMEOUT_SECONDS": "1800",
    "TASK_GIVE_UP_SECONDS": "86400",
}
"""An owner's settings, as they are by default; time passes quickly here."""

PATIENCE = 8.0
"""Seconds within which a member has what is ready, whatever others wait for; it takes a tenth of that, mostly."""


@dataclass(frozen=True)
class Trouble:
    """A trouble. `act` is given the stage and how much of it there shall be: 1, or more in the long form.

    `seconds` is how long it may take at most, by clocks that run fast, until everything is well.
    """

    name: str
    act: Callable[[Stage, int], Awaitable[object]]
    callbacks: bool = True
    settings: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 1200.0


async def play(nursery: Nursery, directory: Path, trouble: Trouble, scale: int = 1) -> tuple[int, Verdict]:
    """Play a trouble until everything is well again; return how often the program died, and what the audit says."""
    launch, settings = Launch("", passing=True), {**PATIENT, **trouble.settings}
    async with open_stage(
        nursery, directory, callbacks=trouble.callbacks, launch=launch, settings=settings, channels=10
    ) as stage:
        await trouble.act(stage, scale)
        await settle_in_time(stage, trouble.seconds)
        return stage.program.lives - 1, await audit(stage)


def due(order: Order, patience: float | None = None) -> Order:
    """Demand that an order ends with its result in its channel, within so many seconds of its end at VidGo."""
    order.due, order.patience = True, patience
    return order
