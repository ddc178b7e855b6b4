"""How the harness reads the program's database: as an owner's shell would, beside the program."""

from __future__ import annotations

import asyncio
import itertools
import re
import sqlite3
from contextlib import closing, suppress
from threading import Thread
from typing import TYPE_CHECKING, Any, Protocol

import asyncpg

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ANSWER_SECONDS = 1.0

_TEXTS = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"


class Unreadable(Exception):  # noqa: N818 (a word says what happened)
    """The database cannot be read just now."""


class Reader(Protocol):
    """Reads a database; queries have `?` in the place of values."""

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        """Return what a query finds; raises `Unreadable`."""

    def damages(self) -> list[str]:
        """Return what the database itself finds wrong with what it holds."""

    def columns(self) -> list[tuple[str, str]]:
        """Return every table with each of its columns."""

    def holds(self, table: str, column: str, number: int) -> bool:
        """Tell whether a column holds a number, as itself or within a text."""


class SQLiteReader:
    """Reads a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        """Return what a query finds; raises `Unreadable`."""
        try:
            with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=10)) as connection:
                connection.row_factory = sqlite3.Row
                return [dict(row) for row in connection.execute(query, values)]
        except sqlite3.OperationalError as error:
            raise Unreadable(str(error)) from error

    def damages(self) -> list[str]:
        """Return what SQLite finds wrong in the file."""
        found = [*self.rows("PRAGMA integrity_check"), *self.rows("PRAGMA foreign_key_check")]
        return [str(row) for row in found if row != {"integrity_check": "ok"}]

    def columns(self) -> list[tuple[str, str]]:
        """Return every table with each of its columns."""
        tables = self.rows("SELECT name FROM sqlite_master WHERE type = 'table'")
        return [
            (table["name"], row["name"]) for table in tables for row in self.rows(f"PRAGMA table_info({table['name']})")
        ]

    def holds(self, table: str, column: str, number: int) -> bool:
        """Tell whether a column holds a number, as itself or within a text."""
        query = f'SELECT 1 FROM "{table}" WHERE "{column}" = ? OR instr("{column}", ?) LIMIT 1'
        return bool(self.rows(query, number, str(number)))


class PostgreSQLReader:
    """Reads a database of a server, on a connection that outlives the server's restarts."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: asyncpg.Connection | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="reader", daemon=True)
        self._thread.start()

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        """Return what a query finds; raises `Unreadable`."""
        numbers = itertools.count(1)
        query = re.sub(r"\?", lambda _: f"${next(numbers)}", query)
        try:
            return asyncio.run_coroutine_threadsafe(self._fetch(query, values), self._loop).result()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise Unreadable(f"{type(error).__name__}: {error}") from error

    def damages(self) -> list[str]:
        """Return nothing: PostgreSQL tells of what is damaged when it is read."""
        return []

    def columns(self) -> list[tuple[str, str]]:
        """Return every table with each of its columns."""
        return [(row["table_name"], row["column_name"]) for row in self.rows(_TEXTS)]

    def holds(self, table: str, column: str, number: int) -> bool:
        """Tell whether a column holds a number, as itself or within a text."""
        return bool(self.rows(f'SELECT 1 FROM "{table}" WHERE strpos("{column}"::text, ?) > 0 LIMIT 1', str(number)))

    def close(self) -> None:
        """Close the connection."""
        asyncio.run_coroutine_threadsafe(self._leave(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _fetch(self, query: str, values: tuple[object, ...]) -> list[dict[str, Any]]:
        async with asyncio.timeout(ANSWER_SECONDS):
            try:
                if self._connection is None or self._connection.is_closed():
                    self._connection = await asyncpg.connect(self._url)
                return [dict(row) for row in await self._connection.fetch(query, *values)]
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await self._leave()
                raise

    async def _leave(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            # What hangs on it is told at once, and not when the garbage is collected.
            with suppress(OSError):
                await asyncio.sleep(0)
            self._connection = None


def numbered(reader: Reader, number: int, *, but: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Return each table and column that holds a number, but for some tables."""
    for table, column in reader.columns():
        if table not in but and reader.holds(table, column, number):
            yield table, column
