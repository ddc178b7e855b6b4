"""No statement looks through a table that grows, and what is called quick is so with any history behind it."""

from __future__ import annotations

import ast
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Insert, bindparam, create_engine, delete, insert, select
from sqlalchemy.sql.base import Executable

from storage.database import Database
from storage.quick import quick
from storage.schema import IS_LIVE, TaskStatus, files, library, media, metadata, notifications, tasks
from tests.storage.rows import NOW, a_file, a_notification, a_task
from tests.storage.statements import EXCEPTIONS, GROWING, SMALL, sent, statements, without_key

ROOT = Path(__file__).parents[2]
SQLITE = create_engine("sqlite://")
STATEMENTS = statements("sqlite")

BUILDERS = {
    "storage/planned.py": {"claim", "due", "next_due"},
    "storage/schema/base.py": {"index_of_held"},
    "storage/processes/leases.py": {"_is_left"},
    "storage/postgresql/moving.py": {"_page"},
    "storage/postgresql/opening.py": {"_take_tables"},  # names the tables that are there; once, before a migration
    "storage/members/export.py": {"_all_about_somebody"},
    "storage/figures.py": {"_due"},
    **{f"storage/tasks/{name}.py": {"change"} for name in ("rows", "submission", "reading", "ending")},
    **{f"storage/notifications/{name}.py": {"change"} for name in ("asked", "acknowledgements", "delivery")},
    "storage/notifications/rows.py": {"change", "locked"},
    "storage/songs/library.py": {"_songs", "_search", "_page", "_count"},
    "storage/songs/removed.py": {"_the_one"},
    "storage/notifications/posts.py": {"_posts"},
}
"""Functions that build statements when their module is imported, and never again."""

WALKS_A_LIBRARY = re.compile(
    r"storage\.songs\.library\._(TITLED$|(SEARCHES|PAGES_FROM|PAGES_BEFORE|ALL|ALL_BEFORE)\[.*\])"
)
"""Looks through one member's songs, in an index that holds all it needs."""


@pytest.fixture
def engine() -> str:
    """SQLite alone: what is below it is looked at."""
    return "sqlite"


@pytest.fixture
async def empty(database: Database, path: Path) -> Path:
    await database.close()
    return path


def plan(connection: sqlite3.Connection, statement: Executable) -> list[str]:
    """Return the lines of SQLite's plan for a statement."""
    with SQLITE.connect() as other:
        text, parameters = sent(other, statement)
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", parameters)]


def looks_through(plan_lines: list[str]) -> list[str]:
    """Return the lines of a plan that read a growing table, or an index of all its rows, from an end on."""
    found = []
    for line in plan_lines:
        read = re.match(r"(SCAN|SEARCH) (\w+)(?: USING (?:COVERING )?INDEX (\w+)(?: \((.+)\))?)?", line)
        if read is None or read[3] in SMALL or (read[2] not in GROWING and read[3] is None):
            continue
        if read[1] == "SCAN" or "=" not in (read[4] or ""):
            found.append(line)
    return found


async def test_no_statement_looks_through_a_table_that_grows(empty: Path) -> None:
    assert len(STATEMENTS) > 200
    # There is a row for each kind of alarm, and rows by keys of several columns a server alone is asked for.
    exceptions = {*EXCEPTIONS, "storage.members.export._OF_OWNERS", "storage.postgresql.moving._THESE"}
    with closing(sqlite3.connect(empty)) as connection:
        found = {name: looks_through(plan(connection, statement)) for name, statement in STATEMENTS.items()}
    found = {name: lines for name, lines in found.items() if lines}
    assert {name: lines for name, lines in found.items() if without_key(name) not in exceptions} == {}
    assert set(map(without_key, found)) == exceptions, "an exception that is none any more"


