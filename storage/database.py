"""The database: reading and writing.

SQLite allows one writer at a time. Writers queue here, in order, instead of meeting at SQLite's lock and sleeping; the
busy timeout is left for other processes (a backup, an owner's shell). Connections stay open, and their transactions
begin and end at the driver: SQLAlchemy's own way of doing so costs more than most of the queries.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import chain, repeat

from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from storage.sqlite.connection import Connection
from storage.sqlite.opening import explained, path_of, prepare

log = logging.getLogger(__name__)

CONNECTIONS = 4

_PAUSES = (1.0, 2.0, 5.0, 15.0)
"""Seconds between the tries of what has to be written."""


@dataclass(frozen=True, slots=True)
class _Line:
    """A connection that stays open, and the driver's own under it."""

    connection: AsyncConnection
    driver: Connection


class Database:
    """One SQLite file in WAL mode with foreign keys and commits that survive a power cut."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._writer = asyncio.Lock()
        self._free = asyncio.Semaphore(CONNECTIONS)
        self._idle: list[_Line] = []

    @classmethod
    async def open(cls, url: str) -> Database:
        """Open the file that `url` names, made and migrated where needed.

        Raises `DatabaseError` for a path that cannot be used, a file that is no database, and a database written by a
        newer program.
        """
        path = path_of(url)
        await asyncio.to_thread(prepare, path)
        engine = create_async_engine(
            "sqlite+aiosqlite://",
            poolclass=NullPool,
            async_creator=lambda: Connection(path),
            # An error's text would hold the values of its query, tokens among them, and errors are logged.
            hide_parameters=True,
        )
        database = cls(engine)
        with explained(path):
            async with database.read() as connection:
                await connection.execute(text("SELECT 1"))
        return database

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection for reading one consistent state."""
        async with self._line() as line:
            try:
                with _told("BEGIN"):
                    await line.driver.begin("DEFERRED")
                yield line.connection
            finally:
                await line.driver.rollback()

    @asynccontextmanager
    async def write(self, *, durable: bool = True) -> AsyncIterator[AsyncConnection]:
        """Give a connection for one write transaction, committed on leaving and rolled back on an error.

        A commit survives a power cut, or with `durable` off only the death of the process, which costs no
        wait for the disk.
        """
        async with self._transaction(durable=durable) as connection:
            yield connection

    @asynccontextmanager
    async def once(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection for one statement that writes, as durable as any."""
        async with self._transaction(durable=True) as connection:
            yield connection

    @asynccontextmanager
    async def _transaction(self, *, durable: bool) -> AsyncIterator[AsyncConnection]:
        async with self._writer, self._line() as line:
            try:
                # A deferred transaction that turns into a write cannot wait for another writer, it fails at once.
                with _told("BEGIN IMMEDIATE"):
                    await line.driver.begin("IMMEDIATE", durable=durable)
                yield line.connection
                with _told("COMMIT"):
                    await line.driver.commit()
            except BaseException:
                await line.driver.rollback()
                raise

    @asynccontextmanager
    async def _line(self) -> AsyncIterator[_Line]:
        async with self._free:
            line = self._idle.pop() if self._idle else await self._open_line()
            try:
                yield line
            finally:
                self._idle.append(line)

    async def _open_line(self) -> _Line:
        connection = await self._engine.connect()
        driver = (await connection.get_raw_connection()).driver_connection
        assert isinstance(driver, Connection)  # noqa: S101 (what the engine's creator makes)
        return _Line(connection, driver)

    async def insist(self, work: Callable[[], Awaitable[None]]) -> None:
        """Repeat work until the database takes what it writes: a disk that is full must not cost what was paid for."""
        for pause in chain(_PAUSES, repeat(_PAUSES[-1])):
            try:
                return await work()
            except OperationalError as error:
                log.error("the database takes nothing (%s); the next try is in %.0f s", error.orig, pause)
                await asyncio.sleep(pause)
        return None

    async def close(self) -> None:
        """Close every connection; none may be in use."""
        for line in self._idle:
            await line.connection.close()
        await self._engine.dispose()


@contextmanager
def _told(statement: str) -> Iterator[None]:
    """Turn the driver's error into SQLAlchemy's, as every other statement has it."""
    try:
        yield
    except sqlite3.Error as error:
        raise OperationalError(statement, None, error) from error
