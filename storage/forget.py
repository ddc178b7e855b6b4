"""Removes what is kept about a member."""

from __future__ import annotations

from sqlalchemy import delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.schema import HOLDS_COVER, LIVE_TASKS, library, notifications, tasks

NOBODY = 0
"""The owner of a task that others still use after its own owner was forgotten."""


async def forget_song(connection: AsyncConnection, user_id: int, task_id: str) -> bool:
    """Remove a song from a member's library, and the song itself where nobody else has it; tell whether it was there.

    What the member still waits for is left to come.
    """
    gone = await connection.execute(delete(library).where(library.c.user_id == user_id, library.c.task_id == task_id))
    await _drop_unused(connection, user_id, [task_id])
    return gone.rowcount > 0


async def forget_member(connection: AsyncConnection, user_id: int) -> None:
    """Remove every row about a member; tasks that others share lose only their owner's name."""
    asked = select(notifications.c.task_id).where(
        notifications.c.user_id == user_id, notifications.c.task_id.is_not(None)
    )
    listed = select(library.c.task_id).where(library.c.user_id == user_id)
    query = select(tasks.c.id).where(or_(tasks.c.user_id == user_id, tasks.c.id.in_(asked), tasks.c.id.in_(listed)))
    touched = list((await connection.execute(query)).scalars())
    await connection.execute(delete(notifications).where(notifications.c.user_id == user_id))
    await connection.execute(delete(library).where(library.c.user_id == user_id))
    await _drop_unused(connection, user_id, touched)
    await connection.execute(
        # What was asked for in the member's own words is needed until VidGo has it, not longer.
        update(tasks).where(tasks.c.user_id == user_id, tasks.c.status.not_in(LIVE_TASKS)).values(request={})
    )
    await connection.execute(update(tasks).where(tasks.c.user_id == user_id).values(user_id=NOBODY, guild_id=None))


async def _drop_unused(connection: AsyncConnection, user_id: int, task_ids: list[str]) -> None:
    """Delete those tasks that nobody else has asked for, keeps or builds on, and what they alone were made from."""
    covers = select(tasks.c.id).where(tasks.c.source_id.in_(task_ids), HOLDS_COVER)
    left = {*task_ids, *(await connection.execute(covers)).scalars()}
    while left:
        task_id = max(left)  # the newest first: what is made from a song is newer than the song
        left.remove(task_id)
        others = (
            select(library.c.user_id).where(library.c.task_id == task_id),
            select(notifications.c.id).where(notifications.c.task_id == task_id, notifications.c.user_id != user_id),
            select(notifications.c.id).where(
                notifications.c.task_id == task_id,
                notifications.c.state.in_(["asked", "waiting", "due", "sending"]),
            ),
            select(tasks.c.id).where(tasks.c.source_id == task_id),
            # VidGo makes a song's cover once, so it is needed by everybody who has the song.
            select(tasks.c.id)
            .join(library, library.c.task_id == tasks.c.source_id)
            .where(tasks.c.id == task_id, HOLDS_COVER, library.c.user_id != user_id),
        )
        for query in others:
            if (await connection.execute(query.limit(1))).first() is not None:
                break
        else:
            source = select(tasks.c.source_id).where(tasks.c.id == task_id, tasks.c.source_id.is_not(None))
            left.update((await connection.execute(source)).scalars())
            await connection.execute(delete(notifications).where(notifications.c.task_id == task_id))
            await connection.execute(delete(tasks).where(tasks.c.id == task_id))
