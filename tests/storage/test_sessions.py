"""What is PostgreSQL's alone: sessions, migrations by many, transactions beside each other."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, replace
from typing import Any

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, insert, text
from sqlalchemy.exc import DBAPIError, OperationalError

from bot.addresses import database_url
from storage import notifications, tasks
from storage.database import Database, DatabaseError, Server
from storage.ids import new_id
from storage.members.forget import forget_member
from storage.notifications import Notification
from storage.postgresql.addresses import show
from storage.postgresql.errors import explain
from storage.postgresql.opening import prepare
from storage.postgresql.pool import make_engine
from storage.schema import HEAD, Acknowledgement, NotificationState, TaskStatus, metadata
from storage.schema import tasks as table
from storage.tasks import Task
from tests.postgresql import PASSWORD, shared_server
from tests.storage.observed import until
from tests.storage.rows import NOW, a_task, add, in_state, in_status, one

ROUNDS = 10

SESSION = text("SELECT current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout')")
PREPARED = text("SELECT count(*) FROM pg_prepared_statements")


@pytest.fixture
def engine() -> str:
    return "postgresql"


@pytest.fixture
async def empty() -> AsyncIterator[str]:
    server = shared_server()
    url = await server.new_database(migrated=False)
    yield url
    await server.drop(url)


@pytest.fixture
async def owner(address: str) -> AsyncIterator[asyncpg.Connection]:
    """An owner's shell."""
    connection = await asyncpg.connect(address)
    yield connection
    await connection.close()


async def run_sync(url: str, work: Callable[[Connection], Any]) -> Any:
    engine = make_engine(url, Server())
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(work)
    finally:
        await engine.dispose()


# Opening


async def test_ten_that_start_at_once_make_one_set_of_tables(empty: str) -> None:
    opened = await asyncio.gather(*(Database.open(empty) for _ in range(10)))
    await asyncio.gather(*(database.close() for database in opened))
    differences = await run_sync(empty, lambda sync: compare_metadata(MigrationContext.configure(sync), metadata))
    assert differences == []


async def test_tables_have_the_indexes_that_the_program_knows(address: str, owner: asyncpg.Connection) -> None:
    found = {row["indexname"]: row["indexdef"] for row in await owner.fetch("SELECT * FROM pg_indexes")}
    for one_table in metadata.sorted_tables:
        for index in one_table.indexes:
            is_partial = index.dialect_options["postgresql"]["where"] is not None
            assert (" WHERE " in found[str(index.name)]) == is_partial, index.name


async def test_tables_of_a_newer_program_are_refused_and_left_as_they_are(
    address: str, owner: asyncpg.Connection
) -> None:
    await owner.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(DatabaseError, match=rf"newer version .*schema 9999, this version knows {HEAD}") as caught:
        await Database.open(address)
    assert PASSWORD not in str(caught.value)
    assert await owner.fetchval("SELECT version_num FROM alembic_version") == "9999"


async def test_an_interrupted_migration_leaves_nothing(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.postgresql.opening._PROBE", text("SELECT 1 / 0"))
    with pytest.raises(DatabaseError):
        await prepare(empty, Server())
    monkeypatch.undo()
    connection = await asyncpg.connect(empty)
    assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
    await connection.close()
    await prepare(empty, Server())


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://bot:{PASSWORD}@db.example:5433/coverbot",
        f"postgres://bot@db.example:5433/coverbot?password={PASSWORD}&sslmode=require",
    ],
)
def test_an_address_is_shown_without_its_password(url: str) -> None:
    assert show(url) == "coverbot at db.example:5433"
    assert PASSWORD not in str(explain(url, OperationalError("SELECT 1", None, OSError(111, "Connection refused"))))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://bot:x@one.example:5432,two.example:5433/coverbot", "one.example:5432,two.example:5433"),
        ("postgresql://bot:x@%2Fvar%2Frun%2Fpostgresql/coverbot", "/var/run/postgresql"),
        ("postgresql:///coverbot?host=/var/run/postgresql&user=bot", "/var/run/postgresql"),
        ("postgresql://bot:x@/coverbot?host=/cloudsql/project:europe:one", "/cloudsql/project:europe:one"),
        ("postgresql://bot:x@%2Fcloudsql%2Fproject%3Aeurope%3Aone/coverbot", "/cloudsql/project:europe:one"),
        ("postgresql://bot@[::1]:5433/coverbot", "[::1]:5433"),
        ("postgresql://bot@db.example:/coverbot", "db.example"),
        ("postgresql://bot@/coverbot", "the local server"),
    ],
)
def test_every_form_of_an_address_is_read(url: str, shown: str) -> None:
    assert database_url(url) == url
    assert show(url) == f"coverbot at {shown}"


