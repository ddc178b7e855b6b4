"""Tasks: what VidGo makes, and every way in which the state of one can change."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import (
    Boolean,
    Float,
    Integer,
    Select,
    Update,
    and_,
    bindparam,
    case,
    exists,
    func,
    insert,
    null,
    or_,
    select,
    update,
)

from storage import planned
from storage.database import Snapshot, Transaction
from storage.planned import Due, Gone
from storage.quick import quick
from storage.schema import HOLDS_COVER, IS_LIVE, IS_ORDERED, LIVE_TASKS, TaskStatus, tasks
from storage.wakeups import Queue

DURATIONS = 50
"""How many of the newest finished tasks of a model tell how long the next one takes."""

ENDED_BADLY = (TaskStatus.FAILED, TaskStatus.GIVEN_UP)


@dataclass(frozen=True, slots=True)
class Task:
    """A row of `tasks`."""

    id: str
    vidgo_id: str | None
    token: str
    media_key: str
    model: str
    source_id: str | None
    order_key: str | None
    user_id: int
    guild_id: int | None
    title: str
    request: dict[str, Any]
    status: TaskStatus
    error_kind: str | None
    error: str | None
    created_at: float
    submitted_at: float | None
    finished_at: float | None
    poll_at: float | None
    polls: int = 0
    rereads: int = 0
    late_at: float | None = None
    tries: int = 0
    doubt: str | None = None
    doubt_since: float | None = None
    doubt_at: float | None = None
    doubts: int = 0
    holder: str | None = None
    counted_on: int | None = None
    credits: float | None = None
    recording: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """Who is queued before a task: how many, and whether VidGo had no room for one of them."""

    length: int
    is_held_up: bool


def _task(row: Any) -> Task:
    values = dict(row._mapping)
    return Task(**{**values, "status": TaskStatus(values["status"])})


def _change(*only: TaskStatus, **values: Any) -> Update:
    """Build a transition: one statement that returns the row where it was in one of the states `only`."""
    statement = update(tasks).where(tasks.c.id == bindparam("row_id"), tasks.c.status.in_(only)).values(values)
    return quick(statement.returning(*tasks.c))


_NOW: Any = bindparam("now", type_=Float)
_POLL_AT: Any = bindparam("new_poll_at", type_=Float)
_CREDITS: Any = bindparam("new_credits", type_=Float)
_REPEATED: Any = bindparam("repeated", type_=Boolean)
_NO_DOUBT = {"doubt": None, "doubt_since": None, "doubt_at": None, "doubts": 0}

_ADD = quick(insert(tasks))
_GET = quick(select(tasks).where(tasks.c.id == bindparam("id")))
_LOCK = quick(_GET.with_for_update())
_BY_VIDGO_ID = quick(select(tasks).where(tasks.c.vidgo_id == bindparam("vidgo_id")))
# Whoever is about to wait for a task keeps it from ending until that is committed.
_COVER_OF = quick(
    select(tasks).where(tasks.c.source_id == bindparam("source_id"), HOLDS_COVER).with_for_update(read=True)
)
_SAME_ORDER = quick(
    select(tasks).where(tasks.c.order_key == bindparam("order_key"), IS_ORDERED).with_for_update(read=True)
)
_token = select(tasks.c.token).where(tasks.c.id == bindparam("id")).scalar_subquery()
_TOKEN_OF = quick(select(func.coalesce(_token, bindparam("instead"))))
_LOST_COVER: Select[Any] = quick(
    select(tasks.c.vidgo_id)
    .where(
        tasks.c.source_id == bindparam("source_id"),
        tasks.c.model == bindparam("model"),
        tasks.c.status.in_(ENDED_BADLY),
        tasks.c.vidgo_id.is_not(None),
    )
    .order_by(tasks.c.created_at.desc())
    .limit(1)
)
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
# An expression instead of the id itself, for which SQLite would look at everything older instead of all that is live.
_LINE = select(func.count(), func.coalesce(func.max(tasks.c.tries), 0)).where(
    IS_LIVE, tasks.c.status == TaskStatus.QUEUED, tasks.c.id + "" < bindparam("id")
)

_SINCE = (
    select(tasks)
    .where(tasks.c.id >= bindparam("first"), tasks.c.submitted_at.is_not(None))
    .order_by(tasks.c.id.desc())
    .limit(bindparam("most", type_=Integer))
)
_ANY_LIVE = quick(select(exists(select(tasks.c.id).where(IS_LIVE))))

# Held until VidGo has answered; should its process die meanwhile, another one looks after it.
_SUBMIT = _change(
    TaskStatus.QUEUED, status=TaskStatus.SUBMITTING, submitted_at=_NOW, poll_at=_POLL_AT, holder=planned.ME
)
# One that VidGo had no room for waits on as it is.
_LET_GO = quick(
    update(tasks)
    .where(tasks.c.id == bindparam("row_id"), tasks.c.status == TaskStatus.QUEUED, tasks.c.tries == 0)
    .values(poll_at=_NOW)
)
_SUBMIT_AGAIN = _change(TaskStatus.SUBMITTING, poll_at=_POLL_AT, holder=planned.ME)
_ACCEPT = _change(
    TaskStatus.SUBMITTING,
    status=TaskStatus.WAITING,
    vidgo_id=bindparam("new_vidgo_id"),
    # A callback that has overtaken the answer has made the task due.
    poll_at=case((tasks.c.rereads > 0, _NOW), else_=_POLL_AT),
    tries=0,
    holder=None,
)
_HOLD = _change(TaskStatus.SUBMITTING, status=TaskStatus.QUEUED, poll_at=_POLL_AT, tries=tasks.c.tries + 1, holder=None)
_UNANSWERED = _change(
    TaskStatus.SUBMITTING,
    # Its callback may have brought the id meanwhile; then it is read, and nobody has to send or confirm it.
    poll_at=case((tasks.c.vidgo_id.is_(None), _POLL_AT), else_=tasks.c.poll_at),
    tries=tasks.c.tries + 1,
    holder=None,
)
_RUN = _change(TaskStatus.WAITING, status=TaskStatus.RUNNING)
_FINISH = _change(
    *LIVE_TASKS,
    *ENDED_BADLY,
    status=TaskStatus.FINISHED,
    finished_at=_NOW,
    poll_at=None,
    holder=None,
    error=None,
    error_kind=None,
    vidgo_id=func.coalesce(tasks.c.vidgo_id, bindparam("new_vidgo_id")),
    credits=_CREDITS,
    **_NO_DOUBT,
)
_PRICE = quick(
    update(tasks)
    .where(tasks.c.id == bindparam("row_id"), tasks.c.status == TaskStatus.FINISHED, tasks.c.credits.is_(None))
    .values(credits=_CREDITS)
    .returning(*tasks.c)
)
_END = _change(
    *LIVE_TASKS,
    status=bindparam("new_status"),
    error_kind=bindparam("new_kind"),
    error=bindparam("new_error"),
    finished_at=_NOW,
    poll_at=None,
    holder=None,
)
_DROP = _change(
    TaskStatus.QUEUED, status=TaskStatus.FAILED, error_kind="cancelled", finished_at=_NOW, poll_at=None, holder=None
)
_LATE = quick(
    update(tasks)
    .where(tasks.c.id == bindparam("row_id"), tasks.c.status.in_(LIVE_TASKS), tasks.c.late_at.is_(None))
    .values(late_at=_NOW)
    .returning(*tasks.c)
)
_DOUBT = _change(
    *LIVE_TASKS,
    doubt=bindparam("new_doubt"),
    doubt_since=case((_REPEATED, tasks.c.doubt_since), else_=_NOW),
    doubt_at=_NOW,
    doubts=case((_REPEATED, tasks.c.doubts + 1), else_=1),
)
_TRUST = _change(*LIVE_TASKS, **_NO_DOUBT)
_PLAN = quick(
    update(tasks)
    .where(
        tasks.c.id == bindparam("row_id"),
        tasks.c.status.in_(LIVE_TASKS),
        # Rung while it was being read, it is due already.
        tasks.c.rereads <= bindparam("seen_rereads"),
    )
    .values(
        poll_at=_POLL_AT,
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
        or_(tasks.c.status.in_(LIVE_TASKS), bindparam("is_finished", type_=Boolean)),
    )
    .values(
        rereads=bindparam("new_rereads"),
        poll_at=_NOW,
        vidgo_id=func.coalesce(tasks.c.vidgo_id, bindparam("rung_id")),
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
_WAKE_ORPHANS = update(tasks).where(IS_LIVE, tasks.c.status == TaskStatus.SUBMITTING).values(poll_at=_NOW)


async def _one(snapshot: Snapshot, query: Select[Any], **values: Any) -> Task | None:
    row = (await snapshot.execute(query, values)).first()
    return None if row is None else _task(row)


async def _changed(transaction: Transaction, statement: Update, task_id: str, **values: Any) -> Task:
    row = (await transaction.execute(statement, {"row_id": task_id, **values})).first()
    if row is None:
        raise Gone(f"task {task_id}")
    return _task(row)


# Looking


async def get(snapshot: Snapshot, task_id: str) -> Task | None:
    """Return the task with the program's own id."""
    return await _one(snapshot, _GET, id=task_id)


