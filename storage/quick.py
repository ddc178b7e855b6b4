"""What statements need beyond SQLAlchemy's own: a mark of those that are quick, and an insert that repeats well.

A quick statement finds its few rows by an index, so it may run in the event loop where it waits for nobody.
"""

from __future__ import annotations

from typing import Any, TypeVar

from sqlalchemy import Insert, Table
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.compiler import SQLCompiler

S = TypeVar("S", bound=Executable)


def quick(statement: S) -> S:
    """Mark a statement; with SQLite every other one runs in a thread, which costs it some hundred microseconds."""
    return statement.execution_options(quick=True)


class InsertUnlessThere(Insert):
    """An insert that leaves out what stands there already; both databases say it in the same words."""

    inherit_cache = True


@compiles(InsertUnlessThere)
def _compile(statement: InsertUnlessThere, compiler: SQLCompiler, **options: Any) -> str:
    inserted = compiler.visit_insert(statement, **options)  # type: ignore[no-untyped-call]  # SQLAlchemy's
    return f"{inserted} ON CONFLICT DO NOTHING"


def unless_there(table: Table) -> InsertUnlessThere:
    """Insert rows into a table, but those whose key stands there."""
    return InsertUnlessThere(table)
