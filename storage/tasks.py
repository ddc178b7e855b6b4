"""Queries about tasks and their files."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    Select,
    Update,
    and_,
    bindparam,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import planned
from storage.schema import HOLDS_COVER, IS_LIVE, IS_RESTYLING, LIVE_TASKS, TaskStatus, files, tasks

MEDIAN_OF = 50
"""How many of the newest finished tasks of a model the expected duration is taken from."""


@dataclass(frozen=True, slots=True)
class Task:
    """A row of `tasks`."""

    id: str
    vidgo_id: str | None
    token: str
    media_key: str
    model: str
    source_id: str | None
    style: str | None
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
    polls: int
    bells: int
    late_at: float | None


@dataclass(frozen=True, slots=True)
class File:
    """A row of `files`: one variant of a result."""

    task_id: str
    position: int
    audio_url: str | None
    image_urls: list[str]
    title: str
    tags: str
    duration: float | None
    audio_id: str | None
    audio_sha256: str | None = None
    image_sha256: str | None = None
    archive_at: float | None = None
    archive_tries: int = 0


def _task(row: Any) -> Task:
    values = dict(row._mapping)
    return Task(**{**values, "status": TaskStatus(values["status"])})


_GET = select(tasks).where(tasks.c.id == bindparam("id"))
_RING = (
    update(tasks)
    .where(
        tasks.c.id == bindparam("row_id"),
        tasks.c.vidgo_id == bindparam("known_id"),
        tasks.c.status.in_(LIVE_TASKS),
    )
    .values(bells=bindparam("new_bells"), poll_at=bindparam("new_poll_at"))
)


_TOKEN_OF = select(
    func.coalesce(select(tasks.c.token).where(tasks.c.id == bindparam("id")).scalar_subquery(), bindparam("instead"))
)
_DUE = planned.due(tasks.c.id, tasks.c.poll_at, IS_LIVE)
_NEXT_DUE = planned.next_due(tasks.c.id, tasks.c.poll_at, IS_LIVE)
_ADD_FILES = insert(files).prefix_with("OR IGNORE")
_DURATIONS = (
    select(tasks.c.finished_at - tasks.c.submitted_at)
    .where(
        and_(
            tasks.c.model == bindparam("model"),
            tasks.c.status == TaskStatus.FINISHED,
            tasks.c.finished_at.is_not(None),
            tasks.c.submitted_at.is_not(None),
        )
    )
    .order_by(tasks.c.finished_at.desc())
    .limit(MEDIAN_OF)
)


async def _one(connection: AsyncConnection, query: Select[Any]) -> Task | None:
    row = (await connection.execute(query)).first()
    return None if row is None else _task(row)


async def add(connection: AsyncConnection, task: Task) -> None:
    """Insert a task; raises `IntegrityError` where the song has a live or finished cover already."""
    await connection.execute(insert(tasks).values(asdict(task)))


async def get(connection: AsyncConnection, task_id: str) -> Task | None:
    """Return the task with the program's own id."""
    row = (await connection.execute(_GET, {"id": task_id})).first()
    return None if row is None else _task(row)


async def token_of(connection: AsyncConnection, task_id: str, instead: str) -> str:
    """Return a task's callback token, or `instead` where there is no such task, by the same query for both."""
    found: str = (await connection.execute(_TOKEN_OF, {"id": task_id, "instead": instead})).scalar_one()
    return found


async def by_vidgo_id(connection: AsyncConnection, vidgo_id: str) -> Task | None:
    """Return the task that has VidGo's id."""
    return await _one(connection, select(tasks).where(tasks.c.vidgo_id == vidgo_id))


async def cover_of(connection: AsyncConnection, source_id: str) -> Task | None:
    """Return the one live or finished cover of a song."""
    return await _one(connection, select(tasks).where(tasks.c.source_id == source_id, HOLDS_COVER))


async def restyling_of(connection: AsyncConnection, source_id: str, style: str) -> Task | None:
    """Return the new performance of a song in a style that is under way."""
    return await _one(
        connection, select(tasks).where(tasks.c.source_id == source_id, tasks.c.style == style, IS_RESTYLING)
    )


