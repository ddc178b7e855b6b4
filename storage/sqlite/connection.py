"""A connection to SQLite that uses its thread only for what may wait.

A small indexed statement takes SQLite some microseconds. Handing it to a thread and its result back takes ten times as
long, and milliseconds while the event loop is busy, for both want the interpreter's lock. So statements run where they
are asked for. In the thread runs what waits for the disk, a durable commit and the end of the connection, and what has
to wait for another process that holds SQLite's lock.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import aiosqlite

BUSY_TIMEOUT_MS = 20_000

CHECKPOINT_PAGES = 1000
"""How long the write-ahead log grows, in pages, before a durable commit moves it into the file; SQLite's default."""


def _connect(path: Path) -> sqlite3.Connection:
    """Open a file in WAL mode with foreign keys, without transaction control by the driver, which begins too late."""
    # Never used by two threads at once; that one goes on with what the other began is what SQLite permits.
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_MS / 1000, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA foreign_keys = ON")
    _set_durable(connection, True)
    connection.execute("PRAGMA busy_timeout = 0")
    return connection


def _set_durable(connection: sqlite3.Connection, durable: bool) -> None:
    """Let commits wait for the disk, or never: then they leave moving the log into the file to those that do."""
    connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES if durable else 0}")


class Connection(aiosqlite.Connection):
    """aiosqlite's connection, with a shorter way for statements that cannot wait."""

    def __init__(self, path: Path) -> None:
        super().__init__(lambda: _connect(path), iter_chunk_size=64)
        self._thread.daemon = True
        self._durable: bool | None = True
        """What the next commit is, None when an interrupted change leaves it open."""
        self._sent = 0
        self._done = 0

    async def begin(self, kind: Literal["DEFERRED", "IMMEDIATE"], *, durable: bool = True) -> None:
        """Begin a transaction whose commit survives a power cut or, with `durable` off, the death of the process."""
        if durable != self._durable:
            self._durable = None
            await self._execute(_set_durable, self._conn, durable)
            self._durable = durable
        await self._execute(self._conn.execute, f"BEGIN {kind}")

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self._sent == self._done and not self._waits_for_disk(fn):
            try:
                return fn(*args, **kwargs)
            except sqlite3.OperationalError as error:
                # What found the lock taken has done nothing yet, so it can be done again.
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
        self._sent += 1
        return await super()._execute(self._patiently, fn, *args, **kwargs)  # type: ignore[no-untyped-call]  # the library has no types

    def _waits_for_disk(self, fn: Callable[..., Any]) -> bool:
        return fn == self._conn.close or (self._durable is not False and fn == self._conn.commit)

    def _patiently(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run something in the thread, where it may wait for other processes."""
        connection = self._conn
        try:
            if fn in (connection.commit, connection.close):
                # Whoever commits has the lock already. Each further call would wait for the interpreter's lock again,
                # for milliseconds while the event loop is busy.
                return fn(*args, **kwargs)
            connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
            try:
                return fn(*args, **kwargs)
            finally:
                connection.execute("PRAGMA busy_timeout = 0")
        finally:
            # Only this thread counts what is done, and only the event loop's what is sent.
            self._done += 1
