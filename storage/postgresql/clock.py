"""The server's clock, which is the one of all processes: no host's own decides when something is due."""

from __future__ import annotations

import time

SLOW_SECONDS = 1.0
"""An answer that took longer says too little about the time."""


class ServerClock:
    """Runs on the monotonic clock of this host, set by the server's answers."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def __call__(self) -> float:
        """Return the server's time, in Unix seconds."""
        return time.monotonic() + self._offset

    def set(self, now: float, took: float) -> None:
        """Set it by what the server has said, in an answer that took so many seconds."""
        if took < SLOW_SECONDS:
            self._offset = now + took / 2 - time.monotonic()
