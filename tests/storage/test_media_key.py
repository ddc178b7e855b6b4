"""Tasks from before addresses had a key of their own get one each."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config

from storage.database import Database
from storage.sqlite.opening import MIGRATIONS

if TYPE_CHECKING:
    from pathlib import Path

_TASK = (
    "INSERT INTO tasks (id, token, model, user_id, title, request, status, created_at) "
    "VALUES (?, 'token', 'imported', 1, 'Song', '{}', 'finished', 1.0)"
)


async def test_each_task_of_an_older_version_gets_a_key_that_nobody_knows(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["path"] = path
    command.upgrade(config, "0001")
    with sqlite3.connect(path) as connection:
        connection.executemany(_TASK, [(f"{number:024}",) for number in range(50)])
    connection.close()
    await (await Database.open(f"sqlite:///{path}")).close()
    with sqlite3.connect(path) as connection:
        keys = [key for (key,) in connection.execute("SELECT media_key FROM tasks")]
    connection.close()
    assert len(set(keys)) == 50
    assert {len(key) for key in keys} == {64}
