"""The database on a PostgreSQL server, with any number of processes at it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, Self

from sqlalchemy import bindparam, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.database import Database, DatabaseError, Release, Server, Snapshot, Transaction
from storage.planned import Claim
from storage.postgresql.clock import ServerClock
from storage.postgresql.doubts import doubts, unheard
from storage.postgresql.errors import explain, told
from storage.postgresql.listener import Listener
from storage.postgresql.opening import prepare
from storage.postgresql.pool import CONNECTIONS, PostgreSQLConnection, make_engine
from storage.processes import leases, turns
from storage.processes.blocks import Blocks
from storage.processes.process import Process
from storage.processes.turns import SharedTurns
from storage.wakeups import Wakeups

APART_SECONDS = 5.0
"""From which difference on two clocks are worth a word."""

RESTART_SECONDS = 10.0
"""How long the server's restart may take until members are told of an error."""

_VERSION = text("SELECT current_setting('server_version')")
_SIZE = text("SELECT pg_database_size(current_database())")
_TELL = text("SELECT pg_notify(:channel, '')")
_ALONE = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))").bindparams(bindparam("name"))


class PostgreSQLTransaction(Transaction):
    """A transaction beside which others write."""

    async def claim(self, claim: Claim, values: Mapping[str, Any]) -> Sequence[Any]:
        """Write this process into rows that are due and nobody else's, and return them, the longest waiting first."""
        taken = (await self.execute(claim.take, {**values, "me": self.me})).all()
        return sorted(taken, key=lambda row: row[1])

    async def release(self, claim: Claim, keys: Sequence[Mapping[str, Any]]) -> None:
        """Let others claim rows that this process has claimed."""
        if keys:  # in one order, as `alone`
            in_order = sorted(keys, key=lambda key: tuple(key.values()))
            await self.execute(claim.release, [{**key, "me": self.me} for key in in_order])

    async def take_channels(self, channels: Collection[int]) -> set[int]:
        """Take the channels in which no other process is posting, and return them."""
        return await turns.take_channels(self, channels)

    async def leave_channels(self, channels: Collection[int]) -> None:
        """Let other processes post in channels, in a moment."""
        await turns.leave_channels(self, channels)

    async def expire_turns(self) -> None:
        """Delete the turns that have long been free."""
        await turns.expire(self)

    async def alone(self, *names: str) -> None:
        """Let nobody else be in a transaction that has said this of the same names, until this one ends."""
        for name in sorted(names):  # in one order, for two that wait for each other wait for ever
            await self.execute(_ALONE, {"name": name})