async def lock(transaction: Transaction, task_id: str) -> Task | None:
    """Return a task that nobody else changes, nor begins to wait for, until the transaction ends."""
    return await _one(transaction, _LOCK, id=task_id)


async def token_of(snapshot: Snapshot, task_id: str, instead: str) -> str:
    """Return a task's callback token, or `instead` where there is no such task, by the same query for both."""
    found: str = (await snapshot.execute(_TOKEN_OF, {"id": task_id, "instead": instead})).scalar_one()
    return found


async def by_vidgo_id(snapshot: Snapshot, vidgo_id: str) -> Task | None:
    """Return the task that has VidGo's id."""
    return await _one(snapshot, _BY_VIDGO_ID, vidgo_id=vidgo_id)


async def cover_of(transaction: Transaction, source_id: str) -> Task | None:
    """Return the one live or finished cover of a song; nobody else orders one until the transaction ends."""
    await transaction.alone(f"cover of {source_id}")
    return await _one(transaction, _COVER_OF, source_id=source_id)


async def same_order(transaction: Transaction, order_key: str) -> Task | None:
    """Return the live task that makes the same; nobody else orders it until the transaction ends."""
    await transaction.alone(f"order {order_key}")
    return await _one(transaction, _SAME_ORDER, order_key=order_key)


