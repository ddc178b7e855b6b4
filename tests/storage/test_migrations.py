"""From version 0.1.0 to this one: nothing is lost on the way, and it is gone all at once or not at all."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine

from storage import notifications, tasks
from storage.database import Database, DatabaseError
from storage.schema import HEAD, NotificationState, TaskStatus, metadata
from storage.sqlite.opening import MIGRATIONS, prepare
from tests.storage import old
from tests.storage.old import BROUGHT_IN, NOTIFICATIONS, TASKS
from tests.storage.rows import NOW

ROOT = Path(__file__).parents[2]


@pytest.fixture
def upgraded(path: Path) -> Path:
    old.make(path)
    prepare(path)
    return path


def journal_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-asked")


def rows(path: Path, table: str) -> dict[str, dict[str, Any]]:
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        return {row[0]: dict(row) for row in connection.execute(f"SELECT * FROM {table}")}


# What was there


def test_tasks_stay_what_they_are_in_every_status(upgraded: Path) -> None:
    found = rows(upgraded, "tasks")
    assert found.keys() == {row["id"] for row in TASKS}
    for row in TASKS:
        after = found[row["id"]]
        assert {key: after[key] for key in row if key not in ("style", "bells")} == {
            key: value for key, value in row.items() if key not in ("style", "bells")
        }
        assert (after["rereads"], after["order_key"], after["tries"], after["doubts"]) == (row["bells"], None, 0, 0)
        assert len(after["media_key"]) == 64
    assert len({row["media_key"] for row in found.values()}) == len(found)


def test_notifications_stay_what_they_are_but_for_messages_that_are_no_more(upgraded: Path) -> None:
    found = rows(upgraded, "notifications")
    kept = {row["id"]: row for row in NOTIFICATIONS if row["kind"] == "result"}
    assert found.keys() == kept.keys() | set(BROUGHT_IN)
    for name, row in kept.items():
        assert {key: found[name][key] for key in row if key != "kind"} == {
            key: value for key, value in row.items() if key != "kind"
        }
        assert (found[name]["interaction_id"], found[name]["sent_at"], found[name]["failures"]) == (None, None, None)


def test_the_rest_is_untouched(upgraded: Path, tmp_path: Path) -> None:
    before = tmp_path / "before.db"
    old.make(before)
    assert rows(upgraded, "library") == rows(before, "library")
    assert rows(upgraded, "files") == {name: {**row, "holder": None} for name, row in rows(before, "files").items()}
    # What was in the archive is kept there.
    assert rows(upgraded, "media") == {name: {**row, "state": "kept"} for name, row in rows(before, "media").items()}


async def test_the_program_works_with_what_was_there(path: Path) -> None:
    old.make(path)
    database = await Database.open(f"sqlite:///{path}")
    async with database.write() as transaction:
        await tasks.recover(transaction, NOW)
        await notifications.recover(transaction, NOW)
        live = await tasks.claim(transaction, NOW, NOW + 60, (), 100)
        due = await notifications.claim(transaction, NOW, NOW + 60, (), 100)
        to_change = await notifications.acknowledgements_to_change(transaction, (), 100)
        all_tasks = [await tasks.get(transaction, row["id"]) for row in TASKS]
        all_notifications = [await notifications.get(transaction, row["id"]) for row in NOTIFICATIONS]
    await database.close()
    assert {task.status for task in all_tasks if task is not None} == set(TaskStatus)
    assert {row.state for row in all_notifications if row is not None} == set(NotificationState)
    assert len(live) == sum(row["status"] in ("queued", "submitting", "waiting", "running") for row in TASKS)
    still = [row for row in NOTIFICATIONS if row["kind"] == "result"]
    assert len(due) == sum(row["state"] in ("asked", "due", "sending") for row in still) + len(BROUGHT_IN)
    assert len(to_change) == sum(row["ack_wanted"] is not None for row in still)


# The file beside it


def test_what_was_noted_beside_the_database_comes_in_and_odd_lines_hurt_nobody(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old.make(path)
    prepare(path)
    found = rows(path, "notifications")
    for name in BROUGHT_IN:
        row = found[name]
        assert (row["state"], row["task_id"], row["interaction_token"]) == ("asked", None, "secret")
    assert found.keys().isdisjoint(old.name("n", number) for number in (101, 103, 104, 107, 999))
    assert found[old.name("n", 0)]["ack_message_id"] == 7
    assert not journal_of(path).exists()
    assert "n00000000000000000000103 of the last process is left out" in caplog.text
    assert "secret" not in caplog.text


def test_a_database_without_a_file_beside_it_is_upgraded_too(path: Path) -> None:
    old.make(path, with_journal=False)
    prepare(path)
    assert rows(path, "notifications").keys() == {row["id"] for row in NOTIFICATIONS if row["kind"] == "result"}


def test_what_a_death_after_the_commit_has_left_beside_it_is_removed_and_not_read_again(upgraded: Path) -> None:
    with closing(sqlite3.connect(upgraded)) as connection, connection:
        connection.execute("DELETE FROM notifications")
    journal_of(upgraded).write_bytes(old.JOURNAL)
    prepare(upgraded)
    assert not journal_of(upgraded).exists()
    assert rows(upgraded, "notifications") == {}


# The schema


def schema(connection: sqlite3.Connection) -> dict[str, Any]:
    """Return what the tables are, however they came about."""
    found: dict[str, Any] = {}
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in names:
        if table == "alembic_version":
            continue
        columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
        references = connection.execute(f"PRAGMA foreign_key_list({table})").fetchall()
        indexes = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL", (table,)
        ).fetchall()
        unique = [
            [row[2] for row in connection.execute(f"PRAGMA index_info({name})")]
            for _, name, _, origin, _ in connection.execute(f"PRAGMA index_list({table})")
            if origin in ("u", "pk")
        ]
        found[table] = {
            "columns": {column[1]: column[2:] for column in columns},
            "references": sorted(reference[2:] for reference in references),
            "indexes": {name: re.sub(r"\s+", " ", sql) for name, sql in indexes},
            "unique": sorted(unique),
        }
    return found


@pytest.mark.parametrize("start", ["nothing", "0.1.0"])
def test_the_schema_is_the_one_that_the_program_knows(path: Path, start: str) -> None:
    if start == "0.1.0":
        old.make(path)
    prepare(path)
    engine = create_engine("sqlite://")
    with engine.connect() as known:
        metadata.create_all(known)
        expected = schema(raw(known))
    engine.dispose()
    with closing(sqlite3.connect(path)) as connection:
        assert schema(connection) == expected
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def raw(connection: Connection) -> sqlite3.Connection:
    found = connection.connection.driver_connection
    assert isinstance(found, sqlite3.Connection)
    return found


def test_the_program_knows_its_newest_migration() -> None:
    assert ScriptDirectory(str(MIGRATIONS)).get_heads() == [HEAD]


# Refusals and interruptions


def test_a_database_of_a_newer_program_is_refused_and_left_as_it_is(upgraded: Path) -> None:
    with closing(sqlite3.connect(upgraded)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = old.dump(upgraded)
    with pytest.raises(DatabaseError, match=rf"newer version .*schema 9999, this version knows {HEAD}.*backup"):
        prepare(upgraded)
    assert old.dump(upgraded) == before


def test_an_interrupted_migration_leaves_nothing(path: Path, tmp_path: Path) -> None:
    old.make(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    done = subprocess.run(
        [sys.executable, "-m", "tests.storage.interrupted", str(path), str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 40  # each statement, and the commit