@pytest.mark.parametrize(
    "statement",
    [
        select(tasks).where(tasks.c.title == bindparam("title")),
        select(tasks.c.id).order_by(tasks.c.id),
        select(tasks.c.id).where(tasks.c.id < bindparam("before"), IS_LIVE),
        select(library).where(library.c.task_id.in_(select(tasks.c.id).where(tasks.c.title == "Sea"))),
        delete(notifications).where(notifications.c.created_at < bindparam("before")),
    ],
    ids=["no index", "whole index", "half an index", "inside", "delete"],
)
async def test_a_statement_that_does_is_found(empty: Path, statement: Executable) -> None:
    with closing(sqlite3.connect(empty)) as connection:
        assert looks_through(plan(connection, statement))


async def test_an_index_that_is_missing_is_found(empty: Path) -> None:
    statement = STATEMENTS["storage.notifications.rows._IS_AWAITED"]
    # A plan that was asked for before would come again as it was.
    with closing(sqlite3.connect(empty, cached_statements=0)) as connection:
        assert looks_through(plan(connection, statement)) == []
        connection.execute("DROP INDEX ix_notifications_task")
        assert looks_through(plan(connection, statement)) != []


def test_every_reference_has_an_index() -> None:
    """Else each row that is deleted looks through the table that may refer to it."""
    for table in metadata.sorted_tables:
        leading = {index.columns[0].name for index in table.indexes if index.dialect_options["sqlite"]["where"] is None}
        leading.add(next(iter(table.primary_key)).name)
        assert {column.name for column in table.columns if column.foreign_keys} <= leading, table.name


# What is quick


def history(size: int) -> Iterator[tuple[Any, list[dict[str, Any]]]]:
    """Everything is one member's, which is the worst for what is asked about a member."""
    done = [
        asdict(a_task(status=TaskStatus.FINISHED, vidgo_id=f"VG{n}", submitted_at=NOW, finished_at=NOW, poll_at=None))
        for n in range(size)
    ]
    live = [asdict(a_task(status=TaskStatus.QUEUED, order_key=f"key {n}")) for n in range(5)]
    yield tasks, done + live
    yield files, [asdict(a_file(row["id"], audio_sha256=f"{row['vidgo_id']}")) for row in done]
    yield media, [{"sha256": row["vidgo_id"], "kind": "mp3", "size": 1, "used_at": NOW} for row in done]
    song = {"user_id": 1, "position": 0, "kind": "song", "title": "Sea", "folded_title": "sea"}
    yield library, [song | {"task_id": row["id"], "added_at": NOW + n} for n, row in enumerate(done)]
    told = {"interaction_token": None, "ack_message_id": 7}
    yield (
        notifications,
        [
            asdict(a_notification(state="delivered", task_id=row["id"], message_id=n, **told))
            for n, row in enumerate(done)
        ]
        + [asdict(a_notification(state="answered", created_at=NOW + n, **told)) for n in range(size)]
        + [asdict(a_notification(state="waiting", task_id=row["id"], ack_wanted="late")) for row in live]
        + [asdict(a_notification(state="due", attempt_at=NOW, task_id=done[n]["id"])) for n in range(5)],
    )


async def fill(database: Database, size: int) -> None:
    async with database.write() as transaction:
        for table, rows in history(size):
            await transaction.execute(insert(table), rows)


def work(connection: sqlite3.Connection, name: str, statement: Executable) -> int:
    """Return how many steps SQLite takes for a statement about something that is there."""
    task, vidgo_id = connection.execute("SELECT id, vidgo_id FROM tasks WHERE vidgo_id = 'VG7'").fetchone()
    notification = connection.execute("SELECT id FROM notifications WHERE state = 'due'").fetchone()[0]
    of_rows = notification if name.startswith("storage.notifications") else task
    known = {
        **dict.fromkeys(("of_task", "task_id", "source_id", "new_task"), task),
        **dict.fromkeys(("id", "row_id"), of_rows),
        **dict.fromkeys(("vidgo_id", "taken_id", "rung_id", "hash"), vidgo_id),
        "user_id": 1,
        "model": "generate-music",
        "message_id": 7,
        "now": NOW,
        "horizon": NOW + 900,
        "most": 10,
        "first": 0,
        "after": "",
        "text": "nothing",
    }
    with SQLITE.connect() as other:
        text, parameters = sent(other, statement, known)
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    connection.execute("BEGIN")
    connection.set_progress_handler(count, 1)
    try:
        connection.execute(text, parameters).fetchall()
    finally:
        connection.set_progress_handler(None, 1)
        connection.execute("ROLLBACK")
    return steps


