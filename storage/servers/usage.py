"""What members order in a day, and what counts of it against the limits."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Float, Integer, bindparam, delete, func, select, text, update

from storage.database import Snapshot, Transaction
from storage.quick import quick
from storage.schema import COVER_MODEL, tasks, usage
from storage.tasks import Task

DAY_SECONDS = 86400
KEEP_DAYS = 31
"""For how many days back `/coverbot usage` can tell."""

WHOLE_SERVER = 0
"""The user under whom all orders of a server are counted."""

NO_SERVER = 0


class Kind(StrEnum):
    """What an order counts as."""

    COVER = "cover"
    SONG = "song"

    @classmethod
    def of(cls, model: str) -> Kind:
        """Return what an order of one of VidGo's models counts as."""
        return cls.COVER if model == COVER_MODEL else cls.SONG


@dataclass(frozen=True, slots=True)
class Used:
    """What counts of a member's orders, or of a server's; `failures` were given back.

    `credits` is what they cost, as far as that is known; None where it is of none.
    """

    user_id: int
    covers: int
    songs: int
    failures: int = 0
    credits: float | None = None

    def of(self, kind: Kind) -> int:
        """Return how many orders of a kind count."""
        return self.covers if kind is Kind.COVER else self.songs


# The row of the member and the one of the server in one statement, which waits for whoever counts there too.
_TAKE = quick(
    text(
        "INSERT INTO usage (guild_id, day, user_id, covers, songs, failures, kept_until) VALUES"
        " (:guild_id, :day, :user_id, :covers, :songs, 0, :kept_until),"
        " (:guild_id, :day, 0, :covers, :songs, 0, :kept_until)"
        " ON CONFLICT (guild_id, day, user_id) DO UPDATE"
        " SET covers = usage.covers + excluded.covers, songs = usage.songs + excluded.songs"
        " RETURNING user_id, covers, songs, failures, credits"
    )
)
_UNCOUNT = quick(
    update(tasks).where(tasks.c.id == bindparam("row_id"), tasks.c.counted_on.is_not(None)).values(counted_on=None)
)
_GIVE_BACK = quick(
    update(usage)
    .where(
        usage.c.guild_id == bindparam("of_guild"),
        usage.c.day == bindparam("of_day"),
        usage.c.user_id == bindparam("of_user"),
    )
    .values(
        covers=usage.c.covers - bindparam("less_covers", type_=Integer),
        songs=usage.c.songs - bindparam("less_songs", type_=Integer),
        failures=usage.c.failures + bindparam("more_failures", type_=Integer),
    )
)
_SPEND = quick(
    update(usage)
    .where(
        usage.c.guild_id == bindparam("of_guild"),
        usage.c.day == bindparam("of_day"),
        usage.c.user_id == bindparam("of_user"),
    )
    .values(credits=func.coalesce(usage.c.credits, 0) + bindparam("more_credits", type_=Float))
)
_USED = quick(
    select(usage.c.user_id, usage.c.covers, usage.c.songs, usage.c.failures, usage.c.credits).where(
        usage.c.guild_id == bindparam("guild_id"),
        usage.c.day == bindparam("day"),
        usage.c.user_id == bindparam("user_id"),
    )
)
_SINCE = (usage.c.guild_id == bindparam("guild_id"), usage.c.day >= bindparam("first"))
_BY_MEMBER = (
    select(
        usage.c.user_id,
        func.sum(usage.c.covers),
        func.sum(usage.c.songs),
        func.sum(usage.c.failures),
        func.sum(usage.c.credits),
    )
    .where(*_SINCE, usage.c.user_id != WHOLE_SERVER)
    .group_by(usage.c.user_id)
    .order_by(func.sum(usage.c.covers + usage.c.songs).desc(), usage.c.user_id)
)
_BY_DAY = select(usage.c.day, usage.c.covers, usage.c.songs, usage.c.failures, usage.c.credits).where(
    *_SINCE, usage.c.user_id == WHOLE_SERVER
)
_EXPIRE = delete(usage).where(usage.c.kept_until < bindparam("today"))


def day_of(now: float) -> int:
    """Return the number of UTC's day."""
    return int(now // DAY_SECONDS)


async def take(transaction: Transaction, task: Task) -> tuple[Used, Used]:
    """Count a new order, and return what the member and the server have used of its day with it.

    Whoever allows less than that has to take the whole transaction back.
    """
    day = day_of(task.created_at) if task.counted_on is None else task.counted_on
    values = {"guild_id": task.guild_id or NO_SERVER, "day": day, "user_id": task.user_id}
    counted = _counted(task) | {"kept_until": day + KEEP_DAYS}
    rows = [Used(*row) for row in await transaction.execute(_TAKE, values | counted)]
    by_user = {row.user_id: row for row in rows}
    return by_user[task.user_id], by_user[WHOLE_SERVER]


async def give_back(transaction: Transaction, task: Task, *, failed: bool) -> bool:
    """Let an order count no more, once; tell whether it had counted."""
    if task.counted_on is None or (await transaction.execute(_UNCOUNT, {"row_id": task.id})).rowcount == 0:
        return False
    counted = _counted(task)
    values = {
        "of_guild": task.guild_id or NO_SERVER,
        "of_day": task.counted_on,
        "less_covers": counted["covers"],
        "less_songs": counted["songs"],
        "more_failures": int(failed),
    }
    for user_id in (task.user_id, WHOLE_SERVER):  # in the order of `take`: two that wait for each other wait for ever
        await transaction.execute(_GIVE_BACK, values | {"of_user": user_id})
    return True


async def spend(transaction: Transaction, task: Task) -> None:
    """Add what a task cost to its day, where that is known; whoever has just learnt it calls this once."""
    if task.credits is None:
        return
    day = day_of(task.created_at) if task.counted_on is None else task.counted_on
    values = {"of_guild": task.guild_id or NO_SERVER, "of_day": day, "more_credits": task.credits}
    for user_id in (task.user_id, WHOLE_SERVER):  # in the order of `take`
        await transaction.execute(_SPEND, values | {"of_user": user_id})


async def used(snapshot: Snapshot, guild_id: int | None, user_id: int, day: int) -> Used:
    """Return what counts of a member's orders of a day."""
    row = (await snapshot.execute(_USED, {"guild_id": guild_id or NO_SERVER, "day": day, "user_id": user_id})).first()
    return Used(user_id, 0, 0) if row is None else Used(*row)


async def by_member(snapshot: Snapshot, guild_id: int, first_day: int) -> list[Used]:
    """Return what each member of a server has ordered since a day, who ordered most first."""
    return [Used(*row) for row in await snapshot.execute(_BY_MEMBER, {"guild_id": guild_id, "first": first_day})]


async def by_day(snapshot: Snapshot, guild_id: int, first_day: int) -> dict[int, Used]:
    """Return what was ordered in a server on each day since one, where anything was."""
    found = await snapshot.execute(_BY_DAY, {"guild_id": guild_id, "first": first_day})
    return {row[0]: Used(WHOLE_SERVER, *row[1:]) for row in found}


async def expire(transaction: Transaction, today: int) -> int:
    """Delete what is kept no longer; return how many rows."""
    return (await transaction.execute(_EXPIRE, {"today": today})).rowcount


def _counted(task: Task) -> dict[str, Any]:
    kind = Kind.of(task.model)
    return {"covers": int(kind is Kind.COVER), "songs": int(kind is Kind.SONG)}
