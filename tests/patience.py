"""How long tests wait for anything: limits are for hangs only, and a machine may have other work."""

from __future__ import annotations

from sandbox.discord.clock import Signal
from sandbox.vidgo.records import Changes

SLOWER = 5.0
"""By how much a busy machine may be slower than what each limit in a test allows for."""


def patient(seconds: float) -> float:
    """Return how long to wait for what takes at most `seconds` on an idle machine."""
    return seconds * SLOWER


Signal.patience = Changes.patience = SLOWER
