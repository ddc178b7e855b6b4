"""What can be measured of the work that is left. Each statement reads what there is to do, never what is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Executable, TextClause, bindparam, func, null, select

from storage.database import Snapshot
from storage.schema import IS_LIVE, IS_OPEN, files, notifications, tasks
from storage.wakeups import Queue


@dataclass(frozen=True, slots=True)
class Live:
    """Tasks of one model and status that are not done: how many, and when the first of them was ordered."""

    model: str
    status: str
    count: int
    since: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is due in a queue: how many, and since when; None where nothing is, or no time is planned there."""

    count: int
    since: float | None


def _due(at: ColumnElement[Any], is_open: ColumnElement[bool] | TextClause) -> Executable:
    return select(func.count(), func.min(at)).where(is_open, at <= bindparam("now"))


# An expression instead of the model itself, for whose order SQLite would go through all tasks there ever were.
_MODEL = tasks.c.model + ""
_LIVE = (
    select(_MODEL, tasks.c.status, func.count(), func.min(tasks.c.created_at))
    .where(IS_LIVE)
    .group_by(_MODEL, tasks.c.status)
)
_DUE: dict[Queue, Executable] = {
    Queue.POLLER: _due(tasks.c.poll_at, IS_LIVE),
    Queue.DELIVERY: _due(notifications.c.attempt_at, IS_OPEN),
    Queue.ACKNOWLEDGEMENTS: select(func.count(notifications.c.id), null()).where(
        notifications.c.ack_wanted.is_not(None)
    ),
    Queue.ARCHIVER: _due(files.c.archive_at, files.c.archive_at.is_not(None)),
}


async def live(snapshot: Snapshot) -> list[Live]:
    """Return what is not done, by model and status."""
    return [Live(*row) for row in await snapshot.execute(_LIVE)]


async def due(snapshot: Snapshot, now: float) -> dict[Queue, Waiting]:
    """Return what waits in each queue."""
    return {queue: Waiting(*(await snapshot.execute(one, {"now": now})).one()) for queue, one in _DUE.items()}
