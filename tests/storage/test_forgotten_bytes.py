"""What was forgotten is not in the bytes of the files either."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select, text, update

from storage.database import Database
from storage.quick import quick
from storage.schema import media
from storage.sqlite import database as sqlite_database

ADD = quick(insert(media))
DROP = delete(media)
RENAME = update(media).values(sha256="another")
SECRET = "a private line about my own street"


@pytest.fixture
def engine() -> str:
    """SQLite alone: of PostgreSQL's files nothing is ours."""
    return "sqlite"


def found(path: Path) -> set[str]:
    """Return which files beside the database, and itself, hold the secret."""
    return {one.name for one in path.parent.iterdir() if one.is_file() and SECRET.encode() in one.read_bytes()}


async def write(database: Database, *statements: object) -> None:
    async with database.write() as transaction:
        for statement in statements:
            values = {"sha256": SECRET, "kind": "mp3", "size": 1, "used_at": 0.0} if statement is ADD else {}
            await transaction.execute(statement, values)  # type: ignore[arg-type]  # two kinds of values


@pytest.mark.parametrize("drop", [DROP, RENAME], ids=["deleted", "changed"])
@pytest.mark.parametrize("in_file", [True, False], ids=["in the file", "in the log"])
async def test_nothing_of_it_is_left_in_the_files(database: Database, path: Path, drop: object, in_file: bool) -> None:
    await write(database, ADD)
    if in_file:
        assert await database.erase()
        assert found(path) == {path.name}
    await write(database, drop)
    assert found(path) != set()
    assert await database.erase()
    assert found(path) == set()
    async with database.read() as snapshot:
        assert (await snapshot.execute(text("PRAGMA secure_delete"))).scalar_one() == 1


async def test_who_reads_for_long_is_not_waited_for(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_database, "ERASE_SECONDS", 0.1)
    await write(database, ADD)
    async with database.read() as snapshot:
        await snapshot.execute(select(media))
        await write(database, DROP)
        assert not await database.erase()
        assert found(path) != set()
        await write(database, ADD, DROP)  # goes on
    assert await database.erase()
    assert found(path) == set()
