"""Hearts and chosen pictures in the database."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from storage import notifications
from storage.members import export, forget
from storage.notifications import pictures, posts
from storage.notifications.posts import PostMessage
from storage.planned import Gone
from storage.schema import COVER_MODEL, Acknowledgement, NotificationState, TaskStatus
from storage.songs import files, library, likes
from tests.storage.rows import NOW, a_file, a_notification, a_task, add

if TYPE_CHECKING:
    from storage.database import Database
    from storage.notifications import Notification

GUILD = 5
ADA, BOB = 11, 12


async def count(database: Database, task_id: str, guild_id: int = GUILD) -> int:
    async with database.read() as snapshot:
        return await likes.count(snapshot, task_id, guild_id)


async def press(database: Database, user_id: int, task_id: str, guild_id: int = GUILD) -> None:
    async with database.write() as transaction:
        await likes.press(transaction, user_id, task_id, guild_id, NOW)


async def test_a_heart_counts_once_for_each_member_and_server(database: Database) -> None:
    task = a_task(status=TaskStatus.FINISHED, poll_at=None)
    await add(database, [task])
    await asyncio.gather(press(database, ADA, task.id), press(database, BOB, task.id))
    await press(database, ADA, task.id, GUILD + 1)
    assert (await count(database, task.id), await count(database, task.id, GUILD + 1)) == (2, 1)
    await press(database, ADA, task.id)
    assert (await count(database, task.id), await count(database, task.id, GUILD + 1)) == (1, 1)


async def test_hearts_are_told_to_whom_they_are_of_and_go_with_them(database: Database) -> None:
    task = a_task(status=TaskStatus.FINISHED, poll_at=None, user_id=BOB)
    await add(database, [task])
    for user_id in (ADA, BOB):
        await press(database, user_id, task.id)
    async with database.write() as transaction:
        [row] = (await export.export_member(transaction, ADA))["likes"]
        assert (row["task_id"], row["user_id"], row["guild_id"]) == (task.id, str(ADA), str(GUILD))
        await forget.forget_member(transaction, ADA)
        assert (await export.export_member(transaction, ADA))["likes"] == []
    assert await count(database, task.id) == 1
    async with database.write() as transaction:
        await forget.forget_member(transaction, BOB)
    # The song is gone, and what was said of it.
    assert await count(database, task.id) == 0


async def posted_cover(database: Database) -> Notification:
    """Add a cover of two pictures in a member's library, and its post."""
    song = a_task(status=TaskStatus.FINISHED, poll_at=None)
    cover = a_task(status=TaskStatus.FINISHED, poll_at=None, model=COVER_MODEL, source_id=song.id, user_id=ADA)
    row = a_notification(
        state="delivered", task_id=cover.id, user_id=ADA, guild_id=GUILD, message_id=7, delivered_at=NOW
    )
    rows = [
        replace(a_file(cover.id), position=number, audio_url=None, image_urls=["https://x.example/p.png"])
        for number in range(2)
    ]
    await add(database, [song, cover])
    async with database.write() as transaction:
        await files.add(transaction, rows)
        await library.add(transaction, [ADA], rows, "cover", NOW)
        await notifications.add(transaction, replace(row, state=NotificationState.DELIVERED))
        await notifications.release(transaction, [row.id])
    return row


async def test_a_chosen_picture_is_wanted_until_it_is_shown_and_the_library_follows(database: Database) -> None:
    row = await posted_cover(database)
    async with database.write() as transaction:
        assert await pictures.claim(transaction, (), 10) == []
        await pictures.want(transaction, row.id, 1, NOW)
    async with database.claiming() as transaction:
        assert [due.id for due in await pictures.claim(transaction, (), 10)] == [row.id]
        assert await pictures.claim(transaction, (row.id,), 10) == []
    async with database.read() as snapshot:
        wanted = await notifications.get(snapshot, row.id)
    assert wanted is not None
    assert (wanted.picture, wanted.picture_wanted) == (None, 1)
    async with database.write() as transaction:
        await pictures.shown(transaction, wanted)
        with pytest.raises(Gone):  # it was said already
            await pictures.shown(transaction, wanted)
        found = await notifications.get(transaction, row.id)
        assert found is not None
        assert (found.picture, found.picture_wanted, found.attempt_at, found.holder) == (1, None, None, None)
        assert await library.find(transaction, ADA, row.task_id or "", 1) is not None
        assert await library.find(transaction, ADA, row.task_id or "", 0) is None


async def test_what_is_wanted_meanwhile_stays_wanted(database: Database) -> None:
    row = await posted_cover(database)
    async with database.write() as transaction:
        await pictures.want(transaction, row.id, 1, NOW)
        first = await notifications.get(transaction, row.id)
        assert first is not None
        await pictures.want(transaction, row.id, 0, NOW + 1)
    async with database.write() as transaction:
        with pytest.raises(Gone):
            await pictures.shown(transaction, first)
    async with database.write() as transaction:
        found = await notifications.get(transaction, row.id)
        assert found is not None
        assert found.picture_wanted == 0
        await pictures.give_up(transaction, found)
        again = await notifications.get(transaction, row.id)
        assert again is not None
        assert (again.picture, again.picture_wanted) == (None, None)


async def test_a_post_that_was_removed_wants_no_picture(database: Database) -> None:
    row = await posted_cover(database)
    async with database.write() as transaction:
        await pictures.want(transaction, row.id, 1, NOW)
        await notifications.remove(transaction, row.id, 7, Acknowledgement.DONE)
        assert await pictures.claim(transaction, (), 10) == []
        with pytest.raises(Gone):
            await pictures.want(transaction, row.id, 0, NOW)


async def test_the_post_of_a_cover_is_its_requesters_in_the_same_server(database: Database) -> None:
    row = await posted_cover(database)
    async with database.write() as transaction:
        task = await posts.by_message(transaction, PostMessage(7))
        assert task is not None
        cover = next(iter((await export.export_member(transaction, ADA))["tasks"]))
        source = cover["source_id"]
        found = await posts.cover_for(transaction, ADA, GUILD, source, 0)
        assert found is not None
        assert found.id == row.id
        assert await posts.cover_for(transaction, BOB, GUILD, source, 0) is None
        assert await posts.cover_for(transaction, ADA, GUILD + 1, source, 0) is None
        assert await posts.cover_for(transaction, ADA, GUILD, source, 1) is None
        await notifications.remove(transaction, row.id, 7, Acknowledgement.DONE)
        assert await posts.cover_for(transaction, ADA, GUILD, source, 0) is None
