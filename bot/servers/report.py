"""What a server has used: today and in the last days, by member and by day."""

from __future__ import annotations

from collections.abc import Callable

from bot.servers.limits import Limits
from bot.words.pages.usage import DAYS, Usage
from storage.database import Database
from storage.servers import usage


class UsageReport:
    """Counts what was ordered in a server."""

    def __init__(self, database: Database, limits: Limits, clock: Callable[[], float]) -> None:
        self._database = database
        self._limits = limits
        self._clock = clock

    async def of(self, guild_id: int) -> Usage:
        """Return what was ordered in a server, today and in the last days with it."""
        today = usage.day_of(self._clock())
        first = today - DAYS + 1
        async with self._database.read() as snapshot:
            by_member = await usage.by_member(snapshot, guild_id, first)
            now = await usage.by_member(snapshot, guild_id, today)
            days = await usage.by_day(snapshot, guild_id, first)
        counts = [days[day].covers + days[day].songs if day in days else 0 for day in range(first, today + 1)]
        return Usage(today, now, by_member, counts, self._limits.per_server)
