"""Tasks that are asked about: when that is due, and what is noted until they end."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from sqlalchemy import Boolean, and_, bindparam, case, func, null, or_, select, update

from storage import planned
from storage.database import Snapshot, Transaction
from storage.planned import Due
from storage.quick import quick
from storage.schema import IS_LIVE, LIVE_TASKS, TaskStatus, tasks
from storage.tasks.rows import (
    AS_READ,
    CREDITS,
    ENDED_BADLY,
    NO_DOUBT,
    NOW,
    POLL_AT,
    Task,
    as_read,
    change,
    changed,
)
from storage.wakeups import Queue

DURATIONS = 50
"""How many of the newest finished tasks of a model tell how long the next one takes."""

_REPEATED: Any = bindparam("repeated", type_=Boolean)
_IS_FINISHED: Any = bindparam("is_finished", type_=Boolean)

_DURATIONS = quick(
    select(tasks.c.finished_at - tasks.c.submitted_at)
    .where(
        tasks.c.model == bindparam("model"),
        tasks.c.status == TaskStatus.FINISHED,
        tasks.c.finished_at.is_not(None),
        tasks.c.submitted_at.is_not(None),
    )
    .order_by(tasks.c.finished_at.desc())
    .limit(DURATIONS)
)
_DUE = planned.due(tasks.c.id, tasks.c.poll_at, IS_LIVE)
_CLAIM = planned.claim(_DUE, tasks.c.holder)
# Whoever looked at a task that its own process is about to send leaves it to that.
_CLAIM = replace(_CLAIM, release=_CLAIM.release.where(tasks.c.status != TaskStatus.SUBMITTING))
_NEXT_DUE = planned.next_due(tasks.c.id, tasks.c.poll_at, IS_LIVE).where(planned.mine(tasks.c.holder))
_RUN = change(TaskStatus.WAITING, status=TaskStatus.RUNNING)
_QUOTE = change(*LIVE_TASKS, credits=CREDITS)
_LATE = quick(
    update(tasks)
    .where(tasks.c.id == bindparam("row_id"), tasks.c.status.in_(LIVE_TASKS), tasks.c.late_at.is_(None))
    .values(late_at=NOW)
    .returning(*tasks.c)
)
_DOUBT = change(
    *LIVE_TASKS,
    doubt=bindparam("new_doubt"),
    doubt_since=case((_REPEATED, func.coalesce(tasks.c.doubt_since, NOW)), else_=NOW),
    doubt_at=NOW,
    doubts=case((_REPEATED, tasks.c.doubts + 1), else_=1),
).where(AS_READ)
_TRUST = change(*LIVE_TASKS, **NO_DOUBT).where(AS_READ)
_PLAN = quick(
    update(tasks)
    .where(
        tasks.c.id == bindparam("row_id"),
        tasks.c.status.in_(LIVE_TASKS),
        # Rung while it was being read, it is due already.
        tasks.c.rereads <= bindparam("seen_rereads"),
    )
    .values(
        poll_at=POLL_AT,
        polls=tasks.c.polls + 1,
        rereads=case((tasks.c.rereads > 0, tasks.c.rereads - 1), else_=0),
    )
    .returning(*tasks.c)
)
_RING = quick(
    update(tasks)
    .where(
        tasks.c.id == bindparam("row_id"),
        tasks.c.status.in_((*LIVE_TASKS, *ENDED_BADLY)),
        or_(tasks.c.vidgo_id == bindparam("rung_id"), tasks.c.vidgo_id.is_(None)),
        # What was given up or failed is looked at again only when it is said to be finished.
        or_(tasks.c.status.in_(LIVE_TASKS), _IS_FINISHED),
    )
    .values(
        # What was said before the result has to be said again, and again, before it is believed.
        **{name: case((_IS_FINISHED, value), else_=tasks.c[name]) for name, value in NO_DOUBT.items()},
        rereads=bindparam("new_rereads"),
        poll_at=NOW,
        vidgo_id=func.coalesce(tasks.c.vidgo_id, bindparam("rung_id")),
        # Another order for the same may be under way: both were paid for, and both come.
        order_key=case((bindparam("beside", type_=Boolean), null()), else_=tasks.c.order_key),
        status=case(
            # The answer to the submission may still come; it finds the id here.
            (
                and_(tasks.c.status == TaskStatus.SUBMITTING, bindparam("is_answering", type_=Boolean)),
                TaskStatus.SUBMITTING,
            ),
            (tasks.c.status.in_((TaskStatus.WAITING, TaskStatus.RUNNING)), tasks.c.status),
            else_=TaskStatus.WAITING,
        ),
    )
    .returning(*tasks.c)
)
_RECOVER = update(tasks).where(IS_LIVE, tasks.c.status == TaskStatus.SUBMITTING).values(poll_at=NOW)


async def durations(snapshot: Snapshot, model: str) -> list[float]:
    """Return how many seconds the newest finished tasks of a model took, from the submission on."""
    return [float(seconds) for seconds in (await snapshot.execute(_DURATIONS, {"model": model})).scalars()]


async def claim(snapshot: Snapshot, now: float, horizon: float, skip: Collection[str], limit: int) -> list[Due]:
    """Take live tasks that are due, the longest waiting first; a time beyond `horizon` shows a clock set back."""
    return [Due(*row) for row in await snapshot.claim(_CLAIM, planned.asked(now, horizon, skip, limit))]


async def release(transaction: Transaction, names: Collection[str]) -> None:
    """Let others claim tasks that this process has claimed."""
    await transaction.release(_CLAIM, [{"of_id": name} for name in names])


async def next_due(snapshot: Snapshot, skip: Collection[str]) -> float | None:
    """Return when the next live task is due."""
    found: float | None = (await snapshot.execute(_NEXT_DUE, {"skip": list(skip), "me": snapshot.me})).scalar_one()
    return found


async def run(transaction: Transaction, task_id: str) -> Task:
    """From `waiting` to `running`."""
    return await changed(transaction, _RUN, task_id)


async def quote(transaction: Transaction, task_id: str, credits: float) -> Task:  # noqa: A002  (the API's word)
    """Note what a live task will cost by VidGo's word; it counts once the task is finished."""
    return await changed(transaction, _QUOTE, task_id, new_credits=credits)


