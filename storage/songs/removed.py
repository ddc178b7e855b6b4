"""What members took out of their libraries: it can come back as it stood there, for a while."""

from __future__ import annotations

from typing import Any

from sqlalchemy import and_, bindparam, delete, insert, select

from storage.database import Transaction
from storage.quick import quick, unless_there
from storage.schema import library, removed_songs

UNDO_SECONDS = 900.0
"""How long a song can be brought back."""


def _the_one(table: Any) -> Any:
    return and_(
        table.c.user_id == bindparam("of_user"),
        table.c.task_id == bindparam("of_task"),
        table.c.position == bindparam("at_position"),
    )


_STANDING = quick(select(library).where(_the_one(library)).with_for_update())
_GONE = quick(select(removed_songs).where(_the_one(removed_songs)).with_for_update())
_TAKE_OUT = quick(delete(library).where(_the_one(library)))
_PUT_BACK = quick(unless_there(library))
_NOTE = quick(insert(removed_songs))
_DROP = quick(delete(removed_songs).where(_the_one(removed_songs)))
_EXPIRE = delete(removed_songs).where(removed_songs.c.removed_at < bindparam("before"))


async def remove(transaction: Transaction, user_id: int, task_id: str, position: int, now: float) -> bool:
    """Take one variant of a task out of a member's library; tell whether it was there."""
    key = {"of_user": user_id, "of_task": task_id, "at_position": position}
    row = (await transaction.execute(_STANDING, key)).first()
    if row is None:
        return False
    await transaction.execute(_TAKE_OUT, key)
    await transaction.execute(_DROP, key)
    await transaction.execute(_NOTE, {**row._mapping, "removed_at": now})
    return True


async def restore(transaction: Transaction, user_id: int, task_id: str, position: int, now: float) -> bool:
    """Bring back what was removed, exactly as it stood there; tell whether that was possible."""
    key = {"of_user": user_id, "of_task": task_id, "at_position": position}
    row = (await transaction.execute(_GONE, key)).first()
    if row is None or row.removed_at < now - UNDO_SECONDS:
        return False
    values = {name: value for name, value in row._mapping.items() if name != "removed_at"}
    await transaction.execute(_PUT_BACK, values)
    await transaction.execute(_DROP, key)
    return True


async def expire(transaction: Transaction, now: float) -> int:
    """Forget what cannot come back any more; return how many songs."""
    return (await transaction.execute(_EXPIRE, {"before": now - UNDO_SECONDS})).rowcount
