"""No statement looks through a table that grows, as PostgreSQL plans it for tables with a history."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest
from sqlalchemy import JSON, Boolean, Column, String, Table, UniqueConstraint, bindparam, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.base import Executable

from storage.database import Server
from storage.postgresql.pool import make_engine
from storage.schema import library, metadata, notifications, tasks
from tests.storage.statements import EXCEPTIONS, GROWING, SMALL, sent, statements, without_key

STATEMENTS = statements("postgresql")
ROWS = 3000

FIRST = {
    str(name): rf"\b{columns[0].name}\)?(::\w+)? = "
    for table in metadata.sorted_tables
    for name, columns in [
        (table.primary_key.name, list(table.primary_key)),
        *((index.name, list(index.columns)) for index in table.indexes),
        *((one.name, list(one.columns)) for one in table.constraints if isinstance(one, UniqueConstraint)),
    ]
}
"""How the condition of an index says that its first column is something."""

HERE_TOO = {
    "ix_tasks_holder": "what somebody works on",
    "ix_notifications_holder": "what somebody works on",
    "ix_notifications_ack_holder": "what somebody works on",
    "ix_files_holder": "what somebody works on",
}
"""More indexes that hold only what there is to do."""

EXCEPTIONS_HERE = {
    **EXCEPTIONS,
    "storage.processes.leases._FREE[4]": "names are kept for a quarter of an hour; when a process has ended",
    "storage.processes.turns._EXPIRE": "names are kept for a quarter of an hour; when the leader tidies up",
}

TO_DO = {
    "tasks": {"order_key", "poll_at", "holder", "late_at", "doubt"},
    "notifications": {"attempt_at", "ack_wanted", "picture_wanted", "draft", "holder", "ack_holder"},
    "files": {"archive_at", "holder"},
    "greetings": {"greet_at"},
}
"""Columns that say something only of what there is to do, and nothing of what is done."""

# What a text does not say of its parameters.
NUMBERS = dict.fromkeys(("guild_id", "day", "user_id", "covers", "songs", "kept_until"), 1)

DONE = {"tasks": "finished", "notifications": "delivered", "media": "kept"}


@pytest.fixture
def engine() -> str:
    return "postgresql"


@pytest.fixture
async def owner(address: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a database with a history."""
    connection = await asyncpg.connect(address)
    for table in metadata.sorted_tables:
        if table.name in GROWING:
            await connection.execute(history(table))
    await connection.execute("ANALYZE")
    yield connection
    await connection.close()


@pytest.fixture
async def program(address: str) -> AsyncIterator[AsyncConnection]:
    """A connection as the program has it, by which nothing is sent."""
    engine = make_engine(address, Server())
    async with engine.connect() as connection:
        yield connection
    await engine.dispose()


def history(table: Table) -> str:
    """Return the statement that fills a table with what is done, each row somebody else's."""
    values = ", ".join(value(table, column) for column in table.c)
    names = ", ".join(f'"{column.name}"' for column in table.c)
    return f"INSERT INTO {table.name} ({names}) SELECT {values} FROM generate_series(1, {ROWS}) AS n"


def value(table: Table, column: Column[Any]) -> str:
    """Return what a column says of row `n`."""
    if column.name in TO_DO.get(table.name, ()):
        return "NULL"
    if column.name in ("status", "state"):
        return f"'{DONE[table.name]}'"
    if isinstance(column.type, JSON):
        return "'{}'"
    if isinstance(column.type, Boolean):
        return "true"
    return "'x' || n" if isinstance(column.type, String) else "n"


def parts(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return a plan and all that it consists of."""
    yield plan
    for inner in plan.get("Plans", ()):
        yield from parts(inner)


async def plan(owner: asyncpg.Connection, program: AsyncConnection, statement: Executable) -> dict[str, Any]:
    """Return PostgreSQL's plan for a statement."""
    text, parameters = await program.run_sync(sent, statement, NUMBERS)
    found: dict[str, Any] = json.loads(await owner.fetchval(f"EXPLAIN (FORMAT JSON) {text}", *parameters))[0]["Plan"]
    return found


def looks_through(plan: dict[str, Any]) -> list[str]:
    """Return the parts of a plan that read a growing table, or an index of all its rows, from an end on."""
    found = []
    for part in parts(plan):
        index, condition = part.get("Index Name"), part.get("Index Cond", "")
        is_whole = part["Node Type"] == "Seq Scan" and part["Relation Name"] in GROWING
        is_long = index is not None and index not in SMALL | HERE_TOO and not re.search(FIRST[index], condition)
        if is_whole or is_long:
            found.append(f"{part['Node Type']} {part.get('Relation Name')} {index} {condition} {part.get('Filter')}")
    return found


async def test_no_statement_looks_through_a_table_that_grows(
    owner: asyncpg.Connection, program: AsyncConnection
) -> None:
    assert len(STATEMENTS) > 250
    found = {name: looks_through(await plan(owner, program, statement)) for name, statement in STATEMENTS.items()}
    found = {name if name in EXCEPTIONS_HERE else without_key(name): lines for name, lines in found.items() if lines}
    assert {name: lines for name, lines in found.items() if name not in EXCEPTIONS_HERE} == {}
    assert set(found) == set(EXCEPTIONS_HERE), "an exception that is none any more"


async def test_a_statement_that_does_is_found(owner: asyncpg.Connection, program: AsyncConnection) -> None:
    scans = {
        "no index": select(tasks).where(tasks.c.title == bindparam("title")),
        "whole index": select(tasks.c.id).order_by(tasks.c.id),
        "half an index": select(tasks.c.id).where(tasks.c.id < bindparam("before")),
        "inside": select(library).where(library.c.task_id.in_(select(tasks.c.id).where(tasks.c.title == "Sea"))),
        "delete": delete(notifications).where(notifications.c.created_at < bindparam("before")),
        "whatever the index is of": select(notifications.c.id).where(
            notifications.c.created_at == bindparam("at"), notifications.c.user_id > bindparam("user_id")
        ),
    }
    found = {name: looks_through(await plan(owner, program, scan)) for name, scan in scans.items()}
    assert [name for name, lines in found.items() if not lines] == []


async def test_an_index_that_is_missing_is_found(owner: asyncpg.Connection, program: AsyncConnection) -> None:
    statement = STATEMENTS["storage.notifications.rows._IS_AWAITED"]
    assert looks_through(await plan(owner, program, statement)) == []
    await owner.execute("DROP INDEX ix_notifications_task")
    assert looks_through(await plan(owner, program, statement)) != []
