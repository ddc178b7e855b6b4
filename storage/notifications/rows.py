"""A row of `notifications`, what is asked about it, and how it is changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Float,
    String,
    Update,
    and_,
    bindparam,
    case,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from storage import planned
from storage.database import Snapshot, Transaction
from storage.notifications import drafts
from storage.notifications.drafts import Draft
from storage.planned import Gone
from storage.quick import quick
from storage.schema import LIVE_TASKS, NotificationState, notifications, tasks

ASKED, ANSWERED, WAITING, DUE = (
    NotificationState.ASKED,
    NotificationState.ANSWERED,
    NotificationState.WAITING,
    NotificationState.DUE,
)
SENDING, DELIVERED = NotificationState.SENDING, NotificationState.DELIVERED
UNDELIVERABLE, CANCELLED = NotificationState.UNDELIVERABLE, NotificationState.CANCELLED
UNFINISHED = (ASKED, WAITING, DUE, SENDING)


@dataclass(frozen=True, slots=True)
class Notification:
    """A row of `notifications`."""

    id: str
    interaction_id: int | None
    task_id: str | None
    position: int
    user_id: int
    guild_id: int | None
    channel_id: int
    application_id: int
    interaction_token: str | None
    token_expires_at: float
    ephemeral: bool
    upload_limit: int
    locale: str
    ack_message_id: int | None
    ack_wanted: str | None
    state: NotificationState
    attempts: int
    attempt_at: float | None
    sent_at: float | None
    failures: str | None
    message_id: int | None
    error: str | None
    created_at: float
    delivered_at: float | None
    holder: str | None = None
    ack_holder: str | None = None
    alone: bool | None = None
    picture: int | None = None
    picture_wanted: int | None = None
    draft: Draft | None = None
    own_locale: str | None = None

    @property
    def private_locale(self) -> str:
        """Return the language of what the requester alone can read."""
        return self.own_locale or self.locale


def from_row(row: Any) -> Notification:
    """Return what a row of the table says."""
    values = dict(row._mapping)
    return Notification(
        **{**values, "state": NotificationState(values["state"]), "draft": drafts.load(values["draft"])}
    )


def values_of(row: Notification) -> dict[str, Any]:
    """Return what the table holds of a notification."""
    values = {name: getattr(row, name) for name in Notification.__dataclass_fields__}
    return values | {"draft": None if row.draft is None else row.draft.dump()}


def change(*only: NotificationState, **values: Any) -> Update:
    """Build a transition: one statement that returns the row where it was in one of the states `only`."""
    statement = update(notifications).where(notifications.c.id == bindparam("row_id"), notifications.c.state.in_(only))
    return quick(statement.values(values).returning(*notifications.c))


async def changed(transaction: Transaction, statement: Update, row_id: str, **values: Any) -> Notification:
    """Send a transition; return the row as it is now, or raise `Gone` where it was in another state."""
    row = (await transaction.execute(statement, {"row_id": row_id, **values})).first()
    if row is None:
        raise Gone(f"notification {row_id}")
    return from_row(row)


NOW: Any = bindparam("now", type_=Float)
SAYS: Any = bindparam("says", type_=String)
OF_TASK = notifications.c.task_id == bindparam("of_task")


def locked(*only: ColumnElement[bool]) -> ColumnElement[bool]:
    """Tell rows, locked in the order of their ids: two who take several in any order wait for each other for ever."""
    rows = select(notifications.c.id).where(*only).order_by(notifications.c.id).with_for_update().correlate(None)
    return and_(notifications.c.id.in_(rows), *only)


# Locked, for its end wakes whom it finds waiting, and must not look while somebody is about to. And by one alone, who
# may go on to let it be sent: two who share a row wait for each other when both change it.
TASK_IS_LIVE = exists(
    select(tasks.c.id)
    .where(tasks.c.id == notifications.c.task_id, tasks.c.status.in_(LIVE_TASKS))
    .with_for_update(key_share=True)
)
CAN_CHANGE = or_(notifications.c.ack_message_id.is_not(None), notifications.c.ack_wanted.is_not(None))
OVER: dict[str, Any] = {"attempt_at": None, "interaction_token": None, "holder": None}

ADD = quick(insert(notifications))
_GET = quick(select(notifications).where(notifications.c.id == bindparam("id")))
_LOCK = quick(_GET.with_for_update())
_REQUESTERS = quick(select(notifications.c.user_id).where(OF_TASK))
_IS_AWAITED = quick(select(notifications.c.id).where(OF_TASK, notifications.c.state.in_(UNFINISHED)).limit(1))
_IS_KEPT_BACK = quick(
    select(
        func.sum(case((notifications.c.state == ASKED, 1), else_=0)),
        func.sum(case((notifications.c.state == ASKED, 0), else_=1)),
    ).where(OF_TASK, notifications.c.state.in_(UNFINISHED))
)
# Not quick: it looks at all that a member was ever told.
_RUNNING_FOR = (
    select(notifications)
    .where(
        notifications.c.user_id == bindparam("user_id"),
        notifications.c.task_id.is_not(None),
        notifications.c.state.in_(UNFINISHED),
    )
    .order_by(notifications.c.created_at.desc())
    .limit(planned.MOST)
)


async def get(snapshot: Snapshot, notification_id: str) -> Notification | None:
    """Return one notification."""
    row = (await snapshot.execute(_GET, {"id": notification_id})).first()
    return None if row is None else from_row(row)


async def lock(transaction: Transaction, notification_id: str) -> Notification | None:
    """Return one notification, which nobody else changes until the transaction ends."""
    row = (await transaction.execute(_LOCK, {"id": notification_id})).first()
    return None if row is None else from_row(row)


async def is_awaited(snapshot: Snapshot, task_id: str) -> bool:
    """Tell whether somebody still wants a task's result, be it acknowledged already or not."""
    return (await snapshot.execute(_IS_AWAITED, {"of_task": task_id})).first() is not None


async def is_kept_back(snapshot: Snapshot, task_id: str) -> bool:
    """Tell whether everybody who waits for a task has yet to be answered, so that nothing may be ordered for them."""
    unanswered, answered = (await snapshot.execute(_IS_KEPT_BACK, {"of_task": task_id})).one()
    return bool(unanswered) and not answered


async def requesters_of(snapshot: Snapshot, task_id: str) -> set[int]:
    """Return everybody who asked for a task's result."""
    return set((await snapshot.execute(_REQUESTERS, {"of_task": task_id})).scalars())


async def running_for(snapshot: Snapshot, user_id: int, limit: int) -> list[Notification]:
    """Return what a member waits for, the newest first."""
    found = await snapshot.execute(_RUNNING_FOR, {"user_id": user_id, "most": limit})
    return [from_row(row) for row in found]
