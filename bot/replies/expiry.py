"""The worker that deletes rows which serve nobody any more.

Notifications, what was counted against limits, recordings without an order, and songs that cannot come back.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection

from bot.worker import Worker
from storage import notifications
from storage.database import Database
from storage.notifications import drafts
from storage.planned import Due
from storage.servers import usage
from storage.songs import recordings, removed
from storage.wakeups import Queue

log = logging.getLogger(__name__)

KEEP_SECONDS = 7 * 86400.0
"""How long rows are kept that serve nobody any more."""

PERIOD_SECONDS = 3600.0


class Expiry:
    """Deletes old rows, once at the start and then every hour."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._next_at = clock()

    async def claim(self, skip: Collection[str], _limit: int) -> list[Due]:
        """Return the one thing there is to do, when it is time for it or the clock was set back."""
        if not self._database.leads:
            return []
        has_come = not self._next_at - PERIOD_SECONDS <= self._clock() < self._next_at
        return [Due("rows", self._next_at)] if has_come and "rows" not in skip else []

    async def next_due(self, _skip: Collection[str]) -> float | None:
        """Return when it is time again; never for a process that does not lead, which would ask again at once."""
        return self._next_at if self._database.leads else None

    async def do(self, _item: str) -> None:
        """Delete what is old."""
        now = self._clock()
        async with self._database.write(durable=False) as transaction:
            gone = await notifications.expire(transaction, now - KEEP_SECONDS)
            await transaction.expire_turns()
            await drafts.expire(transaction, now - KEEP_SECONDS)
            gone += await usage.expire(transaction, usage.day_of(now))
            gone += await recordings.expire(transaction, now)
            gone += await removed.expire(transaction, now)
        self._next_at = now + PERIOD_SECONDS
        if gone:
            log.info("%d old rows were deleted", gone)


def make_expiry(database: Database, clock: Callable[[], float]) -> Worker:
    """Make the worker."""
    return Worker(Queue.EXPIRY, Expiry(database, clock), database.wakeups, places=1, clock=clock)
