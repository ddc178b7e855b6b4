"""What a member does with songs that are there already: page through them, post, remove and forget them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from bot.formats.kinds import MediaKind
from bot.songs.finding import Songs
from bot.songs.orders import Ordered, Requester
from bot.tasks.unwanted import as_left, drop_unwanted
from bot.words.cards import track_value
from bot.words.pages import library as words
from bot.words.pages.place import Page, Place
from bot.words.sentences import errors, waiting
from bot.words.sentences.errors import MemberError
from bot.words.text import Text
from storage import notifications
from storage import tasks as rows
from storage.archive.archive import Archive
from storage.database import Database, Snapshot
from storage.members import forget
from storage.notifications import Notification
from storage.planned import Gone
from storage.schema import Acknowledgement, NotificationState
from storage.servers import usage
from storage.songs import files as file_rows
from storage.songs import library, removed
from storage.songs.files import File
from storage.songs.library import Key, Song
from storage.tasks import Task

log = logging.getLogger(__name__)

PAGE = 5
"""Songs on a page, which with all that belongs to it has at most 40 parts."""

STATUS_LIMIT = 20

_ON_ITS_WAY = (NotificationState.DUE, NotificationState.SENDING)

TAKEN_BACK = 100
"""How many acknowledgements of somebody who is forgotten are changed."""

PICTURES_SECONDS = 3.0
"""How long a page waits for the archive; songs are found without their pictures too."""

COLLECT_SECONDS = 3.0
"""How long a member waits for the archive; what it has not removed by then it removes when it next tidies up."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What is left of a member who was forgotten.

    `counted_until` tells until when it is kept what counts against today's limits, where anything does; `waited` is
    what the member waited for, whose acknowledgements promise it still.
    """

    counted_until: float | None
    waited: list[tuple[Notification, Task]]


class Library:
    """A member's songs and covers, and what the member waits for."""

    def __init__(self, database: Database, songs: Songs, archive: Archive, clock: Callable[[], float]) -> None:
        self._database = database
        self._songs = songs
        self._archive = archive
        self._clock = clock

    async def page(
        self,
        user_id: int,
        place: Place,
        directory: Path,
        *,
        chosen: str | None = None,
        said: Text | None = None,
        undo: str | None = None,
    ) -> Page:
        """Return the page at a place, with the artwork that the archive holds in `directory`.

        `chosen` is the value of the song that is chosen, else it is the first one. `said` is told on the page, with
        *Undo* for the song of the value `undo`.
        """
        async with self._database.read() as snapshot:
            page = await _page(snapshot, user_id, place)
            files = [await file_rows.one(snapshot, song.task_id, song.position) for song in page.songs]
        pictures = await self._pictures(files, directory)
        first = page.songs[0] if page.songs else None
        meant = next((song for song in page.songs if track_value(song) == chosen), first)
        return replace(page, pictures=pictures, chosen=meant, said=said, undo=undo)

    async def _pictures(self, files: list[File | None], directory: Path) -> dict[int, tuple[Path, str]]:
        pictures: dict[int, tuple[Path, str]] = {}
        with suppress(TimeoutError):
            async with asyncio.timeout(PICTURES_SECONDS):
                for place, file in enumerate(files):
                    if file is not None and file.image_sha256 is not None:
                        with suppress(OSError):  # songs are found without their pictures too
                            kept = await self._archive.get(file.image_sha256, directory / f"artwork{place}")
                            if kept is not None:
                                pictures[place] = (kept.path, f"artwork{place}{MediaKind(kept.kind).extension}")
        return pictures

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
            raise MemberError(errors.not_yours())
        return Ordered(task, song.title, joined=False)

    async def remove(self, user_id: int, track: str) -> str:
        """Take one variant out of a member's library and return its title; raises `MemberError`.

        It can be brought back for some minutes.
        """
        song = await self._songs.find(user_id, track, kind=None)
        async with self._database.write() as transaction:
            if not await removed.remove(transaction, user_id, song.task_id, song.position, self._clock()):
                raise MemberError(errors.not_yours())
        return song.title

    async def restore(self, user_id: int, track: str) -> str:
        """Bring back what was removed, exactly as it stood there, and return its title; raises `MemberError`."""
        task_id, _, number = track.partition(".")
        position = int(number or 0)
        async with self._database.write() as transaction:
            await removed.restore(transaction, user_id, task_id, position, self._clock())
            song = await library.find(transaction, user_id, task_id, position)
        if song is None:
            raise MemberError(words.too_late_to_undo())
        return song.title

    async def running(self, user_id: int) -> list[Task]:
        """Return what a member waits for, the newest first."""
        async with self._database.read() as snapshot:
            return [task for _, task in await _waited_for(snapshot, user_id, STATUS_LIMIT)]

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
                if current is None:  # forgotten in this very moment
                    raise MemberError(errors.stale_button()) from None
                if current.state is not NotificationState.CANCELLED:
                    raise MemberError(_too_late(task, current)) from None
            await drop_unwanted(transaction, task.id, self._clock())

    async def remove_post(
        self,
        user_id: int,
        notification_id: str,
        message_id: int,
        *,
        manages: bool,
        has_result: bool = True,
        is_private: bool = False,
    ) -> None:
        """End a notification whose message is about to be removed; raises `MemberError` where a member may not.

        `has_result` tells whether the message carries one, and `is_private` whether its requester alone sees it.
        """
        async with self._database.write() as transaction:
            row = await notifications.get(transaction, notification_id)
            # Where the answer to a post was lost, its message is not known yet.
            sent = row is not None and row.state in _ON_ITS_WAY and row.message_id is None
            if row is None or (row.message_id != message_id and not sent):
                if not manages:
                    raise MemberError(errors.stale_button())
                return
            if user_id != row.user_id and not manages:
                raise MemberError(errors.not_your_button())
            task = await rows.get(transaction, row.task_id) if row.task_id is not None else None
            has_failed = task is not None and task.status in rows.ENDED_BADLY
            says = _removed(has_result=has_result, has_failed=has_failed, is_private=is_private)
            with suppress(Gone):  # pressed before, and its message could not be removed then
                await notifications.remove(transaction, row.id, message_id, says)

    async def forget_song(self, user_id: int, track: str) -> str:
        """Forget a song and return its title; raises `MemberError`."""
        song = await self._songs.find(user_id, track, kind=None)
        async with self._database.write() as transaction:
            await forget.forget_song(transaction, user_id, song.task_id)
        await asyncio.gather(self._collect(), self._erase())
        return song.title

    async def forget_member(self, user_id: int) -> Forgotten:
        """Forget everything that is kept about a member."""
        today = usage.day_of(self._clock())
        async with self._database.write() as transaction:
            waited = await _waited_for(transaction, user_id, TAKEN_BACK)
            counts = await forget.forget_member(transaction, user_id, today=today)
            left = [(row, await as_left(transaction, task)) for row, task in waited]
        await asyncio.gather(self._collect(), self._erase())
        return Forgotten(float((today + 1) * usage.DAY_SECONDS) if counts else None, left)

    async def _collect(self) -> None:
        try:
            async with asyncio.timeout(COLLECT_SECONDS):
                await self._archive.collect()
        except OSError as error:
            why = str(error) or "it takes too long"
            log.warning("the archive has not removed yet what was forgotten, and does so later: %s", why)

    async def _erase(self) -> None:
        if not await self._database.erase():
            log.warning("what was forgotten may stand in the log of the database until that is written anew")


