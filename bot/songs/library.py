"""What a member does with songs that are there already: page through them, post, remove and forget them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from bot.media.kinds import MediaKind
from bot.songs.finding import Songs
from bot.songs.orders import Ordered, Requester
from bot.words import errors
from bot.words.errors import MemberError
from bot.words.pages import Page
from bot.words.text import TITLE_LIMIT, clean
from storage import forget, library, notifications
from storage import tasks as rows
from storage.archive.archive import Archive
from storage.database import Database
from storage.schema import Face, NotificationState, TaskStatus
from storage.tasks import Task

PAGE = 4
"""Songs on a page: each has a row of buttons, and Discord allows five rows."""

STATUS_LIMIT = 20


class Library:
    """A member's songs and covers, and what the member waits for."""

    def __init__(self, database: Database, songs: Songs, archive: Archive) -> None:
        self._database = database
        self._songs = songs
        self._archive = archive
        self.on_face: Callable[[], None] = lambda: None
        """Called after a commit that wants an acknowledgement to change."""

    async def page(self, user_id: int, search: str, number: int, directory: Path) -> Page:
        """Return a page, with the artwork that the archive holds in `directory`."""
        search = clean(search, TITLE_LIMIT)
        async with self._database.read() as connection:
            found = await library.search(connection, user_id, search, PAGE + 1, kind=None, offset=max(number, 0) * PAGE)
            shown = found[:PAGE]
            files = [await rows.file_of(connection, song.task_id, song.position) for song in shown]
        pictures: dict[int, tuple[Path, str]] = {}
        for place, file in enumerate(files):
            if file is not None and file.image_sha256 is not None:
                with suppress(OSError):  # songs are found without their pictures too
                    kept = await self._archive.get(file.image_sha256, directory / f"artwork{place}")
                    if kept is not None:
                        pictures[place] = (kept.path, f"artwork{place}{MediaKind(kept.kind).extension}")
        return Page(shown, pictures, max(number, 0), search, has_more=len(found) > PAGE)

    async def post(self, requester: Requester, track: str) -> Ordered:
        """Post a song of a member's library in the channel; raises `MemberError`."""
        song = await self._songs.find(requester.user_id, track, kind=None)
        async with self._database.write() as connection:
            await notifications.change(
                connection,
                requester.notification_id,
                only=[NotificationState.ASKED],
                task_id=song.task_id,
                position=song.position,
            )
            task = await rows.get(connection, song.task_id)
        if task is None:
            raise MemberError(errors.unknown_track(track))
        return Ordered(task, song.title, joined=False)

    async def remove(self, user_id: int, track: str) -> str:
        """Take one variant out of a member's library and return its title; raises `MemberError`."""
        song = await self._songs.find(user_id, track, kind=None)
        async with self._database.write() as connection:
            await library.remove(connection, user_id, song.task_id, song.position)
        return song.title

    async def running(self, user_id: int) -> list[Task]:
        """Return what a member waits for, the newest first."""
        async with self._database.read() as connection:
            waiting = await notifications.running_for(connection, user_id, STATUS_LIMIT)
            found = [await rows.get(connection, row.task_id or "") for row in waiting]
        return [task for task in found if task is not None]

    async def stop(self, user_id: int, notification_id: str, message_id: int) -> str:
        """Cancel a post that has not been made and return the title of what it was; raises `MemberError`.

        `message_id` is the acknowledgement under which that was asked for; `show_stop` comes next.
        """
        async with self._database.write() as connection:
            row = await notifications.get(connection, notification_id)
            task = await rows.get(connection, row.task_id) if row is not None and row.task_id is not None else None
            if row is None or task is None:
                raise MemberError(errors.stale_button())
            if row.user_id != user_id:
                raise MemberError(errors.not_your_order())
            if row.ack_message_id not in (None, message_id):
                raise MemberError(errors.stale_button())
            stopped = await notifications.change(
                connection,
                row.id,
                only=[NotificationState.ASKED, NotificationState.WAITING, NotificationState.DUE],
                state=NotificationState.CANCELLED,
                attempt_at=None,
                interaction_token=None,
                ack_wanted=Face.CANCELLED,
            )
            if not stopped and row.state is not NotificationState.CANCELLED:
                raise MemberError(errors.posted_already())
            if not await notifications.is_awaited(connection, task.id):
                # What VidGo has not seen yet need not be ordered for nobody.
                await rows.change(
                    connection, task.id, only=[TaskStatus.QUEUED], status=TaskStatus.FAILED, error_kind="cancelled"
                )
        return task.title

    async def show_stop(self, notification_id: str, *, shown: bool) -> None:
        """Note that an acknowledgement says that the post was stopped, or have it changed where that failed."""
        if shown:
            async with self._database.write() as connection:
                await notifications.face_shown(connection, notification_id, Face.CANCELLED)
        else:
            self.on_face()

    async def check_removal(self, user_id: int, notification_id: str, message_id: int, *, manages: bool) -> None:
        """Raise `MemberError` where a member may not remove a posted message."""
        async with self._database.read() as connection:
            row = await notifications.get(connection, notification_id)
        # Where the answer to a post was lost, its message is not known yet.
        sent = row is not None and row.state is NotificationState.SENDING and row.message_id is None
        if row is None or (row.message_id != message_id and not sent):
            if not manages:
                raise MemberError(errors.stale_button())
        elif user_id != row.user_id and not manages:
            raise MemberError(errors.not_your_button())

    async def forget_song(self, user_id: int, track: str) -> str:
        """Forget a song and return its title; raises `MemberError`."""
        song = await self._songs.find(user_id, track, kind=None)
        async with self._database.write() as connection:
            await forget.forget_song(connection, user_id, song.task_id)
        await self._archive.collect()
        return song.title

    async def forget_member(self, user_id: int) -> None:
        """Forget everything that is kept about a member."""
        async with self._database.write() as connection:
            await forget.forget_member(connection, user_id)
        await self._archive.collect()
