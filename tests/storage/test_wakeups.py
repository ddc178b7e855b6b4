"""Wake-ups come after the commit that they are for, and never without one."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from storage import tasks
from storage.database import Database
from storage.quick import quick
from storage.schema import tasks as table
from storage.tasks import Task
from storage.wakeups import Queue, Wakeups
from tests.storage.observed import Disk, Driver
from tests.storage.rows import a_task

ADD = {"quick": quick(insert(table)), "slow": insert(table)}


async def turn(times: int = 10) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


@pytest.mark.parametrize("kind", ["quick", "slow"])
async def test_who_waits_is_woken_after_the_commit_and_finds_what_was_committed(
    driver: Driver, database: Database, kind: str
) -> None:
    async def waiter(task: Task) -> Task | None:
        await database.wakeups.wait(Queue.POLLER, 60)
        async with database.read() as snapshot:
            return await tasks.get(snapshot, task.id)

    task = a_task()
    waiting = asyncio.create_task(waiter(task))
    async with database.write() as transaction:
        transaction.wakes(Queue.POLLER)
        await transaction.execute(ADD[kind], asdict(task))
        await turn()
        assert not waiting.done()
    assert await waiting == task


@pytest.mark.parametrize("engine", ["sqlite"])  # PostgreSQL has waited for its disk before anybody sees the commit
async def test_nobody_waits_for_the_disk(disk: Disk, database: Database) -> None:
    waiting = asyncio.create_task(database.wakeups.wait(Queue.POLLER, 60))
    disk.may_end.clear()

    async def write() -> None:
        async with database.write() as transaction:
            transaction.wakes(Queue.POLLER)
            await transaction.execute(ADD["quick"], asdict(a_task()))

    writing = asyncio.create_task(write())
    await waiting
    assert not writing.done()
    disk.may_end.set()
    await writing


@pytest.mark.parametrize(
    ("engine", "end"),
    [*((engine, end) for engine in ("sqlite", "postgresql") for end in ("error", "cancelled")), ("sqlite", "commit")],
)
async def test_what_is_rolled_back_wakes_nobody(driver: Driver, database: Database, end: str) -> None:
    waiting = asyncio.create_task(database.wakeups.wait(Queue.POLLER, 60))
    task = a_task()

    async def write() -> None:
        async with database.write() as transaction:
            transaction.wakes(Queue.POLLER)
            await transaction.execute(ADD["quick"], asdict(task))
            if end == "error":
                await transaction.execute(ADD["quick"], asdict(task))
            elif end == "cancelled":
                await asyncio.sleep(60)
            else:
                await transaction.execute(ADD["slow"], asdict(a_task()))

    if end == "commit":
        driver.hold_at("COMMIT")
    writing = asyncio.create_task(write())
    if end == "cancelled":
        await turn()
        writing.cancel()
    elif end == "commit":  # nobody knows whether it has come about: it has, and who waits looks by itself in a while
        assert await asyncio.to_thread(driver.held.wait, 60)
        writing.cancel()
        driver.go_on.set()
    with pytest.raises(IntegrityError if end == "error" else asyncio.CancelledError):
        await writing
    async with database.write() as transaction:
        transaction.wakes(Queue.DELIVERY)
    await turn()
    assert not waiting.done()
    waiting.cancel()


async def test_a_wake_up_waits_for_who_is_busy_and_several_are_one() -> None:
    wakeups = Wakeups()
    wakeups.wake([Queue.POLLER, Queue.DELIVERY])
    wakeups.wake([Queue.POLLER])
    await wakeups.wait(Queue.POLLER, 60)
    again = asyncio.create_task(wakeups.wait(Queue.POLLER, 60))
    await turn()
    assert not again.done()
    await wakeups.wait(Queue.DELIVERY, 60)
    wakeups.wake([Queue.POLLER])
    await again


async def test_who_is_woken_by_nobody_goes_on_by_itself() -> None:
    await asyncio.wait_for(Wakeups().wait(Queue.ARCHIVER, 0.01), 60)


async def test_whoever_is_cancelled_in_the_moment_of_a_wake_up_is_cancelled() -> None:
    wakeups = Wakeups()
    waiting = asyncio.create_task(wakeups.wait(Queue.POLLER, 60))
    await turn()
    wakeups.wake([Queue.POLLER])
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
