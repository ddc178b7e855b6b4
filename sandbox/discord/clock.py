"""Time, ids and waiting: the three things every other part of the stand-in asks for."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")

DISCORD_EPOCH_MS = 1_420_070_400_000
"""First millisecond of 2015, where snowflakes start counting (Discord's reference, "Snowflakes")."""

ENTITY_EPOCH_MS = 1_700_000_000_000
"""Channels and people are as old as late 2023, so nothing takes them for new."""

GUILD_EPOCH_MS = 1_600_000_000_000
"""Guilds are older still, and count by themselves."""


class Clock:
    """Tell the time that expiry rules go by; it can be advanced without waiting.

    `source` returns seconds that never run backwards, `time.monotonic` unless a test brings its own.
    """

    def __init__(self, source: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._offset = 0.0

    def monotonic(self) -> float:
        """Return seconds since an arbitrary start, what was advanced included."""
        return self._source() + self._offset

    def wall(self) -> float:
        """Return seconds since 1970, what was advanced included."""
        return time.time() + self._offset

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass at once."""
        if seconds < 0:
            raise ValueError("time does not run backwards")
        self._offset += seconds


class Snowflakes:
    """Make Discord ids: milliseconds since 2015 in the upper bits, never the same twice, always growing."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entities = itertools.count(ENTITY_EPOCH_MS - DISCORD_EPOCH_MS)
        self._guilds = itertools.count(GUILD_EPOCH_MS - DISCORD_EPOCH_MS)
        self._last = 0

    def entity(self) -> int:
        """Return the id of something that existed before."""
        return next(self._entities) << 22

    def guild(self) -> int:
        """Return the id of a guild; one per millisecond, so guilds spread evenly over shards."""
        return next(self._guilds) << 22

    def now(self) -> int:
        """Return the id of something that happens now."""
        candidate = int(self._clock.wall() * 1000 - DISCORD_EPOCH_MS) << 22
        self._last = max(candidate, self._last + 1)
        return self._last


def snowflake_seconds(snowflake: int) -> float:
    """Return the moment a snowflake was made, in seconds since 1970."""
    return ((snowflake >> 22) + DISCORD_EPOCH_MS) / 1000


class Signal:
    """Wake whoever waits for a condition each time something may have changed it.

    All use is on one event loop; it is no thread lock.
    """

    def __init__(self) -> None:
        self._waiters: set[asyncio.Future[None]] = set()

    def notify(self) -> None:
        """Let every waiter look again."""
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def wait_for(self, probe: Callable[[], T | None], timeout: float, what: str) -> T:
        """Return the first result of `probe` that is neither None nor False.

        Raises TimeoutError that names `what` after `timeout` seconds.
        """
        deadline = asyncio.get_running_loop().time() + timeout
        while True:
            found = probe()
            if found is not None and found is not False:
                return found
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                async with asyncio.timeout_at(deadline):
                    await waiter
            except TimeoutError:
                raise TimeoutError(f"no {what} within {timeout:g} s") from None
            finally:
                self._waiters.discard(waiter)


class Lookout(Generic[T]):
    """Look at things in the very moment in which they are new or changed, on behalf of whoever waits for one."""

    def __init__(self) -> None:
        self._waiters: list[tuple[Callable[[T], bool], asyncio.Future[T]]] = []

    async def first(self, present: Iterable[T], predicate: Callable[[T], bool], timeout: float, what: str) -> T:
        """Return the first thing that fits, of those that are there or of those that are shown later.

        Raises TimeoutError that names `what` after `timeout` seconds.
        """
        for item in present:
            if predicate(item):
                return item
        found: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        waiter = (predicate, found)
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(timeout):
                return await found
        except TimeoutError:
            raise TimeoutError(f"no {what} within {timeout:g} s") from None
        finally:
            self._waiters.remove(waiter)

    def show(self, item: T) -> None:
        """Let whoever waits look at a thing."""
        for predicate, found in self._waiters:
            if found.done():
                continue
            try:
                if predicate(item):
                    found.set_result(item)
            except Exception as error:
                # It belongs to the waiting test, not to the request that is being served.
                found.set_exception(error)
