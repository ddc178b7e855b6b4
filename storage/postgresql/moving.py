"""Bringing an installation over from SQLite: every row, in one transaction, counted and compared at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from sqlalchemy import Select, Table, bindparam, func, insert, select, tuple_, update

from storage.database import Database, DatabaseError, Snapshot, Transaction
from storage.schema import (
    alarms,
    changes,
    files,
    greetings,
    library,
    likes,
    media,
    notifications,
    recordings,
    removed_songs,
    servers,
    tasks,
    usage,
)

PAGE = 500
"""How many rows are held in memory."""

TABLES: list[Table] = [
    *(tasks, files, media, library, removed_songs, recordings, likes, notifications),
    *(usage, servers, changes, alarms, greetings),
]
"""In an order in which what is referred to comes first. The others say what processes do that live now."""


def _page(table: Table, *, first: bool) -> Select[Any]:
    keys = list(table.primary_key)
    query = select(table).order_by(*keys).limit(PAGE)
    if first:
        return query
    return query.where(tuple_(*keys) > tuple_(*(bindparam(f"after_{key.name}", type_=key.type) for key in keys)))


_FIRST = {table.name: _page(table, first=True) for table in TABLES}
_NEXT = {table.name: _page(table, first=False) for table in TABLES}
_THESE = {
    table.name: select(table).where(tuple_(*table.primary_key).in_(bindparam("keys", expanding=True)))
    for table in TABLES
}
_COUNT = {table.name: select(func.count()).select_from(table) for table in TABLES}
_ADD = {table.name: insert(table) for table in TABLES}
_TIE = update(tasks).where(tasks.c.id == bindparam("of_id")).values(source_id=bindparam("of_source"))


async def move(source: Database, target: Database) -> dict[str, int]:
    """Copy every row, and return how many there are of each table.

    Raises `DatabaseError` where the target is not empty, or has not become the same; then it stays as it was.
    """
    counts: dict[str, int] = {}
    async with source.read() as snapshot, target.write() as transaction:
        await check_empty(transaction)
        for table in TABLES:
            await _copy(snapshot, transaction, table)
        for table in TABLES:
            counts[table.name] = await _count(snapshot, table)
            there = await _count(transaction, table)
            if there != counts[table.name] or not await _is_same(snapshot, transaction, table):
                raise DatabaseError(f"the table {table.name} has not become the same ({there} rows); nothing was moved")
    return counts


async def check_empty(target: Snapshot) -> None:
    """Raise `DatabaseError` where there is anything that rows could clash with."""
    for table in TABLES:
        if await _count(target, table):
            raise DatabaseError(f"the new database is not empty: its table {table.name} has rows")


async def _copy(snapshot: Snapshot, transaction: Transaction, table: Table) -> None:
    sources: list[dict[str, Any]] = []
    async for rows in _pages(snapshot, table):
        if table is tasks:
            sources += [{"of_id": row["id"], "of_source": row["source_id"]} for row in rows if row["source_id"]]
        # Its source may come later.
        untied = {"source_id": None} if table is tasks else {}
        await transaction.execute(_ADD[table.name], [row | untied for row in rows])
    for start in range(0, len(sources), PAGE):
        await transaction.execute(_TIE, sources[start : start + PAGE])


async def _pages(snapshot: Snapshot, table: Table) -> AsyncIterator[list[dict[str, Any]]]:
    values: dict[str, Any] = {}
    query = _FIRST[table.name]
    while True:
        found: Sequence[Any] = (await snapshot.execute(query, values)).all()
        if not found:
            return
        yield [dict(row._mapping) for row in found]
        values = {f"after_{key.name}": found[-1]._mapping[key.name] for key in table.primary_key}
        query = _NEXT[table.name]


async def _count(snapshot: Snapshot, table: Table) -> int:
    return int((await snapshot.execute(_COUNT[table.name])).scalar_one())


async def _is_same(source: Snapshot, target: Snapshot, table: Table) -> bool:
    """Tell whether what a table holds is in the other too; by turns, for the server ends a transaction that waits.

    Each row is looked up by its key: what comes after what is told by the server's locale, and in a file by the bytes.
    """
    names = [key.name for key in table.primary_key]
    async for rows in _pages(source, table):
        keys = [tuple(row[name] for name in names) for row in rows]
        found = await target.execute(_THESE[table.name], {"keys": keys})
        there = {tuple(row[name] for name in names): row for row in map(dict, found.mappings())}
        if any(there.get(key) != row for key, row in zip(keys, rows, strict=True)):
            return False
    return True
