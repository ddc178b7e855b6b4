"""Turns of all processes at one server: a row each, taken in one statement, by the server's clock."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Float, String, bindparam, delete, func, select, text
from sqlalchemy.dialects.postgresql import insert

from storage.database import Transaction
from storage.schema import turns
from storage.turns import Turns
from storage.wakeups import Queue

NAME_SECONDS = 900.0
"""How long a name is known that is said once; an interaction lives as long."""

CHANNEL_SECONDS = 15.0
"""For how long a channel is one process's, from when it last took up or began a post there."""

QUIET_SECONDS = 2.5
"""For how long after that, so that what Discord allows in a channel is free again for whoever is next."""

_NOW: Any = func.extract("epoch", func.clock_timestamp()).cast(Float)
_NAME: Any = bindparam("called")
_SECONDS: Any = bindparam("seconds", type_=Float)

_one = insert(turns).values(name=_NAME, holder=bindparam("me"), free_at=_NOW + _SECONDS)
_TAKE = _one.on_conflict_do_update(
    index_elements=[turns.c.name],
    set_={"holder": _one.excluded.holder, "free_at": _one.excluded.free_at},
    where=turns.c.free_at <= _NOW,
).returning(turns.c.name)
_LEFT = select(turns.c.free_at - _NOW).where(turns.c.name == _NAME)
_PAUSE = _one.on_conflict_do_update(
    index_elements=[turns.c.name], set_={"free_at": func.greatest(turns.c.free_at, _one.excluded.free_at)}
)
# What each costs is added to one moment; whoever brings it further ahead than a burst does waits for the difference.
_RESERVE = text(
    "INSERT INTO turns (name, free_at) SELECT :called, now + :cost"
    " FROM (SELECT extract(epoch FROM clock_timestamp())::float8 AS now) AS clock"
    " WHERE NOT EXISTS (SELECT FROM turns WHERE name = :pause AND free_at > now)"
    " ON CONFLICT (name) DO UPDATE SET free_at = greatest(turns.free_at, excluded.free_at - :cost) + :cost"
    " RETURNING free_at - extract(epoch FROM clock_timestamp())::float8 - :burst"
).bindparams(
    bindparam("called", type_=String),
    bindparam("pause", type_=String),
    bindparam("cost", type_=Float),
    bindparam("burst", type_=Float),
)
_OF_CHANNELS = (
    bindparam("me", type_=String),
    bindparam("seconds", type_=Float),
    bindparam("channels", type_=ARRAY(BigInteger)),
)
_TAKE_CHANNELS = text(
    "INSERT INTO turns (name, holder, free_at)"
    " SELECT 'channel ' || id, :me, extract(epoch FROM clock_timestamp())::float8 + :seconds"
    " FROM unnest(:channels) AS id ORDER BY id"
    " ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, free_at = excluded.free_at"
    " WHERE turns.holder = excluded.holder OR turns.free_at <= extract(epoch FROM clock_timestamp())"
    " RETURNING substr(name, 9)::bigint"
).bindparams(*_OF_CHANNELS)
_LEAVE_CHANNELS = text(
    "UPDATE turns SET free_at = least(free_at, extract(epoch FROM clock_timestamp())::float8 + :seconds)"
    " WHERE holder = :me AND name IN (SELECT 'channel ' || id FROM unnest(:channels) AS id)"
).bindparams(*_OF_CHANNELS)
_EXPIRE = delete(turns).where(turns.c.free_at < _NOW - NAME_SECONDS)


class SharedTurns(Turns):
    """The turns of all processes."""

    def __init__(self, write: Callable[[], AbstractAsyncContextManager[Transaction]]) -> None:
        super().__init__()
        self._write = write

    async def take(self, name: str, seconds: float) -> float:
        """Take a turn that is free, so that it is not for some seconds; return after how many it is, 0 when taken."""
        async with self._write() as transaction:
            values = {"called": name, "seconds": seconds, "me": transaction.me}
            if (await transaction.execute(_TAKE, values)).first() is not None:
                return 0.0
            return max(await self._left(transaction, name), 0.01)

    async def is_first(self, name: str) -> bool:
        """Tell whether no process has said this name in the last minutes."""
        return not await self.take(name, NAME_SECONDS)

    async def reserve(self, name: str, cost: float, burst: float, pause: str) -> tuple[float, float]:
        """Take the next turn of a line in which each takes so many seconds, and return how long it is to be waited for.

        That is less by what a burst may take at once. While there is a `pause` nothing is taken; how long that lasts
        is the second number.
        """
        async with self._write() as transaction:
            values = {"called": name, "cost": cost, "burst": burst, "pause": pause}
            wait = (await transaction.execute(_RESERVE, values)).scalar()
            if wait is not None:
                return max(float(wait), 0.0), 0.0
            return 0.0, max(await self._left(transaction, pause), 0.01)

    async def pause(self, name: str, seconds: float) -> None:
        """Let there be a pause for some seconds, or as long as it lasts already, and tell everybody."""
        async with self._write() as transaction:
            await transaction.execute(_PAUSE, {"called": name, "seconds": seconds, "me": None})
            transaction.wakes(Queue.PAUSES)

    async def left(self, name: str) -> float:
        """Return for how many seconds a turn is not free, or a pause lasts; 0 where it is free."""
        async with self._write() as transaction:
            return max(await self._left(transaction, name), 0.0)

    @staticmethod
    async def _left(transaction: Transaction, name: str) -> float:
        return float((await transaction.execute(_LEFT, {"called": name})).scalar() or 0.0)


async def take_channels(transaction: Transaction, channels: Collection[int]) -> set[int]:
    """Take the channels in which no other process is posting, and return them."""
    values = {"me": transaction.me, "seconds": CHANNEL_SECONDS, "channels": list(channels)}
    return set((await transaction.execute(_TAKE_CHANNELS, values)).scalars())


async def leave_channels(transaction: Transaction, channels: Collection[int]) -> None:
    """Let others post in channels of this process's, in a moment."""
    if not channels:
        return
    values = {"me": transaction.me, "seconds": QUIET_SECONDS, "channels": list(channels)}
    await transaction.execute(_LEAVE_CHANNELS, values)


async def expire(transaction: Transaction) -> None:
    """Delete what has long been free."""
    await transaction.execute(_EXPIRE)
