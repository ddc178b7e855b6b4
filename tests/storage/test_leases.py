"""Who lives and who works on what, with several processes at one PostgreSQL."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import asdict, replace

import asyncpg
import pytest
from sqlalchemy import insert
from sqlalchemy.exc import OperationalError

from storage import notifications, tasks
from storage.archive import index
from storage.database import Database, Server, Transaction
from storage.notifications import Notification
from storage.planned import Gone
from storage.postgresql import pool
from storage.postgresql.database import PostgreSQLDatabase
from storage.processes import leases
from storage.processes import process as module
from storage.processes.process import Process
from storage.schema import Acknowledgement, NotificationState, TaskStatus
from storage.schema import files as file_table
from storage.songs.files import File
from storage.tasks import Task
from storage.wakeups import Queue
from tests.patience import patient
from tests.storage.observed import until
from tests.storage.rows import NOW, a_file, a_task, in_state, in_status, one


@pytest.fixture
def engine() -> str:
    return "postgresql"


@pytest.fixture
async def owner(address: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(address)
    yield connection
    await connection.close()


async def open_process(address: str, name: str) -> PostgreSQLDatabase:
    database = await Database.open(address, Server(process=name, version="1"))
    assert isinstance(database, PostgreSQLDatabase)
    await database.join(time.time)
    return database


@pytest.fixture
async def pair(address: str) -> AsyncIterator[tuple[PostgreSQLDatabase, PostgreSQLDatabase]]:
    """Two processes that live."""
    both = await open_process(address, "first"), await open_process(address, "second")
    yield both
    for database in both:
        await database.close()


async def acts(database: PostgreSQLDatabase) -> bool:
    return database.may_act


def lease(database: PostgreSQLDatabase) -> Process:
    return database._process


async def dies(database: PostgreSQLDatabase, owner: asyncpg.Connection) -> None:
    """Let a process renew nothing any more, and its lease end."""
    renewing = lease(database)._task
    assert renewing is not None
    renewing.cancel()
    await owner.execute("UPDATE processes SET lease_until = 0 WHERE id = $1", lease(database).id)


async def put(database: PostgreSQLDatabase, rows: Sequence[Task | Notification]) -> None:
    """Put rows into a database that nobody holds."""
    async with database.write() as transaction:
        transaction.me = None
        for row in rows:
            await (tasks.add(transaction, row) if isinstance(row, Task) else notifications.add(transaction, row))


async def claim(database: Database, skip: Collection[str] = (), limit: int = 100) -> list[str]:
    async with database.claiming() as transaction:
        return [due.id for due in await tasks.claim(transaction, NOW + 100, NOW + 1000, skip, limit)]


# Claims


async def test_one_row_is_claimed_by_one_and_the_longest_waiting_first(
    pair: tuple[PostgreSQLDatabase, PostgreSQLDatabase],
) -> None:
    first, _ = pair
    rows = [replace(in_status(TaskStatus.WAITING), poll_at=NOW + number) for number in range(30)]
    await put(first, rows)
    claimed = await asyncio.gather(*(claim(database, limit=4) for _ in range(2) for database in pair))
    assert all(len(one_claim) == 4 for one_claim in claimed[:2])
    names = [row.id for row in rows]
    both = [set(claimed[0]) | set(claimed[2]), set(claimed[1]) | set(claimed[3])]
    assert both[0].isdisjoint(both[1])
    assert both[0] | both[1] <= set(names[:16])
    assert all(one_claim == sorted(one_claim, key=names.index) for one_claim in claimed)


async def test_what_is_let_go_others_may_have_and_what_one_holds_stays_ones_own(
    pair: tuple[PostgreSQLDatabase, PostgreSQLDatabase],
) -> None:
    first, second = pair
    rows = [in_status(TaskStatus.WAITING) for _ in range(3)]
    await put(first, rows)
    held = await claim(first)
    assert await claim(second) == []
    assert set(await claim(first)) == set(held), "what it does not work on any more it finds again"
    assert await claim(first, skip=held) == []
    release = first.releasing(tasks.release)
    await release(held[:2])
    assert set(await claim(second)) == set(held[:2])
    await release(held)  # not its own any more
    assert set(await claim(second)) == set(held[:2]) | {held[2]}


async def test_files_and_acknowledgements_are_claimed_for_themselves(
    pair: tuple[PostgreSQLDatabase, PostgreSQLDatabase],
) -> None:
    first, second = pair
    task = in_status(TaskStatus.FINISHED)
    row = replace(in_state(NotificationState.DUE, task), ack_wanted=Acknowledgement.DONE)
    await put(first, [task, row])
    file: File = a_file(task.id, archive_at=NOW)
    async with first.write() as transaction:
        await transaction.execute(insert(file_table), asdict(file))
    async with first.claiming() as transaction:
        due = await notifications.claim(transaction, NOW + 100, NOW + 1000, (), 5)
        files = await index.claim(transaction, NOW + 100, NOW + 1000, (), 5)
    async with second.claiming() as transaction:
        assert await notifications.claim(transaction, NOW + 100, NOW + 1000, (), 5) == []
        assert await index.claim(transaction, NOW + 100, NOW + 1000, (), 5) == []
        words = await notifications.acknowledgements_to_change(transaction, (), 5)
    assert ([one_due.id for one_due in due], [one_due.id for one_due in words]) == ([row.id], [row.id])
    assert [one_due.id for one_due in files] == [f"{task.id}.0"]
    await first.releasing(index.release)([f"{task.id}.0"])
    async with second.claiming() as transaction:
        assert len(await index.claim(transaction, NOW + 100, NOW + 1000, (), 5)) == 1


async def test_whoever_does_not_hold_a_notification_neither_sends_nor_ends_it(
    pair: tuple[PostgreSQLDatabase, PostgreSQLDatabase],
) -> None:
    first, second = pair
    task = in_status(TaskStatus.FINISHED)
    row = in_state(NotificationState.DUE, task)
    await put(first, [task, row])
    async with first.write() as transaction:
        sent = await notifications.send(transaction, row.id, NOW, NOW + 300)
    assert sent.holder == lease(first).id
    acts: list[Callable[[Transaction], Awaitable[object]]] = [
        lambda t: notifications.send(t, row.id, NOW, NOW + 300),
        lambda t: notifications.delivered(t, row.id, 8, NOW, Acknowledgement.DONE),
        lambda t: notifications.undeliverable(t, row.id, NOW, "nobody"),
        lambda t: notifications.postpone(t, row.id, NOW, "later"),
        lambda t: notifications.fetch_later(t, sent, NOW, "{}", None),
    ]
    for act in acts:
        async with second.write() as transaction:
            with pytest.raises(Gone):
                await act(transaction)
    async with first.write() as transaction:
        told = await notifications.delivered(transaction, row.id, 8, NOW, Acknowledgement.DONE)
    assert (told.state, told.holder) == (NotificationState.DELIVERED, None)


# Deaths


async def test_what_a_dead_process_held_is_free_and_what_may_have_gone_out_is_due_at_once(
    pair: tuple[PostgreSQLDatabase, PostgreSQLDatabase], owner: asyncpg.Connection
) -> None:
    first, second = pair
    waiting = replace(in_status(TaskStatus.WAITING), poll_at=NOW)
    queued = a_task(order_key="one")
    async with first.write() as transaction:
        await tasks.add(transaction, waiting)
        await tasks.add(transaction, queued)
        submitted = await tasks.submit(transaction, queued.id, NOW, NOW + 500)
        asked = in_state(NotificationState.ASKED, waiting, is_tied=False)
        await notifications.add(transaction, replace(asked, attempt_at=None))
    assert submitted.holder == lease(first).id
    assert await claim(first) == [waiting.id]
    await lease(second)._turn()
    assert await claim(second) == [], "nothing is taken from who lives"
    await dies(first, owner)
    await lease(second)._turn()
    now = second.clock(time.time)()
    async with second.claiming() as transaction:
        due = {one_due.id for one_due in await tasks.claim(transaction, now + 1, now + 1000, (), 10)}
        told = [row.id for row in await notifications.claim(transaction, now + 1, now + 1000, (), 10)]
    assert due == {waiting.id, queued.id}
    assert told == [asked.id]
    assert abs(((await one(second, queued.id)).poll_at or 0) - now) < 60
    assert await owner.fetchval("SELECT count(*) FROM processes") == 1


async def test_whoever_takes_over_wakes_all_whose_work_is_held(
    pair: tuple[PostgreSQLDatabase, PostgreSQLDatabase],
) -> None:
    first, _ = pair
    async with first.write() as transaction:
        await leases.free(transaction)
        woken = set(transaction.woken)
    held = (Queue.POLLER, Queue.DELIVERY, Queue.ACKNOWLEDGEMENTS, Queue.PICTURES, Queue.ARCHIVER)
    assert woken == set(held), "else what it held is looked for when the worker next looks by itself"


async def test_who_was_thought_dead_begins_anew_under_another_name(
    pair: tuple[PostgreSQLDatabase, PostgreSQLDatabase], owner: asyncpg.Connection
) -> None:
    first, second = pair
    task = in_status(TaskStatus.FINISHED)
    row = in_state(NotificationState.DUE, task)
    await put(first, [task, row])
    first.begin_work()
    async with first.write() as transaction:
        await notifications.send(transaction, row.id, NOW, NOW)
    before = lease(first).id
    await dies(first, owner)
    await lease(second)._turn()
    async with second.claiming() as transaction:
        assert len(await notifications.claim(transaction, 10**10, 10**11, (), 5)) == 1
    await lease(first)._turn()
    assert lease(first).id != before
    # What was begun in the life before sends nothing any more, also what it has begun itself; what is new does.
    assert not first.may_act
    assert not await asyncio.create_task(acts(first))
    first.begin_work()
    assert await asyncio.create_task(acts(first))
    async with first.write() as transaction:
        with pytest.raises(Gone):
            await notifications.delivered(transaction, row.id, 8, NOW, Acknowledgement.DONE)


@pytest.mark.parametrize("shared", [True, False])
async def test_what_was_not_sent_in_an_earlier_life_goes_back_into_the_queue(
    pair: tuple[PostgreSQLDatabase, PostgreSQLDatabase], owner: asyncpg.Connection, shared: bool
) -> None:
    first, second = pair
    rows = [in_status(TaskStatus.QUEUED) for _ in range(2)]
    await put(first, rows)
    async with first.write() as transaction:
        mine, theirs = [await tasks.submit(transaction, row.id, NOW, NOW + 60) for row in rows]
    lease(first).id = "the next life"
    async with first.write() as transaction:
        held = await tasks.hold(transaction, mine, NOW + 5, shared=shared)
    assert (held.status, held.holder) == (TaskStatus.QUEUED, None)
    # What somebody else looks after by now they may be sending, where it is a kind that is sent again.
    await owner.execute("UPDATE tasks SET holder = $1 WHERE id = $2", lease(second).id, theirs.id)
    async with second.write() as transaction:
        await tasks.doubt(transaction, theirs, "unconfirmed", NOW, repeated=False)
    async with first.write() as transaction:
        if shared:
            with pytest.raises(Gone):
                await tasks.hold(transaction, theirs, NOW + 5, shared=True)
        else:
            held = await tasks.hold(transaction, theirs, NOW + 5, shared=False)
            assert (held.status, held.doubt) == (TaskStatus.QUEUED, None)


async def test_what_comes_while_a_process_begins_anew_waits_for_its_new_life(
    pair: tuple[PostgreSQLDatabase, PostgreSQLDatabase], owner: asyncpg.Connection
) -> None:
    first, _ = pair
    await dies(first, owner)
    lease(first)._until = time.monotonic() - 0.001
    assert not await first.is_able(0.0)

    async def act() -> tuple[bool, bool]:
        return await first.is_able(patient(60.0)), first.may_act

    coming = asyncio.create_task(act())
    await asyncio.sleep(0)
    assert not coming.done()
    await lease(first)._turn()
    assert await coming == (True, True)


async def test_a_process_that_cannot_renew_stops_to_act_before_its_lease_ends(
    pair: tuple[PostgreSQLDatabase, PostgreSQLDatabase],
) -> None:
    assert (leases.LEASE_SECONDS, module.RENEW_SECONDS, module.MARGIN_SECONDS) == (20, 6, 3)
    first, _ = pair
    await lease(first)._turn()
    assert 0 < lease(first)._until - time.monotonic() <= 17
    assert (first.may_act, first.leads) == (True, True)
    lease(first)._until = time.monotonic() - 0.001
    assert (first.may_act, first.leads) == (False, False)


async def test_who_leaves_in_order_leaves_nothing_behind(
    pair: tuple[PostgreSQLDatabase, PostgreSQLDatabase], owner: asyncpg.Connection
) -> None:
    first, second = pair
    await put(first, [in_status(TaskStatus.WAITING)])
    held = await claim(first)
    assert (first.leads, second.leads) == (True, False)
    await first.close()
    assert await owner.fetchval("SELECT count(*) FROM processes") == 1
    assert await claim(second) == held
    await lease(second)._turn()
    assert second.leads


async def test_one_leads_and_another_takes_over(
    pair: tuple[PostgreSQLDatabase, PostgreSQLDatabase], owner: asyncpg.Connection
) -> None:
    first, second = pair
    await lease(second)._turn()
    assert (first.leads, second.leads) == (True, False)
    await owner.execute("UPDATE leases SET lease_until = 0")
    await lease(second)._turn()
    await lease(first)._turn()
    assert (first.leads, second.leads) == (False, True)


async def test_the_lease_is_renewed_by_itself(
    address: str, owner: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RENEW_SECONDS", 0.05)
    database = await open_process(address, "renews")
    until_when = await owner.fetchval("SELECT lease_until FROM processes")

    async def renewed() -> bool:
        return bool(await owner.fetchval("SELECT lease_until FROM processes") > until_when)

    await until(renewed)
    await database.close()


async def test_the_clock_is_the_servers_whatever_this_host_says(
    address: str, owner: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 3600)
    database = await Database.open(address)
    clock = database.clock(time.time)
    assert abs(clock() - float(await owner.fetchval("SELECT extract(epoch FROM clock_timestamp())"))) < 30
    await database.close()


async def test_the_clock_is_set_with_each_renewal_where_no_ping_sets_it(address: str) -> None:
    database = await Database.open(address, Server(is_pooled=True))
    assert isinstance(database, PostgreSQLDatabase)
    await database.join(time.time)
    database._clock._offset -= 3600  # as on a machine that was suspended, whose clock stood still meanwhile
    await lease(database)._turn()
    assert abs(database.clock(time.time)() - time.time()) < 30
    await database.close()


async def _locked(owner: asyncpg.Connection, row: Notification) -> asyncpg.transaction.Transaction:
    """Hold a row as a host does that was lost in the middle of a transaction."""
    transaction = owner.transaction()
    await transaction.start()
    await owner.execute("UPDATE notifications SET error = 'held' WHERE id = $1", row.id)
    return transaction


async def _put_of_the_dead(database: PostgreSQLDatabase) -> Notification:
    """Put a notification that is held by somebody who lives no more."""
    task = in_status(TaskStatus.FINISHED)
    row = in_state(NotificationState.DUE, task)
    await put(database, [task, row])
    async with database.write() as transaction:
        transaction.me = "somebody"
        await notifications.send(transaction, row.id, NOW, NOW)
    return row


async def test_nobody_begins_to_live_while_others_take_from_those_who_do_not(
    pair: tuple[PostgreSQLDatabase, PostgreSQLDatabase], owner: asyncpg.Connection, address: str
) -> None:
    first, second = pair
    row = await _put_of_the_dead(first)
    lost = await _locked(owner, row)
    taking = asyncio.create_task(lease(second)._take_over())
    watching = await asyncpg.connect(address)

    async def waits(count: int) -> bool:
        return bool(await watching.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted") >= count)

    await until(lambda: waits(1))
    before = lease(first).id
    await dies(first, watching)
    await watching.execute("DELETE FROM processes WHERE id = $1", before)
    beginning = asyncio.create_task(lease(first)._turn())
    await until(lambda: waits(2))
    # Until it is written down nobody knows the new name, and nothing is held by it.
    assert lease(first).id == before
    await lost.rollback()
    await asyncio.gather(taking, beginning)
    assert lease(first).id != before
    assert await watching.fetchval("SELECT count(*) FROM processes WHERE id = $1", lease(first).id) == 1
    await watching.close()


async def test_a_lease_is_renewed_whatever_somebody_who_was_lost_still_holds(
    pair: tuple[PostgreSQLDatabase, PostgreSQLDatabase],
    owner: asyncpg.Connection,
    address: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = pair
    row = await _put_of_the_dead(first)
    await dies(first, owner)
    lost = await _locked(owner, row)
    watching = await asyncpg.connect(address)
    query = "SELECT lease_until FROM processes WHERE id = $1"
    until_when = await watching.fetchval(query, lease(second).id)
    monkeypatch.setattr(leases, "LEASE_SECONDS", 3.0)
    await lease(second)._turn()
    assert await watching.fetchval(query, lease(second).id) != until_when
    assert await watching.fetchval("SELECT holder FROM notifications WHERE id = $1", row.id) == "somebody"
    await lost.rollback()
    await lease(second)._turn()
    assert await watching.fetchval("SELECT holder FROM notifications WHERE id = $1", row.id) is None
    await watching.close()


async def test_a_lease_is_renewed_though_somebody_was_lost_in_the_middle_of_renewing(
    pair: tuple[PostgreSQLDatabase, PostgreSQLDatabase], address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who leads is written down by everybody who renews, and its row is locked until the server ends the session."""
    assert module.RENEW_SECONDS + pool.IDLE_SECONDS < leases.LEASE_SECONDS - module.MARGIN_SECONDS
    _, second = pair
    monkeypatch.setitem(pool._LIMITS, "idle_in_transaction_session_timeout", "300ms")
    lost = await Database.open(address)
    before = lease(second)._until

    async def renew() -> None:
        async with lost.write() as transaction:
            await leases.lead(transaction, "somebody")
            await lease(second)._turn()

    with pytest.raises(OperationalError):
        await renew()
    assert lease(second)._until > before
    await lost.close()
