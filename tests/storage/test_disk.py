"""What survives: the death of the process, and a power cut."""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, text

from storage.database import Database
from storage.quick import quick
from storage.schema import media
from tests.storage.observed import Disk, Driver, until

ADD = quick(insert(media))
NAMES = quick(select(media.c.sha256))
ROOT = Path(__file__).parents[2]
SMALL = 64 * 1024
"""A limit of the log that a few rows reach."""


@pytest.fixture
def engine() -> str:
    """SQLite alone: what is below it is looked at."""
    return "sqlite"


def row(name: str) -> dict[str, Any]:
    return {"sha256": name, "kind": "mp3", "size": 1, "used_at": 0.0}


async def add(database: Database, name: str, *, durable: bool = True) -> None:
    async with database.write(durable=durable) as transaction:
        await transaction.execute(ADD, row(name))


async def names(database: Database) -> set[str]:
    async with database.read() as snapshot:
        return set((await snapshot.execute(NAMES)).scalars())


async def has(database: Database, count: int) -> bool:
    return len(await names(database)) >= count


def length(path: Path) -> int:
    return path.stat().st_size


def log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


async def began(disk: Disk) -> None:
    assert await asyncio.to_thread(disk.began.acquire, timeout=60)


# Commits and the disk


async def test_a_durable_write_returns_when_the_log_is_on_the_disk(disk: Disk, database: Database, path: Path) -> None:
    disk.may_end.clear()
    writing = asyncio.create_task(add(database, "durable"))
    await began(disk)
    assert await names(database) == {"durable"}  # committed, and the process may die
    assert not writing.done()
    disk.may_end.set()
    await writing
    assert disk.synced == [log_of(path)]


async def test_a_write_that_need_not_be_durable_does_not_wait_for_the_disk(
    disk: Disk, database: Database, path: Path
) -> None:
    disk.may_end.clear()
    for number in range(10):
        await add(database, f"{number}", durable=False)
    assert not disk.began.acquire(blocking=False)
    syncing = asyncio.create_task(database.sync())  # makes up for it
    await began(disk)
    assert not syncing.done()
    disk.may_end.set()
    await syncing
    assert disk.synced == [log_of(path)]


async def test_many_commits_share_one_wait_for_the_disk(disk: Disk, database: Database) -> None:
    disk.may_end.clear()
    writing = [asyncio.create_task(add(database, "first"))]
    await began(disk)
    writing += [asyncio.create_task(add(database, f"{number}")) for number in range(20)]
    await until(lambda: has(database, 21))
    assert not any(one.done() for one in writing)
    disk.may_end.set()
    await asyncio.gather(*writing)
    assert len(disk.synced) == 2  # what came while the first one was under way may have come too late for it


async def test_a_writer_that_is_cancelled_while_it_waits_for_the_disk_takes_nobody_with_it(
    disk: Disk, database: Database
) -> None:
    disk.may_end.clear()
    writing = [asyncio.create_task(add(database, f"{number}")) for number in range(3)]
    await began(disk)
    await until(lambda: has(database, 3))
    for one in writing[:2]:  # one in the sync, and one that waits for its turn
        one.cancel()
    disk.may_end.set()
    await asyncio.wait(writing)
    assert [one.cancelled() for one in writing] == [True, True, False]
    await writing[2]
    await add(database, "later")
    assert len(disk.synced) in (3, 2)


