"""Notifications from the end of their task on: what is due, is sent, and how that ends."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Boolean,
    Float,
    String,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    literal,
    null,
    select,
    update,
)

from storage import planned
from storage.database import Snapshot, Transaction
from storage.ids import new_id
from storage.notifications.rows import (
    ADD,
    ASKED,
    CAN_CHANGE,
    CANCELLED,
    DELIVERED,
    DUE,
    NOW,
    OF_TASK,
    OVER,
    SAYS,
    SENDING,
    TASK_IS_LIVE,
    UNDELIVERABLE,
    WAITING,
    Notification,
    change,
    changed,
    from_row,
    locked,
    values_of,
)
from storage.planned import Due
from storage.quick import quick
from storage.schema import IS_OPEN, IS_PASSING, Acknowledgement, notifications, turns
from storage.wakeups import Queue


@dataclass(frozen=True, slots=True)
class DueNotification(Due):
    """A notification whose time has come, and its channel."""

    channel_id: int


_AT: Any = bindparam("at", type_=Float)
_MINE = planned.mine(notifications.c.holder)
# An acknowledgement that was never seen to arrive, or whose channel is closed to the bot by now, can be reached through
# the interaction alone.
_OVER_BUT_ACKNOWLEDGED: dict[str, Any] = {
    "attempt_at": None,
    "holder": None,
    "interaction_token": case((and_(CAN_CHANGE, SAYS.is_not(None)), notifications.c.interaction_token), else_=null()),
}

_DUE = quick(
    planned.due(notifications.c.id, notifications.c.attempt_at, IS_OPEN)
    .add_columns(notifications.c.channel_id)
    .where(notifications.c.channel_id.not_in(bindparam("busy", expanding=True)))
)
# One process at a time posts in a channel: so posts keep their order there, and Discord's limit for it.
_CHANNEL_IS_OTHERS = exists().where(
    turns.c.name == literal("channel ") + notifications.c.channel_id.cast(String),
    turns.c.holder != planned.ME,
    turns.c.free_at > bindparam("now", type_=Float),
)
_CLAIM = planned.claim(_DUE, notifications.c.holder, ~_CHANNEL_IS_OTHERS)
_NEXT_DUE = planned.next_due(notifications.c.id, notifications.c.attempt_at, IS_OPEN).where(
    notifications.c.channel_id.not_in(bindparam("busy", expanding=True)), planned.mine(notifications.c.holder)
)
_NEXT_DUE_AMONG_OTHERS = _NEXT_DUE.where(~_CHANNEL_IS_OTHERS)

_MAKE_DUE = quick(
    update(notifications)
    .where(locked(OF_TASK, notifications.c.state == WAITING))
    .values(state=DUE, attempt_at=NOW)
    .returning(notifications.c.id)
)
_WAIT_AGAIN = quick(
    update(notifications)
    .where(notifications.c.id == bindparam("row_id"), notifications.c.state == DUE, TASK_IS_LIVE)
    .values(state=WAITING, attempt_at=None, holder=None)
    .returning(*notifications.c)
)
_TOLD = select(notifications).where(OF_TASK, notifications.c.state.in_((SENDING, DELIVERED, UNDELIVERABLE)))
_TAKE_BACK = (
    update(notifications)
    .where(locked(OF_TASK, notifications.c.state == SENDING))
    .values(state=CANCELLED, ack_wanted=None, draft=null(), **OVER)
)
# What their acknowledgements were still to say is not true any more. One that its requester alone sees is found through
# this row alone.
_SAY_NO_MORE = (
    update(notifications)
    .where(locked(OF_TASK, notifications.c.state.in_((DELIVERED, UNDELIVERABLE)), ~notifications.c.ephemeral))
    .values(ack_wanted=None, **OVER)
)
_SEND = change(
    DUE,
    SENDING,
    state=SENDING,
    attempts=notifications.c.attempts + 1,
    attempt_at=_AT,
    sent_at=func.coalesce(notifications.c.sent_at, NOW),
    holder=planned.ME,
).where(_MINE)
_POSTPONE = change(
    ASKED,
    DUE,
    SENDING,
    attempt_at=_AT,
    error=bindparam("new_error"),
    attempts=notifications.c.attempts + case((notifications.c.state == SENDING, 0), else_=1),
    holder=None,
).where(_MINE)
_FETCH_LATER = change(
    DUE,
    SENDING,
    attempt_at=_AT,
    failures=bindparam("new_failures"),
    upload_limit=bindparam("new_limit"),
    ack_wanted=case((and_(SAYS.is_not(None), CAN_CHANGE), SAYS), else_=notifications.c.ack_wanted),
    holder=None,
).where(_MINE)
_END = change(
    DUE,
    SENDING,
    state=bindparam("new_state"),
    message_id=bindparam("new_message"),
    error=bindparam("new_error"),
    delivered_at=NOW,
    ack_wanted=case((CAN_CHANGE, SAYS), else_=null()),
    draft=case((bindparam("keeps_draft", type_=Boolean), notifications.c.draft), else_=null()),
    **_OVER_BUT_ACKNOWLEDGED,
).where(_MINE)
_CANCEL = change(
    ASKED,
    WAITING,
    DUE,
    state=CANCELLED,
    # It was pressed there, so this is where it is, whatever was heard of it before.
    ack_message_id=bindparam("new_message"),
    ack_wanted=Acknowledgement.CANCELLED,
    draft=null(),
    attempt_at=None,
    holder=None,
)
_IS_TO_SAY = case((notifications.c.state == DELIVERED, notifications.c.ack_wanted.is_not(None)), else_=CAN_CHANGE)
_REMOVE = change(
    DUE,
    SENDING,
    DELIVERED,
    state=CANCELLED,
    message_id=bindparam("new_message"),
    # Its acknowledgement ends as it does for a post that is removed later: it promises nothing any more.
    ack_wanted=case((notifications.c.state == DELIVERED, notifications.c.ack_wanted), (CAN_CHANGE, SAYS), else_=null()),
    picture_wanted=None,
    draft=null(),
    attempt_at=None,
    interaction_token=case((_IS_TO_SAY, notifications.c.interaction_token), else_=null()),
    holder=None,
)
_RECOVER = update(notifications).where(IS_OPEN, notifications.c.state.in_((ASKED, SENDING))).values(attempt_at=NOW)
_EXPIRE = delete(notifications).where(IS_PASSING, notifications.c.created_at < bindparam("before"))


async def claim(
    snapshot: Snapshot, now: float, horizon: float, skip: Collection[str], limit: int, *, busy: Collection[int] = ()
) -> list[DueNotification]:
    """Take notifications with something to do outside of channels that are `busy`, the longest waiting first."""
    values = planned.asked(now, horizon, skip, limit) | {"busy": list(busy)}
    return [DueNotification(*row) for row in await snapshot.claim(_CLAIM, values)]


async def release(transaction: Transaction, names: Collection[str]) -> None:
    """Let others claim notifications that this process has claimed."""
    await transaction.release(_CLAIM, [{"of_id": name} for name in names])


async def next_due(
    snapshot: Snapshot, now: float, skip: Collection[str], *, busy: Collection[int] = ()
) -> float | None:
    """Return when the next notification is due."""
    values = {"skip": list(skip), "busy": list(busy), "me": snapshot.me}
    if snapshot.me is None:
        found: float | None = (await snapshot.execute(_NEXT_DUE, values)).scalar_one()
    else:
        found = (await snapshot.execute(_NEXT_DUE_AMONG_OTHERS, values | {"now": now})).scalar_one()
    return found


async def make_due(transaction: Transaction, task_id: str, now: float) -> int:
    """From `waiting` to `due`, everybody who waits for a task; return how many."""
    transaction.wakes(Queue.DELIVERY)
    return len((await transaction.execute(_MAKE_DUE, {"of_task": task_id, "now": now})).all())


async def wait_again(transaction: Transaction, notification_id: str) -> Notification:
    """From `due` back to `waiting`, where its task is alive again after all."""
    return await changed(transaction, _WAIT_AGAIN, notification_id)


async def tell_again(transaction: Transaction, task_id: str, now: float, *, with_task: str | None = None) -> None:
    """Begin anew as `due` for everybody who was told, or is being told, that there is no result, for now there is.

    What is being sent becomes `cancelled`, so that whoever sends it takes it back. Where the result comes with another
    task they begin anew as `waiting` for that.
    """
    told = [from_row(row) for row in await transaction.execute(_TOLD, {"of_task": task_id})]
    await transaction.execute(_TAKE_BACK, {"of_task": task_id})
    await transaction.execute(_SAY_NO_MORE, {"of_task": task_id})
    for row in told:
        again = {
            "id": new_id(now),
            "interaction_id": None,
            "task_id": with_task or task_id,
            "interaction_token": None,
            "state": DUE if with_task is None else WAITING,
            "attempts": 0,
            "attempt_at": now if with_task is None else None,
            "sent_at": None,
            "failures": None,
            "message_id": None,
            "error": None,
            "ack_wanted": None,
            "created_at": now,
            "delivered_at": None,
            "holder": None,
            "ack_holder": None,
        }
        await transaction.execute(ADD, values_of(row) | again)
    if told:
        transaction.wakes(Queue.DELIVERY)


async def send(transaction: Transaction, notification_id: str, now: float, again_at: float) -> Notification:
    """From `due` or `sending` to `sending`: Discord is asked right after the commit."""
    return await changed(transaction, _SEND, notification_id, now=now, at=again_at, me=transaction.me)


async def postpone(transaction: Transaction, notification_id: str, at: float, error: str) -> Notification:
    """Try an `asked`, `due` or `sending` notification again later."""
    transaction.wakes(Queue.DELIVERY)
    return await changed(transaction, _POSTPONE, notification_id, at=at, new_error=error, me=transaction.me)


async def fetch_later(
    transaction: Transaction, row: Notification, at: float, failures: str, says: Acknowledgement | None
) -> Notification:
    """Try a `due` or `sending` notification again later, for its file cannot be had now; `says` what is news.

    The row's `upload_limit` is kept too, which may have turned out to be lower.
    """
    transaction.wakes(Queue.DELIVERY, Queue.ACKNOWLEDGEMENTS)
    values = {"at": at, "new_failures": failures, "says": says, "new_limit": row.upload_limit, "me": transaction.me}
    return await changed(transaction, _FETCH_LATER, row.id, **values)


async def delivered(
    transaction: Transaction,
    notification_id: str,
    message_id: int,
    now: float,
    says: Acknowledgement,
    *,
    keeps_draft: bool = False,
) -> Notification:
    """From `due` or `sending` to `delivered`; `keeps_draft` where nothing came of what was typed."""
    transaction.wakes(Queue.ACKNOWLEDGEMENTS)
    values = {"new_state": DELIVERED, "new_message": message_id, "new_error": None, "me": transaction.me}
    values |= {"keeps_draft": keeps_draft}
    row = await changed(transaction, _END, notification_id, now=now, says=says, **values)
    if row.picture_wanted is not None:
        transaction.wakes(Queue.PICTURES)
    return row


async def undeliverable(transaction: Transaction, notification_id: str, now: float, error: str) -> Notification:
    """From `due` or `sending` to `undeliverable`: nobody can be reached."""
    transaction.wakes(Queue.ACKNOWLEDGEMENTS)
    values = {"new_state": UNDELIVERABLE, "new_message": None, "new_error": error, "keeps_draft": False}
    return await changed(
        transaction, _END, notification_id, now=now, says=Acknowledgement.FAILED, me=transaction.me, **values
    )


async def cancel(transaction: Transaction, notification_id: str, message_id: int) -> Notification:
    """To `cancelled`, as long as nothing is being sent: its requester does not want it any more.

    `message_id` is its acknowledgement, where that was said.
    """
    transaction.wakes(Queue.ACKNOWLEDGEMENTS)
    return await changed(transaction, _CANCEL, notification_id, new_message=message_id)


async def remove(
    transaction: Transaction, notification_id: str, message_id: int, says: Acknowledgement
) -> Notification:
    """To `cancelled`, from `due`, `sending` or `delivered`: its message was removed and is never sent again.

    `says` is what its acknowledgement should say, where nobody has noted yet that the message was sent.
    """
    transaction.wakes(Queue.ACKNOWLEDGEMENTS)
    return await changed(transaction, _REMOVE, notification_id, new_message=message_id, says=says)


async def recover(transaction: Transaction, now: float) -> None:
    """Make due what somebody was answering or sending when the last process ended."""
    await transaction.execute(_RECOVER, {"now": now})
    transaction.wakes(Queue.DELIVERY)


async def expire(transaction: Transaction, before: float) -> int:
    """Delete what serves nobody any more and is older than `before`; return how many rows."""
    return (await transaction.execute(_EXPIRE, {"before": before})).rowcount