async def lost_cover_id(snapshot: Snapshot, source_id: str, model: str) -> str | None:
    """Return VidGo's id of an earlier cover of the song that ended without a result, newest first."""
    return (await snapshot.execute(_LOST_COVER, {"source_id": source_id, "model": model})).scalar_one_or_none()


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


async def line_before(snapshot: Snapshot, task_id: str) -> Line:
    """Return who is queued and was asked for before a task."""
    length, tries = (await snapshot.execute(_LINE, {"id": task_id})).one()
    return Line(int(length), is_held_up=tries > 0)


async def any_live(snapshot: Snapshot) -> bool:
    """Tell whether any task is live."""
    return bool((await snapshot.execute(_ANY_LIVE)).scalar_one())


async def submitted_since(snapshot: Snapshot, first: str, most: int) -> list[Task]:
    """Return the newest tasks that were sent and whose ids are `first` or later."""
    return [_task(row) for row in await snapshot.execute(_SINCE, {"first": first, "most": most})]


# Transitions: one statement each, which returns the row as it is now, or raises `Gone` where it was in another state


async def add(transaction: Transaction, task: Task) -> None:
    """Begin as `queued`, sent by this process; raises `IntegrityError` where it is under way, or a cover is there."""
    holder = transaction.me if task.status is TaskStatus.QUEUED else None
    await transaction.execute(_ADD, asdict(task) | {"holder": holder})


async def let_go(transaction: Transaction, task_id: str, now: float) -> None:
    """Let a `queued` task be sent that was kept back until its requester had an answer: right after the commit."""
    await transaction.execute(_LET_GO, {"row_id": task_id, "now": now})


async def submit(transaction: Transaction, task_id: str, now: float, poll_at: float) -> Task:
    """From `queued` to `submitting`: VidGo is asked right after the commit."""
    return await _changed(transaction, _SUBMIT, task_id, now=now, new_poll_at=poll_at, me=transaction.me)


async def submit_again(transaction: Transaction, task_id: str, poll_at: float) -> Task:
    """Ask once more for a task in `submitting`, which VidGo must not be paid twice for."""
    return await _changed(transaction, _SUBMIT_AGAIN, task_id, new_poll_at=poll_at, me=transaction.me)


async def accept(transaction: Transaction, task_id: str, vidgo_id: str, now: float, poll_at: float) -> Task:
    """From `submitting` to `waiting`: VidGo has it; raises `IntegrityError` where another task has that id."""
    await transaction.execute(_RELEASE_VIDGO_ID, {"taken_id": vidgo_id, "row_id": task_id})
    transaction.wakes(Queue.POLLER)
    return await _changed(transaction, _ACCEPT, task_id, new_vidgo_id=vidgo_id, now=now, new_poll_at=poll_at)