async def test_what_a_durable_write_has_returned_for_survives_a_power_cut(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut there is what had been written when the last sync that has ended began, and maybe no more."""
    await (await Database.open(f"sqlite:///{path}")).close()
    shutil.copy(path, tmp_path / "base.db")
    disk = Disk()
    ended: list[Path] = []

    def sync(file: int) -> None:
        survives = tmp_path / f"{len(ended)}.db"
        shutil.copy(log_of(path), log_of(survives))
        disk.sync(file)
        shutil.copy(tmp_path / "base.db", survives)
        ended.append(survives)

    monkeypatch.setattr("os.fdatasync", sync)
    database = await Database.open(f"sqlite:///{path}")

    async def write(number: int) -> None:
        for turn in range(3):
            name = f"{number} {turn}"
            await add(database, name, durable=(number + turn) % 3 != 0)
            if (number + turn) % 3 != 0:
                with closing(sqlite3.connect(ended[-1])) as survivor:
                    found = survivor.execute("SELECT 1 FROM media WHERE sha256 = ?", (name,)).fetchone()
                assert found is not None, f"{name} is lost"

    await asyncio.gather(*(write(number) for number in range(30)))
    assert 3 <= len(ended) < 60
    await database.close()


async def test_durable_commits_of_a_process_that_is_killed_are_there(path: Path) -> None:
    program = """
import asyncio, sys
from sqlalchemy import insert
from storage.database import Database
from storage.quick import quick
from storage.schema import media

async def write(database, number):
    for turn in range(100000):
        name = f"{number} {turn}"
        values = {"sha256": name, "kind": "mp3", "size": 1, "used_at": 0.0}
        async with database.write() as transaction:
            await transaction.execute(ADD if turn % 2 else quick(ADD), values)
        print(name, flush=True)

async def main():
    database = await Database.open(sys.argv[1])
    await asyncio.gather(*(write(database, number) for number in range(4)))

ADD = insert(media)
asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, f"sqlite:///{path}", stdout=subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    told = [(await process.stdout.readline()).decode().strip() for _ in range(60)]
    process.send_signal(signal.SIGKILL)
    told += [line for line in (await process.stdout.read()).decode().split("\n")[:-1] if line]
    await process.wait()
    database = await Database.open(f"sqlite:///{path}")
    there = await names(database)
    await database.close()
    assert set(told) <= there
    assert len(there - set(told)) <= 4  # each writer may have got further than it could say


# The log


@pytest.fixture
def small_log(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("connection", "disk"):
        monkeypatch.setattr(f"storage.sqlite.{module}.CHECKPOINT_BYTES", SMALL)


def generation(path: Path) -> int:
    """Return a number that is one higher each time the log is begun anew (sqlite.org/fileformat2.html, salt-1)."""
    number: int = struct.unpack(">I", log_of(path).read_bytes()[16:20])[0]
    return number


@pytest.mark.usefixtures("small_log")
async def test_the_log_is_moved_into_the_database_when_it_has_grown_and_not_again_before_it_has(
    driver: Driver, database: Database, path: Path
) -> None:
    for number in range(40):
        await add(database, f"{number}")
    moves = driver.count("PRAGMA wal_checkpoint")
    assert 0 < moves <= 20  # each takes two steps
    assert driver.threads("PRAGMA wal_checkpoint").isdisjoint({threading.get_ident()})
    assert length(log_of(path)) <= 2 * SMALL
    assert len(await names(database)) == 40


@pytest.mark.usefixtures("small_log")
async def test_the_log_is_moved_as_a_whole_however_many_write(driver: Driver, database: Database, path: Path) -> None:
    """Else it would be begun anew only when nobody writes for a moment, and grow until then."""

    async def write(number: int) -> None:
        for turn in range(50):
            await add(database, f"{number} {turn}", durable=number == 0)

    await add(database, "first")
    before = generation(path)
    await asyncio.gather(*(write(number) for number in range(8)))
    begun, moved = generation(path) - before, driver.count("PRAGMA wal_checkpoint") // 2
    assert moved > 5
    # Whoever writes between the two steps of a move may begin the log anew before its second one does.
    assert moved <= begun <= 2 * moved
    await database.sync()
    assert length(log_of(path)) <= SMALL
    assert len(await names(database)) == 401


@pytest.mark.usefixtures("small_log")
async def test_a_log_that_a_reader_has_held_open_is_cut_when_the_reader_is_gone(database: Database, path: Path) -> None:
    async with database.read() as snapshot:
        await snapshot.execute(NAMES)
        for number in range(60):
            await add(database, f"{number}")
        assert length(log_of(path)) > 4 * SMALL
    await add(database, "later")
    assert length(log_of(path)) <= SMALL
    assert len(await names(database)) == 61


@pytest.mark.usefixtures("small_log")
async def test_no_commit_in_the_event_loop_begins_a_log(driver: Driver, database: Database, path: Path) -> None:
    """SQLite waits for the disk when the first page of a log is written, also where commits do not wait."""
    await add(database, "first")
    generations = {generation(path)}
    for number in range(60):
        before = generation(path)
        async with database.write() as transaction:
            await transaction.execute(ADD, row(f"{number}"))
        # Between the commit, which is in the event loop, and the sync nothing else happens.
        generations.add(generation(path))
        if generation(path) != before:
            assert driver.ran[-1][0] == "PRAGMA user_version = 0"
            assert driver.ran[-1][1] != threading.get_ident()
    assert driver.threads("COMMIT") == {threading.get_ident()}
    assert len(generations) > 2


# A disk that fails


async def test_what_the_disk_has_refused_is_written_elsewhere_before_it_is_called_durable(
    driver: Driver, disk: Disk, database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A system that could not write a page says so once, and after that it may have dropped it."""
    monkeypatch.setattr("storage.sqlite.database.PAUSES", (0.0,))
    await add(database, "before")
    driver.ran.clear()
    disk.errors = [OSError(errno.EIO, "Input/output error"), OSError(errno.EIO, "Input/output error")]
    await add(database, "refused")
    assert disk.errors == []
    assert driver.count("PRAGMA wal_checkpoint") >= 1
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR] == [
        "the disk takes nothing (Input/output error); the next try is in 0 s"
    ] * 2
    driver.ran.clear()
    await add(database, "after")
    assert driver.count("PRAGMA wal_checkpoint") == 0
    assert await names(database) == {"before", "refused", "after"}


async def test_a_reader_that_keeps_it_from_being_written_elsewhere_is_waited_for(
    disk: Disk, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.sqlite.database.PAUSES", (0.001,))
    async with database.read() as snapshot:
        await snapshot.execute(NAMES)
        disk.errors = [OSError(errno.EIO, "Input/output error")]
        writing = asyncio.create_task(add(database, "refused"))
        for _ in range(4):  # syncs of its log succeed now, which proves nothing
            await began(disk)
        assert not writing.done()
    await writing
    assert await names(database) == {"refused"}


@contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("small_log")
async def test_a_commit_stands_although_its_log_cannot_be_moved(
    database: Database, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill = text(
        "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 300)"
        "INSERT INTO media (sha256, kind, size, used_at) "
        "SELECT 'fill ' || n || hex(zeroblob(1000)), 'mp3', 1, 0 FROM numbers"
    )
    async with database.write() as transaction:
        await transaction.execute(fill)
    size = length(path)
    assert size > 4 * SMALL
    with no_file_longer_than(size):
        for number in range(20):
            await add(database, f"{number}" + "x" * 8000)
    assert "the log of the database cannot be moved into it" in caplog.text
    await add(database, "later")
    assert len(await names(database)) == 321
    assert length(path) > size
