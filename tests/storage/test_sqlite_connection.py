"""What a transaction waits for, and what it does not: other processes, the thread, whoever was cancelled before."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import IntegrityError, OperationalError

from storage.database import Database, Snapshot
from storage.quick import quick
from storage.schema import media
from tests.storage.observed import Driver

ADD = insert(media)
ADD_QUICKLY = quick(insert(media))
NAMES = quick(select(media.c.sha256))
COUNT_SLOWLY = select(func.count()).select_from(media)
SLOW = text("SELECT 'slow'")


@pytest.fixture
def engine() -> str:
    """SQLite alone: what is below it is looked at."""
    return "sqlite"


def row(name: str) -> dict[str, Any]:
    return {"sha256": name, "kind": "mp3", "size": 1, "used_at": 0.0}


async def add(database: Database, name: str, *, durable: bool = True) -> None:
    async with database.write(durable=durable) as transaction:
        await transaction.execute(ADD_QUICKLY, row(name))


async def names(snapshot: Snapshot) -> set[str]:
    return set((await snapshot.execute(NAMES)).scalars())


async def all_names(database: Database) -> set[str]:
    async with database.read() as snapshot:
        return await names(snapshot)


async def happened(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, 60)


# Transactions


async def test_reading_sees_one_state_while_others_write(database: Database) -> None:
    await add(database, "first")
    async with database.read() as snapshot:
        assert await names(snapshot) == {"first"}
        await add(database, "second")
        assert await names(snapshot) == {"first"}
        assert (await snapshot.execute(COUNT_SLOWLY)).scalar_one() == 1
    assert await all_names(database) == {"first", "second"}


@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("statement", [ADD, ADD_QUICKLY], ids=["slow", "quick"])
async def test_an_error_undoes_the_whole_transaction(database: Database, statement: Any, durable: bool) -> None:
    await add(database, "there")

    async def write_both() -> None:
        async with database.write(durable=durable) as transaction:
            await transaction.execute(statement, row("new"))
            await transaction.execute(statement, row("there"))

    with pytest.raises(IntegrityError) as error:
        await write_both()
    assert "there" not in str(error.value)  # what stands in an error stands in the log
    assert await all_names(database) == {"there"}


async def test_writers_take_turns(database: Database) -> None:
    async def add_two(number: int) -> None:
        async with database.write(durable=number % 2 == 0) as transaction:
            before = len(await names(transaction))
            await transaction.execute(ADD if number % 3 else ADD_QUICKLY, row(f"{number}a"))
            await asyncio.sleep(0)
            await transaction.execute(ADD_QUICKLY, row(f"{number}b"))
            assert len(await names(transaction)) == before + 2

    await asyncio.gather(*(add_two(number) for number in range(40)))
    assert await all_names(database) == {f"{number}{letter}" for number in range(40) for letter in "ab"}


async def test_many_readers_and_writers_get_on_with_few_connections(database: Database) -> None:
    async def read_twice(number: int) -> None:
        async with database.read() as snapshot:
            before = await names(snapshot)
            await snapshot.execute(COUNT_SLOWLY if number % 2 else NAMES)
            assert await names(snapshot) == before

    await asyncio.gather(*(add(database, f"{n}") if n % 3 == 0 else read_twice(n) for n in range(60)))
    assert len(await all_names(database)) == 20


# Which thread


async def test_quick_statements_run_in_the_event_loop_and_all_others_in_the_thread(
    driver: Driver, database: Database
) -> None:
    driver.ran.clear()
    async with database.write(durable=False) as transaction:
        await names(transaction)
        await transaction.execute(ADD_QUICKLY, row("quick"))
    async with database.read() as snapshot:
        await names(snapshot)
    here = {threading.get_ident()}
    statements = ("BEGIN IMMEDIATE", "BEGIN DEFERRED", "SELECT media", "INSERT INTO media", "COMMIT", "ROLLBACK")
    assert [driver.threads(one) for one in statements] == [here] * len(statements)

    driver.ran.clear()
    async with database.write(durable=False) as transaction:
        await transaction.execute(COUNT_SLOWLY)
        await transaction.execute(ADD, row("slow"))
        await names(transaction)
    there = driver.threads("SELECT count")
    assert len(there) == 1
    assert there.isdisjoint(here)
    assert driver.threads("INSERT INTO media") == there
    assert driver.threads("SELECT media") == here
    # It may have much to write.
    assert driver.threads("COMMIT") == there
    assert await all_names(database) == {"quick", "slow"}


async def test_the_event_loop_turns_while_a_statement_is_in_the_thread(driver: Driver, database: Database) -> None:
    async def read_slowly() -> None:
        async with database.read() as snapshot:
            await snapshot.execute(SLOW)

    driver.hold_at("SELECT 'slow'")
    reading = asyncio.create_task(read_slowly())
    await happened(driver.held)
    for number in range(5):
        await add(database, f"{number}")
    assert len(await all_names(database)) == 5
    assert not reading.done()
    driver.go_on.set()
    await reading


# Other processes


@contextmanager
def locked(path: Path) -> Iterator[Callable[[], None]]:
    """Hold SQLite's write lock in another process, until its end or until the function is called."""
    program = (
        "import sqlite3, sys; other = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "other.execute('BEGIN IMMEDIATE'); print('locked', flush=True); sys.stdin.read(); other.execute('ROLLBACK')"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        assert process.stdout.readline() == "locked\n"
        yield process.stdin.close
        process.stdin.close()


async def test_a_writer_waits_for_another_process_without_holding_up_the_event_loop(
    database: Database, path: Path
) -> None:
    with locked(path) as let_go:
        writing = asyncio.create_task(add(database, "mine"))
        for _ in range(20):
            await asyncio.sleep(0.001)
            assert await all_names(database) == set()
        assert not writing.done()
        let_go()
        await writing
    assert await all_names(database) == {"mine"}


async def test_a_writer_that_waits_in_vain_gets_the_usual_error(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.sqlite.connection.BUSY_SECONDS", 0.05)
    with locked(path), pytest.raises(OperationalError, match="locked"):
        await add(database, "mine")
    await add(database, "later")
    assert await all_names(database) == {"later"}


async def test_a_writer_that_is_cancelled_while_it_waits_for_another_process_ends_at_once(
    database: Database, path: Path
) -> None:
    with locked(path):
        writing = asyncio.create_task(add(database, "cancelled"))
        assert await all_names(database) == set()
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
    await goes_on(database, set())


# Callers that are cancelled


async def goes_on(database: Database, there: set[str]) -> None:
    """Use every connection in both ways."""

    async def both(number: int) -> None:
        async with database.read() as snapshot:
            await names(snapshot)
            await snapshot.execute(COUNT_SLOWLY)
            await asyncio.sleep(0)
        async with database.write(durable=False) as transaction:
            await transaction.execute(ADD_QUICKLY, row(f"later {number}"))
            await transaction.execute(SLOW)

    assert await all_names(database) == there
    await asyncio.gather(*(both(number) for number in range(10)))
    assert await all_names(database) == there | {f"later {number}" for number in range(10)}


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("what", ["read", "write"])
async def test_whoever_is_cancelled_while_a_statement_is_in_the_thread_leaves_its_connection_in_order(
    driver: Driver, database: Database, what: str, times: int
) -> None:
    """Once in the statement, once in the rollback, and once while that is waited for."""
    begin: Callable[[], AbstractAsyncContextManager[Snapshot]] = database.read if what == "read" else database.write

    async def work() -> None:
        async with begin() as snapshot:
            if what == "write":
                await snapshot.execute(ADD_QUICKLY, row("cancelled"))
            await snapshot.execute(SLOW)

    await add(database, "there")
    driver.hold_at("SELECT 'slow'")
    working = asyncio.create_task(work())
    await happened(driver.held)
    for _ in range(times):
        working.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    if times == 1:  # it waits until its transaction is undone
        assert not working.done()
        driver.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await working
    later = asyncio.create_task(goes_on(database, {"there"}))
    await asyncio.sleep(0)
    driver.go_on.set()
    await later


async def test_a_timeout_within_a_transaction_leaves_it_in_order(driver: Driver, database: Database) -> None:
    driver.hold_at("SELECT 'slow'")

    async def work() -> None:
        async with database.write() as transaction:
            waiting = asyncio.create_task(transaction.execute(SLOW))
            await happened(driver.held)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            adding = asyncio.create_task(transaction.execute(ADD_QUICKLY, row("after all")))
            await asyncio.sleep(0)
            assert not adding.done()  # the connection is not its own yet
            driver.go_on.set()
            await adding

    await work()
    await goes_on(database, {"after all"})


@pytest.mark.parametrize("times", [1, 2])
async def test_a_commit_in_the_thread_is_not_cut_in_two(driver: Driver, database: Database, times: int) -> None:
    async def work() -> None:
        async with database.write() as transaction:
            await transaction.execute(ADD, row("one"))
            await transaction.execute(ADD, row("other"))

    driver.hold_at("COMMIT")
    working = asyncio.create_task(work())
    await happened(driver.held)
    for _ in range(times):
        working.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    driver.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await working
    async with database.write() as transaction:  # which comes after whatever is left of it
        there = await names(transaction)
    assert there == {"one", "other"}
    await goes_on(database, there)


async def test_whoever_is_cancelled_while_a_connection_is_opened_takes_none_away(
    path: Path, driver: Driver, database: Database
) -> None:
    before = set(threading.enumerate())

    async def read() -> None:
        async with database.read():
            await asyncio.sleep(60)

    for _ in range(10):
        reading = asyncio.gather(*(read() for _ in range(4)))
        for _ in range(3):
            await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
    await goes_on(database, set())
    assert len([one for one in set(threading.enumerate()) - before if one.name.startswith("Thread-")]) <= 3


# Closing


async def test_closing_leaves_no_thread_and_no_log(driver: Driver, path: Path) -> None:
    before = set(threading.enumerate())
    database = await Database.open(f"sqlite:///{path}")
    driver.hold_at("SELECT 'slow'")

    async def read_slowly() -> None:
        async with database.read() as snapshot:
            await snapshot.execute(SLOW)

    reading = [asyncio.create_task(read_slowly()) for _ in range(4)]
    await happened(driver.held)
    await add(database, "there")
    for one in reading:
        one.cancel()
        await asyncio.sleep(0)
        one.cancel()
    await asyncio.gather(*reading, return_exceptions=True)
    closing = asyncio.create_task(database.close())
    await asyncio.sleep(0)
    driver.go_on.set()
    await closing
    left = [one for one in set(threading.enumerate()) - before if not one.name.startswith("asyncio_")]
    for thread in left:  # it has said goodbye, and is on its last line
        thread.join(60)
        assert not thread.is_alive()
    assert not path.with_name("bot.db-wal").exists()
    other = sqlite3.connect(path)
    assert other.execute("SELECT sha256 FROM media").fetchall() == [("there",)]
    other.close()
