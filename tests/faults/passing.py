"""The time of a stage: the machine's own, and what is let pass at once."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.harness import Stage

STEP_SECONDS = 10.0
"""How much time passes at once, at most: less than anything that is under way may take."""

LOOK_SECONDS = 0.02
"""How often the harness looks; a program whose time can pass at once looks as often, see `tests.faults.watching`."""

QUIET_ROUNDS = 3
"""How often the program has to have looked since it last did something: it may wait for the processor."""

HANDLING_ROUNDS = 15
"""How often the program may look while it has files at hand that are waited for."""

HANGING_LOOKS = 100
"""How often the harness looks for the end of a request that it answers itself."""

BUSY_SECONDS = 20.0
"""How long the machine's time may take until the program has done what the time that passed has brought."""


class Time:
    """The true time, as people's clocks show it; `advance` lets some of it pass in no time."""

    def __init__(self) -> None:
        self._passed: list[tuple[float, float]] = [(float("-inf"), 0.0)]

    @property
    def passed(self) -> float:
        """Return how many seconds were let pass at once so far."""
        return self._passed[-1][1]

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass at once."""
        self._passed.append((time.monotonic(), self.passed + seconds))

    def now(self) -> float:
        """Return the time in Unix seconds."""
        return time.time() + self.passed

    def at(self, monotonic: float) -> float:
        """Return when something happened of which only `time.monotonic()` was noted."""
        passed = next(seconds for since, seconds in reversed(self._passed) if since <= monotonic)
        return time.time() - time.monotonic() + monotonic + passed


async def pass_time(
    stage: Stage, seconds: float, until: Callable[[], bool] = lambda: False, *, step: float = STEP_SECONDS
) -> None:
    """Let time pass for the program, Discord and VidGo, in steps, so that what comes up in between is done; or `until`.

    The program has to be started with `Launch.passing`.
    """
    left = seconds
    while left > 0 and not until():
        sleep(stage, min(left, step))
        left -= step
        await _quiet(stage)


def sleep(stage: Stage, seconds: float) -> None:
    """Let time pass at once: for a program that is dead, or that was suspended."""
    stage.time.advance(seconds)
    stage.discord.advance(seconds)
    stage.program.pass_time()


async def settle_in_time(stage: Stage, seconds: float) -> None:
    """Wait until nothing is under way any more, as long as that takes, but not for more than `seconds`."""
    await stage.settle(2)
    await pass_time(stage, seconds, lambda: stage.unsettled() is None)
    await stage.settle(2)


async def _quiet(stage: Stage) -> None:
    """Wait until the program does nothing that can be seen, nor waits for what is on its way, though it could."""
    until = time.monotonic() + patient(BUSY_SECONDS)
    began = since = stage.program.rounds
    seen: object = None
    while stage.program.alive and time.monotonic() < until:
        stage.looks += 1
        now, rounds = _traces(stage), stage.program.rounds
        if now != seen:
            seen, since = now, rounds
        handled = rounds - began >= HANDLING_ROUNDS or not _has_files(stage)
        if rounds - since >= QUIET_ROUNDS and handled and not _has_requests(stage) and not stage.program.is_decoding:
            return
        await asyncio.sleep(LOOK_SECONDS)


def _traces(stage: Stage) -> object:
    answered = sum(one.status is not None for one in stage.discord.requests)
    vidgo = stage.vidgo
    return len(stage.discord.requests), answered, len(vidgo.requests), len(vidgo.deliveries), stage.program.work


def _has_files(stage: Stage) -> bool:
    return bool(stage.program.at_hand or stage.on_their_way)


def _has_requests(stage: Stage) -> bool:
    hang = (stage.looks - began >= HANGING_LOOKS for began in stage.open_requests.values())
    return not all(hang) or bool(stage.vidgo.untold)
