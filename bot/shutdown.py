"""One deadline for everything that has to end.

Whatever has not ended by then is left to the next start, which finds it in the database as after a crash.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Coroutine

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM)

SECONDS = 9.0
"""How long a shutdown may take; the contract says 10 s, and so does Docker, which kills then."""


def stop_requested() -> asyncio.Event:
    """Return what SIGINT and SIGTERM set from now on, and set by one that was blocked so far."""
    stop = asyncio.Event()
    for number in SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    return stop


def ignore_signals() -> None:
    """Let no further signal tear off the last steps of the process."""
    for number in SIGNALS:
        asyncio.get_running_loop().remove_signal_handler(number)
        signal.signal(number, signal.SIG_IGN)


class Deadline:
    """The moment, `SECONDS` from its making, by which everything has to have ended; the process does soon after."""

    def __init__(self, exit_code: int) -> None:
        self._at = asyncio.get_running_loop().time() + SECONDS
        # A thread that waits for a dead disk would keep the process alive for as long as that takes.
        last_net = threading.Timer(SECONDS + 0.5, os._exit, (exit_code,))
        last_net.daemon = True
        last_net.start()

    def left(self, *, reserve: float = 0.0) -> float:
        """Return the seconds until the deadline, less what is kept for those that come later."""
        return max(self._at - reserve - asyncio.get_running_loop().time(), 0.0)

    async def end(self, what: str, ending: Coroutine[object, object, object], *, reserve: float = 0.0) -> None:
        """Wait for an ending as long as there is time, and then no longer."""
        task = asyncio.create_task(ending, name=f"the end of {what}")
        await asyncio.wait({task}, timeout=self.left(reserve=reserve))
        if not task.done():
            task.cancel()
            log.warning("%s cannot be ended in time; the next start goes on with what is left", what)
        elif (error := task.exception()) is not None:
            log.warning("%s did not end well", what, exc_info=error)
