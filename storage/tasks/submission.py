"""Tasks until VidGo has them: from `queued` over `submitting` to `waiting`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Integer, String, and_, bindparam, case, exists, func, insert, null, or_, select, update

from storage import planned
from storage.database import Snapshot, Transaction
from storage.quick import quick
from storage.schema import IS_IN_LINE, TaskStatus, tasks
from storage.tasks.rows import (
    AS_SENT,
    CREDITS,
    ENDED_BADLY,
    NO_DOUBT,
    NOW,
    POLL_AT,
    Task,
    change,
    changed,
    from_row,
    values_of,
)
from storage.wakeups import Queue

_IS_QUEUED = tasks.c.status == TaskStatus.QUEUED
# Also while VidGo is asked again, and may say once more that it has no room: nobody's place changes by that. Of what is
# in doubt it is not asked again.
_IS_ASKED_AGAIN = and_(
    tasks.c.status == TaskStatus.SUBMITTING, tasks.c.tries > 0, tasks.c.vidgo_id.is_(None), tasks.c.doubt.is_(None)
)
_STANDS_IN_LINE = or_(_IS_QUEUED, _IS_ASKED_AGAIN)
_IS_BEFORE = tasks.c.id < bindparam("id")
_IS_HELD_UP = and_(_IS_QUEUED, tasks.c.tries > 0)
_HELD_UP_BEFORE = quick(select(tasks.c.id).where(IS_IN_LINE, _IS_HELD_UP, _IS_BEFORE).limit(1))
_AHEAD = select(func.count()).where(IS_IN_LINE, _STANDS_IN_LINE, _IS_BEFORE)
# Whoever is working on one of them is about to send it.
_FIRST_IN_LINE = quick(
    select(tasks)
    .where(IS_IN_LINE, _IS_HELD_UP, _IS_BEFORE, planned.mine(tasks.c.holder))
    .order_by(tasks.c.id)
    .limit(1)
    .with_for_update(skip_locked=True)
)
_STAND_BACK = change(
    TaskStatus.QUEUED, poll_at=POLL_AT, tries=case((tasks.c.tries == 0, 1), else_=tasks.c.tries), holder=None
)
_IN_LINE = (
    select(tasks.c.id, tasks.c.status, tasks.c.tries)
    .where(IS_IN_LINE, _STANDS_IN_LINE)
    .order_by(tasks.c.id)
    .limit(bindparam("most", type_=Integer))
)
_ADD = quick(insert(tasks))
# One that VidGo had no room for waits on as it is.
_LET_GO = quick(
    update(tasks)
    .where(tasks.c.id == bindparam("row_id"), tasks.c.status == TaskStatus.QUEUED, tasks.c.tries == 0)
    .values(poll_at=NOW)
)
# Held until VidGo has answered; should its process die meanwhile, another one looks after it.
_SUBMIT = change(TaskStatus.QUEUED, status=TaskStatus.SUBMITTING, submitted_at=NOW, poll_at=POLL_AT, holder=planned.ME)
_SUBMIT_AGAIN = change(TaskStatus.SUBMITTING, poll_at=POLL_AT, holder=planned.ME)
_ACCEPT = change(
    TaskStatus.SUBMITTING,
    status=TaskStatus.WAITING,
    vidgo_id=bindparam("new_vidgo_id"),
    # A callback that has overtaken the answer has made the task due.
    poll_at=case((tasks.c.rereads > 0, NOW), else_=POLL_AT),
    tries=0,
    holder=None,
    credits=CREDITS,
)
# Under the name of an earlier life, maybe.
_BY_SENDER = or_(tasks.c.holder == planned.ME, tasks.c.holder.is_not_distinct_from(bindparam("sender", type_=String)))
_HOLD = change(
    TaskStatus.SUBMITTING, status=TaskStatus.QUEUED, poll_at=POLL_AT, tries=tasks.c.tries + 1, holder=None, **NO_DOUBT
).where(AS_SENT)
# Others who have taken it over may be sending it: then what they hear counts.
_HOLD_MINE = _HOLD.where(_BY_SENDER)
_UNANSWERED = change(
    TaskStatus.SUBMITTING,
    # Its callback may have brought the id meanwhile; then it is read, and nobody has to send or confirm it.
    poll_at=case((tasks.c.vidgo_id.is_(None), POLL_AT), else_=tasks.c.poll_at),
    tries=tasks.c.tries + 1,
    holder=None,
).where(tasks.c.tries == bindparam("sent_tries"), planned.mine(tasks.c.holder))
# Whoever has it still has it.
_PUT_OFF = change(TaskStatus.QUEUED, TaskStatus.SUBMITTING, poll_at=POLL_AT)
_DROP = change(
    TaskStatus.QUEUED, status=TaskStatus.FAILED, error_kind="cancelled", finished_at=NOW, poll_at=None, holder=None
)
_taker = tasks.alias("taker")
_RELEASE_VIDGO_ID = quick(
    update(tasks)
    .where(
        tasks.c.vidgo_id == bindparam("taken_id"),
        tasks.c.id != bindparam("row_id"),
        tasks.c.status.in_(ENDED_BADLY),
        exists().where(_taker.c.id == bindparam("row_id"), _taker.c.status == TaskStatus.SUBMITTING),
    )
    .values(vidgo_id=null())
)


async def is_held_up(snapshot: Snapshot, task_id: str) -> bool:
    """Tell whether VidGo had no room for one that stands in line and was asked for before a task."""
    return (await snapshot.execute(_HELD_UP_BEFORE, {"id": task_id})).first() is not None


async def ahead_of(snapshot: Snapshot, task_id: str) -> int:
    """Return how many stand in line and were asked for before a task."""
    return int((await snapshot.execute(_AHEAD, {"id": task_id})).scalar_one())


async def first_in_line(transaction: Transaction, task_id: str) -> Task | None:
    """Return the first of those who were asked for before a task, and whom VidGo has had no room for."""
    row = (await transaction.execute(_FIRST_IN_LINE, {"id": task_id, "me": transaction.me})).first()
    return None if row is None else from_row(row)


async def stand_back(transaction: Transaction, task_id: str, poll_at: float) -> Task:
    """Stay `queued` behind those for whom VidGo has had no room."""
    transaction.wakes(Queue.POLLER)
    return await changed(transaction, _STAND_BACK, task_id, new_poll_at=poll_at)


async def in_line(snapshot: Snapshot, most: int) -> list[tuple[str, int, bool]]:
    """Return the ids of the first queued tasks in the order in which they were asked for, each with its place, and with
    whether VidGo had no room for it or for one before it.
    """
    found, is_held_up = [], False
    for place, (task_id, status, tries) in enumerate(await snapshot.execute(_IN_LINE, {"most": most}), 1):
        if status == TaskStatus.QUEUED:
            is_held_up = is_held_up or tries > 0
            found.append((task_id, place, is_held_up))
    return found


async def add(transaction: Transaction, task: Task) -> None:
    """Begin as `queued`, sent by this process; raises `IntegrityError` where it is under way, or a cover is there."""
    holder = transaction.me if task.status is TaskStatus.QUEUED else None
    await transaction.execute(_ADD, values_of(task) | {"holder": holder})


async def let_go(transaction: Transaction, task_id: str, now: float) -> None:
    """Let a `queued` task be sent that was kept back until its requester had an answer: right after the commit."""
    await transaction.execute(_LET_GO, {"row_id": task_id, "now": now})


async def submit(transaction: Transaction, task_id: str, now: float, poll_at: float) -> Task:
    """From `queued` to `submitting`: VidGo is asked right after the commit."""
    return await changed(transaction, _SUBMIT, task_id, now=now, new_poll_at=poll_at, me=transaction.me)


async def submit_again(transaction: Transaction, task_id: str, poll_at: float) -> Task:
    """Ask once more for a task in `submitting`, which VidGo must not be paid twice for."""
    return await changed(transaction, _SUBMIT_AGAIN, task_id, new_poll_at=poll_at, me=transaction.me)


async def accept(
    transaction: Transaction,
    task_id: str,
    vidgo_id: str,
    now: float,
    poll_at: float,
    credits: float | None = None,  # noqa: A002  (the API's word)
) -> Task:
    """From `submitting` to `waiting`: VidGo has it; raises `IntegrityError` where another task has that id."""
    await transaction.execute(_RELEASE_VIDGO_ID, {"taken_id": vidgo_id, "row_id": task_id})
    transaction.wakes(Queue.POLLER)
    values = {"new_vidgo_id": vidgo_id, "new_poll_at": poll_at, "new_credits": credits}
    return await changed(transaction, _ACCEPT, task_id, now=now, **values)


async def put_off(transaction: Transaction, task_id: str, poll_at: float) -> Task:
    """Leave a task that may not be sent just now to a later turn."""
    transaction.wakes(Queue.POLLER)
    return await changed(transaction, _PUT_OFF, task_id, new_poll_at=poll_at)


async def hold(transaction: Transaction, sent: Task, poll_at: float, *, shared: bool) -> Task:
    """From `submitting` back to `queued`: VidGo certainly has not taken it as it was `sent`, and has no room.

    `shared` is what others send again who have taken it over. Anything else only its sender sends, so that its word
    counts whoever looks after it by now.
    """
    transaction.wakes(Queue.POLLER)
    values: dict[str, Any] = {"new_poll_at": poll_at, "sent_tries": sent.tries}
    if shared:
        return await changed(transaction, _HOLD_MINE, sent.id, me=transaction.me, sender=sent.holder, **values)
    return await changed(transaction, _HOLD, sent.id, **values)


async def unanswered(transaction: Transaction, sent: Task, poll_at: float) -> Task:
    """Stay in `submitting`, for VidGo may have taken it as it was `sent`."""
    transaction.wakes(Queue.POLLER)
    values: dict[str, Any] = {"new_poll_at": poll_at, "sent_tries": sent.tries}
    return await changed(transaction, _UNANSWERED, sent.id, me=transaction.me, **values)


async def drop(transaction: Transaction, task_id: str, now: float) -> Task:
    """From `queued` to `failed`: nobody wants it any more, and VidGo has not seen it."""
    return await changed(transaction, _DROP, task_id, now=now)
