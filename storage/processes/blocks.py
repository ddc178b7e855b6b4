"""Blocks of shards, each with a lease: which process runs which part of the gateway.

Beside the lease of a process this one is short, for two who run the same shards do no harm: what reaches both is
answered once. Who ends offers its block. A successor begins its sessions beside those that are there, and becomes the
holder when they are ready.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Float, and_, bindparam, case, delete, exists, func, insert, null, or_, select, update

from storage.database import Snapshot, Transaction
from storage.schema import processes, shard_blocks
from storage.wakeups import Queue

BLOCK_SECONDS = 15.0
"""How long a process that says nothing is thought to run its shards."""

_blocks = shard_blocks.c
_NOW: Any = func.extract("epoch", func.clock_timestamp()).cast(Float)
_ME: Any = bindparam("me")
_UNTIL = _NOW + bindparam("seconds", type_=Float)
_NUMBER = _blocks.number == bindparam("of_number")

_IS_HELD = and_(_blocks.holder.is_not(None), _blocks.lease_until >= _NOW)
_HAS_SUCCESSOR = and_(_blocks.successor.is_not(None), _blocks.successor_until >= _NOW)
_FREE: dict[str, Any] = {"is_offered": False, "successor": null(), "successor_until": 0.0}

_ANY_TAKEN = select(_blocks.number).where(or_(_IS_HELD, _HAS_SUCCESSOR)).limit(1)
_ALL = select(_blocks.first, _blocks.last, _blocks.shards).order_by(_blocks.number)
_REMOVE = delete(shard_blocks)
_ADD = insert(shard_blocks)
_FIND_FREE = select(_blocks.number).where(~_IS_HELD, ~_HAS_SUCCESSOR).order_by(_blocks.number).limit(1)
_FIND_OFFERED = (
    select(_blocks.number)
    .where(_IS_HELD, _blocks.is_offered, _blocks.holder != _ME, ~_HAS_SUCCESSOR)
    .order_by(_blocks.number)
    .limit(1)
)
_TAKE = (
    update(shard_blocks)
    .where(_NUMBER)
    .values(holder=_ME, lease_until=_UNTIL, **_FREE)
    .returning(*_blocks["number", "first", "last", "shards"])
)
_SUCCEED = (
    update(shard_blocks)
    .where(_NUMBER)
    .values(successor=_ME, successor_until=_UNTIL)
    .returning(*_blocks["number", "first", "last", "shards"])
)
_RENEW = update(shard_blocks).where(_NUMBER, _blocks.holder == _ME).values(lease_until=_UNTIL).returning(_blocks.number)
# The holder may have ended meanwhile, which makes its successor the holder.
_IS_SUCCESSOR = or_(_blocks.successor == _ME, _blocks.holder == _ME)
_RENEW_SUCCESSOR = (
    update(shard_blocks)
    .where(_NUMBER, _IS_SUCCESSOR)
    .values(successor_until=_UNTIL, lease_until=case((_blocks.holder == _ME, _UNTIL), else_=_blocks.lease_until))
    .returning(_blocks.number)
)
_OFFER = update(shard_blocks).where(_NUMBER, _blocks.holder == _ME).values(is_offered=True)
_OTHERS = exists().where(
    processes.c.id != _ME,
    processes.c.lease_until >= _NOW,
    ~exists().where(_blocks.holder == processes.c.id, _blocks.lease_until >= _NOW),
)
_STANDS_BY = select(_OTHERS)
_BECOME_HOLDER = (
    update(shard_blocks)
    .where(_NUMBER, _IS_SUCCESSOR)
    .values(holder=_ME, lease_until=_UNTIL, **_FREE)
    .returning(_blocks.number)
)
# Whoever has begun to succeed goes on as the holder.
_LET_GO = (
    update(shard_blocks)
    .where(_NUMBER, _blocks.holder == _ME)
    .values(
        holder=case((_HAS_SUCCESSOR, _blocks.successor), else_=null()),
        lease_until=case((_HAS_SUCCESSOR, _blocks.successor_until), else_=0.0),
        **_FREE,
    )
)
_SUCCEED_NOT = update(shard_blocks).where(_NUMBER, _blocks.successor == _ME).values(_FREE | {"is_offered": True})
_taken_until = func.greatest(
    case((_blocks.holder.is_not(None), _blocks.lease_until), else_=0.0),
    case((_blocks.successor.is_not(None), _blocks.successor_until), else_=0.0),
)
_is_open = and_(_blocks.is_offered, ~_HAS_SUCCESSOR)
_FREE_IN = select(func.min(case((_is_open, 0.0), else_=_taken_until - _NOW)))
_HELD = select(func.count()).where(_IS_HELD)
_COUNT = select(func.count()).select_from(shard_blocks)


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive shards, of so many `shards` in all."""

    number: int
    first: int
    last: int
    shards: int
    is_succession: bool = False
    """Whether somebody else still runs them."""

    @property
    def ids(self) -> list[int]:
        """Return the shards' ids."""
        return list(range(self.first, self.last + 1))


