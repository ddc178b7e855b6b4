"""Alarms: what is told is told once, at most once a day, and to nobody twice, whatever comes in between."""

from __future__ import annotations

import pytest

from storage.database import Database, Transaction
from storage.planned import Gone
from storage.schema import AlarmKind, AlarmState
from storage.servers import alarms
from storage.servers.alarms import DAY, GATHER_SECONDS, REMEMBERED, Alarm
from tests.storage.rows import NOW

KEY, GIVEN_UP = AlarmKind.KEY, AlarmKind.GIVEN_UP
RAISED, TOLD, OVER, QUIET = AlarmState.RAISED, AlarmState.TOLD, AlarmState.OVER, AlarmState.QUIET
ADA, BOB = 7, 8


async def tell(transaction: Transaction, kind: AlarmKind, now: float, *people: int) -> Alarm:
    """Tell what is due to some people."""
    assert [due.id for due in await alarms.claim(transaction, now, (), 9)] == [kind]
    alarm, again = await alarms.send(transaction, kind, now, now + 5)
    assert not again
    for person in people:
        await alarms.know(transaction, kind, alarm.state, person, could=True)
    await alarms.done(transaction, kind, alarm.state, now)
    return alarm


async def row(transaction: Transaction, kind: AlarmKind) -> Alarm:
    found = await alarms.get(transaction, kind)
    assert found is not None
    return found


async def test_what_comes_and_goes_is_told_once_a_day(database: Database) -> None:
    async with database.write() as transaction:
        assert await alarms.begin(transaction, KEY, NOW, {}, NOW) is RAISED
        await tell(transaction, KEY, NOW, ADA)
        assert await alarms.begin(transaction, KEY, NOW + 1, {}, NOW + 1) is TOLD
        assert await alarms.end(transaction, KEY, {}, NOW + 2) is OVER
        assert await alarms.begin(transaction, KEY, NOW + 3, {}, NOW + 3) is TOLD  # before that could be told
        assert await alarms.end(transaction, KEY, {}, NOW + 4) is OVER
        over = await tell(transaction, KEY, NOW + 4, ADA)
        assert (over.state, over.knowing) == (OVER, [ADA])
        assert await alarms.begin(transaction, KEY, NOW + 5, {}, NOW + 5) is RAISED
        assert await alarms.next_due(transaction, ()) == NOW + DAY
        assert await alarms.end(transaction, KEY, {}, NOW + 6) is QUIET  # nobody was told of this time
        assert await alarms.next_due(transaction, ()) is None
        await alarms.begin(transaction, KEY, NOW + 7, {}, NOW + 7)
        assert (await tell(transaction, KEY, NOW + DAY, ADA)).since == NOW + 7


async def test_a_clock_that_is_set_back_delays_nothing_for_more_than_a_day(database: Database) -> None:
    async with database.write() as transaction:
        await alarms.begin(transaction, KEY, NOW, {}, NOW)
        await tell(transaction, KEY, NOW, ADA)
        await alarms.end(transaction, KEY, {}, NOW)
        await tell(transaction, KEY, NOW, ADA)
        earlier = NOW - 30 * DAY
        await alarms.begin(transaction, KEY, earlier, {}, earlier)
        assert await alarms.next_due(transaction, ()) == earlier + DAY


async def test_who_was_told_before_it_ended_hears_of_the_end_and_nobody_else(database: Database) -> None:
    async with database.write() as transaction:
        await alarms.begin(transaction, KEY, NOW, {}, NOW)
        alarm, _ = await alarms.send(transaction, KEY, NOW, NOW + 5)
        await alarms.know(transaction, KEY, alarm.state, ADA, could=True)
        assert await alarms.end(transaction, KEY, {}, NOW + 1) is OVER  # while others are being told
        await alarms.know(transaction, KEY, alarm.state, BOB, could=False)
        with pytest.raises(Gone):
            await alarms.done(transaction, KEY, alarm.state, NOW + 1)
        assert (await row(transaction, KEY)).knowing == [ADA]
        await tell(transaction, KEY, NOW + 2, ADA)
        assert (await row(transaction, KEY)).state is QUIET


async def test_who_heard_that_it_is_over_hears_that_it_is_so_again(database: Database) -> None:
    async with database.write() as transaction:
        await alarms.begin(transaction, KEY, NOW, {}, NOW)
        await tell(transaction, KEY, NOW, ADA, BOB)
        await alarms.end(transaction, KEY, {}, NOW + 1)
        over, _ = await alarms.send(transaction, KEY, NOW + 2, NOW + 7)
        await alarms.know(transaction, KEY, over.state, ADA, could=True)  # and Bob cannot be reached at the moment
        assert await alarms.begin(transaction, KEY, NOW + 3, {}, NOW + 3) is RAISED
        with pytest.raises(Gone):
            await alarms.done(transaction, KEY, over.state, NOW + 3)
        assert await alarms.next_due(transaction, ()) == NOW + DAY
        assert (await tell(transaction, KEY, NOW + DAY, ADA, BOB)).since == NOW + 3
        assert sorted((await row(transaction, KEY)).knowing) == [ADA, BOB]


async def test_after_a_start_nothing_is_told_until_it_was_seen_again(database: Database) -> None:
    async with database.write() as transaction:
        await alarms.begin(transaction, KEY, NOW, {}, NOW)
        await alarms.send(transaction, KEY, NOW, NOW + 5)  # and the program dies
        await alarms.give_up(transaction, "one", NOW)
        await alarms.recover(transaction, NOW + 100)
        assert [due.id for due in await alarms.claim(transaction, NOW + 100, (), 9)] == [GIVEN_UP]
        await alarms.begin(transaction, KEY, NOW + 100, {}, NOW + 100)
        alarm, again = await alarms.send(transaction, KEY, NOW + 101, NOW + 106)
        assert (alarm.since, again) == (NOW, True)


async def test_results_are_gathered_and_those_that_come_later_wait_for_their_day(database: Database) -> None:
    async with database.write() as transaction:
        for name in ("one", "two", "two"):
            await alarms.give_up(transaction, name, NOW)
        assert await alarms.claim(transaction, NOW + GATHER_SECONDS - 1, (), 9) == []
        told = await tell(transaction, GIVEN_UP, NOW + GATHER_SECONDS, ADA)
        assert (told.details["count"], told.details["task"]) == (2, "two")
        await alarms.give_up(transaction, "one", NOW + 100)  # told of already
        assert (await row(transaction, GIVEN_UP)).state is TOLD
        await alarms.give_up(transaction, "three", NOW + 200)
        assert await alarms.next_due(transaction, ()) == NOW + GATHER_SECONDS + DAY
        for name in ("one", "two"):
            await alarms.come_after_all(transaction, name, NOW + 300)
        assert (await row(transaction, GIVEN_UP)).state is RAISED
        await alarms.come_after_all(transaction, "three", NOW + 400)
        assert (await row(transaction, GIVEN_UP)).state is OVER


async def test_it_is_not_said_that_all_have_come_where_there_were_too_many_to_know(database: Database) -> None:
    async with database.write() as transaction:
        names = [f"task {number}" for number in range(REMEMBERED + 2)]
        for name in names:
            await alarms.give_up(transaction, name, NOW)
        assert (await tell(transaction, GIVEN_UP, NOW + GATHER_SECONDS, ADA)).details["count"] == len(names)
        for name in names:
            await alarms.come_after_all(transaction, name, NOW + 200)
        assert (await row(transaction, GIVEN_UP)).state is TOLD