async def lost_cover_id(connection: AsyncConnection, source_id: str, model: str) -> str | None:
    """Return VidGo's id of an earlier cover of the song that was given up, newest first."""
    query = (
        select(tasks.c.vidgo_id)
        .where(
            tasks.c.source_id == source_id,
            tasks.c.model == model,
            tasks.c.status == TaskStatus.GIVEN_UP,
            tasks.c.vidgo_id.is_not(None),
        )
        .order_by(tasks.c.created_at.desc())
        .limit(1)
    )
    return (await connection.execute(query)).scalar_one_or_none()


async def change(
    connection: AsyncConnection, task_id: str, *, only: Collection[TaskStatus] = LIVE_TASKS, **values: Any
) -> bool:
    """Update a task if its status is one of `only`, and tell whether it was.

    The default keeps rule one of the table: a final status never changes.
    """
    query = _change(tuple(only), tuple(values))
    new = {f"new_{name}": value for name, value in values.items()}
    return (await connection.execute(query, {"row_id": task_id, **new})).rowcount == 1


@cache
def _change(only: tuple[TaskStatus, ...], names: tuple[str, ...]) -> Update:
    # A statement that is built once costs a fraction of one that is built each time.
    return (
        update(tasks)
        .where(tasks.c.id == bindparam("row_id"), tasks.c.status.in_(only))
        .values({name: bindparam(f"new_{name}") for name in names})
    )


async def ring(connection: AsyncConnection, task_id: str, vidgo_id: str, poll_at: float, bells: int) -> bool:
    """Make a live task due whose id at VidGo is known, and tell whether it is that one; one statement."""
    values = {"row_id": task_id, "known_id": vidgo_id, "new_bells": bells, "new_poll_at": poll_at}
    return (await connection.execute(_RING, values)).rowcount == 1


async def release_vidgo_id(connection: AsyncConnection, vidgo_id: str) -> None:
    """Take VidGo's id from tasks that failed or were given up, so that another task can adopt it."""
    await connection.execute(
        update(tasks)
        .where(tasks.c.vidgo_id == vidgo_id, tasks.c.status.in_([TaskStatus.FAILED, TaskStatus.GIVEN_UP]))
        .values(vidgo_id=None)
    )


async def due(connection: AsyncConnection, now: float, horizon: float, skip: Collection[str], limit: int) -> list[str]:
    """Return ids of live tasks that are due, the longest waiting first.

    A time beyond `horizon` is due too: nothing is ever planned that far, so the clock was set back.
    """
    values = {"now": now, "horizon": horizon, "skip": list(skip), "most": limit}
    return list((await connection.execute(_DUE, values)).scalars())


async def next_due(connection: AsyncConnection, skip: Collection[str]) -> float | None:
    """Return when the next live task is due."""
    found: float | None = (await connection.execute(_NEXT_DUE, {"skip": list(skip)})).scalar_one()
    return found


async def wake_orphans(connection: AsyncConnection, now: float) -> None:
    """Make tasks due whose submission was under way; at a start, nobody waits for their answers any more."""
    await connection.execute(update(tasks).where(tasks.c.status == TaskStatus.SUBMITTING).values(poll_at=now))


async def count_by_status(connection: AsyncConnection) -> dict[str, int]:
    """Return how many tasks there are in each live status."""
    query = select(tasks.c.status, func.count()).where(IS_LIVE).group_by(tasks.c.status)
    return {str(row[0]): int(row[1]) for row in await connection.execute(query)}


async def durations(connection: AsyncConnection, model: str) -> list[float]:
    """Return how many seconds the newest finished tasks of a model took, from the submission on."""
    return [float(seconds) for seconds in (await connection.execute(_DURATIONS, {"model": model})).scalars()]


async def add_files(connection: AsyncConnection, rows: Sequence[File]) -> None:
    """Insert the files of a task, unless they stand there already."""
    if rows:
        await connection.execute(_ADD_FILES, [asdict(row) for row in rows])


async def file_of(connection: AsyncConnection, task_id: str, position: int) -> File | None:
    """Return one file of a task."""
    query = select(files).where(files.c.task_id == task_id, files.c.position == position)
    row = (await connection.execute(query)).first()
    return None if row is None else File(**row._mapping)


async def files_of(connection: AsyncConnection, task_id: str) -> list[File]:
    """Return the files of a task in VidGo's order."""
    query = select(files).where(files.c.task_id == task_id).order_by(files.c.position)
    return [File(**row._mapping) for row in await connection.execute(query)]
