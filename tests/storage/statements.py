"""Every statement that the program can send, found by looking."""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import Any

from sqlalchemy import ARRAY, Boolean, ClauseElement, Connection, Float, Insert, Integer, TextClause, event
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.selectable import SelectBase
from sqlalchemy.types import TupleType, TypeEngine

import storage
from storage.planned import Claim

GROWING = {
    "tasks",
    "files",
    "media",
    "library",
    "likes",
    "notifications",
    "usage",
    "servers",
    "changes",
    "greetings",
    "turns",
}

SMALL = {
    "ix_tasks_due": "what is live",
    "uq_tasks_one_order": "what is live",
    "ix_tasks_line": "what VidGo does not have yet",
    "ix_notifications_due": "what is open",
    "ix_notifications_ack": "whose acknowledgement has to change",
    "ix_notifications_draft": "what was typed, and has not become a result",
    "ix_notifications_picture": "what has to carry another picture",
    "ix_notifications_passing": "what is deleted after some days",
    "ix_files_archive_due": "what the archive lacks",
    "ix_media_changing": "what comes into the archive or goes out of it",
    "ix_usage_kept": "what is deleted, as it is older than that",
    "ix_greetings_due": "who has to be greeted",
    "ix_alarms_due": "what has to be told",
    "ix_recordings_created": "recordings whose form may be open, for an hour",
    "ix_removed_songs_removed": "what was removed within the last hour or so",
}
"""Partial indexes that hold only what there is to do."""

EXCEPTIONS = {
    "storage.songs.library._KEYS": "a part of others",
    "storage.tasks.rows._SINCE": "only the newest few, in the order of the index; beside the event loop",
    "storage.archive.index._TOTAL": "the archive has a largest size; beside the event loop",
    "storage.archive.index._OLDEST": "only the first few, in the order of the index",
    "storage.archive.index._PAGE": "only the next few, in the order of the index",
    "storage.postgresql.moving._COUNT": "every row is moved, once",
    "storage.postgresql.moving._FIRST": "every row is moved, once",
    "storage.postgresql.moving._NEXT": "every row is moved, once",
}
"""Statements that may look through a table, without the keys of those in tables and lists, and why."""

_VERB = re.compile(r"(SELECT|INSERT|REPLACE|UPDATE|DELETE|WITH)\b", re.IGNORECASE)
"""How a text that is a whole statement begins."""


_OTHERS = {
    # Rows are moved from the one to the other.
    "sqlite": re.compile(r"storage\.(migrations|processes|postgresql(?!\.moving))"),
    "postgresql": re.compile(r"storage\.(migrations|sqlite)"),
}
"""Rooms of which a database hears nothing."""


@cache
def statements(engine: str) -> dict[str, Executable]:
    """Return the statements that a database is sent, also in tables, lists and claims, by their name."""
    found: dict[int, tuple[str, Executable]] = {}
    for module in pkgutil.walk_packages(storage.__path__, "storage."):
        if not _OTHERS[engine].match(module.name):
            for name, value in vars(import_module(module.name)).items():
                for key, statement in _within(value):
                    found.setdefault(id(statement), (f"{module.name}.{name}{key}", statement))
    return dict(found.values())


def without_key(name: str) -> str:
    """Return the name of the table or list that a statement stands in, or its own."""
    return name.partition("[")[0]


def _within(value: Any) -> Iterator[tuple[str, Executable]]:
    if isinstance(value, SelectBase | UpdateBase) or (isinstance(value, TextClause) and _VERB.match(value.text)):
        assert isinstance(value, Executable)
        yield "", value
    elif isinstance(value, Claim):
        for part in fields(value):
            yield f".{part.name}", getattr(value, part.name)
    elif isinstance(value, dict | list | tuple):
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        for key, entry in entries:
            for inner, statement in _within(entry):
                yield f"[{key!r}]{inner}", statement


class _SentError(Exception):
    """The statement as the driver would get it."""

    def __init__(self, statement: str, parameters: Any) -> None:
        super().__init__(statement)
        self.statement = statement
        self.parameters = parameters


def sent(
    connection: Connection, statement: Executable, known: Mapping[str, Any] = MappingProxyType({})
) -> tuple[str, Any]:
    """Return what a connection's driver would get for a statement, with values that are `known` or of some kind."""

    def stop(_connection: Any, _cursor: Any, text: str, parameters: Any, _context: Any, _many: bool) -> None:
        raise _SentError(text, parameters)

    assert isinstance(statement, ClauseElement)
    compiled = statement.compile(connection)
    assert isinstance(compiled, SQLCompiler)
    values = {
        bind.key: known.get(bind.key, [_value(bind.type)] * 3 if bind.expanding else _value(bind.type))
        for bind in compiled.binds.values()
        if bind.required
    }
    if isinstance(statement, Insert) and not values:
        values = {column.name: _value(column.type) for column in statement.table.columns}
    event.listen(connection, "before_cursor_execute", stop)
    try:
        connection.execute(statement, values)
    except _SentError as error:
        return error.statement, error.parameters
    finally:
        event.remove(connection, "before_cursor_execute", stop)
    raise AssertionError("it was sent")


def _value(kind: TypeEngine[Any]) -> Any:
    if isinstance(kind, TupleType):
        return tuple(map(_value, kind.types))
    if isinstance(kind, Boolean):
        return True
    if isinstance(kind, ARRAY):
        return [_value(kind.item_type)]
    if isinstance(kind, Integer):
        return 1
    return 1.0 if isinstance(kind, Float) else "x"
