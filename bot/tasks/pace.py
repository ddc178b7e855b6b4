"""VidGo's rate and the pauses that it asks for, counted for all processes together."""

from __future__ import annotations

import asyncio
import logging
import time

from sqlalchemy.exc import SQLAlchemyError

from storage.database import Database
from storage.processes.turns import SharedTurns

log = logging.getLogger(__name__)

RATE = "vidgo"
PAUSE = "vidgo's pause"


class SharedPace:
    """The pace of a process that is one of several: each request takes its turn in one line at the database."""

    def __init__(self, turns: SharedTurns, requests_per_second: float) -> None:
        self._turns = turns
        self._cost = 1 / requests_per_second
        # As many as in a second may be asked at once, but one at least.
        self._burst = max(1.0, requests_per_second) * self._cost
        self._paused_until = float("-inf")
        self._telling: set[asyncio.Task[None]] = set()

    async def wait(self) -> None:
        """Return when VidGo may be asked once; raises `SQLAlchemyError`."""
        while True:
            wait, pause = await self._turns.reserve(RATE, self._cost, self._burst, PAUSE)
            if wait > 0:
                await asyncio.sleep(wait)
                pause = await self._turns.left(PAUSE)  # another process may have been asked for one meanwhile
            pause = max(pause, self.left())
            if pause <= 0:
                return
            await asyncio.sleep(pause)

    def pause(self, seconds: float) -> None:
        """Let nobody ask for so long, in no process."""
        self._paused_until = max(self._paused_until, time.monotonic() + seconds)
        telling = asyncio.create_task(self._tell(seconds), name="telling of a pause")
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)

    def left(self) -> float:
        """Return how long a pause lasts still that was asked for here."""
        return max(self._paused_until - time.monotonic(), 0.0)

    async def _tell(self, seconds: float) -> None:
        try:
            await self._turns.pause(PAUSE, seconds)
        except SQLAlchemyError as error:  # what VidGo has said counts more than that the others hear of it
            log.warning("the other processes do not hear of VidGo's pause: %s", type(error).__name__)


def shared_pace(database: Database, requests_per_second: float) -> SharedPace | None:
    """Return the pace of all processes, where there may be others."""
    return SharedPace(database.turns, requests_per_second) if isinstance(database.turns, SharedTurns) else None
