"""Wake-ups between processes: after the commit, together, and in spite of connections that are cut or frozen."""

from __future__ import annotations

import asyncio
import math
import os
import signal
from collections.abc import AsyncIterator

import asyncpg
import pytest

from storage.database import Database, Server
from storage.planned import Gone
from storage.postgresql import listener
from storage.wakeups import Queue, Wakeups
from tests.storage.observed import heard, until

LISTENERS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE $1"


@pytest.fixture
def engine() -> str:
    return "postgresql"


@pytest.fixture
async def other(address: str) -> AsyncIterator[Database]:
    """The same database in another process."""
    other = await Database.open(address, Server(process="other"))
    await heard(other)
    yield other
    await other.close()


@pytest.fixture
async def owner(address: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(address)
    yield connection
    await connection.close()


async def reliable(wakeups: Wakeups, wanted: bool) -> None:
    async def is_so() -> bool:
        return (wakeups.longest == math.inf) == wanted

    await until(is_so)


async def wake(database: Database, *queues: Queue) -> None:
    async with database.write() as transaction:
        transaction.wakes(*queues)


async def wake_in_vain(database: Database) -> None:
    async with database.write() as transaction:
        transaction.wakes(Queue.DELIVERY)
        raise Gone


async def is_woken(wakeups: Wakeups, queue: Queue) -> bool:
    """Tell whether somebody would be woken, at once or by what is heard."""
    waited = listener.HEARD_SECONDS + 0.2
    before = asyncio.get_running_loop().time()
    await wakeups.wait(queue, waited)
    return asyncio.get_running_loop().time() - before < waited - 0.05


async def test_another_process_is_woken_and_only_who_was_meant(database: Database, other: Database) -> None:
    await wake(database, Queue.DELIVERY)
    await other.wakeups.wait(Queue.DELIVERY, 60)
    assert not await is_woken(other.wakeups, Queue.POLLER)
    # Whoever has committed was woken once, at once, and not by its own echo.
    await database.wakeups.wait(Queue.DELIVERY, 60)
    assert not await is_woken(database.wakeups, Queue.DELIVERY)


async def test_what_is_heard_within_a_moment_wakes_once(address: str) -> None:
    """Each time the database would be asked, mostly in vain: whoever commits is woken at once, and was first."""
    woken: list[set[Queue]] = []

    async def some() -> bool:
        return bool(woken)

    wakeups = Wakeups()
    wakeups.wake = lambda queues: woken.append(set(queues))  # type: ignore[method-assign]  # kept
    hearing = listener.Listener(address, Server(process="third"), wakeups)
    hearing.start()
    await until(some)  # all that was missed
    woken.clear()
    connection = hearing._connection
    for queue in (Queue.DELIVERY, Queue.DELIVERY, Queue.POLLER, Queue.DELIVERY):
        hearing._heard(connection, 0, listener.CHANNEL, str(queue))
    assert woken == []
    await until(some)
    assert woken == [{Queue.DELIVERY, Queue.POLLER}]
    await hearing.close()


async def test_what_is_rolled_back_wakes_nobody_elsewhere(database: Database, other: Database) -> None:
    with pytest.raises(Gone):
        await wake_in_vain(database)
    await wake(database, Queue.POLLER)
    await other.wakeups.wait(Queue.POLLER, 60)
    assert not await is_woken(other.wakeups, Queue.DELIVERY)


async def test_many_commits_are_told_together(
    database: Database, owner: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "TOGETHER_SECONDS", 0.5)
    told: list[str] = []
    last = asyncio.Event()

    def note(_connection: object, _sender: int, _channel: str, name: str) -> None:
        told.append(name)
        if name == Queue.EXPIRY:
            last.set()

    await owner.add_listener(listener.CHANNEL, note)
    for _ in range(30):
        await wake(database, Queue.DELIVERY, Queue.POLLER)
    await wake(database, Queue.EXPIRY)
    async with asyncio.timeout(60):
        await last.wait()
    assert len(told) < 30


async def test_who_was_cut_off_looks_by_itself_and_hears_again(
    database: Database, other: Database, owner: asyncpg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    [row] = await owner.fetch(LISTENERS, "other (wake-ups)")
    await owner.execute("SELECT pg_terminate_backend($1)", row["pid"])
    await reliable(other.wakeups, False)
    assert other.wakeups.longest == listener.UNHEARD_SECONDS == 5
    await heard(other)  # everybody has looked once
    await wake(database, Queue.DELIVERY)
    await other.wakeups.wait(Queue.DELIVERY, 60)
    assert "other processes are not heard any more" in caplog.text


async def test_a_connection_that_is_frozen_is_noticed(
    database: Database, owner: asyncpg.Connection, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (listener.PING_SECONDS, listener.PONG_SECONDS) == (10, 5)
    monkeypatch.setattr(listener, "PING_SECONDS", 0.1)
    monkeypatch.setattr(listener, "PONG_SECONDS", 0.5)
    other = await Database.open(address, Server(process="frozen"))
    await heard(other)
    [row] = await owner.fetch(LISTENERS, "frozen (wake-ups)")
    os.kill(row["pid"], signal.SIGSTOP)
    try:
        await reliable(other.wakeups, False)
        await heard(other)
    finally:
        os.kill(row["pid"], signal.SIGCONT)
    await other.close()


async def test_behind_a_pooler_alone_everybody_looks_often(address: str, caplog: pytest.LogCaptureFixture) -> None:
    database = await Database.open(address, Server(is_pooled=True))
    assert database.wakeups.longest == listener.UNHEARD_SECONDS
    assert "DATABASE_LISTEN_URL is not set" in caplog.text
    await database.close()
    database = await Database.open(address, Server(is_pooled=True, listen_url=address))
    await heard(database)
    await database.close()