async def late(transaction: Transaction, task_id: str, now: float) -> Task:
    """Note once that a live task takes longer than most."""
    return await changed(transaction, _LATE, task_id, now=now)


async def doubt(transaction: Transaction, task: Task, doubt: str, now: float, *, repeated: bool) -> Task:
    """Note a bad word about a live task, as it was read, that is believed only when it is repeated."""
    return await changed(transaction, _DOUBT, task.id, new_doubt=doubt, now=now, repeated=repeated, **as_read(task))


async def trust(transaction: Transaction, task: Task) -> Task:
    """Take back every bad word about a live task, as it was read."""
    return await changed(transaction, _TRUST, task.id, **as_read(task))


async def plan(transaction: Transaction, task_id: str, poll_at: float, *, rereads: int) -> Task:
    """Plan the next read of a live task, unless its callback came since `rereads` were left."""
    transaction.wakes(Queue.POLLER)
    return await changed(transaction, _PLAN, task_id, new_poll_at=poll_at, seen_rereads=rereads)


async def ring(
    transaction: Transaction,
    task_id: str,
    vidgo_id: str,
    now: float,
    rereads: int,
    *,
    is_finished: bool,
    is_answering: bool,
    beside: bool = False,
) -> Task:
    """Make a task due because its callback came, also one that had ended without a result.

    An id of VidGo's that is not known yet is taken from the callback, and proved by the read that follows; raises
    `IntegrityError` where another task has it, and where another order for the same is under way, unless it may live
    `beside` that. `is_answering`: the answer to the submission is still being waited for.
    """
    transaction.wakes(Queue.POLLER)
    return await changed(
        transaction,
        _RING,
        task_id,
        rung_id=vidgo_id,
        now=now,
        new_rereads=rereads,
        is_finished=is_finished,
        is_answering=is_answering,
        beside=beside,
    )


async def recover(transaction: Transaction, now: float) -> None:
    """Make tasks due whose submission was under way when the last process ended."""
    await transaction.execute(_RECOVER, {"now": now})
    transaction.wakes(Queue.POLLER)