async def _waited_for(snapshot: Snapshot, user_id: int, limit: int) -> list[tuple[Notification, Task]]:
    found = await notifications.running_for(snapshot, user_id, limit)
    tasks = [(row, await rows.get(snapshot, row.task_id or "")) for row in found]
    return [(row, task) for row, task in tasks if task is not None]


def _too_late(task: Task, row: Notification) -> Text:
    """Say why a post cannot be stopped any more."""
    if task.status in rows.ENDED_BADLY:
        return errors.failure(task)
    if row.state is NotificationState.UNDELIVERABLE:
        return waiting.not_posted(task.title)
    return errors.posted_already()


def _removed(*, has_result: bool, has_failed: bool, is_private: bool) -> Acknowledgement:
    """Return what an acknowledgement says of a message that is removed, as the delivery would have it say."""
    if is_private:
        return Acknowledgement.ELSEWHERE if has_result or has_failed else Acknowledgement.FAILED
    if has_failed:
        return Acknowledgement.FAILED
    return Acknowledgement.DONE if has_result else Acknowledgement.WITHOUT_IT


async def _page(snapshot: Snapshot, user_id: int, place: Place) -> Page:
    """Return the page at a place; where nothing stands there any more, the one before it, and then the first one."""
    search, key = place.search, place.key
    total = await library.count(snapshot, user_id, search)
    found: list[Song] = []
    if key is not None and not place.before:
        found = await library.page(snapshot, user_id, search, PAGE, key, before=False)
    if key is not None and not found:
        found = await library.page(snapshot, user_id, search, PAGE, key, before=True)
        found = found if len(found) == PAGE else []
    if not found:
        found = await library.search(snapshot, user_id, search, PAGE, kind=None)
    if not found:
        return Page([], Place(search))
    head, last = found[0].key, found[-1].key
    first = await library.count(snapshot, user_id, search, before=head)
    has_more = first + len(found) < total
    after = Key(last.added_at, last.task_id, last.position + 1)
    return Page(
        found,
        Place(search, head) if first else Place(search),
        total=total,
        first=first,
        previous=Place(search, head, before=True) if first else None,
        following=Place(search, after) if has_more else None,
    )
