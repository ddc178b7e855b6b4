"""Posts: notifications that were delivered, which are places to find a song's files again."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import BindParameter, Select, and_, bindparam, exists, or_, select, true

from storage import planned
from storage.database import Snapshot
from storage.notifications.rows import Notification, from_row, get
from storage.quick import quick
from storage.schema import HOLDS_COVER, NotificationState, TaskStatus, files, notifications, tasks


class PostMessage(NamedTuple):
    """A message of ours, and the notification that its buttons name, None where they name none."""

    id: int
    notification_id: str | None = None


_BY_MESSAGE = quick(
    select(notifications).where(
        notifications.c.message_id == bindparam("message_id"), notifications.c.state == NotificationState.DELIVERED
    )
)

_COVER_FOR = quick(
    select(notifications)
    .join(tasks, tasks.c.id == notifications.c.task_id)
    .where(
        tasks.c.source_id == bindparam("of_source"),
        HOLDS_COVER,
        tasks.c.status == TaskStatus.FINISHED,
        notifications.c.user_id == bindparam("of_user"),
        notifications.c.guild_id == bindparam("of_guild"),
        notifications.c.position == bindparam("of_position"),
        notifications.c.state == NotificationState.DELIVERED,
        notifications.c.message_id.is_not(None),
    )
    .order_by(notifications.c.delivered_at.desc())
    .limit(1)
)


def _posts(*, of_position: bool, with_artwork: bool) -> Select[Any]:
    of_task: BindParameter[Any] = bindparam("of_task")
    has_audio = exists().where(files.c.task_id == tasks.c.id, files.c.audio_url.is_not(None))
    artwork = and_(tasks.c.source_id == of_task, HOLDS_COVER, ~has_audio)
    return quick(
        select(notifications)
        .join(tasks, tasks.c.id == notifications.c.task_id)
        .where(
            or_(tasks.c.id == of_task, artwork) if with_artwork else tasks.c.id == of_task,
            notifications.c.position == bindparam("of_position") if of_position else true(),
            notifications.c.state == NotificationState.DELIVERED,
            notifications.c.message_id.is_not(None),
        )
        .order_by(notifications.c.delivered_at.desc())
        .limit(planned.MOST)
    )


_POSTS = {
    (of_position, with_artwork): _posts(of_position=of_position, with_artwork=with_artwork)
    for of_position in (False, True)
    for with_artwork in (False, True)
}


async def of(
    snapshot: Snapshot, task_id: str, position: int | None, limit: int, *, with_artwork: bool
) -> list[Notification]:
    """Return the newest posts of a task's variant, or of any variant.

    `with_artwork` adds the posts of artwork made for the task, which carry its audio.
    """
    values = {"of_task": task_id, "most": limit} | ({} if position is None else {"of_position": position})
    return [from_row(row) for row in await snapshot.execute(_POSTS[position is not None, with_artwork], values)]


async def cover_for(
    snapshot: Snapshot, user_id: int, guild_id: int | None, source_id: str, position: int
) -> Notification | None:
    """Return the newest post that a member has in a server of a song's finished cover, with that version's music."""
    values = {"of_user": user_id, "of_guild": guild_id, "of_source": source_id, "of_position": position}
    row = (await snapshot.execute(_COVER_FOR, values)).first()
    return None if row is None else from_row(row)


async def by_message(snapshot: Snapshot, message: PostMessage) -> Notification | None:
    """Return the notification that was delivered as a message.

    Whoever sees a message may press it before we have read Discord's answer to it, or where that was lost. Then only
    its buttons tell what it is.
    """
    row = (await snapshot.execute(_BY_MESSAGE, {"message_id": message.id})).first()
    if row is not None:
        return from_row(row)
    sent = None if message.notification_id is None else await get(snapshot, message.notification_id)
    if sent is None:
        return None
    # With several processes it may have been noted since the line above.
    is_noted = sent.state is NotificationState.DELIVERED and sent.message_id == message.id
    is_on_its_way = sent.state in (NotificationState.DUE, NotificationState.SENDING) and sent.message_id is None
    return sent if is_noted or is_on_its_way else None
