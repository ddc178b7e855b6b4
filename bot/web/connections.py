"""The listener's connections: how many there may be, and how long they may do nothing.

Whoever knows the address can open connections and leave them open. aiohttp bounds neither their number nor the time
that somebody takes to read an answer, so both are bounded here.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from bot.web.addresses import listen

MAX_CONNECTIONS = 256
"""How many connections may be open; one more ends the oldest, so that idle ones shut nobody out."""

IDLE_SECONDS = 75.0
"""How long a connection may take to send a request's head; longer than reverse proxies keep theirs (nginx: 60)."""

STUCK_SECONDS = 30.0
"""How long an answer may find no room at its reader (Linux)."""

SHUTDOWN_SECONDS = 2.0
MAX_HEADERS = 64
MAX_HEADER_BYTES = 4096


class Connections:
    """Accepts connections for an application; `limit` bounds how many are open at once, `idle` is in seconds."""

    def __init__(
        self, application: web.Application, *, limit: int = MAX_CONNECTIONS, idle: float = IDLE_SECONDS
    ) -> None:
        self._limit = limit
        self._runner = web.AppRunner(
            application,
            access_log=None,
            handler_cancellation=False,
            keepalive_timeout=idle,
            max_headers=MAX_HEADERS,
            max_field_size=MAX_HEADER_BYTES,
            shutdown_timeout=SHUTDOWN_SECONDS,
        )
        self._listening: asyncio.Server | None = None
        self._kept: set[web.RequestHandler] = set()

    async def listen(self, host: str, port: int) -> int:
        """Listen and return the port; raises `OSError` where the address cannot be had."""
        await self._runner.setup()
        self._listening = await listen(self._accept, host, port)
        for listening in self._listening.sockets:
            if sys.platform == "linux":  # where accepted sockets take it over from the listening one
                # What the event loop gives is no socket that takes options.
                with socket.socket(fileno=os.dup(listening.fileno())) as real:
                    real.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(STUCK_SECONDS * 1000))
        bound: int = self._listening.sockets[0].getsockname()[1]
        return bound

    async def close(self) -> None:
        """Stop listening and let requests under way end."""
        if self._listening is not None:
            self._listening.close()
        await self._runner.cleanup()

    @contextmanager
    def keep(self, request: web.Request) -> Iterator[None]:
        """Spare a request's connection when the oldest has to go: it takes long because there is much to send."""
        self._kept.add(request.protocol)
        try:
            yield
        finally:
            self._kept.discard(request.protocol)

    def _accept(self) -> web.RequestHandler:
        server = self._runner.server
        if server is None:  # between the end of the runner and that of the last accepted socket
            raise ConnectionAbortedError("shutting down")
        # After the connection is made, which is when it counts.
        asyncio.get_running_loop().call_later(0, self._trim, server)
        return server()

    def _trim(self, server: web.Server) -> None:
        living = [one for one in server.connections if one.transport is not None]
        idle = [one for one in living if one not in self._kept]
        for oldest in idle[: max(len(living) - self._limit, 0)]:
            _abort(oldest)


def _abort(connection: web.RequestHandler) -> None:
    transport = connection.transport
    connection.force_close()
    # Closing alone waits for a reader that may never read.
    if transport is not None:
        transport.abort()
