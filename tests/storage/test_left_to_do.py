"""What is left to do: servers to greet, and how much there is of everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage import figures
from storage.figures import Live, Waiting
from storage.planned import Due
from storage.schema import TaskStatus
from storage.servers import greetings
from storage.wakeups import Queue
from tests.storage.rows import NOW, a_task, add

if TYPE_CHECKING:
    from storage.database import Database

GUILD = 1 << 60


async def test_a_server_is_greeted_once_until_it_is_joined_again(database: Database) -> None:
    async with database.write() as transaction:
        assert await greetings.join(transaction, GUILD, NOW)
        assert not await greetings.join(transaction, GUILD, NOW + 1)
        assert await greetings.claim(transaction, NOW, NOW + 60, (), 5) == [Due(str(GUILD), NOW)]
        assert await greetings.claim(transaction, NOW, NOW + 60, [str(GUILD)], 5) == []
        assert await greetings.next_due(transaction, ()) == NOW
        await greetings.send(transaction, GUILD, GUILD + 1, NOW)
        await greetings.postpone(transaction, GUILD, NOW + 9)
        assert await greetings.next_due(transaction, ()) == NOW + 9
        await greetings.done(transaction, GUILD)
        assert await greetings.next_due(transaction, ()) is None
        assert not await greetings.join(transaction, GUILD, NOW + 20)
        await greetings.leave(transaction, GUILD)
        assert await greetings.join(transaction, GUILD, NOW + 30)


async def test_what_is_not_done_is_counted_and_its_age_is_known(database: Database) -> None:
    old = a_task(status=TaskStatus.WAITING, created_at=NOW - 50, poll_at=NOW - 5)
    young = a_task(status=TaskStatus.WAITING, created_at=NOW - 10, poll_at=NOW + 5)
    await add(database, [old, young, a_task(status=TaskStatus.FINISHED, poll_at=None)])
    async with database.read() as snapshot:
        assert await figures.live(snapshot) == [Live(old.model, "waiting", 2, NOW - 50)]
        due = await figures.due(snapshot, NOW)
    assert due[Queue.POLLER] == Waiting(1, NOW - 5)
    assert due[Queue.ACKNOWLEDGEMENTS] == Waiting(0, None)


async def test_a_database_knows_its_size_and_who_uses_it(database: Database) -> None:
    size, free = await database.size()
    assert size > 0
    assert free is None or free > 0
    assert database.taken == 0
    async with database.read(), database.write():
        assert database.taken == 2 <= database.connections
    assert database.taken == 0
