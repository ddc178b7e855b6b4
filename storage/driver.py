"""aiosqlite with one visit to its thread for each statement.

aiosqlite hands every call to a thread, and SQLAlchemy makes four for a statement: a cursor, the execution, the rows,
the closing. Here the thread does all of that at once. What that saves is most of what a small statement costs.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Self

import aiosqlite


class _Cursor:
    """A statement's outcome, as SQLAlchemy asks for it."""

    def __init__(self, connection: OneVisitConnection) -> None:
        self._connection = connection
        self._rows: list[Any] = []
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None
        self.arraysize = 1

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, statement: str, parameters: Sequence[Any] = ()) -> Self:
        await self._connection.visit(self._run, statement, parameters, many=False)
        return self

    async def executemany(self, statement: str, parameters: Sequence[Sequence[Any]]) -> Self:
        await self._connection.visit(self._run, statement, parameters, many=True)
        return self

    async def fetchall(self) -> list[Any]:
        return self._rows

    async def close(self) -> None:
        """Do nothing: the thread has closed what there was."""

    def _run(self, connection: sqlite3.Connection, statement: str, parameters: Sequence[Any], *, many: bool) -> None:
        cursor = connection.executemany(statement, parameters) if many else connection.execute(statement, parameters)
        try:
            self.description = cursor.description
            self._rows = cursor.fetchall() if cursor.description else []
            self.rowcount, self.lastrowid = cursor.rowcount, cursor.lastrowid
        finally:
            cursor.close()


class OneVisitConnection(aiosqlite.Connection):
    """A connection whose cursors visit the thread once, and that ends no transaction where none has begun."""

    def cursor(self) -> _Cursor:  # type: ignore[override]
        """Return a cursor; no visit is needed for that."""
        return _Cursor(self)

    async def rollback(self) -> None:
        """Roll back what has begun."""
        if self.in_transaction:
            await super().rollback()

    async def commit(self) -> None:
        """Commit what has begun."""
        if self.in_transaction:
            await super().commit()

    async def visit(self, work: Any, *arguments: Any, **options: Any) -> None:
        """Do work on SQLite's own connection in the thread."""
        await self._execute(work, self._conn, *arguments, **options)  # type: ignore[no-untyped-call]


async def connect(path: str, patience: float) -> OneVisitConnection:
    """Open the file; `patience` is how many seconds a statement waits for another process's lock."""
    connection = OneVisitConnection(lambda: sqlite3.connect(path, timeout=patience), iter_chunk_size=64)
    connection._thread.daemon = True  # as SQLAlchemy does it, so that a forgotten connection holds up no exit
    await connection
    return connection