async def measure(path: Path, size: int) -> dict[str, int]:
    database = await Database.open(f"sqlite:///{path}")
    await fill(database, size)
    await database.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return {
            name: work(connection, name, statement)
            for name, statement in STATEMENTS.items()
            if statement.get_execution_options().get("quick") and not isinstance(statement, Insert)
        }


async def test_what_is_quick_takes_no_longer_with_a_long_history(tmp_path: Path) -> None:
    short, long = await measure(tmp_path / "short.db", 200), await measure(tmp_path / "long.db", 4000)
    slower = {name: (short[name], long[name]) for name in short if long[name] > 1.5 * short[name] + 50}
    assert {name: steps for name, steps in slower.items() if not WALKS_A_LIBRARY.fullmatch(name)} == {}
    # Some 10 steps a song: a tenth of a millisecond for a thousand.
    assert all(steps[1] < 4000 * 15 for steps in slower.values()), slower


async def test_what_is_called_quick_and_is_not_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = quick(
        select(notifications).where(notifications.c.user_id == bindparam("user_id"), notifications.c.guild_id == 9)
    )
    monkeypatch.setitem(STATEMENTS, "storage.notifications._SLOW", slow)
    short, long = [(await measure(tmp_path / f"{n}.db", n))["storage.notifications._SLOW"] for n in (200, 1000)]
    assert long > 3 * short


# Where statements are made


def built_in_functions(tree: ast.AST, builders: set[str]) -> Iterator[tuple[str, int]]:
    """Return what builds a statement, or calls what does, inside functions that are no builders themselves."""
    refused = {"select", "insert", "update", "delete", "text", *builders}
    changes = {
        "where",
        "values",
        "order_by",
        "limit",
        "offset",
        "returning",
        "select_from",
        "prefix_with",
        "add_columns",
    }
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and function.name not in builders:
            for node in ast.walk(function):
                if not isinstance(node, ast.Call):
                    continue
                if isinstance(node.func, ast.Name) and node.func.id in refused:
                    yield node.func.id, node.lineno
                # Without arguments it is a dictionary's `values()`.
                if isinstance(node.func, ast.Attribute) and node.func.attr in changes and (node.args or node.keywords):
                    yield node.func.attr, node.lineno


def imported_from_sqlalchemy(tree: ast.AST) -> bool:
    return any(
        isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("sqlalchemy", "storage")
        for node in ast.walk(tree)
    )


def test_statements_are_made_when_the_program_starts_and_nowhere_but_in_storage() -> None:
    found = []
    for room in ("storage", "bot", "cogs"):
        for path in sorted((ROOT / room).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            tree = ast.parse(path.read_text("utf-8"))
            if "migrations" in path.parts or not imported_from_sqlalchemy(tree):
                continue
            found += [(name, *what) for what in built_in_functions(tree, BUILDERS.get(name, set()))]
            if room != "storage":
                names = {
                    alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names
                }
                assert names.isdisjoint({"select", "insert", "update", "delete", "text"}), name
    assert found == []


def test_a_statement_that_is_made_while_the_program_runs_is_found() -> None:
    tree = ast.parse("async def get(snapshot):\n    return await snapshot.execute(_GET.where(True))\n")
    assert list(built_in_functions(tree, set())) == [("where", 2)]
    tree = ast.parse("async def get(snapshot):\n    return await snapshot.execute(select(tasks))\n")
    assert list(built_in_functions(tree, set())) == [("select", 2)]
    tree = ast.parse("def _songs(): return select(1)\nasync def get(snapshot):\n    await snapshot.execute(_songs())\n")
    assert list(built_in_functions(tree, {"_songs"})) == [("_songs", 3)]
