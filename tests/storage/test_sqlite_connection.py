"""What a transaction waits for, and what it does not: the disk, other processes, the event loop."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import aiosqlite
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.database import Database
from storage.schema import media

ADD = "INSERT INTO media (sha256, kind, size, used_at) VALUES (?, 'mp3', 1, 0)"


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(f"sqlite:///{tmp_path / 'bot.db'}")
    yield database
    await database.close()


@contextmanager
def locked(tmp_path: Path) -> Iterator[None]:
    """Hold SQLite's write lock as another process would."""
    other = sqlite3.connect(tmp_path / "bot.db", isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")
    finally:
        other.close()


async def add(database: Database, name: str, *, durable: bool = True) -> None:
    async with database.write(durable=durable) as connection:
        await connection.execute(media.insert(), {"sha256": name, "kind": "mp3", "size": 1, "used_at": 0.0})


async def names(connection: AsyncConnection) -> set[str]:
    return set((await connection.execute(select(media.c.sha256))).scalars())


async def all_names(database: Database) -> set[str]:
    async with database.read() as connection:
        return await names(connection)


async def driver_of(connection: AsyncConnection) -> aiosqlite.Connection:
    driver = (await connection.get_raw_connection()).driver_connection
    assert isinstance(driver, aiosqlite.Connection)
    return driver


async def test_reading_sees_one_state_while_others_write(database: Database) -> None:
    await add(database, "first")
    async with database.read() as connection:
        assert await names(connection) == {"first"}
        await add(database, "second")
        assert await names(connection) == {"first"}
    assert await all_names(database) == {"first", "second"}


@pytest.mark.parametrize("durable", [True, False])
async def test_an_error_undoes_the_whole_transaction(database: Database, durable: bool) -> None:
    await add(database, "there")

    async def write_both() -> None:
        async with database.write(durable=durable) as connection:
            await connection.execute(text(ADD.replace("?", "'new'")))
            await connection.execute(text(ADD.replace("?", "'there'")))

    with pytest.raises(IntegrityError):
        await write_both()
    assert await all_names(database) == {"there"}


async def test_writers_take_turns(database: Database) -> None:
    await asyncio.gather(*(add(database, f"{number}", durable=number % 2 == 0) for number in range(40)))
    assert await all_names(database) == {f"{number}" for number in range(40)}


async def test_only_a_durable_commit_leaves_the_event_loop(database: Database) -> None:
    ran: dict[str, set[int]] = defaultdict(set)
    for durable in (True, False):
        async with database.write(durable=durable) as connection:
            driver = await driver_of(connection)

            def note(statement: str, durable: bool = durable) -> None:
                ran[f"{statement.split(maxsplit=1)[0]} {durable}"].add(threading.get_ident())

            await driver.set_trace_callback(note)
            await names(connection)
    here = {threading.get_ident()}
    assert ran["SELECT True"] == ran["SELECT False"] == ran["COMMIT False"] == here
    assert ran["COMMIT True"].isdisjoint(here)


async def test_a_durable_commit_waits_for_the_disk_and_another_one_does_not(database: Database) -> None:
    levels = []
    for durable in (True, False, True):
        async with database.write(durable=durable) as connection:
            levels.append((await connection.execute(text("PRAGMA synchronous"))).scalar_one())
    assert levels == [2, 1, 2]  # FULL, NORMAL: SQLite's documentation of the pragma


async def test_a_writer_waits_for_another_process_without_holding_up_the_event_loop(
    database: Database, tmp_path: Path
) -> None:
    with locked(tmp_path):
        writing = asyncio.create_task(add(database, "mine"))
        for _ in range(20):
            assert await all_names(database) == set()
        assert not writing.done()
    await writing
    assert await all_names(database) == {"mine"}


async def test_a_writer_that_waits_in_vain_gets_the_usual_error(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.sqlite.connection.BUSY_TIMEOUT_MS", 50)
    with locked(tmp_path), pytest.raises(OperationalError, match="locked"):
        await add(database, "mine")
    await add(database, "later")
    assert await all_names(database) == {"later"}


async def test_a_cancelled_writer_leaves_the_connection_in_order(database: Database, tmp_path: Path) -> None:
    with locked(tmp_path):
        writing = asyncio.create_task(add(database, "cancelled"))
        assert await all_names(database) == set()  # by then the writer is in the thread
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
    for number in range(10):  # on whichever connection the thread was still waiting for the lock
        await asyncio.gather(add(database, f"{number}"), all_names(database))
    assert await all_names(database) == {f"{number}" for number in range(10)}
