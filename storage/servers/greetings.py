"""Greetings: the servers that were joined, each of which is greeted once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, null, select, text, update

from storage import planned
from storage.database import Snapshot, Transaction
from storage.planned import Due, Gone
from storage.quick import quick, unless_there
from storage.schema import greetings
from storage.wakeups import Queue


@dataclass(frozen=True, slots=True)
class Greeting:
    """A row of `greetings`."""

    guild_id: int
    joined_at: float
    greet_at: float | None
    attempts: int
    channel_id: int | None
    sent_at: float | None


_OF_GUILD = greetings.c.guild_id == bindparam("of_guild")
_IS_PLANNED = text("greet_at IS NOT NULL")
_IS_OPEN = greetings.c.greet_at.is_not(null())

_ADD = quick(unless_there(greetings))
_GET = quick(select(greetings).where(_OF_GUILD))
_REMOVE = quick(delete(greetings).where(_OF_GUILD))
_CLAIM = planned.due(greetings.c.guild_id, greetings.c.greet_at, _IS_PLANNED)
_NEXT = planned.next_due(greetings.c.guild_id, greetings.c.greet_at, _IS_PLANNED)
_SEND = quick(
    update(greetings)
    .where(_OF_GUILD, _IS_OPEN)
    .values(channel_id=bindparam("of_channel"), sent_at=bindparam("now"))
    .returning(*greetings.c)
)
_POSTPONE = quick(
    update(greetings)
    .where(_OF_GUILD, _IS_OPEN)
    .values(greet_at=bindparam("at"), attempts=greetings.c.attempts + 1)
    .returning(greetings.c.guild_id)
)
_DONE = quick(update(greetings).where(_OF_GUILD, _IS_OPEN).values(greet_at=None).returning(greetings.c.guild_id))


async def join(transaction: Transaction, guild_id: int, now: float) -> bool:
    """Note that a server was joined, and tell whether that is news."""
    row = {"guild_id": guild_id, "joined_at": now, "greet_at": now, "attempts": 0, "channel_id": None, "sent_at": None}
    is_news = bool((await transaction.execute(_ADD, row)).rowcount)
    if is_news:
        transaction.wakes(Queue.GREETINGS)
    return is_news


async def leave(transaction: Transaction, guild_id: int) -> None:
    """Forget a server that was left; if it is joined again, it is greeted again."""
    await transaction.execute(_REMOVE, {"of_guild": guild_id})


async def get(snapshot: Snapshot, guild_id: int) -> Greeting | None:
    """Return the greeting of a server."""
    row = (await snapshot.execute(_GET, {"of_guild": guild_id})).first()
    return None if row is None else Greeting(**row._mapping)


async def claim(snapshot: Snapshot, now: float, horizon: float, skip: Collection[str], limit: int) -> list[Due]:
    """Return up to `limit` servers that are to be greeted now."""
    asked = planned.asked(now, horizon, (), limit) | {"skip": [int(item) for item in skip]}
    return [Due(str(guild_id), at) for guild_id, at in await snapshot.execute(_CLAIM, asked)]


async def next_due(snapshot: Snapshot, skip: Collection[str]) -> float | None:
    """Return when the next one is to be greeted."""
    return (await snapshot.execute(_NEXT, {"skip": [int(item) for item in skip]})).scalar()


async def send(transaction: Transaction, guild_id: int, channel_id: int, now: float) -> Greeting:
    """Note where a greeting is about to be sent; raises `Gone` where there is none to send."""
    row = _there(await transaction.execute(_SEND, {"of_guild": guild_id, "of_channel": channel_id, "now": now}))
    return Greeting(**row._mapping)


async def postpone(transaction: Transaction, guild_id: int, at: float) -> None:
    """Plan the next try; raises `Gone` where there is no greeting to send."""
    _there(await transaction.execute(_POSTPONE, {"of_guild": guild_id, "at": at}))
    transaction.wakes(Queue.GREETINGS)


async def done(transaction: Transaction, guild_id: int) -> None:
    """Note that a server was greeted, or cannot be; raises `Gone` where that is known."""
    _there(await transaction.execute(_DONE, {"of_guild": guild_id}))


def _there(found: Any) -> Any:
    row = found.first()
    if row is None:
        raise Gone("a greeting")
    return row
