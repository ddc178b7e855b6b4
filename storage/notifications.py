"""Queries about notifications: who has to be told, and where."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    Select,
    Update,
    and_,
    bindparam,
    exists,
    func,
    insert,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import planned
from storage.schema import (
    HOLDS_COVER,
    IS_OPEN,
    OPEN_NOTIFICATIONS,
    Face,
    NotificationState,
    files,
    notifications,
    tasks,
)


@dataclass(frozen=True, slots=True)
class Notification:
    """A row of `notifications`."""

    id: str
    kind: str
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
    message_id: int | None
    error: str | None
    created_at: float
    delivered_at: float | None


def _notification(row: Any) -> Notification:
    values = dict(row._mapping)
    return Notification(**{**values, "state": NotificationState(values["state"])})


_GET = select(notifications).where(notifications.c.id == bindparam("id"))
_REQUESTERS = select(notifications.c.user_id).where(
    notifications.c.task_id == bindparam("task_id"), notifications.c.kind == "result"
)
_MAKE_DUE = (
    update(notifications)
    .where(
        notifications.c.task_id == bindparam("of_task"),
        notifications.c.kind == "result",
        notifications.c.state == NotificationState.WAITING,
    )
    .values(
        state=bindparam("new_state"),
        attempts=notifications.c.attempts + bindparam("tries"),
        attempt_at=bindparam("now"),
    )
    .returning(*notifications.c)
)
_DUE_NOW = planned.due(notifications.c.id, notifications.c.attempt_at, IS_OPEN)
_NEXT_DUE = planned.next_due(notifications.c.id, notifications.c.attempt_at, IS_OPEN)
_FACES_WANTED = (
    select(notifications.c.id)
    .where(notifications.c.ack_wanted.is_not(None), notifications.c.id.not_in(planned.SKIPPED))
    .order_by(notifications.c.id)
    .limit(planned.MOST)
)


async def add(connection: AsyncConnection, notification: Notification) -> None:
    """Insert a notification."""
    await connection.execute(insert(notifications).values(asdict(notification)))


async def get(connection: AsyncConnection, notification_id: str) -> Notification | None:
    """Return one notification."""
    row = (await connection.execute(_GET, {"id": notification_id})).first()
    return None if row is None else _notification(row)


async def change(
    connection: AsyncConnection,
    notification_id: str,
    *,
    only: Collection[NotificationState],
    **values: Any,
) -> bool:
    """Update a notification if its state is one of `only`, and tell whether it was."""
    query = _change(tuple(only), tuple(values))
    new = {f"new_{name}": value for name, value in values.items()}
    return (await connection.execute(query, {"row_id": notification_id, **new})).rowcount == 1


@cache
def _change(only: tuple[NotificationState, ...], names: tuple[str, ...]) -> Update:
    # A statement that is built once costs a fraction of one that is built each time.
    return (
        update(notifications)
        .where(notifications.c.id == bindparam("row_id"), notifications.c.state.in_(only))
        .values({name: bindparam(f"new_{name}") for name in names})
    )


async def waiting_for(connection: AsyncConnection, task_id: str) -> list[Notification]:
    """Return the results that wait for a task to end."""
    query = select(notifications).where(
        notifications.c.task_id == task_id,
        notifications.c.kind == "result",
        notifications.c.state == NotificationState.WAITING,
    )
    return [_notification(row) for row in await connection.execute(query)]


async def is_awaited(connection: AsyncConnection, task_id: str) -> bool:
    """Tell whether somebody still wants a task's result, be it acknowledged already or not."""
    open_states = [*OPEN_NOTIFICATIONS, NotificationState.WAITING]
    query = select(notifications.c.id).where(
        notifications.c.task_id == task_id, notifications.c.kind == "result", notifications.c.state.in_(open_states)
    )
    return (await connection.execute(query.limit(1))).first() is not None


async def requesters_of(connection: AsyncConnection, task_id: str) -> set[int]:
    """Return everybody who asked for a task's result."""
    return set((await connection.execute(_REQUESTERS, {"task_id": task_id})).scalars())


async def posts_of(
    connection: AsyncConnection, task_id: str, position: int | None, limit: int, *, with_artwork: bool
) -> list[Notification]:
    """Return the newest posts of a task's variant, or of any variant.

    `with_artwork` adds the posts of artwork made for the task, which carry its audio.
    """
    query = _posts_of(position is None, with_artwork)
    values = {"of_task": task_id, "of_position": position, "most": limit}
    return [_notification(row) for row in await connection.execute(query, values)]


