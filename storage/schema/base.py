"""What all tables share: the names of their constraints, and how an index holds only some rows."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Index, MetaData, TextClause, text

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def only(condition: TextClause) -> dict[str, Any]:
    """Return the options of a partial index."""
    return {"sqlite_where": condition, "postgresql_where": condition}


def index_of_held(*columns: Column[Any]) -> None:
    """Add an index of the rows that a process holds: they are few, and looked through when it has died."""
    for column in columns:
        Index(f"ix_{column.table.name}_{column.name}", column, **only(text(f"{column.name} IS NOT NULL")))
