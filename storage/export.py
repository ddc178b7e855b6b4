"""Everything that is kept about one person, and nothing about anybody else.

It goes by the schema: each table with a column that holds a person's id has what is kept about that person, and the
files of a person's own tasks belong to them.
"""

from __future__ import annotations

import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, ColumnElement, Float, Table, or_, select

from storage.database import Snapshot
from storage.schema import HEAD, files, metadata, tasks

PEOPLE = frozenset({"user_id"})
"""Columns that hold a member's id, whatever table they stand in."""

SECRETS = frozenset({"token", "media_key", "interaction_token"})
"""Columns that let their reader act as VidGo, as a listener, or as the bot."""


async def export_member(snapshot: Snapshot, user_id: int) -> dict[str, Any]:
    """Return what is kept about a member, by table, as JSON can hold it: ids as text, times as ISO 8601 in UTC."""
    found: dict[str, Any] = {"user_id": str(user_id), "schema": HEAD}
    for table in metadata.sorted_tables:
        theirs = _is_theirs(table, user_id)
        if theirs is None:
            continue
        columns = [column for column in table.columns if column.name not in SECRETS]
        statement = select(*columns).where(theirs).order_by(*table.primary_key.columns)
        found[table.name] = [
            {column.name: _shown(column, value, user_id) for column, value in zip(columns, row, strict=True)}
            for row in await snapshot.execute(statement)
        ]
    return found


def _is_theirs(table: Table, user_id: int) -> ColumnElement[bool] | None:
    """Return which rows of a table are about a person; None for a table that is about nobody."""
    if table is files:
        return files.c.task_id.in_(select(tasks.c.id).where(tasks.c.user_id == user_id))
    people = [column == user_id for column in table.columns if column.name in PEOPLE]
    return or_(*people) if people else None


def _shown(column: Column[Any], value: Any, user_id: int) -> Any:
    if value is None or (column.name in PEOPLE and value != user_id):
        return None
    if isinstance(column.type, BigInteger) and column.name.endswith("_id"):
        return str(value)  # more than JavaScript's numbers hold
    if isinstance(column.type, Float) and column.name.split("_")[-1] in ("at", "since"):
        return datetime.datetime.fromtimestamp(value, datetime.UTC).isoformat(timespec="milliseconds")
    return value