class PostgreSQLDatabase(Database):
    """A pool of connections; whoever reads has one consistent state, and whoever writes sees what others commit."""

    connections = CONNECTIONS
    passing_seconds = RESTART_SECONDS

    def __init__(self, url: str, server: Server) -> None:
        self.wakeups = Wakeups()
        self._clock = ServerClock()
        self._listener = Listener(url, server, self.wakeups, on_time=self._clock.set)
        self._process = Process(server.process, server.version, self.write, self._hear_time)
        self.turns: SharedTurns = SharedTurns(self.write)
        self.blocks: Blocks = Blocks(self.read, self.write, lambda: self._process.me)
        self._url = url
        self._server = server
        self._engine = make_engine(url, server)
        self._taken = 0
        self._reading = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    @classmethod
    async def connect(cls, url: str, server: Server) -> Self:
        """Connect to the server that `url` names; tables are made and migrated where needed.

        Raises `DatabaseError` for one that cannot be used, and tables that were made by a newer program.
        """
        database = cls(url, server)
        await prepare(url, server, database._clock)
        database._listener.start()
        return database

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Snapshot]:
        """Give one consistent state to read from."""
        async with self._connection(self._reading) as connection:
            snapshot = Snapshot(await self._limited(connection))
            snapshot.me = self._process.me
            yield snapshot

    @asynccontextmanager
    async def write(self, *, durable: bool = True) -> AsyncIterator[Transaction]:
        """Give one write transaction, committed on leaving and rolled back on an error; a commit waits for the disk."""
        async with self._connection(self._engine) as connection:
            transaction = PostgreSQLTransaction(await self._limited(connection))
            transaction.me = self._process.me
            yield transaction
            with told("COMMIT"):
                await connection.commit()
        self.wakeups.wake(transaction.woken)
        self._listener.tell(transaction.woken)

    def begin_work(self) -> None:
        """Let the current task send what it does for as long as nobody can have taken it over."""
        self._process.begin_work()

    def _hear_time(self, now: float, took: float) -> None:
        """Set the clock where no ping does."""
        if not self._listener.is_connected:
            self._clock.set(now, took)

    async def is_able(self, seconds: float) -> bool:
        """Let the current task send what it does once the lease stands; tell whether it does within so many seconds."""
        return await self._process.is_able(seconds)

    def claiming(self) -> AbstractAsyncContextManager[Transaction]:
        """Give a transaction in which work is claimed and released, for the current task and those that it makes."""
        self.begin_work()
        return self.write(durable=False)

    def releasing(self, release: Release) -> Callable[[Collection[str]], Awaitable[None]]:
        """Return how a worker lets others have what it has claimed and done."""

        async def let_go(names: Collection[str]) -> None:
            async with self.claiming() as transaction:
                await release(transaction, names)

        return let_go

    @property
    def taken(self) -> int:
        """How many of the `connections` are in use."""
        return self._taken

    async def join(self, _clock: Callable[[], float]) -> None:
        """Begin to live among the other processes, and take over from those that have died."""
        await self._process.join()

    def clock(self, _own: Callable[[], float]) -> Callable[[], float]:
        """Return the server's clock."""
        return self._clock

    @property
    def may_act(self) -> bool:
        """Whether what this process holds is still its own."""
        return self._process.may_act

    @property
    def leads(self) -> bool:
        """Whether this process does what only one may do."""
        return self._process.leads

    async def sync(self) -> None:
        """Return at once: each commit has waited for the disk."""

    async def describe(self) -> str:
        """Write for real, and say in a few words what this database is; raises `DBAPIError`."""
        async with self.write() as transaction:
            version = (await transaction.execute(_VERSION)).scalar_one()
            living = await leases.living(transaction)
        words = [f"PostgreSQL {version} can be read and written"]
        if living:
            words.append("processes that live: " + ", ".join(f"{name} ({version})" for name, version in living))
        if abs(apart := self._clock() - time.time()) > APART_SECONDS:
            words.append(f"its clock is {apart:+.0f} s from this machine's, which does no harm here")
        return "; ".join(words)

    async def doubts(self) -> list[str]:
        """Return what works and will hurt, in sentences for the owner; raises `DBAPIError`."""
        async with self.read() as snapshot:
            said = await doubts(snapshot, is_pooled=self._server.is_pooled)
        if self._server.listen_url is not None:
            said += await unheard(self._server.listen_url, self._tell_on)
        return said

    async def _tell_on(self, channel: str) -> None:
        async with self.write() as transaction:
            await transaction.execute(_TELL, {"channel": channel})

    async def size(self) -> tuple[int, int | None]:
        """Return how many bytes the database has; how many are free at the server, nobody knows here."""
        async with self.read() as snapshot:
            return int((await snapshot.execute(_SIZE)).scalar_one()), None

    def explain(self, error: Exception) -> DatabaseError:
        """Return an error of this database in words for the owner."""
        return explain(self._url, error)

    async def close(self) -> None:
        """Close every connection; none may be in use."""
        await self._process.leave()
        await self._listener.close()
        await self._engine.dispose()

    @asynccontextmanager
    async def _connection(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        connection = engine.connect()
        with told("CONNECT"):
            await connection.start()
        self._taken += 1
        try:
            yield connection
        finally:
            self._taken -= 1
            # What was not committed is rolled back, by the server itself where it cannot be told.
            with suppress(SQLAlchemyError):
                await asyncio.shield(connection.close())

    async def _limited(self, raw: AsyncConnection) -> PostgreSQLConnection:
        connection = PostgreSQLConnection(raw)
        if self._server.is_pooled:
            await connection.limit()
        return connection
