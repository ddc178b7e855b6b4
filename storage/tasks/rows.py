"""A row of `tasks`, what is asked about it, and how it is changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Float, Integer, Select, Update, and_, bindparam, exists, func, select, update

from storage.database import Snapshot, Transaction
from storage.planned import Gone
from storage.quick import quick
from storage.schema import HOLDS_COVER, IS_LIVE, IS_ORDERED, TaskStatus, tasks

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


def from_row(row: Any) -> Task:
    """Return what a row of the table says."""
    values = dict(row._mapping)
    return Task(**{**values, "status": TaskStatus(values["status"])})


def values_of(task: Task) -> dict[str, Any]:
    """Return what the table holds of a task."""
    return {name: getattr(task, name) for name in Task.__dataclass_fields__}


def change(*only: TaskStatus, **values: Any) -> Update:
    """Build a transition: one statement that returns the row where it was in one of the states `only`."""
    statement = update(tasks).where(tasks.c.id == bindparam("row_id"), tasks.c.status.in_(only)).values(values)
    return quick(statement.returning(*tasks.c))


async def changed(transaction: Transaction, statement: Update, task_id: str, **values: Any) -> Task:
    """Send a transition; return the row as it is now, or raise `Gone` where it was in another state."""
    row = (await transaction.execute(statement, {"row_id": task_id, **values})).first()
    if row is None:
        raise Gone(f"task {task_id}")
    return from_row(row)


def as_read(task: Task) -> dict[str, Any]:
    """Return what `AS_READ` compares."""
    return {"seen_rereads": task.rereads, "seen_doubts": task.doubts, "seen_doubt_at": task.doubt_at}


NOW: Any = bindparam("now", type_=Float)
CREDITS: Any = bindparam("new_credits", type_=Float)
POLL_AT: Any = bindparam("new_poll_at", type_=Float)
# What has come of a request counts once, and not where somebody has sent it again since.
AS_SENT = and_(tasks.c.tries == bindparam("sent_tries"), tasks.c.vidgo_id.is_(None))
# What was read of a task counts, unless its callback came meanwhile, or somebody else has read it.
AS_READ = and_(
    tasks.c.rereads <= bindparam("seen_rereads"),
    tasks.c.doubts == bindparam("seen_doubts"),
    tasks.c.doubt_at.is_not_distinct_from(bindparam("seen_doubt_at", type_=Float)),
)
NO_DOUBT = {"doubt": None, "doubt_since": None, "doubt_at": None, "doubts": 0}

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
_SINCE = (
    select(tasks)
    .where(tasks.c.id >= bindparam("first"), tasks.c.submitted_at.is_not(None))
    .order_by(tasks.c.id.desc())
    .limit(bindparam("most", type_=Integer))
)
_ANY_LIVE = quick(select(exists(select(tasks.c.id).where(IS_LIVE))))


async def _one(snapshot: Snapshot, query: Select[Any], **values: Any) -> Task | None:
    row = (await snapshot.execute(query, values)).first()
    return None if row is None else from_row(row)


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


async def any_live(snapshot: Snapshot) -> bool:
    """Tell whether any task is live."""
    return bool((await snapshot.execute(_ANY_LIVE)).scalar_one())


async def submitted_since(snapshot: Snapshot, first: str, most: int) -> list[Task]:
    """Return the newest tasks that were sent and whose ids are `first` or later."""
    return [from_row(row) for row in await snapshot.execute(_SINCE, {"first": first, "most": most})]
