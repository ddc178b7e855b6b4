"""Everything that is kept about one person, and nothing about anybody else.

It goes by the schema: each table with a column that holds a person's id has what is kept about that person, and the
files of a person's own tasks belong to them.
"""

from __future__ import annotations

import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, ColumnElement, Float, Select, Table, bindparam, or_, select

from storage.database import Snapshot
from storage.schema import HEAD, alarms, files, metadata, tasks

PEOPLE = frozenset({"user_id"})
"""Columns that hold a member's id, whatever table they stand in."""

SECRETS = frozenset({"token", "media_key", "interaction_token"})
"""Columns that let their reader act as VidGo, as a listener, or as the bot."""


def _all_about_somebody(table: Table) -> tuple[list[Column[Any]], Select[Any]] | None:
    """Return the columns that may be shown and the statement that reads them; None for a table that is about nobody."""
    if table is files:
        theirs: ColumnElement[bool] = files.c.task_id.in_(select(tasks.c.id).where(tasks.c.user_id == _USER))
    elif people := [column == _USER for column in table.columns if column.name in PEOPLE]:
        theirs = or_(*people)
    else:
        return None
    columns = [column for column in table.columns if column.name not in SECRETS]
    return columns, select(*columns).where(theirs).order_by(*table.primary_key.columns)


_USER = bindparam("user", type_=BigInteger)
_TABLES = {table.name: found for table in metadata.sorted_tables if (found := _all_about_somebody(table)) is not None}


_OF_OWNERS = select(alarms).order_by(alarms.c.kind)


async def export_member(snapshot: Snapshot, user_id: int) -> dict[str, Any]:
    """Return what is kept about a member, by table, as JSON can hold it: ids as text, times as ISO 8601 in UTC."""
    found: dict[str, Any] = {"user_id": str(user_id), "schema": HEAD}
    for name, (columns, statement) in _TABLES.items():
        found[name] = [
            {column.name: _shown(column, value, user_id) for column, value in zip(columns, row, strict=True)}
            for row in await snapshot.execute(statement, {"user": user_id})
        ]
    # An owner who was told stands in one row with the others, by id, and those are nobody else's business.
    found["alarms"] = [
        {column.name: row[number] for number, column in enumerate(alarms.columns)} | {"told": {str(user_id): told}}
        for row in await snapshot.execute(_OF_OWNERS)
        if (told := row.told.get(str(user_id))) is not None
    ]
    return found


def _shown(column: Column[Any], value: Any, user_id: int) -> Any:
    if value is None or (column.name in PEOPLE and value != user_id):
        return None
    if isinstance(column.type, BigInteger) and column.name.endswith("_id"):
        return str(value)  # more than JavaScript's numbers hold
    if isinstance(column.type, Float) and column.name.split("_")[-1] in ("at", "since"):
        return datetime.datetime.fromtimestamp(value, datetime.UTC).isoformat(timespec="milliseconds")
    return value
