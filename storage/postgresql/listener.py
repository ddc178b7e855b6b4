"""Wake-ups between processes: LISTEN and NOTIFY on a connection of their own.

A wake-up is sent after the commit that it is for, never within: NOTIFY makes all commits of a database queue. What is
lost costs time alone, for everybody looks by itself too, and more often while nobody can be heard.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any

import asyncpg

from storage.database import Server
from storage.postgresql.addresses import dsn
from storage.postgresql.errors import UNREACHABLE, explain
from storage.postgresql.pool import CONNECT_SECONDS
from storage.wakeups import Queue, Wakeups

log = logging.getLogger(__name__)

CHANNEL = "coverbot"

TOGETHER_SECONDS = 0.01
"""How long a wake-up waits for others, to be sent with them."""

HEARD_SECONDS = 0.2
"""How long what is heard waits for more of it. Who commits is woken at once and does most of it alone; whoever hears of
it would only ask the database in vain."""

UNHEARD_SECONDS = 5.0
"""How often a worker looks by itself while nobody can be heard."""

PING_SECONDS = 10.0
PONG_SECONDS = 5.0
"""How often a connection is tried, and how long it may be silent: half a connection looks like a whole one."""

_PAUSES = (0.2, 1.0, 2.0, 5.0)
_NOTIFY = "SELECT pg_notify($1, name) FROM unnest($2::text[]) AS name"
_CLOCK = "SELECT extract(epoch FROM clock_timestamp())::float8"


class Listener:
    """Hears what other processes commit, and tells them what this one does.

    `on_time` is told the server's time with each ping, and how long the question has taken.
    """

    def __init__(
        self, url: str, server: Server, wakeups: Wakeups, *, on_time: Callable[[float, float], None] | None = None
    ) -> None:
        self._url = server.listen_url or url
        self._process = server.process
        self._wakeups = wakeups
        self._on_time = on_time
        # A pooler takes LISTEN and forgets it.
        self._can_hear = not server.is_pooled or server.listen_url is not None
        self._connection: asyncpg.Connection | None = None
        self._asking = asyncio.Lock()
        """A connection does one thing at a time."""
        self._unsent: set[Queue] = set()
        self._unwoken: set[Queue] = set()
        self._waking: asyncio.TimerHandle | None = None
        self._listening: asyncio.Task[None] | None = None
        self._sending: asyncio.Task[None] | None = None

    @property
    def is_connected(self) -> bool:
        """Whether other processes are heard, and the server's time is asked for."""
        return self._connection is not None

    def start(self) -> None:
        """Begin to listen; returns at once."""
        self._wakeups.longest = UNHEARD_SECONDS
        if self._can_hear:
            self._listening = asyncio.create_task(self._listen(), name="wake-ups")
        else:
            log.warning("DATABASE_LISTEN_URL is not set, so other processes are heard within %g s", UNHEARD_SECONDS)

    async def close(self) -> None:
        """Send what is to be sent and stop."""
        if self._sending is not None:
            await asyncio.wait([self._sending], timeout=1.0)
        tasks = [task for task in (self._listening, self._sending) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._waking is not None:
            self._waking.cancel()

    def tell(self, queues: Collection[Queue]) -> None:
        """Wake the workers of other processes soon; returns at once."""
        self._unsent.update(queues)
        if self._unsent and (self._sending is None or self._sending.done()):
            self._sending = asyncio.create_task(self._send(), name="telling wake-ups")

    async def _send(self) -> None:
        while self._unsent:
            await asyncio.sleep(TOGETHER_SECONDS)
            if (connection := self._connection) is None:
                # The others look by themselves, and hear it with what comes next.
                return
            names, self._unsent = [str(queue) for queue in self._unsent], set()
            try:
                async with self._asking:
                    await connection.execute(_NOTIFY, CHANNEL, names)
            except UNREACHABLE as error:
                log.info("a wake-up was not sent: %s", type(error).__name__)
                self._unsent.update(map(Queue, names))
                connection.terminate()
                return

    async def _listen(self) -> None:
        failures = 0
        while True:
            try:
                connection = await self._connect()
                failures = 0
                try:
                    await self._hold(connection)
                finally:
                    self._connection = None
                    self._wakeups.longest = UNHEARD_SECONDS
                    connection.terminate()
                log.warning("other processes are not heard any more; connecting anew")
            except UNREACHABLE as error:
                pause = _PAUSES[min(failures, len(_PAUSES) - 1)]
                failures += 1
                log.warning(
                    "other processes cannot be heard: %s; the next try is in %g s", explain(self._url, error), pause
                )
                await asyncio.sleep(pause)

    async def _connect(self) -> asyncpg.Connection:
        return await asyncpg.connect(
            dsn(self._url),
            timeout=CONNECT_SECONDS,
            command_timeout=PONG_SECONDS,
            server_settings={"application_name": f"{self._process} (wake-ups)"},
        )

    async def _hold(self, connection: asyncpg.Connection) -> None:
        """Listen until the connection is lost; what was committed before was not heard, so everybody looks once."""
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        await connection.add_listener(CHANNEL, self._heard)
        self._connection = connection
        self._wakeups.longest = float("inf")
        self._wakeups.wake(Queue)
        self.tell(())
        while not lost.is_set():
            await self._ping(connection)
            with suppress(TimeoutError):
                async with asyncio.timeout(PING_SECONDS):
                    await lost.wait()

    async def _ping(self, connection: asyncpg.Connection) -> None:
        loop = asyncio.get_running_loop()
        async with self._asking:
            asked_at = loop.time()
            now: float = await connection.fetchval(_CLOCK)
        if self._on_time is not None:
            self._on_time(now, loop.time() - asked_at)

    def _heard(self, connection: Any, sender: int, _channel: str, name: object) -> None:
        if sender == connection.get_server_pid():
            return  # whoever works here was woken at once
        with suppress(ValueError):  # of a newer program
            self._unwoken.add(Queue(str(name)))
        if self._unwoken and self._waking is None:
            self._waking = asyncio.get_running_loop().call_later(HEARD_SECONDS, self._wake)

    def _wake(self) -> None:
        queues, self._unwoken, self._waking = self._unwoken, set(), None
        self._wakeups.wake(queues)