async def hold(transaction: Transaction, task_id: str, poll_at: float) -> Task:
    """From `submitting` back to `queued`: VidGo certainly has not taken it, and has no room."""
    transaction.wakes(Queue.POLLER)
    return await _changed(transaction, _HOLD, task_id, new_poll_at=poll_at)


async def unanswered(transaction: Transaction, task_id: str, poll_at: float) -> Task:
    """Stay in `submitting`, for VidGo may have taken it."""
    transaction.wakes(Queue.POLLER)
    return await _changed(transaction, _UNANSWERED, task_id, new_poll_at=poll_at)


async def run(transaction: Transaction, task_id: str) -> Task:
    """From `waiting` to `running`."""
    return await _changed(transaction, _RUN, task_id)


async def finish(
    transaction: Transaction,
    task_id: str,
    vidgo_id: str,
    now: float,
    credits: float | None = None,  # noqa: A002  (the API's word)
) -> Task:
    """To `finished`, from any other status: what was failed or given up may be finished after all."""
    return await _changed(transaction, _FINISH, task_id, new_vidgo_id=vidgo_id, now=now, new_credits=credits)


async def price(transaction: Transaction, task_id: str, credits: float) -> Task:  # noqa: A002  (the API's word)
    """Note once what a `finished` task cost, where its result did not say it."""
    return await _changed(transaction, _PRICE, task_id, new_credits=credits)


async def fail(transaction: Transaction, task_id: str, kind: str, error: str | None, now: float) -> Task:
    """From a live status to `failed`."""
    values = {"new_status": TaskStatus.FAILED, "new_kind": kind, "new_error": error}
    return await _changed(transaction, _END, task_id, now=now, **values)


async def give_up(transaction: Transaction, task_id: str, kind: str, error: str | None, now: float) -> Task:
    """From a live status to `given_up`: nobody knows what became of it."""
    values = {"new_status": TaskStatus.GIVEN_UP, "new_kind": kind, "new_error": error}
    return await _changed(transaction, _END, task_id, now=now, **values)


async def drop(transaction: Transaction, task_id: str, now: float) -> Task:
    """From `queued` to `failed`: nobody wants it any more, and VidGo has not seen it."""
    return await _changed(transaction, _DROP, task_id, now=now)


async def late(transaction: Transaction, task_id: str, now: float) -> Task:
    """Note once that a live task takes longer than most."""
    return await _changed(transaction, _LATE, task_id, now=now)


async def doubt(transaction: Transaction, task_id: str, doubt: str, now: float, *, repeated: bool) -> Task:
    """Note a bad word about a live task that is believed only when it is repeated."""
    return await _changed(transaction, _DOUBT, task_id, new_doubt=doubt, now=now, repeated=repeated)


async def trust(transaction: Transaction, task_id: str) -> Task:
    """Take back every bad word about a live task."""
    return await _changed(transaction, _TRUST, task_id)


async def plan(transaction: Transaction, task_id: str, poll_at: float, *, rereads: int) -> Task:
    """Plan the next read of a live task, unless its callback came since `rereads` were left."""
    transaction.wakes(Queue.POLLER)
    return await _changed(transaction, _PLAN, task_id, new_poll_at=poll_at, seen_rereads=rereads)


async def ring(
    transaction: Transaction,
    task_id: str,
    vidgo_id: str,
    now: float,
    rereads: int,
    *,
    is_finished: bool,
    is_answering: bool,
) -> Task:
    """Make a task due because its callback came, also one that had ended without a result.

    An id of VidGo's that is not known yet is taken from the callback, and proved by the read that follows; raises
    `IntegrityError` where another task has it. `is_answering`: the answer to the submission is still being waited for.
    """
    transaction.wakes(Queue.POLLER)
    return await _changed(
        transaction,
        _RING,
        task_id,
        rung_id=vidgo_id,
        now=now,
        new_rereads=rereads,
        is_finished=is_finished,
        is_answering=is_answering,
    )


async def wake_orphans(transaction: Transaction, now: float) -> None:
    """Make tasks due whose submission was under way when the last process ended."""
    await transaction.execute(_WAKE_ORPHANS, {"now": now})
    transaction.wakes(Queue.POLLER)