def layout(shards: int, size: int | None) -> list[Block]:
    """Divide shards into blocks of a size, or all in one."""
    size = size or shards
    firsts = range(0, shards, size)
    return [Block(number, first, min(first + size, shards) - 1, shards) for number, first in enumerate(firsts)]


class Blocks:
    """The blocks, as one process sees them."""

    def __init__(
        self,
        read: Callable[[], AbstractAsyncContextManager[Snapshot]],
        write: Callable[[], AbstractAsyncContextManager[Transaction]],
        me: Callable[[], str | None],
    ) -> None:
        self._read = read
        self._write = write
        self._me = me

    async def free_in(self) -> float:
        """Return in how many seconds a block may be had; 0 where it may be at once."""
        async with self._read() as snapshot:
            left: float | None = (await snapshot.execute(_FREE_IN)).scalar_one()
        return max(left or 0.0, 0.0)

    async def take(self, wanted: list[Block]) -> Block | None:
        """Take a block that nobody runs, or begin to succeed in one that is offered; None where there is neither.

        They are laid out as `wanted` while nobody runs any.
        """
        async with self._write() as transaction:
            await transaction.alone("shard blocks")
            await self._lay_out(transaction, wanted)
            values = self._values()
            number = (await transaction.execute(_FIND_FREE)).scalar()
            if number is not None:
                row = (await transaction.execute(_TAKE, values | {"of_number": number})).one()
                return Block(*row)
            number = (await transaction.execute(_FIND_OFFERED, {"me": values["me"]})).scalar()
            if number is None:
                return None
            row = (await transaction.execute(_SUCCEED, values | {"of_number": number})).one()
            transaction.wakes(Queue.SHARDS)
            return replace(Block(*row), is_succession=True)

    async def _lay_out(self, transaction: Transaction, wanted: list[Block]) -> None:
        there = [tuple(row) for row in await transaction.execute(_ALL)]
        if there == [(block.first, block.last, block.shards) for block in wanted]:
            return
        if (await transaction.execute(_ANY_TAKEN)).first() is not None:
            return
        await transaction.execute(_REMOVE)
        rows = [
            {"number": one.number, "first": one.first, "last": one.last, "shards": one.shards, "is_offered": False}
            | {"lease_until": 0.0, "successor_until": 0.0}
            for one in wanted
        ]
        await transaction.execute(_ADD, rows)

    async def renew(self, block: Block) -> bool:
        """Renew the lease of a block, or of the succession; tell whether it is still this process's."""
        return await self._is_done(_RENEW_SUCCESSOR if block.is_succession else _RENEW, block)

    async def become_holder(self, block: Block) -> bool:
        """Be the holder, now that the sessions are ready; tell whether that was still to be had."""
        return await self._is_done(_BECOME_HOLDER, block, wakes=True)

    async def offer(self, block: Block) -> bool:
        """Let somebody succeed; tell whether there is anybody who might."""
        async with self._write() as transaction:
            await transaction.execute(_OFFER, {"me": self._me(), "of_number": block.number})
            transaction.wakes(Queue.SHARDS)
            return bool((await transaction.execute(_STANDS_BY, {"me": self._me()})).scalar_one())

    async def let_go(self, block: Block) -> None:
        """Run a block no more, or succeed in it no more."""
        async with self._write() as transaction:
            for statement in (_SUCCEED_NOT, _LET_GO):
                await transaction.execute(statement, {"me": self._me(), "of_number": block.number})
            transaction.wakes(Queue.SHARDS)

    async def _is_done(self, statement: Any, block: Block, *, wakes: bool = False) -> bool:
        async with self._write() as transaction:
            found = (await transaction.execute(statement, self._values() | {"of_number": block.number})).first()
            if wakes:
                transaction.wakes(Queue.SHARDS)
        return found is not None

    def _values(self) -> dict[str, Any]:
        return {"me": self._me(), "seconds": BLOCK_SECONDS}


async def held(snapshot: Snapshot) -> tuple[int, int]:
    """Return how many blocks are run by somebody, and how many there are."""
    return (await snapshot.execute(_HELD)).scalar_one(), (await snapshot.execute(_COUNT)).scalar_one()
