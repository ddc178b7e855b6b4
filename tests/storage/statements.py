"""Every statement that the program can send, found by looking."""

from __future__ import annotations

import pkgutil
import re
import sqlite3
from collections.abc import Iterator, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any

from sqlalchemy import Boolean, Float, Insert, Integer, TextClause, create_engine, event
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.selectable import SelectBase
from sqlalchemy.types import TypeEngine

import storage

_VERB = re.compile(r"(SELECT|INSERT|REPLACE|UPDATE|DELETE|WITH)\b", re.IGNORECASE)
"""How a text that is a whole statement begins."""


def statements() -> dict[str, Executable]:
    """Return the statements that both databases know, also in tables and lists, by their name."""
    found: dict[int, tuple[str, Executable]] = {}
    for module in pkgutil.walk_packages(storage.__path__, "storage."):
        if not module.name.startswith(("storage.migrations", "storage.postgresql", "storage.processes")):
            for name, value in vars(import_module(module.name)).items():
                for key, statement in _within(value):
                    found.setdefault(id(statement), (f"{module.name}.{name}{key}", statement))
    return dict(found.values())


def _within(value: Any) -> Iterator[tuple[str, Executable]]:
    if isinstance(value, SelectBase | UpdateBase) or (isinstance(value, TextClause) and _VERB.match(value.text)):
        assert isinstance(value, Executable)
        yield "", value
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


def sent(statement: Executable, known: Mapping[str, Any] = MappingProxyType({})) -> tuple[str, Any]:
    """Return what the driver gets for a statement, with values that are `known` or of some kind."""
    engine = create_engine("sqlite://")

    @event.listens_for(engine, "before_cursor_execute")
    def stop(_connection: Any, _cursor: Any, text: str, parameters: Any, _context: Any, _many: bool) -> None:
        raise _SentError(text, parameters)

    binds = statement.compile(dialect=sqlite.dialect()).binds.values()  # type: ignore[attr-defined]
    values = {
        bind.key: known.get(bind.key, [_value(bind.type)] * 3 if bind.expanding else _value(bind.type))
        for bind in binds
        if bind.required
    }
    if isinstance(statement, Insert):
        values = {column.name: _value(column.type) for column in statement.table.columns}
    with engine.connect() as connection:
        try:
            connection.execute(statement, values)
        except _SentError as error:
            return error.statement, error.parameters
    raise AssertionError("it was sent")


def _value(kind: TypeEngine[Any]) -> Any:
    if isinstance(kind, Boolean):
        return True
    if isinstance(kind, Integer):
        return 1
    return 1.0 if isinstance(kind, Float) else "x"


def plan(connection: sqlite3.Connection, statement: Executable) -> list[str]:
    """Return the lines of SQLite's plan for a statement."""
    text, parameters = sent(statement)
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", parameters)]
