"""Notifications that nobody has answered yet: from `asked` to the first answer."""

from __future__ import annotations

from sqlalchemy import Boolean, bindparam, case, null, update
from sqlalchemy.exc import IntegrityError

from storage import planned
from storage.database import Transaction
from storage.notifications.rows import (
    ADD,
    ANSWERED,
    ASKED,
    DUE,
    NOW,
    OVER,
    TASK_IS_LIVE,
    WAITING,
    Notification,
    change,
    changed,
    values_of,
)
from storage.planned import Gone
from storage.quick import quick
from storage.schema import Acknowledgement, notifications
from storage.wakeups import Queue

_TIE = quick(
    update(notifications)
    .where(
        notifications.c.id == bindparam("row_id"),
        notifications.c.state == ASKED,
        notifications.c.task_id.is_(None),
        notifications.c.error.is_(None),
    )
    .values(
        task_id=bindparam("new_task"),
        position=bindparam("new_position"),
        alone=bindparam("new_alone", type_=Boolean),
        picture=bindparam("new_picture"),
    )
    .returning(*notifications.c)
)
# Not where others have taken it over already, who would find it free once more.
_LEAVE = change(ASKED, attempt_at=NOW, holder=None).where(planned.mine(notifications.c.holder))
_ABANDON = quick(
    update(notifications)
    .where(notifications.c.id == bindparam("row_id"), notifications.c.state == ASKED, notifications.c.task_id.is_(None))
    .values(error="abandoned")
    .returning(*notifications.c)
)
_UNTIE = change(ASKED, task_id=None, position=0, error="abandoned")
_ANSWER = change(ASKED, state=ANSWERED, **OVER)
_ACKNOWLEDGE = change(
    ASKED,
    state=case((TASK_IS_LIVE, WAITING), else_=DUE),
    attempt_at=case((TASK_IS_LIVE, null()), else_=NOW),
    holder=None,
    ack_message_id=bindparam("new_message"),
    ack_wanted=case((bindparam("later", type_=Boolean), Acknowledgement.ORDERED), else_=null()),
)


async def add(transaction: Transaction, notification: Notification) -> None:
    """Begin as `asked`; raises `Gone` where its interaction has a notification already."""
    try:
        # Who took the command answers it, while that process lives.
        await transaction.execute(ADD, values_of(notification) | {"holder": transaction.me})
    except IntegrityError as error:
        raise Gone(f"interaction {notification.interaction_id} arrived twice") from error


async def tie(
    transaction: Transaction,
    notification_id: str,
    task_id: str,
    position: int = 0,
    *,
    alone: bool = False,
    picture: int | None = None,
) -> Notification:
    """Tie an `asked` notification to the task whose end will answer it, to one version `alone`, or to a picture."""
    values = {"new_task": task_id, "new_position": position, "new_alone": alone or None, "new_picture": picture}
    return await changed(transaction, _TIE, notification_id, **values)


async def leave(transaction: Transaction, notification_id: str, now: float) -> Notification:
    """Let the delivery answer an `asked` notification, in the place of who could not."""
    transaction.wakes(Queue.DELIVERY)
    return await changed(transaction, _LEAVE, notification_id, now=now, me=transaction.me)


async def abandon(transaction: Transaction, notification_id: str) -> Notification:
    """Stay `asked`, and let nothing be ordered for it any more."""
    return await changed(transaction, _ABANDON, notification_id)


async def untie(transaction: Transaction, notification_id: str) -> Notification:
    """Stay `asked`, tied to no task any more, and let nothing be ordered for it."""
    return await changed(transaction, _UNTIE, notification_id)


async def answer(transaction: Transaction, notification_id: str) -> Notification:
    """From `asked` to `answered`: a private sentence has said it all."""
    return await changed(transaction, _ANSWER, notification_id)


async def acknowledge(
    transaction: Transaction, notification_id: str, message_id: int | None, now: float, *, later: bool = False
) -> Notification:
    """From `asked` to `waiting`, or to `due` where the task has ended already; `later` tries the words again."""
    values = {"new_message": message_id, "now": now, "later": later}
    row = await changed(transaction, _ACKNOWLEDGE, notification_id, **values)
    if later:
        transaction.wakes(Queue.ACKNOWLEDGEMENTS)
    if row.state is DUE:
        transaction.wakes(Queue.DELIVERY)
    return row
