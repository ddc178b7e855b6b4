"""Turns: something that may be done only so often, by all processes together."""

from __future__ import annotations

import asyncio


class Turns:
    """The turns of a process that has no others beside it."""

    def __init__(self) -> None:
        self._free_at: dict[str, float] = {}

    async def take(self, name: str, seconds: float) -> float:
        """Take a turn that is free, so that it is not for some seconds; return after how many it is, 0 when taken."""
        now = asyncio.get_running_loop().time()
        left = self._free_at.get(name, now) - now
        if left <= 0:
            self._free_at[name] = now + seconds
        return max(left, 0.0)

    async def left(self, name: str) -> float:
        """Return after how many seconds a turn is free, 0 where it is."""
        now = asyncio.get_running_loop().time()
        return max(self._free_at.get(name, now) - now, 0.0)

    async def is_first(self, name: str) -> bool:
        """Tell whether nobody has said this name in the last minutes: nobody else could, where there are no others."""
        return True
