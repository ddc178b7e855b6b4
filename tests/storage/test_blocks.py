"""Blocks of shards: who runs which, and how one is handed over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from storage.postgresql.database import PostgreSQLDatabase
from storage.processes import blocks as module
from storage.processes.blocks import Block, Blocks, held, layout
from tests.storage.test_leases import open_process


@pytest.fixture
def engine() -> str:
    return "postgresql"


@pytest.fixture
async def owner(address: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(address)
    yield connection
    await connection.close()


@pytest.fixture
async def processes(address: str) -> AsyncIterator[list[PostgreSQLDatabase]]:
    found = [await open_process(address, name) for name in ("first", "second", "third")]
    yield found
    for database in found:
        await database.close()


@pytest.fixture
def three(processes: list[PostgreSQLDatabase]) -> list[Blocks]:
    return [database.blocks for database in processes]


async def ends(owner: asyncpg.Connection) -> None:
    """Let all leases end."""
    await owner.execute("UPDATE shard_blocks SET lease_until = 0, successor_until = 0")


def test_shards_are_divided_and_none_is_left_out() -> None:
    assert layout(1, None) == [Block(0, 0, 0, 1)]
    assert layout(10, None) == [Block(0, 0, 9, 10)]
    assert [block.ids for block in layout(10, 4)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


async def test_each_block_is_taken_by_one_and_who_finds_none_stands_by(three: list[Blocks]) -> None:
    wanted = layout(4, 2)
    assert await three[0].free_in() == 0
    taken = await asyncio.gather(*(blocks.take(wanted) for blocks in three))
    assert sorted(block.first for block in taken if block is not None) == [0, 2]
    assert taken.count(None) == 1
    assert 0 < await three[0].free_in() <= module.BLOCK_SECONDS


async def test_whoever_does_not_renew_loses_its_block(three: list[Blocks], owner: asyncpg.Connection) -> None:
    first, second, _ = three
    block = await first.take(layout(1, None))
    assert block is not None
    assert await first.renew(block)
    assert not await second.renew(block)
    await ends(owner)
    assert await second.free_in() == 0
    taken = await second.take(layout(1, None))
    assert taken == block
    assert not await first.renew(block)
    await first.let_go(block)
    assert await second.renew(block), "nobody lets go of what others run"


async def test_an_offered_block_goes_over_when_its_successor_is_ready(three: list[Blocks]) -> None:
    first, second, third = three
    block = await first.take(layout(1, None))
    assert block is not None
    assert await second.take(layout(1, None)) is None
    assert await first.offer(block), "two stand by"
    assert await second.free_in() == 0
    succession = await second.take(layout(1, None))
    assert succession is not None
    assert succession.is_succession
    assert await third.take(layout(1, None)) is None, "one succeeds"
    assert await first.renew(block), "it holds on meanwhile"
    assert await second.renew(succession)
    assert await second.become_holder(succession)
    assert not await first.renew(block)
    await first.let_go(block)
    assert await second.renew(block)


async def test_a_successor_goes_on_when_the_holder_ends_first(three: list[Blocks], owner: asyncpg.Connection) -> None:
    first, second, third = three
    block = await first.take(layout(1, None))
    assert block is not None
    await first.offer(block)
    succession = await second.take(layout(1, None))
    assert succession is not None
    await first.let_go(block)
    assert await third.take(layout(1, None)) is None
    assert await second.renew(succession)
    assert await second.become_holder(succession)
    assert await owner.fetchval("SELECT count(*) FROM shard_blocks WHERE successor IS NULL AND NOT is_offered") == 1


async def test_a_successor_that_ends_or_dies_leaves_the_offer_to_others(
    three: list[Blocks], owner: asyncpg.Connection
) -> None:
    first, second, third = three
    block = await first.take(layout(1, None))
    assert block is not None
    await first.offer(block)
    succession = await second.take(layout(1, None))
    assert succession is not None
    await second.let_go(succession)
    succession = await third.take(layout(1, None))
    assert succession is not None
    assert await first.renew(block)
    await owner.execute("UPDATE shard_blocks SET successor_until = 0")
    again = await second.take(layout(1, None))
    assert again is not None
    assert not await third.become_holder(succession)
    assert await second.become_holder(again)


async def test_nobody_is_waited_for_where_nobody_stands_by(
    processes: list[PostgreSQLDatabase], three: list[Blocks]
) -> None:
    first, second, _ = three
    block = await first.take(layout(2, 1))
    assert await second.take(layout(2, 1)) is not None
    await processes[2].close()
    assert block is not None
    assert not await first.offer(block)


async def test_they_are_laid_out_anew_only_while_nobody_runs_any(
    processes: list[PostgreSQLDatabase], three: list[Blocks], owner: asyncpg.Connection
) -> None:
    first, second, _ = three
    assert await first.take(layout(1, None)) == Block(0, 0, 0, 1)
    assert await second.take(layout(4, 2)) is None
    async with processes[0].read() as snapshot:
        assert await held(snapshot) == (1, 1)
    await ends(owner)
    assert await second.take(layout(4, 2)) == Block(0, 0, 1, 4)
    async with processes[0].read() as snapshot:
        assert await held(snapshot) == (1, 2)


async def test_who_leaves_in_order_leaves_its_block_too(
    processes: list[PostgreSQLDatabase], three: list[Blocks]
) -> None:
    assert await three[0].take(layout(1, None)) is not None
    await processes[0].close()
    assert await three[1].take(layout(1, None)) is not None
