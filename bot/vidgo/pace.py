"""How fast VidGo may be asked, by whom it is counted, and the pauses that it asks for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from aiolimiter import AsyncLimiter

MAX_PAUSE = 300.0


class Pace(Protocol):
    """One rate for all requests, and pauses in which there are none."""

    async def wait(self) -> None:
        """Return when VidGo may be asked once."""

    def pause(self, seconds: float) -> None:
        """Let nobody ask for so long."""

    def left(self) -> float:
        """Return how long a pause lasts still that was asked for here; 0 where there is none."""


class OwnPace:
    """The pace of a process that is the only one to ask. `clock` gives Unix seconds."""

    def __init__(
        self,
        requests_per_second: float,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        # A bucket must hold at least one request, so rates below one stretch the period instead.
        burst = max(1.0, requests_per_second)
        self._limiter = AsyncLimiter(burst, burst / requests_per_second)
        self._clock = clock
        self._sleep = sleep
        self._paused_until = float("-inf")

    async def wait(self) -> None:
        """Return when VidGo may be asked once."""
        await self._limiter.acquire()
        waited_until = float("-inf")
        while (pause := self.left()) > 0 and (until := self._paused_until) > waited_until:
            await self._sleep(pause)
            # Those who waited together must not start together.
            await self._limiter.acquire()
            waited_until = until

    def pause(self, seconds: float) -> None:
        """Let nobody ask for so long."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)

    def left(self) -> float:
        """Return how long a pause lasts still; a clock that was set back makes none longer."""
        now = self._clock()
        self._paused_until = min(self._paused_until, now + MAX_PAUSE)
        return max(self._paused_until - now, 0.0)
