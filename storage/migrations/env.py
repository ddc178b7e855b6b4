"""Alembic's entry: runs the migrations on the SQLite file, or the connection to PostgreSQL, that it is handed."""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL, Connection
from sqlalchemy.pool import NullPool

from storage.schema import metadata


def _run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()


def _run_on_file(path: str) -> None:
    engine = create_engine(URL.create("sqlite", database=path), poolclass=NullPool)

    @event.listens_for(engine, "connect")
    def _own_transactions(connection: object, _record: object) -> None:
        # SQLite's DDL is transactional only when the driver does not commit by itself.
        connection.isolation_level = None  # type: ignore[attr-defined]  # the driver's

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    with engine.connect() as connection:
        _run(connection)
    engine.dispose()


_handed = context.config.attributes
if "connection" in _handed:
    _run(_handed["connection"])
else:
    _run_on_file(str(_handed["path"]))
