"""Discord's limit for all requests of a bot: whoever runs into it says so, and no process sends anything meanwhile."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import cast

import aiohttp
from discord.http import HTTPClient
from sqlalchemy.exc import SQLAlchemyError

from bot.gateway.client import Client
from bot.gateway.rest import Gate
from storage.database import Database
from storage.processes.turns import SharedTurns
from storage.wakeups import Queue, Wakeups

log = logging.getLogger(__name__)

PAUSE = "discord's pause"

LOOK_SECONDS = 30.0
"""How often it is looked for a pause, whatever was heard."""

LONGEST_SECONDS = 300.0


class GlobalPause:
    """The pauses that Discord asks the whole bot for, in all its processes."""

    def __init__(self, turns: SharedTurns, wakeups: Wakeups, http: HTTPClient) -> None:
        self._turns = turns
        self._wakeups = wakeups
        self._http = http
        self._telling: set[asyncio.Task[None]] = set()

    async def see(
        self, _session: aiohttp.ClientSession, _context: SimpleNamespace, end: aiohttp.TraceRequestEndParams
    ) -> None:
        """Look at an answer of Discord's, and tell the others where it is a 429 for the whole bot."""
        if end.response.status != 429 or end.response.headers.get("X-RateLimit-Scope") != "global":
            return
        try:
            seconds = min(float(end.response.headers.get("Retry-After", "")), LONGEST_SECONDS)
        except ValueError:
            return
        if not seconds > 0:
            return
        telling = asyncio.create_task(self._tell(seconds), name="telling of a pause")
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)

    async def _tell(self, seconds: float) -> None:
        try:
            await self._turns.pause(PAUSE, seconds)
        except SQLAlchemyError as error:
            log.warning("the other processes do not hear of Discord's pause: %s", type(error).__name__)

    async def run(self) -> None:
        """Hold back requests for as long as there is a pause, whoever was asked for it."""
        while True:
            await self._wakeups.wait(Queue.PAUSES, LOOK_SECONDS)
            try:
                left = await self._turns.left(PAUSE)
            except SQLAlchemyError:
                continue  # looked for again
            if left > 0:
                self._hold(left)

    def _hold(self, seconds: float) -> None:
        log.warning("Discord wants no requests of this bot for %.1f s", seconds)
        # The gate that discord.py closes itself when it is told so in an answer.
        cast("Gate", self._http._global_over).close(seconds)


def watch_pauses(client: Client, database: Database, trace: aiohttp.TraceConfig) -> GlobalPause | None:
    """Look at the answers to a client's requests, where other processes may have to hear of them."""
    if not isinstance(database.turns, SharedTurns):
        return None
    pause = GlobalPause(database.turns, database.wakeups, client.http)
    trace.on_request_end.append(pause.see)
    return pause
