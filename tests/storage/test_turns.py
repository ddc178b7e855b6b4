"""What all processes together do only so often: a row each at the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from storage.postgresql.database import PostgreSQLDatabase
from storage.processes import turns
from storage.turns import Turns
from tests.storage.test_leases import dies, lease, open_process

Pair = tuple[PostgreSQLDatabase, PostgreSQLDatabase]


@pytest.fixture
def engine() -> str:
    return "postgresql"


@pytest.fixture
async def owner(address: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(address)
    yield connection
    await connection.close()


@pytest.fixture
async def pair(address: str) -> AsyncIterator[Pair]:
    both = await open_process(address, "first"), await open_process(address, "second")
    yield both
    for database in both:
        await database.close()


async def passes(owner: asyncpg.Connection, seconds: float) -> None:
    """Let time pass for all turns."""
    await owner.execute("UPDATE turns SET free_at = free_at - $1", seconds)


async def test_a_turn_is_taken_by_one_and_free_again_later(pair: Pair, owner: asyncpg.Connection) -> None:
    lefts = await asyncio.gather(*(database.turns.take("identify 0", 60) for _ in range(5) for database in pair))
    assert min(lefts) == 0
    assert all(50 < left <= 60 for left in sorted(lefts)[1:])
    assert await pair[1].turns.take("identify 1", 60) == 0
    await passes(owner, 60)
    assert await pair[1].turns.take("identify 0", 60) == 0


async def test_a_process_alone_takes_turns_too() -> None:
    own = Turns()
    assert await own.take("identify 0", 60) == 0
    assert 50 < await own.take("identify 0", 60) <= 60
    assert await own.take("identify 1", 0) == 0
    assert await own.take("identify 1", 0) == 0
    assert [await own.is_first("press 1"), await own.is_first("press 1")] == [True, True]


async def test_what_is_said_once_is_said_by_one_process(pair: Pair) -> None:
    said = await asyncio.gather(*(database.turns.is_first("press 1") for _ in range(3) for database in pair))
    assert sorted(said) == [False] * 5 + [True]
    assert await pair[0].turns.is_first("press 2")


async def test_one_rate_is_kept_by_both_and_a_burst_goes_at_once(pair: Pair, owner: asyncpg.Connection) -> None:
    # Two a second, two at once.
    waits = [
        (await pair[number % 2].turns.reserve("rate", 0.5, 1.0, "pause"))[0] for number in range(6)
    ]  # fmt: skip
    assert waits[:2] == [0, 0]
    assert waits[2:] == pytest.approx([0.5, 1.0, 1.5, 2.0], abs=0.4)
    await passes(owner, 60)
    assert (await pair[0].turns.reserve("rate", 0.5, 1.0, "pause"))[0] == 0


async def test_a_pause_of_one_is_everybodys_and_takes_no_turn(pair: Pair, owner: asyncpg.Connection) -> None:
    first, second = pair
    await first.turns.pause("pause", 60)
    await first.turns.pause("pause", 10)  # a shorter one ends no longer one
    wait, pause = await second.turns.reserve("rate", 0.5, 1.0, "pause")
    assert (wait, 50 < pause <= 60) == (0, True)
    assert 50 < await second.turns.left("pause") <= 60
    assert await owner.fetchval("SELECT count(*) FROM turns WHERE name = 'rate'") == 0
    await passes(owner, 60)
    assert await second.turns.left("pause") == 0
    assert await second.turns.reserve("rate", 0.5, 1.0, "pause") == (0, 0)


async def test_a_channel_is_one_processs_until_it_leaves_it_or_dies(pair: Pair, owner: asyncpg.Connection) -> None:
    first, second = pair
    async with first.claiming() as transaction:
        assert await transaction.take_channels([1, 2]) == {1, 2}
    async with second.claiming() as transaction:
        assert await transaction.take_channels([1, 2, 3]) == {3}
    async with first.claiming() as transaction:
        assert await transaction.take_channels([1]) == {1}, "its own stays its own"
        await transaction.leave_channels([1])
        await transaction.leave_channels([])
    async with second.claiming() as transaction:
        assert await transaction.take_channels([1]) == set(), "what Discord allows there is not free yet"
    await passes(owner, turns.QUIET_SECONDS)
    async with second.claiming() as transaction:
        assert await transaction.take_channels([1, 2]) == {1}
    await dies(first, owner)
    await lease(second)._turn()
    async with second.claiming() as transaction:
        assert await transaction.take_channels([2]) == {2}


async def test_what_has_long_been_free_is_deleted(pair: Pair, owner: asyncpg.Connection) -> None:
    await pair[0].turns.take("old", 1)
    await passes(owner, turns.NAME_SECONDS + 2)
    await pair[0].turns.take("new", 1)
    async with pair[0].write() as transaction:
        await transaction.expire_turns()
    assert [row["name"] for row in await owner.fetch("SELECT name FROM turns")] == ["new"]