async def test_what_libpq_knows_may_stand_in_an_address(address: str) -> None:
    said = "connect_timeout=5&channel_binding=prefer&keepalives=1&gssencmode=disable&sslmode=prefer"
    for url in (f"{address}&{said}", _at_its_socket(address)):
        database = await Database.open(url, Server())
        async with database.read() as snapshot:
            assert (await snapshot.execute(text("SELECT 1"))).scalar_one() == 1
        await database.close()
    with pytest.raises(DatabaseError, match="the server knows no pgbouncer; leave it out of the address") as caught:
        await Database.open(f"{address}&pgbouncer=true", Server())
    assert "\n" not in str(caught.value)


def _at_its_socket(address: str) -> str:
    front, _, folder = address.partition("?host=")
    return front.replace("@/", f"@{folder}/")


# Sessions


@pytest.mark.parametrize("is_pooled", [False, True])
async def test_a_session_is_held_to_limits_and_prepares_nothing_behind_a_pooler(address: str, is_pooled: bool) -> None:
    database = await Database.open(address, Server(is_pooled=is_pooled))
    for begin in (database.read, database.write):
        async with begin() as transaction:
            assert (await transaction.execute(SESSION)).one() == ("30s", "10s")
            assert ((await transaction.execute(PREPARED)).scalar_one() == 0) == is_pooled
    await database.close()


async def insert_task(database: Database, row: dict[str, Any]) -> None:
    async with database.write() as transaction:
        await transaction.execute(insert(table), row)


async def test_an_error_does_not_hold_the_values_of_its_query(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "a-token-that-nobody-may-read"
    row = asdict(a_task(token=secret))
    for wrong in ({"title": None}, {"title": "x" * 201}, {"user_id": secret}):
        with pytest.raises(DBAPIError) as caught:
            await insert_task(database, row | wrong)
        assert not isinstance(caught.value, OperationalError), "another try does not help"
        logging.getLogger("test").error("it failed", exc_info=caught.value)
    assert "it failed" in caplog.text
    assert secret not in caplog.text


async def end_own_session(database: Database) -> None:
    async with database.write() as transaction:
        await transaction.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))


async def test_a_connection_that_the_server_has_ended_is_replaced(
    database: Database, owner: asyncpg.Connection
) -> None:
    task = a_task()
    await add(database, [task])
    await owner.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with pytest.raises(OperationalError):
        await end_own_session(database)
    async with database.read() as snapshot:
        assert await tasks.get(snapshot, task.id) == task


# Beside each other


async def test_reading_sees_one_state_while_others_write(database: Database) -> None:
    first, second = a_task(), a_task()
    await add(database, [first])
    async with database.read() as snapshot:
        assert await tasks.get(snapshot, first.id) == first
        await add(database, [second])
        assert await tasks.get(snapshot, second.id) is None
    async with database.read() as snapshot:
        assert await tasks.get(snapshot, second.id) == second


