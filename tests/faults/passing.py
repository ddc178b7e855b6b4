"""The time of a stage: the machine's own, and what is let pass at once."""

from __future__ import annotations

import time


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
