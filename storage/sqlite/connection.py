"""A connection to SQLite that is used in two ways: at once, or in aiosqlite's thread.

A small indexed statement takes SQLite some microseconds. Handing it to a thread and its result back takes ten times as
long, and milliseconds while the event loop is busy, for both want the interpreter's lock. So a statement that is
marked as quick runs where it is asked for, and every other one in the thread, together with the end of its
transaction. A commit does not wait for the disk: it survives the death of the process as it is, and a power cut after
`Disk.sync`.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import perf_counter
from typing import Any, Literal, TypeVar

import aiosqlite
from sqlalchemy import Connection, CursorResult, Executable, StaticPool, create_engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from storage.sqlite.disk import CHECKPOINT_BYTES

T = TypeVar("T")

log = logging.getLogger(__name__)

BUSY_SECONDS = 20.0
"""How long other processes may hold SQLite's lock."""

LONG_SECONDS = 0.02
"""What holds the event loop for longer is told in the log, at level DEBUG."""

_BUSY_PAUSE = 0.01


class SQLiteConnection:
    """One open connection; between `begin` and its end it belongs to one transaction."""

    def __init__(
        self, raw: sqlite3.Connection, at_once: Connection, thread: aiosqlite.Connection, in_thread: AsyncConnection
    ) -> None:
        self._raw = raw
        self._at_once = at_once
        self._thread = thread
        self._in_thread = in_thread
        self._under_way: asyncio.Task[Any] | None = None
        self._is_long = False

    @classmethod
    async def open(cls, path: Path) -> SQLiteConnection:
        """Open a file in WAL mode with foreign keys; raises `sqlite3.Error`."""
        raw = await asyncio.to_thread(_connect, path)
        # An error's text would hold the values of its query, tokens among them, and errors are logged.
        engine = create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool, hide_parameters=True)
        thread = aiosqlite.Connection(lambda: raw, iter_chunk_size=64)
        patient = create_async_engine(
            "sqlite+aiosqlite://", async_creator=lambda: thread, poolclass=StaticPool, hide_parameters=True
        )
        at_once = engine.connect()

        async def connect() -> SQLiteConnection:
            return cls(raw, at_once, thread, await patient.connect())

        connecting = asyncio.create_task(connect())
        try:
            return await asyncio.shield(connecting)
        except asyncio.CancelledError:  # broken off in the middle, SQLAlchemy would roll back what is closed
            await (await connecting).close()
            raise
        except BaseException:
            at_once.close()
            raw.close()
            raise

    async def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[*tuple[Any, ...]]:
        """Run a statement, at once where it is marked as quick; raises `DBAPIError`."""

        async def work() -> CursorResult[*tuple[Any, ...]]:
            if statement.get_execution_options().get("quick") and self._is_idle:
                return _watched(statement, lambda: self._at_once.execute(statement, parameters))
            return await self._patiently(lambda: self._in_thread.execute(statement, parameters))

        return await _when_free(work)

    async def begin(self, kind: Literal["DEFERRED", "IMMEDIATE"]) -> None:
        """Begin a transaction; waits for other processes that hold SQLite's lock. Raises `sqlite3.Error`."""
        await self._finish()
        self._is_long = False

        async def work() -> None:
            _watched(f"BEGIN {kind}", lambda: self._raw.execute(f"BEGIN {kind}"))

        await _when_free(work)

    async def commit(self) -> None:
        """Make a transaction visible; raises `sqlite3.Error`."""
        if self._is_long:  # megabytes may have to be written
            await self._patiently(self._thread.commit)
        else:
            _watched("COMMIT", lambda: self._raw.execute("COMMIT"))

    async def rollback(self) -> None:
        """End a transaction without effect, and one that ended already without a word."""
        if self._is_long:
            await self._patiently(self._thread.rollback)
        elif self._raw.in_transaction:
            _watched("ROLLBACK", lambda: self._raw.execute("ROLLBACK"))

    async def checkpoint(self) -> bool:
        """Move the write-ahead log into the database, and tell whether nothing is left in it; waits for the disk."""
        rows = await self._patiently(lambda: self._thread.execute_fetchall("PRAGMA wal_checkpoint(PASSIVE)"))
        busy, in_log, moved = next(iter(rows))
        return bool(busy == 0 and in_log == moved)

    async def empty_log(self) -> bool:
        """Move the write-ahead log into the database and cut it to nothing; tell whether nobody reads it still."""
        rows = await self._patiently(lambda: self._thread.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)"))
        [busy, *_] = next(iter(rows))
        return bool(busy == 0)

    async def begin_log(self) -> None:
        """Begin the log from its start again, where it was moved into the database and nobody reads it.

        Whoever writes the first page of a log waits for the disk, and no commit in the event loop shall.
        """
        try:
            await self._patiently(lambda: self._thread.execute_fetchall("PRAGMA user_version = 0"))
        except sqlite3.OperationalError as error:
            if not _is_busy(error):
                raise

    async def close(self) -> None:
        """Close the connection."""
        await self._finish()
        self._at_once.close()
        await self._in_thread.close()
        await self._thread.close()

    @property
    def _is_idle(self) -> bool:
        return self._under_way is None or self._under_way.done()

    async def _finish(self) -> None:
        """Wait for what a cancelled caller has left in the thread."""
        if self._under_way is not None:
            await asyncio.wait([self._under_way])

    async def _patiently(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do work in the thread. It comes to its end even if its caller is cancelled, and what is next waits for that.

        Else SQLAlchemy would close the connection, as it does with one that is cancelled.
        """
        self._is_long = True
        before = self._under_way

        async def in_turn() -> T:
            if before is not None:
                await asyncio.wait([before])
            return await work()

        task = self._under_way = asyncio.create_task(in_turn())
        return await asyncio.shield(task)


async def _when_free(work: Callable[[], Awaitable[T]]) -> T:
    """Do work that finds before it begins whether another process holds SQLite's lock, as soon as none does."""
    last = asyncio.get_running_loop().time() + BUSY_SECONDS
    while True:
        try:
            return await work()
        except (sqlite3.OperationalError, OperationalError) as error:
            if not _is_busy(error) or asyncio.get_running_loop().time() > last:
                raise
        await asyncio.sleep(_BUSY_PAUSE)


def _watched(what: object, work: Callable[[], T]) -> T:
    """Do work in the event loop, and say at level DEBUG if it held it."""
    began_at = perf_counter()
    try:
        return work()
    finally:
        if (took := perf_counter() - began_at) > LONG_SECONDS:
            log.debug("the event loop was held for %.0f ms by %.200s", took * 1000, what)


def _connect(path: Path) -> sqlite3.Connection:
    """Connect without transaction control by the driver, which begins too late."""
    # Never used by two threads at once; that one goes on with what the other began is what SQLite permits.
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = NORMAL")
    # What is forgotten shall not be in the bytes of the file; not every build of SQLite does so by itself.
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    # A log that begins anew is cut to this, so its length tells whether it has to be moved again.
    connection.execute(f"PRAGMA journal_size_limit = {CHECKPOINT_BYTES}")
    connection.execute("PRAGMA busy_timeout = 0")  # it would hold the event loop
    return connection


def _is_busy(error: sqlite3.OperationalError | OperationalError) -> bool:
    found = error.orig if isinstance(error, OperationalError) else error
    return isinstance(found, sqlite3.OperationalError) and found.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