@cache
def _posts_of(any_position: bool, with_artwork: bool) -> Select[Any]:
    of_task: BindParameter[Any] = bindparam("of_task")
    has_audio = exists().where(files.c.task_id == tasks.c.id, files.c.audio_url.is_not(None))
    artwork = and_(tasks.c.source_id == of_task, HOLDS_COVER, ~has_audio)
    return (
        select(notifications)
        .join(tasks, tasks.c.id == notifications.c.task_id)
        .where(
            or_(tasks.c.id == of_task, artwork) if with_artwork else tasks.c.id == of_task,
            true() if any_position else notifications.c.position == bindparam("of_position"),
            notifications.c.kind == "result",
            notifications.c.state == NotificationState.DELIVERED,
            notifications.c.message_id.is_not(None),
        )
        .order_by(notifications.c.delivered_at.desc())
        .limit(planned.MOST)
    )


async def by_message(connection: AsyncConnection, message_id: int) -> Notification | None:
    """Return the notification that was delivered as a message."""
    query = select(notifications).where(
        notifications.c.message_id == message_id,
        notifications.c.state == NotificationState.DELIVERED,
        notifications.c.kind == "result",
    )
    row = (await connection.execute(query)).first()
    return None if row is None else _notification(row)


async def running_for(connection: AsyncConnection, user_id: int, limit: int) -> list[Notification]:
    """Return what a member waits for, the newest first."""
    states = [NotificationState.ASKED, NotificationState.WAITING, NotificationState.DUE, NotificationState.SENDING]
    query = (
        select(notifications)
        .where(
            notifications.c.user_id == user_id,
            notifications.c.kind == "result",
            notifications.c.task_id.is_not(None),
            notifications.c.state.in_(states),
        )
        .order_by(notifications.c.created_at.desc())
        .limit(limit)
    )
    return [_notification(row) for row in await connection.execute(query)]


async def make_due(
    connection: AsyncConnection, task_id: str, now: float, *, sending: bool = False
) -> list[Notification]:
    """Make every result that waits for a task due, or even `sending` for whoever sends them at once; return them."""
    state = NotificationState.SENDING if sending else NotificationState.DUE
    values = {"of_task": task_id, "new_state": state, "tries": int(sending), "now": now}
    return [_notification(row) for row in await connection.execute(_MAKE_DUE, values)]


async def want_face(connection: AsyncConnection, task_id: str, face: Face) -> None:
    """Make the acknowledgements of everybody who waits for a task show something else."""
    await connection.execute(
        update(notifications)
        .where(
            notifications.c.task_id == task_id,
            notifications.c.kind == "result",
            notifications.c.state == NotificationState.WAITING,
            notifications.c.ack_message_id.is_not(None),
        )
        .values(ack_wanted=face)
    )


async def faces_wanted(connection: AsyncConnection, skip: Collection[str], limit: int) -> list[str]:
    """Return ids of notifications whose acknowledgement should show something else."""
    values = {"skip": list(skip), "most": limit}
    return list((await connection.execute(_FACES_WANTED, values)).scalars())


async def face_shown(connection: AsyncConnection, notification_id: str, face: str) -> None:
    """Note that an acknowledgement shows what was wanted, unless something else is wanted by now."""
    await connection.execute(
        update(notifications)
        .where(notifications.c.id == notification_id, notifications.c.ack_wanted == face)
        .values(ack_wanted=None)
    )


async def wake_orphans(connection: AsyncConnection, now: float) -> None:
    """Make due what somebody was answering or sending; at a start, nobody is doing so any more."""
    await connection.execute(
        update(notifications)
        .where(notifications.c.state.in_([NotificationState.ASKED, NotificationState.SENDING]))
        .values(attempt_at=now)
    )


async def due(connection: AsyncConnection, now: float, horizon: float, skip: Collection[str], limit: int) -> list[str]:
    """Return ids of notifications with something to do, the longest waiting first.

    A time beyond `horizon` is due too: nothing is ever planned that far, so the clock was set back.
    """
    values = {"now": now, "horizon": horizon, "skip": list(skip), "most": limit}
    return list((await connection.execute(_DUE_NOW, values)).scalars())


async def next_due(connection: AsyncConnection, skip: Collection[str]) -> float | None:
    """Return when the next notification is due."""
    found: float | None = (await connection.execute(_NEXT_DUE, {"skip": list(skip)})).scalar_one()
    return found


async def count_open(connection: AsyncConnection) -> int:
    """Return how many notifications still have something to do now."""
    query = select(func.count()).select_from(notifications).where(IS_OPEN)
    return int((await connection.execute(query)).scalar_one())
