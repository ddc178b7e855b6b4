"""Discord's rate limits: so many requests per window, bucket and resource, told honestly in headers."""

from __future__ import annotations

import hashlib
import math
import time
from dataclasses import dataclass
from typing import Literal

from sandbox.discord.clock import Clock

Scope = Literal["user", "global", "shared"]
"""Whose limit it is: the bot's on a route, the bot's on all of the API, or one that others use up too."""


@dataclass
class _Window:
    ends: float
    remaining: int


@dataclass(frozen=True)
class Grant:
    """Whether a request may pass: `retry_after` is None, or the seconds it comes too early."""

    headers: dict[str, str]
    retry_after: float | None


class RateLimits:
    """Count requests; `limit` per `window` seconds may be changed while running, `enabled` switched.

    Discord does not publish its budgets; 5 per 2 seconds is what its headers usually say for messages.
    """

    def __init__(self, clock: Clock, limit: int = 5, window: float = 2.0, *, enabled: bool = True) -> None:
        self.enabled = enabled
        self.limit = limit
        self.window = window
        self._clock = clock
        self._windows: dict[tuple[str, str], _Window] = {}

    def take(self, bucket: str, resource: str) -> Grant:
        """Count one request of a bucket, e.g. "POST messages", on a resource, e.g. a channel's id."""
        if not self.enabled:
            return Grant({}, None)
        now = self._clock.monotonic()
        window = self._windows.get((bucket, resource))
        if window is None or now >= window.ends:
            window = self._windows[bucket, resource] = _Window(now + self.window, self.limit)
        left = window.ends - now
        headers = {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(max(0, window.remaining - 1)),
            "X-RateLimit-Reset": f"{time.time() + left:.3f}",
            "X-RateLimit-Reset-After": f"{left:.3f}",
            "X-RateLimit-Bucket": hashlib.sha256(bucket.encode()).hexdigest()[:32],
        }
        if window.remaining <= 0:
            return Grant(headers, left)
        window.remaining -= 1
        return Grant(headers, None)


class SessionStarts:
    """Count IDENTIFYs: one for each value of `shard % max_concurrency` in some seconds, and so many a day.

    Discord's 5 s hold a bot up that is started again at once, as tests do all the time, so `seconds` is 0 unless set.
    `times` has when each came, with its shard. The day begins with the first.
    """

    DAY_SECONDS = 86_400.0

    def __init__(self, clock: Clock, *, seconds: float = 0.0, total: int = 1000, max_concurrency: int = 1) -> None:
        self.seconds = seconds
        self.total = total
        self.max_concurrency = max_concurrency
        self.times: list[tuple[float, int]] = []
        self.refused = 0
        self._clock = clock
        self._last: dict[int, float] = {}
        self._day_ends: float | None = None
        self._used = 0

    def take(self, shard: int) -> bool:
        """Count an IDENTIFY of a shard, and tell whether it may be."""
        now = self._clock.monotonic()
        if self._day_ends is None or now >= self._day_ends:
            self._day_ends, self._used = now + self.DAY_SECONDS, 0
        key = shard % self.max_concurrency
        if self._used >= self.total or now < self._last.get(key, now - self.seconds) + self.seconds:
            self.refused += 1
            return False
        self._last[key] = now
        self._used += 1
        self.times.append((now, shard))
        return True

    @property
    def limit(self) -> dict[str, int]:
        """Return what `GET /gateway/bot` says of it."""
        now = self._clock.monotonic()
        is_over = self._day_ends is None or now >= self._day_ends
        left = self.DAY_SECONDS if is_over or self._day_ends is None else self._day_ends - now
        return {
            "total": self.total,
            "remaining": self.total - (0 if is_over else self._used),
            "reset_after": math.ceil(left * 1000),
            "max_concurrency": self.max_concurrency,
        }


def limited_answer(
    retry_after: float, headers: dict[str, str], scope: Scope = "user"
) -> tuple[dict[str, object], dict[str, str]]:
    """Return body and headers of a 429.

    Without `Via` discord.py takes it for a ban by Discord's edge and gives up.
    """
    seconds = math.ceil(retry_after * 1000) / 1000
    body: dict[str, object] = {
        "message": "You are being rate limited.",
        "retry_after": seconds,
        "global": scope == "global",
    }
    extra = {"Via": "1.1 google", "Retry-After": str(math.ceil(seconds)), "X-RateLimit-Scope": scope}
    if scope == "global":
        extra["X-RateLimit-Global"] = "true"
    return body, headers | extra
