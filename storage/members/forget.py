"""Removes what is kept about a member."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from sqlalchemy import BindParameter, and_, bindparam, delete, exists, or_, select, union, update

from storage.database import Transaction
from storage.schema import (
    HOLDS_COVER,
    LIVE_TASKS,
    OPEN_NOTIFICATIONS,
    NotificationState,
    TaskStatus,
    changes,
    library,
    likes,
    notifications,
    recordings,
    removed_songs,
    tasks,
    usage,
)

NOBODY = 0
"""The owner of a task that others still use after its own owner was forgotten."""

_NEVER = (1 << 31) - 1
"""A day that does not come."""

_AT_ONCE = 500
"""How many ids one statement names."""

_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_USER: BindParameter[Any] = bindparam("of_user")
_child = tasks.alias("child")

_DROP_SONG = delete(library).where(library.c.user_id == _USER, library.c.task_id == bindparam("task_id"))
# Each by its own index: with `OR`, PostgreSQL looks through all tasks.
_TOUCHED = union(
    select(tasks.c.id).where(tasks.c.user_id == _USER),
    select(notifications.c.task_id).where(notifications.c.user_id == _USER, notifications.c.task_id.is_not(None)),
    select(library.c.task_id).where(library.c.user_id == _USER),
    select(removed_songs.c.task_id).where(removed_songs.c.user_id == _USER),
)
# Before anything that hangs on them, as whoever ends one does: else the two wait for each other.
_LOCK = select(tasks.c.id).where(tasks.c.id.in_(_IDS)).order_by(tasks.c.id).with_for_update()
_DROP_NOTIFICATIONS = delete(notifications).where(notifications.c.user_id == _USER)
_DROP_LIBRARY = delete(library).where(library.c.user_id == _USER)
_DROP_REMOVED_SONG = delete(removed_songs).where(
    removed_songs.c.user_id == _USER, removed_songs.c.task_id == bindparam("task_id")
)
_DROP_REMOVED = delete(removed_songs).where(removed_songs.c.user_id == _USER)
_DROP_RECORDINGS = delete(recordings).where(recordings.c.user_id == _USER)
# What was asked for in the member's own words is needed until VidGo has it, not longer.
_DROP_WORDS = (
    update(tasks)
    .where(tasks.c.user_id == _USER, tasks.c.status.not_in(LIVE_TASKS))
    .values(request={}, order_key=None)  # a hash of them
)
_DROP_NAME = (
    update(tasks).where(tasks.c.user_id == _USER).values(user_id=NOBODY, guild_id=None, counted_on=None, recording=None)
)
_DROP_LIKES = delete(likes).where(likes.c.user_id == _USER)
_DROP_CHANGES = update(changes).where(changes.c.user_id == _USER).values(user_id=NOBODY)
_DROP_USAGE = delete(usage).where(usage.c.user_id == _USER, usage.c.day < bindparam("keep_from"))
# Were it gone at once, forgetting would be a way around the limits of the day.
_DROP_USAGE_LATER = (
    update(usage).where(usage.c.user_id == _USER, usage.c.day >= bindparam("keep_from")).values(kept_until=usage.c.day)
)

_MADE_FROM = select(tasks.c.id).where(
    tasks.c.source_id.in_(_IDS), or_(HOLDS_COVER, tasks.c.status.in_((TaskStatus.FAILED, TaskStatus.GIVEN_UP)))
)
_UNUSED = select(tasks.c.id, tasks.c.source_id).where(
    tasks.c.id.in_(_IDS),
    ~exists().where(library.c.task_id == tasks.c.id),
    ~exists().where(removed_songs.c.task_id == tasks.c.id),
    ~exists().where(
        notifications.c.task_id == tasks.c.id,
        or_(
            notifications.c.user_id != _USER,
            notifications.c.state.in_((*OPEN_NOTIFICATIONS, NotificationState.WAITING)),
        ),
    ),
    # What was made from a song needs it while it lives or where it is finished.
    ~exists().where(_child.c.source_id == tasks.c.id, _child.c.status.in_((*LIVE_TASKS, TaskStatus.FINISHED))),
    # VidGo makes a song's cover once, so it is needed by everybody who has the song.
    ~and_(HOLDS_COVER, exists().where(library.c.task_id == tasks.c.source_id, library.c.user_id != _USER)),
)
_UNTIE = update(tasks).where(tasks.c.source_id.in_(_IDS)).values(source_id=None)
_DELETE_NOTIFICATIONS = delete(notifications).where(notifications.c.task_id.in_(_IDS))
_DELETE_TASKS = delete(tasks).where(tasks.c.id.in_(_IDS))


async def forget_song(transaction: Transaction, user_id: int, task_id: str) -> bool:
    """Remove a song from a member's library, and the song itself where nobody else has it; tell whether it was there.

    What the member still waits for is left to come.
    """
    song = {"of_user": user_id, "task_id": task_id}
    gone = await transaction.execute(_DROP_SONG, song)
    await transaction.execute(_DROP_REMOVED_SONG, song)
    await _drop_unused(transaction, user_id, [task_id])
    return gone.rowcount > 0


async def forget_member(transaction: Transaction, user_id: int, *, today: int | None = None) -> bool:
    """Remove every row about a member; tasks that others share lose only their owner's name.

    What counts against the limits of `today` is kept to the end of that day; tell whether there is anything of it.
    """
    user = {"of_user": user_id}
    touched = list((await transaction.execute(_TOUCHED, user)).scalars())
    for ids in _portions(touched):
        await transaction.execute(_LOCK, {"ids": ids})
    await transaction.execute(_DROP_NOTIFICATIONS, user)
    for statement in (_DROP_LIBRARY, _DROP_REMOVED, _DROP_RECORDINGS, _DROP_LIKES):
        await transaction.execute(statement, user)
    await _drop_unused(transaction, user_id, touched)
    await transaction.execute(_DROP_WORDS, user)
    await transaction.execute(_DROP_NAME, user)
    await transaction.execute(_DROP_CHANGES, user)
    days = user | {"keep_from": _NEVER if today is None else today}
    await transaction.execute(_DROP_USAGE, days)
    return (await transaction.execute(_DROP_USAGE_LATER, days)).rowcount > 0


async def _drop_unused(transaction: Transaction, user_id: int, task_ids: Collection[str]) -> None:
    """Delete those tasks that nobody else has asked for, keeps or builds on, and what they alone were made from."""
    left = set(task_ids)
    for ids in _portions(task_ids):
        left.update((await transaction.execute(_MADE_FROM, {"ids": ids})).scalars())
    while left:
        sources: set[str] = set()
        dropped: set[str] = set()
        for ids in _portions(left):
            unused = (await transaction.execute(_UNUSED, {"ids": ids, "of_user": user_id})).all()
            if not unused:
                continue
            gone = [row.id for row in unused]
            sources.update(row.source_id for row in unused if row.source_id is not None)
            dropped.update(gone)
            for statement in (_UNTIE, _DELETE_NOTIFICATIONS, _DELETE_TASKS):
                await transaction.execute(statement, {"ids": gone})
        if not dropped:
            return
        left = (left | sources) - dropped


def _portions(ids: Collection[str]) -> Iterator[list[str]]:
    found = sorted(ids)
    for start in range(0, len(found), _AT_ONCE):
        yield found[start : start + _AT_ONCE]
