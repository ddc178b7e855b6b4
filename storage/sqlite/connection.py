"""A connection to SQLite that is used in two ways: at once, or in aiosqlite's thread.

A small indexed statement takes SQLite some microseconds. Handing it to a thread and its result back takes ten times as
long, and milliseconds while the event loop is busy, for both want the interpreter's lock. So a statement that is
marked as quick runs where it is asked for, and every other one in the thread. A commit does not wait for the disk: it
survives the death of the process as it is, and a power cut after `Disk.sync`.
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

T = TypeVar("T")

log = logging.getLogger(__name__)

BUSY_TIMEOUT_MS = 20_000
LONG_SECONDS = 0.02
"""What holds the event loop for longer is told in the log, at level DEBUG."""


class SQLiteConnection:
    """One open connection; between `begin` and its end it belongs to one transaction."""

    def __init__(
        self, raw: sqlite3.Connection, at_once: Connection, thread: aiosqlite.Connection, in_thread: AsyncConnection
    ) -> None:
        self._raw = raw
        self._at_once = at_once
        self._thread = thread
        self._in_thread = in_thread
        self._thread_is_free = True

    @classmethod
    async def open(cls, path: Path) -> SQLiteConnection:
        """Open a file in WAL mode with foreign keys; raises `sqlite3.Error`."""
        raw = _connect(path)
        # An error's text would hold the values of its query, tokens among them, and errors are logged.
        engine = create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool, hide_parameters=True)
        thread = aiosqlite.Connection(lambda: raw, iter_chunk_size=64)
        patient = create_async_engine(
            "sqlite+aiosqlite://", async_creator=lambda: thread, poolclass=StaticPool, hide_parameters=True
        )
        return cls(raw, engine.connect(), thread, await patient.connect())

    async def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[*tuple[Any, ...]]:
        """Run a statement, at once where it is marked as quick; raises `DBAPIError`."""
        if self._thread_is_free and statement.get_execution_options().get("quick"):
            try:
                with _Watch(statement):
                    return self._at_once.execute(statement, parameters)
            except OperationalError as error:
                if not _is_busy(error.orig):
                    raise
        return await self._patiently(lambda: self._in_thread.execute(statement, parameters))

    async def begin(self, kind: Literal["DEFERRED", "IMMEDIATE"]) -> None:
        """Begin a transaction; waits for other processes that hold SQLite's lock. Raises `sqlite3.Error`."""
        await self._command(f"BEGIN {kind}")

    async def commit(self) -> None:
        """Make a transaction visible; raises `sqlite3.Error`."""
        await self._command("COMMIT")

    async def rollback(self) -> None:
        """End a transaction without effect, and one that ended already without a word."""
        if self._thread_is_free and not self._raw.in_transaction:
            return
        # In the thread, where it comes after whatever a cancelled caller has left there.
        await self._patiently(self._thread.rollback)

    async def checkpoint(self) -> None:
        """Move the write-ahead log into the file as far as no reader needs it; waits for the disk."""
        await self._patiently(lambda: self._thread.execute_fetchall("PRAGMA wal_checkpoint(PASSIVE)"))

    async def close(self) -> None:
        """Close the connection."""
        self._at_once.close()
        await self._in_thread.close()
        await self._in_thread.engine.dispose()  # closes aiosqlite's connection, and with it the file

    async def _command(self, command: str) -> None:
        if self._thread_is_free:
            try:
                self._raw.execute(command)
            except sqlite3.OperationalError as error:
                if not _is_busy(error):
                    raise
            else:
                return
        await self._patiently(lambda: self._wait_for_others(command))

    async def _wait_for_others(self, command: str) -> None:
        await self._thread.execute_fetchall(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        try:
            await self._thread.execute_fetchall(command)
        finally:
            await self._thread.execute_fetchall("PRAGMA busy_timeout = 0")

    async def _patiently(self, work: Callable[[], Awaitable[T]]) -> T:
        self._thread_is_free = False
        try:
            result = await work()
        except asyncio.CancelledError:
            # Whoever is cancelled leaves the thread at work, and until that is over everything has to queue there.
            raise
        except BaseException:
            self._thread_is_free = True
            raise
        self._thread_is_free = True
        return result


class _Watch:
    """Says at level DEBUG which statement held the event loop."""

    def __init__(self, statement: Executable) -> None:
        self._statement = statement
        self._began_at = 0.0

    def __enter__(self) -> None:
        self._began_at = perf_counter()

    def __exit__(self, *_: object) -> None:
        if (took := perf_counter() - self._began_at) > LONG_SECONDS:
            log.debug("a quick statement held the event loop for %.0f ms: %.200s", took * 1000, self._statement)


def _connect(path: Path) -> sqlite3.Connection:
    """Connect without transaction control by the driver, which begins too late."""
    # Never used by two threads at once; that one goes on with what the other began is what SQLite permits.
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_MS / 1000, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("PRAGMA busy_timeout = 0")
    return connection


def _is_busy(error: BaseException | None) -> bool:
    """Tell whether SQLite has found its lock taken; what found that has done nothing yet, so it can be done again."""
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
