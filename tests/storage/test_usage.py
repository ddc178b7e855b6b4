"""What counts against limits: taken and given back once, forgotten, and gone when nobody needs it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from storage import tasks
from storage.database import Database
from storage.ids import new_id
from storage.members import forget
from storage.planned import Gone
from storage.schema import TaskStatus, changes
from storage.schema import usage as table
from storage.servers import settings as servers
from storage.servers import usage
from storage.servers.settings import KEPT_CHANGES, Change, RoleLimits, Server
from storage.servers.usage import KEEP_DAYS, Kind, Used
from storage.tasks import Task
from tests.storage.rows import NOW, a_task, add, one

TODAY = usage.day_of(NOW)


async def counted(database: Database, user_id: int = 1, day: int = TODAY) -> Used:
    async with database.read() as snapshot:
        return await usage.used(snapshot, 2, user_id, day)


async def order(database: Database, **changes_: Any) -> Task:
    """Write down a task that counts."""
    task = replace(a_task(**changes_), counted_on=TODAY)
    async with database.write() as transaction:
        await usage.take(transaction, task)
        await tasks.add(transaction, task)
    return task


async def test_an_order_counts_for_its_member_and_for_the_server(database: Database) -> None:
    await order(database)
    await order(database, user_id=7)
    async with database.write() as transaction:
        taken = await usage.take(transaction, a_task(model="generate-music-cover", counted_on=TODAY))
    assert taken == (Used(1, 1, 1), Used(usage.WHOLE_SERVER, 1, 2))
    assert [taken[1].of(kind) for kind in Kind] == [1, 2]


async def test_what_is_taken_back_with_its_transaction_never_counted(database: Database) -> None:
    async def take_too_much() -> None:
        async with database.write() as transaction:
            await usage.take(transaction, a_task())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await take_too_much()
    assert await counted(database) == Used(1, 0, 0)


async def test_an_order_is_given_back_once_however_often_it_ends(database: Database) -> None:
    task = await order(database)
    for _ in range(2):
        async with database.write() as transaction:
            failed = await tasks.fail(transaction, await one(database, task.id), "content", None, NOW)
            await usage.give_back(transaction, failed, failed=True)
        assert await counted(database) == Used(1, 0, 0, 1)
        async with database.write() as transaction:  # it was rung, so it may fail again
            await tasks.ring(transaction, task.id, "VG1", NOW, 1, is_finished=True, is_answering=False)
    assert (await one(database, task.id)).counted_on is None
    async with database.write() as transaction:  # also with a row that was read before
        assert not await usage.give_back(transaction, task, failed=True)
    assert await counted(database) == Used(1, 0, 0, 1)


async def test_what_an_order_cost_is_added_once_and_to_its_own_day(database: Database) -> None:
    first, second = await order(database), await order(database)
    for task, told in ((first, 20.0), (second, None)):
        async with database.write() as transaction:
            await usage.spend(transaction, await tasks.finish(transaction, task.id, task.id, NOW + 86400, told))
    assert await counted(database) == Used(1, 0, 2, 0, 20)
    for _ in range(2):
        with suppress(Gone):
            async with database.write() as transaction:
                await usage.spend(transaction, await tasks.price(transaction, second.id, 12.5))
    assert await counted(database) == Used(1, 0, 2, 0, 32.5)
    assert await counted(database, user_id=usage.WHOLE_SERVER) == Used(0, 0, 2, 0, 32.5)
    async with database.read() as snapshot:
        assert await usage.by_member(snapshot, 2, TODAY) == [Used(1, 0, 2, 0, 32.5)]
        assert (await usage.by_day(snapshot, 2, TODAY))[TODAY].credits == 32.5


async def test_a_death_between_the_end_and_the_commit_gives_nothing_back(database: Database) -> None:
    task = await order(database)

    async def die() -> None:
        async with database.write() as transaction:
            failed = await tasks.fail(transaction, task, "content", None, NOW)
            assert await usage.give_back(transaction, failed, failed=True)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await die()
    assert await counted(database) == Used(1, 0, 1)
    assert (await one(database, task.id)).counted_on == TODAY


async def test_what_is_given_back_counts_on_its_own_day(database: Database) -> None:
    task = await order(database)
    async with database.write() as transaction:
        await usage.take(transaction, a_task(counted_on=TODAY + 1))
        failed = await tasks.fail(transaction, task, "time", None, NOW + 86400)
        await usage.give_back(transaction, failed, failed=True)
    assert await counted(database) == Used(1, 0, 0, 1)
    assert await counted(database, day=TODAY + 1) == Used(1, 0, 1)


async def test_a_member_is_forgotten_but_for_today_and_today_when_it_is_over(database: Database) -> None:
    song = a_task(status=TaskStatus.QUEUED, counted_on=TODAY)
    change = Change(new_id(NOW), 2, 1, NOW, "mentions", "✓", "✗")
    async with database.write() as transaction:
        for day in (TODAY - 1, TODAY):
            await usage.take(transaction, a_task(counted_on=day))
            await usage.take(transaction, a_task(user_id=7, counted_on=day))
        await servers.save(transaction, Server(2, mentions=False), change)
    await add(database, [song])
    async with database.write() as transaction:
        assert await forget.forget_member(transaction, 1, today=TODAY)
    assert [await counted(database, day=day) for day in (TODAY - 1, TODAY)] == [Used(1, 0, 0), Used(1, 0, 1)]
    async with database.write() as transaction:
        await usage.expire(transaction, TODAY)
        assert (await usage.used(transaction, 2, 1, TODAY)).songs == 1
        await usage.expire(transaction, TODAY + 1)
        left = [row.user_id for row in await transaction.execute(select(table).order_by(table.c.user_id))]
        assert left == [0, 0, 7, 7]
        assert [row.user_id for row in await transaction.execute(select(changes))] == [forget.NOBODY]
        # Where the owner does it by hand, nothing stays.
        assert not await forget.forget_member(transaction, 7)
        left = [row.user_id for row in await transaction.execute(select(table))]
        assert left == [0, 0]


async def test_what_is_older_than_anybody_can_see_goes(database: Database) -> None:
    await order(database)
    async with database.write() as transaction:
        assert await usage.expire(transaction, TODAY + KEEP_DAYS) == 0
        assert [row.user_id for row in await usage.by_member(transaction, 2, TODAY)] == [1]
        assert await usage.expire(transaction, TODAY + KEEP_DAYS + 1) == 2


async def test_a_servers_settings_come_back_as_they_were_saved_and_only_the_newest_changes_stay(
    database: Database,
) -> None:
    server = Server(2, 3, None, {5: RoleLimits(-1, None)}, (8, 9), covers_of_others=False, language="de", welcome="Hi")
    async with database.write() as transaction:
        assert await servers.get(transaction, 2) == Server(2)
        for number in range(KEPT_CHANGES + 5):
            change = Change(new_id(NOW + number), 2, 1, NOW + number, "welcome", "·", str(number))
            await servers.save(transaction, replace(server, welcome=str(number)), change)
        await servers.save(transaction, server, replace(change, id=new_id(NOW + 99), after="Hi"))
        assert await servers.get(transaction, 2) == server
        kept = await servers.newest_changes(transaction, 2, 100)
        assert (len(kept), kept[0].after) == (KEPT_CHANGES, "Hi")
        await servers.remove(transaction, 2)
        assert await servers.get(transaction, 2) == Server(2)
        assert await servers.newest_changes(transaction, 2, 100) == []
