"""Notifications: who has to be told, and where, and every way in which the state of one can change."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import (
    Boolean,
    Float,
    String,
    Update,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from storage import drafts, planned
from storage.database import Snapshot, Transaction
from storage.drafts import Draft
from storage.ids import new_id
from storage.planned import Due, Gone
from storage.quick import quick
from storage.schema import (
    IS_OPEN,
    IS_PASSING,
    LIVE_TASKS,
    Acknowledgement,
    NotificationState,
    notifications,
    tasks,
    turns,
)
from storage.wakeups import Queue

_ASKED, _ANSWERED, _WAITING, _DUE_STATE = (
    NotificationState.ASKED,
    NotificationState.ANSWERED,
    NotificationState.WAITING,
    NotificationState.DUE,
)
_SENDING, _DELIVERED = NotificationState.SENDING, NotificationState.DELIVERED
_UNDELIVERABLE, _CANCELLED = NotificationState.UNDELIVERABLE, NotificationState.CANCELLED
_UNFINISHED = (_ASKED, _WAITING, _DUE_STATE, _SENDING)
_ACKNOWLEDGEMENTS = list(Acknowledgement)


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


@dataclass(frozen=True, slots=True)
class DueNotification(Due):
    """A notification whose time has come, and its channel."""

    channel_id: int


def from_row(row: Any) -> Notification:
    """Return what a row of the table says."""
    values = dict(row._mapping)
    return Notification(
        **{**values, "state": NotificationState(values["state"]), "draft": drafts.load(values["draft"])}
    )


def _values(row: Notification) -> dict[str, Any]:
    return asdict(row) | {"draft": None if row.draft is None else row.draft.dump()}


def _change(*only: NotificationState, **values: Any) -> Update:
    """Build a transition: one statement that returns the row where it was in one of the states `only`."""
    statement = update(notifications).where(notifications.c.id == bindparam("row_id"), notifications.c.state.in_(only))
    return quick(statement.values(values).returning(*notifications.c))


_NOW: Any = bindparam("now", type_=Float)
_AT: Any = bindparam("at", type_=Float)
_SAYS: Any = bindparam("says", type_=String)
_OF_TASK = notifications.c.task_id == bindparam("of_task")
# Locked, for its end wakes whom it finds waiting, and must not look while somebody is about to.
_TASK_IS_LIVE = exists(
    select(tasks.c.id)
    .where(tasks.c.id == notifications.c.task_id, tasks.c.status.in_(LIVE_TASKS))
    .with_for_update(read=True)
)
_MINE = planned.mine(notifications.c.holder)
_OVER: dict[str, Any] = {"attempt_at": None, "interaction_token": None, "holder": None}

# An acknowledgement that was never seen to arrive can be reached through the interaction alone.
_IS_UNSEEN = and_(notifications.c.ack_message_id.is_(None), notifications.c.ack_wanted.is_not(None))
_CAN_CHANGE = or_(notifications.c.ack_message_id.is_not(None), notifications.c.ack_wanted.is_not(None))
_OVER_BUT_SEEN: dict[str, Any] = {
    "attempt_at": None,
    "holder": None,
    "interaction_token": case((_IS_UNSEEN, notifications.c.interaction_token), else_=null()),
}

_ADD = quick(insert(notifications))
_GET = quick(select(notifications).where(notifications.c.id == bindparam("id")))
_LOCK = quick(_GET.with_for_update())
_REQUESTERS = quick(select(notifications.c.user_id).where(_OF_TASK))
_IS_AWAITED = quick(select(notifications.c.id).where(_OF_TASK, notifications.c.state.in_(_UNFINISHED)).limit(1))
_IS_KEPT_BACK = quick(
    select(
        func.sum(case((notifications.c.state == _ASKED, 1), else_=0)),
        func.sum(case((notifications.c.state == _ASKED, 0), else_=1)),
    ).where(_OF_TASK, notifications.c.state.in_(_UNFINISHED))
)
# Not quick: it looks at all that a member was ever told.
_RUNNING_FOR = (
    select(notifications)
    .where(
        notifications.c.user_id == bindparam("user_id"),
        notifications.c.task_id.is_not(None),
        notifications.c.state.in_(_UNFINISHED),
    )
    .order_by(notifications.c.created_at.desc())
    .limit(planned.MOST)
)
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
_TO_CHANGE = quick(
    select(notifications.c.id, notifications.c.ack_wanted, notifications.c.attempts)
    .where(notifications.c.ack_wanted.is_not(None), notifications.c.id.not_in(planned.SKIPPED))
    .order_by(notifications.c.id)
    .limit(planned.MOST)
)
_CLAIM_TO_CHANGE = planned.claim(_TO_CHANGE, notifications.c.ack_holder)

_TIE = quick(
    update(notifications)
    .where(
        notifications.c.id == bindparam("row_id"),
        notifications.c.state == _ASKED,
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
_LEAVE = _change(_ASKED, attempt_at=_NOW, holder=None)
_ABANDON = quick(
    update(notifications)
    .where(
        notifications.c.id == bindparam("row_id"), notifications.c.state == _ASKED, notifications.c.task_id.is_(None)
    )
    .values(error="abandoned")
    .returning(*notifications.c)
)
_UNTIE = _change(_ASKED, task_id=None, position=0, error="abandoned")
_ANSWER = _change(_ASKED, state=_ANSWERED, **_OVER)
_ACKNOWLEDGE = _change(
    _ASKED,
    state=case((_TASK_IS_LIVE, _WAITING), else_=_DUE_STATE),
    attempt_at=case((_TASK_IS_LIVE, null()), else_=_NOW),
    holder=None,
    ack_message_id=bindparam("new_message"),
    ack_wanted=case((bindparam("later", type_=Boolean), Acknowledgement.ORDERED), else_=null()),
)
_MAKE_DUE = quick(
    update(notifications)
    .where(_OF_TASK, notifications.c.state == _WAITING)
    .values(state=_DUE_STATE, attempt_at=_NOW)
    .returning(notifications.c.id)
)
_WAIT_AGAIN = quick(
    update(notifications)
    .where(notifications.c.id == bindparam("row_id"), notifications.c.state == _DUE_STATE, _TASK_IS_LIVE)
    .values(state=_WAITING, attempt_at=None, holder=None)
    .returning(*notifications.c)
)
_TOLD = select(notifications).where(_OF_TASK, notifications.c.state.in_((_SENDING, _DELIVERED, _UNDELIVERABLE)))
_TAKE_BACK = (
    update(notifications)
    .where(_OF_TASK, notifications.c.state == _SENDING)
    .values(state=_CANCELLED, ack_wanted=None, draft=null(), **_OVER)
)
_SEND = _change(
    _DUE_STATE,
    _SENDING,
    state=_SENDING,
    attempts=notifications.c.attempts + 1,
    attempt_at=_AT,
    sent_at=func.coalesce(notifications.c.sent_at, _NOW),
    holder=planned.ME,
).where(_MINE)
_POSTPONE = _change(
    _ASKED,
    _DUE_STATE,
    _SENDING,
    attempt_at=_AT,
    error=bindparam("new_error"),
    attempts=notifications.c.attempts + case((notifications.c.state == _SENDING, 0), else_=1),
    holder=None,
).where(_MINE)
_FETCH_LATER = _change(
    _DUE_STATE,
    _SENDING,
    attempt_at=_AT,
    failures=bindparam("new_failures"),
    upload_limit=bindparam("new_limit"),
    ack_wanted=case((and_(_SAYS.is_not(None), _CAN_CHANGE), _SAYS), else_=notifications.c.ack_wanted),
    holder=None,
).where(_MINE)
_END = _change(
    _DUE_STATE,
    _SENDING,
    state=bindparam("new_state"),
    message_id=bindparam("new_message"),
    error=bindparam("new_error"),
    delivered_at=_NOW,
    ack_wanted=case((_CAN_CHANGE, _SAYS), else_=null()),
    draft=case((bindparam("keeps_draft", type_=Boolean), notifications.c.draft), else_=null()),
    **_OVER_BUT_SEEN,
).where(_MINE)
_CANCEL = _change(
    _ASKED,
    _WAITING,
    _DUE_STATE,
    state=_CANCELLED,
    # It was pressed there, so this is where it is, whatever was heard of it before.
    ack_message_id=bindparam("new_message"),
    ack_wanted=Acknowledgement.CANCELLED,
    draft=null(),
    **_OVER,
)
_CANCELLED_AFTER_ALL = quick(
    update(notifications)
    .where(
        notifications.c.id == bindparam("row_id"),
        notifications.c.state == _CANCELLED,
        notifications.c.message_id.is_(None),
    )
    .values(ack_wanted=Acknowledgement.CANCELLED, ack_message_id=bindparam("new_message"))
)
_REMOVE = _change(
    _DUE_STATE, _SENDING, _DELIVERED, state=_CANCELLED, ack_wanted=None, picture_wanted=None, draft=null(), **_OVER
)
_WANT = quick(
    update(notifications).where(_OF_TASK, notifications.c.state == _WAITING, _CAN_CHANGE).values(ack_wanted=_SAYS)
)
_SHOWN = quick(
    update(notifications)
    .where(notifications.c.id == bindparam("row_id"), notifications.c.ack_wanted == _SAYS)
    .values(
        ack_wanted=None,
        ack_holder=None,
        ack_message_id=bindparam("new_message"),
        interaction_token=case(
            (notifications.c.state.in_(_UNFINISHED), notifications.c.interaction_token), else_=null()
        ),
    )
)
_WAKE_ORPHANS = (
    update(notifications).where(IS_OPEN, notifications.c.state.in_((_ASKED, _SENDING))).values(attempt_at=_NOW)
)
_EXPIRE = delete(notifications).where(IS_PASSING, notifications.c.created_at < bindparam("before"))


async def _changed(transaction: Transaction, statement: Update, row_id: str, **values: Any) -> Notification:
    row = (await transaction.execute(statement, {"row_id": row_id, **values})).first()
    if row is None:
        raise Gone(f"notification {row_id}")
    return from_row(row)


# Looking


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


async def acknowledgements_to_change(snapshot: Snapshot, skip: Collection[str], limit: int) -> list[Due]:
    """Take notifications whose acknowledgement should say something else."""
    found = await snapshot.claim(_CLAIM_TO_CHANGE, {"skip": list(skip), "most": limit})
    # There is no planned time; what is wanted, and after how many tries to post, stands for it, so that a change that
    # never comes about is noticed.
    return [Due(row[0], float(_ACKNOWLEDGEMENTS.index(row[1]) + len(_ACKNOWLEDGEMENTS) * row[2])) for row in found]


async def release_acknowledgements(transaction: Transaction, names: Collection[str]) -> None:
    """Let others change acknowledgements that this process has claimed."""
    await transaction.release(_CLAIM_TO_CHANGE, [{"of_id": name} for name in names])


# Transitions: one statement each, which returns the row as it is now, or raises `Gone` where it was in another state


async def add(transaction: Transaction, notification: Notification) -> None:
    """Begin as `asked`; raises `Gone` where its interaction has a notification already."""
    try:
        # Who took the command answers it, while that process lives.
        await transaction.execute(_ADD, _values(notification) | {"holder": transaction.me})
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
    return await _changed(transaction, _TIE, notification_id, **values)


async def leave(transaction: Transaction, notification_id: str, now: float) -> Notification:
    """Let the delivery answer an `asked` notification, in the place of who could not."""
    transaction.wakes(Queue.DELIVERY)
    return await _changed(transaction, _LEAVE, notification_id, now=now)


async def abandon(transaction: Transaction, notification_id: str) -> Notification:
    """Stay `asked`, and let nothing be ordered for it any more."""
    return await _changed(transaction, _ABANDON, notification_id)


async def untie(transaction: Transaction, notification_id: str) -> Notification:
    """Stay `asked`, tied to no task any more, and let nothing be ordered for it."""
    return await _changed(transaction, _UNTIE, notification_id)


async def answer(transaction: Transaction, notification_id: str) -> Notification:
    """From `asked` to `answered`: a private sentence has said it all."""
    return await _changed(transaction, _ANSWER, notification_id)


async def acknowledge(
    transaction: Transaction, notification_id: str, message_id: int | None, now: float, *, later: bool = False
) -> Notification:
    """From `asked` to `waiting`, or to `due` where the task has ended already; `later` tries the words again."""
    values = {"new_message": message_id, "now": now, "later": later}
    row = await _changed(transaction, _ACKNOWLEDGE, notification_id, **values)
    if later:
        transaction.wakes(Queue.ACKNOWLEDGEMENTS)
    if row.state is _DUE_STATE:
        transaction.wakes(Queue.DELIVERY)
    return row


async def make_due(transaction: Transaction, task_id: str, now: float) -> int:
    """From `waiting` to `due`, everybody who waits for a task; return how many."""
    transaction.wakes(Queue.DELIVERY)
    return len((await transaction.execute(_MAKE_DUE, {"of_task": task_id, "now": now})).all())


async def wait_again(transaction: Transaction, notification_id: str) -> Notification:
    """From `due` back to `waiting`, where its task is alive again after all."""
    return await _changed(transaction, _WAIT_AGAIN, notification_id)


async def tell_again(transaction: Transaction, task_id: str, now: float, *, with_task: str | None = None) -> None:
    """Begin anew as `due` for everybody who was told, or is being told, that there is no result, for now there is.

    What is being sent becomes `cancelled`, so that whoever sends it takes it back. Where the result comes with another
    task they begin anew as `waiting` for that.
    """
    told = [from_row(row) for row in await transaction.execute(_TOLD, {"of_task": task_id})]
    await transaction.execute(_TAKE_BACK, {"of_task": task_id})
    for row in told:
        again = {
            "id": new_id(now),
            "interaction_id": None,
            "task_id": with_task or task_id,
            "interaction_token": None,
            "state": _DUE_STATE if with_task is None else _WAITING,
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
        await transaction.execute(_ADD, _values(row) | again)
    if told:
        transaction.wakes(Queue.DELIVERY)


async def send(transaction: Transaction, notification_id: str, now: float, again_at: float) -> Notification:
    """From `due` or `sending` to `sending`: Discord is asked right after the commit."""
    return await _changed(transaction, _SEND, notification_id, now=now, at=again_at, me=transaction.me)


async def postpone(transaction: Transaction, notification_id: str, at: float, error: str) -> Notification:
    """Try an `asked`, `due` or `sending` notification again later."""
    transaction.wakes(Queue.DELIVERY)
    return await _changed(transaction, _POSTPONE, notification_id, at=at, new_error=error, me=transaction.me)


async def fetch_later(
    transaction: Transaction, row: Notification, at: float, failures: str, says: Acknowledgement | None
) -> Notification:
    """Try a `due` or `sending` notification again later, for its file cannot be had now; `says` what is news.

    The row's `upload_limit` is kept too, which may have turned out to be lower.
    """
    transaction.wakes(Queue.DELIVERY, Queue.ACKNOWLEDGEMENTS)
    values = {"at": at, "new_failures": failures, "says": says, "new_limit": row.upload_limit, "me": transaction.me}
    return await _changed(transaction, _FETCH_LATER, row.id, **values)


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
    values = {"new_state": _DELIVERED, "new_message": message_id, "new_error": None, "me": transaction.me}
    values |= {"keeps_draft": keeps_draft}
    return await _changed(transaction, _END, notification_id, now=now, says=says, **values)


async def undeliverable(transaction: Transaction, notification_id: str, now: float, error: str) -> Notification:
    """From `due` or `sending` to `undeliverable`: nobody can be reached."""
    transaction.wakes(Queue.ACKNOWLEDGEMENTS)
    values = {"new_state": _UNDELIVERABLE, "new_message": None, "new_error": error, "keeps_draft": False}
    return await _changed(
        transaction, _END, notification_id, now=now, says=Acknowledgement.FAILED, me=transaction.me, **values
    )


async def cancel(transaction: Transaction, notification_id: str, message_id: int) -> Notification:
    """To `cancelled`, as long as nothing is being sent: its requester does not want it any more.

    `message_id` is its acknowledgement, where that was said.
    """
    transaction.wakes(Queue.ACKNOWLEDGEMENTS)
    return await _changed(transaction, _CANCEL, notification_id, new_message=message_id)


async def cancelled_after_all(transaction: Transaction, notification_id: str, message_id: int) -> None:
    """Have an acknowledgement say once more that nothing comes: what was on its way meanwhile has replaced that."""
    transaction.wakes(Queue.ACKNOWLEDGEMENTS)
    await transaction.execute(_CANCELLED_AFTER_ALL, {"row_id": notification_id, "new_message": message_id})


async def remove(transaction: Transaction, notification_id: str) -> Notification:
    """To `cancelled`, from `due`, `sending` or `delivered`: its message was removed and is never sent again."""
    return await _changed(transaction, _REMOVE, notification_id)


async def want(transaction: Transaction, task_id: str, says: Acknowledgement) -> None:
    """Have the acknowledgements of everybody who waits for a task say something else."""
    transaction.wakes(Queue.ACKNOWLEDGEMENTS)
    await transaction.execute(_WANT, {"of_task": task_id, "says": says})


async def shown(transaction: Transaction, notification_id: str, says: str, message_id: int | None) -> None:
    """Note that an acknowledgement says what was wanted, unless something else is wanted by now."""
    await transaction.execute(_SHOWN, {"row_id": notification_id, "says": says, "new_message": message_id})


async def wake_orphans(transaction: Transaction, now: float) -> None:
    """Make due what somebody was answering or sending when the last process ended."""
    await transaction.execute(_WAKE_ORPHANS, {"now": now})
    transaction.wakes(Queue.DELIVERY)


async def expire(transaction: Transaction, before: float) -> int:
    """Delete what serves nobody any more and is older than `before`; return how many rows."""
    return (await transaction.execute(_EXPIRE, {"before": before})).rowcount
