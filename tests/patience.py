"""How long tests wait for anything: limits are for hangs only, and a machine may have other work."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sandbox.discord.clock import Signal
from sandbox.vidgo.records import Changes

if TYPE_CHECKING:
    from collections.abc import Awaitable

SLOWER = 5.0
"""By how much a busy machine may be slower than what each limit in a test allows for."""

_TICK = 0.02


def patient(seconds: float) -> float:
    """Return how long to wait for what takes at most `seconds` on an idle machine."""
    return seconds * SLOWER


async def idle_seconds(doing: Awaitable[object]) -> float:
    """Wait for something, and return how long it takes where nobody else wants the processors.

    That is how long it takes here, less the time by which a timer that ticks along came late.
    """
    loop = asyncio.get_running_loop()
    started, late = loop.time(), 0.0
    task = asyncio.ensure_future(doing)
    while not task.done():
        due = loop.time() + _TICK
        if not (await asyncio.wait({task}, timeout=_TICK))[0]:
            late += loop.time() - due
    await task
    return loop.time() - started - late


Signal.patience = Changes.patience = SLOWER
