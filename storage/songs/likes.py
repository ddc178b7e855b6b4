"""Likes: the hearts under posts, one for each member, song and server."""

from __future__ import annotations

from sqlalchemy import and_, bindparam, delete, func, select

from storage.database import Snapshot, Transaction
from storage.quick import quick, unless_there
from storage.schema import likes

_OF_SONG = and_(likes.c.task_id == bindparam("of_task"), likes.c.guild_id == bindparam("of_guild"))
_ADD = quick(unless_there(likes))
_TAKE_BACK = quick(delete(likes).where(_OF_SONG, likes.c.user_id == bindparam("of_user")))
_COUNT = quick(select(func.count()).select_from(likes).where(_OF_SONG))


async def press(transaction: Transaction, user_id: int, task_id: str, guild_id: int, now: float) -> None:
    """Have a member like a song in a server, or take that back where it was so."""
    values = {"of_user": user_id, "of_task": task_id, "of_guild": guild_id}
    if (await transaction.execute(_TAKE_BACK, values)).rowcount == 0:
        entry = {"task_id": task_id, "guild_id": guild_id, "user_id": user_id, "liked_at": now}
        await transaction.execute(_ADD, [entry])


async def count(snapshot: Snapshot, task_id: str, guild_id: int) -> int:
    """Return how many like a song in a server."""
    found: int = (await snapshot.execute(_COUNT, {"of_task": task_id, "of_guild": guild_id})).scalar_one()
    return found
