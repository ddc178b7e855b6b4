"""Wake-ups: whoever commits something that is due says so in the transaction, and who waits for it is woken after it.

A wake-up is a hint. Every worker also looks by itself, so one that is lost costs time and nothing else.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable
from contextlib import suppress
from enum import StrEnum


class Queue(StrEnum):
    """What a worker waits for."""

    POLLER = "poller"
    DELIVERY = "delivery"
    ACKNOWLEDGEMENTS = "acknowledgements"
    PICTURES = "pictures"
    ARCHIVER = "archiver"
    EXPIRY = "expiry"
    WATCH = "watch"
    ALARMS = "alarms"
    GREETINGS = "greetings"
    SHARDS = "shards"
    PAUSES = "pauses"


class Wakeups:
    """Wakes the workers of this process."""

    def __init__(self) -> None:
        self._events = {queue: asyncio.Event() for queue in Queue}
        self.longest = math.inf
        """For how many seconds at most it is safe to rely on being woken."""

    def wake(self, queues: Iterable[Queue]) -> None:
        """Wake who waits for these, now or when they next wait."""
        for queue in queues:
            self._events[queue].set()

    async def wait(self, queue: Queue, seconds: float) -> None:
        """Return when something was committed that is due there, or after some seconds."""
        event = self._events[queue]
        with suppress(TimeoutError):
            # Not `wait_for`: Python 3.11's forgets to be cancelled when what it waits for happens at that moment.
            async with asyncio.timeout(min(seconds, self.longest)):
                await event.wait()
        event.clear()
