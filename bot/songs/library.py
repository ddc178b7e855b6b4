"""What a member does with songs that are there already: page through them, post, remove and forget them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from bot.formats.kinds import MediaKind
from bot.songs.finding import Songs
from bot.songs.orders import Ordered, Requester
from bot.tasks.unwanted import drop_unwanted
from bot.words import errors
from bot.words.errors import MemberError
from bot.words.pages import Page
from bot.words.text import TITLE_LIMIT, clean
from storage import files as file_rows
from storage import forget, library, notifications, usage
from storage import tasks as rows
from storage.archive.archive import Archive
from storage.database import Database
from storage.planned import Gone
from storage.schema import NotificationState
from storage.tasks import Task

log = logging.getLogger(__name__)

PAGE = 4
"""Songs on a page: each has a row of buttons, and Discord allows five rows."""

STATUS_LIMIT = 20

PICTURES_SECONDS = 3.0
"""How long a page waits for the archive; songs are found without their pictures too."""

COLLECT_SECONDS = 3.0
"""How long a member waits for the archive; what it has not removed by then it removes when it next tidies up."""


class Library:
    """A member's songs and covers, and what the member waits for."""

    def __init__(self, database: Database, songs: Songs, archive: Archive, clock: Callable[[], float]) -> None:
        self._database = database
        self._songs = songs
        self._archive = archive
        self._clock = clock

    async def page(self, user_id: int, search: str, number: int, directory: Path) -> Page:
        """Return a page, with the artwork that the archive holds in `directory`."""
        search = clean(search, TITLE_LIMIT)
        async with self._database.read() as snapshot:
            found = await library.search(snapshot, user_id, search, PAGE + 1, kind=None, offset=max(number, 0) * PAGE)
            shown = found[:PAGE]
            files = [await file_rows.one(snapshot, song.task_id, song.position) for song in shown]
        pictures: dict[int, tuple[Path, str]] = {}
        with suppress(TimeoutError):
            async with asyncio.timeout(PICTURES_SECONDS):
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
        async with self._database.write() as transaction:
            files = await file_rows.of(transaction, song.task_id)
            if any(file.audio_url for file in files):
                # Of a song's versions each stands in the library by itself.
                await notifications.tie(transaction, requester.notification_id, song.task_id, song.position, alone=True)
            else:
                await notifications.tie(
                    transaction, requester.notification_id, song.task_id, picture=song.position or None
                )
            task = await rows.get(transaction, song.task_id)
        if task is None:
            raise MemberError(errors.unknown_track(track))
        return Ordered(task, song.title, joined=False)

    async def remove(self, user_id: int, track: str) -> str:
        """Take one variant out of a member's library and return its title; raises `MemberError`."""
        song = await self._songs.find(user_id, track, kind=None)
        async with self._database.write() as transaction:
            await library.remove(transaction, user_id, song.task_id, song.position)
        return song.title

    async def running(self, user_id: int) -> list[Task]:
        """Return what a member waits for, the newest first."""
        async with self._database.read() as snapshot:
            waiting = await notifications.running_for(snapshot, user_id, STATUS_LIMIT)
            found = [await rows.get(snapshot, row.task_id or "") for row in waiting]
        return [task for task in found if task is not None]

    async def stop(self, user_id: int, notification_id: str, message_id: int) -> None:
        """Cancel a post that has not been made; raises `MemberError`.

        `message_id` is the acknowledgement under which that was asked for; it says what became of it.
        """
        async with self._database.write() as transaction:
            row = await notifications.get(transaction, notification_id)
            task = await rows.lock(transaction, row.task_id) if row is not None and row.task_id is not None else None
            if row is None or task is None:
                raise MemberError(errors.stale_button())
            if row.user_id != user_id:
                raise MemberError(errors.not_your_order())
            if row.ack_message_id not in (None, message_id):
                raise MemberError(errors.stale_button())
            try:
                await notifications.cancel(transaction, row.id, message_id)
            except Gone:
                # Read anew: the same press may have reached another process, which was first.
                current = await notifications.get(transaction, row.id)
                if current is None or current.state is not NotificationState.CANCELLED:
                    raise MemberError(errors.posted_already()) from None
            await drop_unwanted(transaction, task.id, self._clock())

    async def remove_post(self, user_id: int, notification_id: str, message_id: int, *, manages: bool) -> None:
        """End a notification whose message is about to be removed; raises `MemberError` where a member may not."""
        async with self._database.write() as transaction:
            row = await notifications.get(transaction, notification_id)
            # Where the answer to a post was lost, its message is not known yet.
            sent = row is not None and row.state is NotificationState.SENDING and row.message_id is None
            if row is None or (row.message_id != message_id and not sent):
                if not manages:
                    raise MemberError(errors.stale_button())
                return
            if user_id != row.user_id and not manages:
                raise MemberError(errors.not_your_button())
            with suppress(Gone):  # pressed before, and its message could not be removed then
                await notifications.remove(transaction, row.id)

    async def forget_song(self, user_id: int, track: str) -> str:
        """Forget a song and return its title; raises `MemberError`."""
        song = await self._songs.find(user_id, track, kind=None)
        async with self._database.write() as transaction:
            await forget.forget_song(transaction, user_id, song.task_id)
        await self._collect()
        return song.title

    async def forget_member(self, user_id: int) -> float | None:
        """Forget everything that is kept about a member.

        Return until when it is kept what counts against today's limits, where anything does.
        """
        today = usage.day_of(self._clock())
        async with self._database.write() as transaction:
            counts = await forget.forget_member(transaction, user_id, today=today)
        await self._collect()
        return float((today + 1) * usage.DAY_SECONDS) if counts else None

    async def _collect(self) -> None:
        try:
            async with asyncio.timeout(COLLECT_SECONDS):
                await self._archive.collect()
        except OSError as error:
            why = str(error) or "it takes too long"
            log.warning("the archive has not removed yet what was forgotten, and does so later: %s", why)
