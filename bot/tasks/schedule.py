"""When a task is expected to end, and when it is looked at next."""

from __future__ import annotations

import random
from collections.abc import Callable
from statistics import median

from bot.settings import Settings
from bot.vidgo import CoverArt
from storage import tasks as rows
from storage.database import Database, Snapshot
from storage.tasks import Task

USUAL_SECONDS = {CoverArt.model: 90.0}
"""What a task takes until the bot has seen some: documents name about 2.5 minutes at most for a cover."""

USUAL_SECONDS_DEFAULT = 150.0

ENOUGH_TO_TELL = 3
"""From how many finished tasks on their durations are believed."""

SLOW_SHARE = 0.8
"""A task is slow when it takes longer than this share of the others did."""

SLOW_FACTOR = 2.0
"""How much longer than usual is slow, while too few are known."""

MERCY = 30.0
"""What is over sooner is never called slow, in seconds."""

LAGS = (1.0, 2.0, 4.0)
"""Seconds until a detail that still lags behind its callback is read again."""

CALLBACK_SLOWDOWN = 3.0
"""How much slower a task is polled when its callback is expected to ring first."""

GROWTH = 1.5
NEAR = 0.85
"""From which part of the usual duration on a task is looked at more often."""

BUSY_SECONDS = 15.0
LONGEST_PAUSE_SECONDS = 300.0


class Schedule:
    """Plans by what earlier tasks took, between the owner's bounds, with jitter."""

    def __init__(
        self, database: Database, settings: Settings, *, clock: Callable[[], float], rng: random.Random
    ) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._rng = rng

    @property
    def farthest(self) -> float:
        """Seconds beyond which nothing is ever planned, so that a time further off shows a clock that was set back."""
        return 2 * max(self._settings.poll_max_seconds, LONGEST_PAUSE_SECONDS)

    async def usual_seconds(self, snapshot: Snapshot, model: str) -> float:
        """Return the median duration of a model's finished tasks, or a documented one while too few are known."""
        known = await _known(snapshot, model)
        return _documented(model) if known is None else median(known)

    async def slow_seconds(self, model: str) -> float:
        """Return after how many seconds a task takes longer than four of five do; never more than the owner allows."""
        known = await self._known(model)
        slow = SLOW_FACTOR * _documented(model) if known is None else max(known[int(len(known) * SLOW_SHARE)], MERCY)
        return min(slow, self._settings.task_timeout_seconds)

    async def delay(self, task: Task) -> float:
        """Return the seconds until a task is looked at next: near the usual duration first, then ever more slowly."""
        if task.rereads:
            return LAGS[len(LAGS) - task.rereads]
        known = await self._known(task.model)
        usual = None if known is None else median(known)
        slowdown = 1.0 if self._settings.public_url is None else CALLBACK_SLOWDOWN
        waited = self._clock() - (task.submitted_at or task.created_at)
        if usual is not None and 0 <= waited < usual * NEAR:
            return self._jittered(usual * slowdown - waited)
        return self._jittered(self._settings.poll_min_seconds * slowdown * GROWTH ** min(task.polls, 20))

    def pause(self, seconds: float | None) -> float:
        """Return how long to leave a busy VidGo alone: as long as it says, within bounds, or a while."""
        return min(seconds, LONGEST_PAUSE_SECONDS) if seconds else BUSY_SECONDS * self._rng.uniform(1, 2)

    async def _known(self, model: str) -> list[float] | None:
        async with self._database.read() as snapshot:
            return await _known(snapshot, model)

    def _jittered(self, seconds: float) -> float:
        low, high = self._settings.poll_min_seconds, self._settings.poll_max_seconds
        return min(max(seconds * self._rng.uniform(0.85, 1.15), low), high)


async def _known(snapshot: Snapshot, model: str) -> list[float] | None:
    """Return how long the newest tasks of a model took, the shortest first, or None while too few are known."""
    durations = await rows.durations(snapshot, model)
    return sorted(durations) if len(durations) >= ENOUGH_TO_TELL else None


def _documented(model: str) -> float:
    return USUAL_SECONDS.get(model, USUAL_SECONDS_DEFAULT)