async def somebody_waits(owner: asyncpg.Connection) -> None:
    """Return when a session waits for another one."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"

    async def waits() -> bool:
        return bool(await owner.fetchval(query))

    await until(waits)


async def test_one_order_for_one_thing_however_many_ask_at_once(database: Database) -> None:
    async def order() -> tuple[str, bool]:
        async with database.write() as transaction:
            found = await tasks.same_order(transaction, "a key")
            if found is not None:
                return found.id, True
            task = a_task(order_key="a key")
            await tasks.add(transaction, task)
            return task.id, False

    made = await asyncio.gather(*(order() for _ in range(6)))
    assert len({name for name, _ in made}) == 1
    assert sum(not joined for _, joined in made) == 1


@pytest.mark.parametrize("first", ["end", "acknowledgement"])
async def test_nobody_waits_for_a_task_that_has_ended_meanwhile(
    database: Database, owner: asyncpg.Connection, first: str
) -> None:
    task = in_status(TaskStatus.WAITING)
    row = in_state(NotificationState.ASKED, task)
    await add(database, [task, row])

    began = asyncio.Event()

    async def end() -> None:
        async with database.write() as transaction:
            await tasks.fail(transaction, task, "failed", None, NOW)
            if first == "end":
                began.set()
                await somebody_waits(owner)
            await notifications.make_due(transaction, task.id, NOW)

    async def acknowledge() -> None:
        async with database.write() as transaction:
            await notifications.acknowledge(transaction, row.id, 7, NOW)
            if first == "acknowledgement":
                began.set()
                await somebody_waits(owner)

    beginning, following = (end, acknowledge) if first == "end" else (acknowledge, end)
    running = asyncio.create_task(beginning())
    await began.wait()
    await asyncio.gather(running, following())
    assert (await one(database, row.id)).state is NotificationState.DUE


async def test_all_who_are_acknowledged_at_once_may_let_their_task_be_sent(
    database: Database, owner: asyncpg.Connection
) -> None:
    task = a_task()
    rows = [in_state(NotificationState.ASKED, task) for _ in range(2)]
    await add(database, [task, *rows])
    began = asyncio.Event()

    async def hand_over(name: str, *, is_first: bool = False) -> None:
        async with database.write() as transaction:
            await notifications.acknowledge(transaction, name, 7, NOW)
            if is_first:
                began.set()
                await somebody_waits(owner)
            await tasks.let_go(transaction, task.id, NOW)

    first = asyncio.create_task(hand_over(rows[0].id, is_first=True))
    await began.wait()
    await asyncio.gather(first, hand_over(rows[1].id))
    assert [(await one(database, row.id)).state for row in rows] == [NotificationState.WAITING] * 2


async def test_who_is_forgotten_while_a_task_ends_holds_nothing_that_its_end_needs(
    database: Database, owner: asyncpg.Connection
) -> None:
    task = in_status(TaskStatus.WAITING)
    row = in_state(NotificationState.WAITING, task)
    await add(database, [task, row])
    async with database.write() as ending:
        await tasks.fail(ending, task, "failed", None, NOW)

        async def forget() -> None:
            async with database.write() as transaction:
                await forget_member(transaction, row.user_id)

        forgetting = asyncio.create_task(forget())
        await somebody_waits(owner)
        assert await notifications.make_due(ending, task.id, NOW) == 1
    await forgetting
    assert await owner.fetchval("SELECT count(*) FROM notifications") == 0


async def test_many_who_change_the_same_rows_at_once_take_them_in_one_order(database: Database) -> None:
    """Else the server ends some of them after a second, and their work is done a second later once more."""

    async def work(rows: list[Notification], task: Task) -> None:
        names = [row.id for row in rows]
        for says in (Acknowledgement.LATE, Acknowledgement.ORDERED):
            async with database.write() as transaction:
                transaction.me = "somebody"
                await notifications.want(transaction, task.id, says)
            async with database.write() as transaction:
                transaction.me = "somebody"
                await notifications.release_acknowledgements(transaction, random.sample(names, len(names)))
            async with database.write() as transaction:
                await notifications.shown(transaction, random.choice(names), says, 5)
        async with database.write() as transaction:
            await notifications.make_due(transaction, task.id, NOW)

    for _ in range(ROUNDS):
        task = in_status(TaskStatus.WAITING)
        waiting = replace(in_state(NotificationState.WAITING, task), ack_message_id=5, ack_holder="somebody")
        rows = [replace(waiting, id=new_id(NOW), interaction_id=None) for _ in range(8)]
        await add(database, [task, *rows])
        await asyncio.gather(*(work(rows, task) for _ in range(6)))
