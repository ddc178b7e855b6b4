"""Which of several pictures a post carries: what its requester has chosen, and what it does not show yet."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Float, and_, bindparam, case, select, update

from storage import planned
from storage.database import Snapshot, Transaction
from storage.notifications.rows import Notification
from storage.planned import Due, Gone
from storage.quick import quick
from storage.schema import NotificationState, library, notifications
from storage.wakeups import Queue

_NOW: Any = bindparam("now", type_=Float)
_POSTED = and_(notifications.c.id == bindparam("row_id"), notifications.c.state == NotificationState.DELIVERED)

# What is on its way may be seen already, and is tried again at its time.
_WANT = quick(
    update(notifications)
    .where(
        notifications.c.id == bindparam("row_id"),
        notifications.c.state.in_([NotificationState.DUE, NotificationState.SENDING, NotificationState.DELIVERED]),
    )
    .values(
        picture_wanted=bindparam("new_picture"),
        attempt_at=case((notifications.c.state == NotificationState.DELIVERED, _NOW), else_=notifications.c.attempt_at),
    )
    .returning(*notifications.c)
)
_TO_SHOW = quick(
    select(notifications.c.id, notifications.c.attempt_at)
    .where(
        notifications.c.picture_wanted.is_not(None),
        notifications.c.state == NotificationState.DELIVERED,
        notifications.c.id.not_in(planned.SKIPPED),
    )
    .order_by(notifications.c.id)
    .limit(planned.MOST)
)
_CLAIM = planned.claim(_TO_SHOW, notifications.c.holder)
_END = quick(
    update(notifications)
    .where(
        _POSTED,
        notifications.c.picture_wanted == bindparam("old_wanted"),
        planned.mine(notifications.c.holder),
    )
    .values(picture=bindparam("new_picture"), picture_wanted=None, attempt_at=None, holder=None)
    .returning(*notifications.c)
)
_CHOSEN = quick(
    select(library.c.position)
    .where(
        library.c.user_id == bindparam("of_user"),
        library.c.task_id == bindparam("of_task"),
        library.c.kind == "cover",
    )
    .order_by(library.c.position)
    .limit(1)
)
_CARRY = (
    update(library)
    .where(
        library.c.user_id == bindparam("of_user"),
        library.c.task_id == bindparam("of_task"),
        library.c.kind == "cover",
    )
    .values(position=bindparam("new_position"))
)


async def chosen_by(snapshot: Snapshot, user_id: int, task_id: str) -> int | None:
    """Return which picture of a cover a member has chosen, None for the first one."""
    values = {"of_user": user_id, "of_task": task_id}
    found: int | None = (await snapshot.execute(_CHOSEN, values)).scalar_one_or_none()
    return found or None


async def want(transaction: Transaction, notification_id: str, picture: int, now: float) -> None:
    """Have a post carry another picture, also one on its way; raises `Gone` where it is not there any more."""
    transaction.wakes(Queue.PICTURES)
    values = {"row_id": notification_id, "new_picture": picture, "now": now}
    if (await transaction.execute(_WANT, values)).first() is None:
        raise Gone(f"notification {notification_id}")


async def claim(snapshot: Snapshot, skip: Collection[str], limit: int) -> list[Due]:
    """Take posts that should carry another picture."""
    found = await snapshot.claim(_CLAIM, {"skip": list(skip), "most": limit})
    return [Due(row[0], row[1] or 0.0) for row in found]


async def release(transaction: Transaction, names: Collection[str]) -> None:
    """Let others work on posts that this process has claimed."""
    await transaction.release(_CLAIM, [{"of_id": name} for name in names])


async def shown(transaction: Transaction, row: Notification) -> None:
    """Note that a post carries what was wanted, as the library of its requester then does."""
    await _end(transaction, row, row.picture_wanted)
    values = {"of_user": row.user_id, "of_task": row.task_id, "new_position": row.picture_wanted}
    await transaction.execute(_CARRY, values)


async def give_up(transaction: Transaction, row: Notification) -> None:
    """Leave a post as it is."""
    await _end(transaction, row, row.picture)


async def _end(transaction: Transaction, row: Notification, picture: int | None) -> None:
    """End a wish, unless there is another one by now."""
    values = {"row_id": row.id, "old_wanted": row.picture_wanted, "new_picture": picture, "me": transaction.me}
    if (await transaction.execute(_END, values)).first() is None:
        raise Gone(f"the picture of notification {row.id}")
