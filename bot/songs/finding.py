"""What `/music` means: find, make and import songs."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import replace

from sqlalchemy.exc import IntegrityError

from bot.servers.limits import Limits
from bot.songs.orders import Ordered, Requester, order
from bot.tasks.ending import Ending, to_files
from bot.tasks.new import new_task, order_key
from bot.vidgo import (
    AnswerLost,
    Busy,
    CoverArt,
    GenerateMusic,
    KeyRefused,
    NoCredits,
    Report,
    Status,
    UnknownTask,
    VidGo,
    VidGoError,
)
from bot.words import cards
from bot.words.sentences import errors
from bot.words.sentences.errors import MemberError
from bot.words.text import TITLE_LIMIT, Text, clean
from storage import notifications
from storage import tasks as rows
from storage.database import Database, Snapshot
from storage.ids import is_id
from storage.notifications import Notification, posts
from storage.notifications.posts import PostMessage
from storage.schema import TaskStatus
from storage.servers import settings as servers
from storage.songs import files as file_rows
from storage.songs import library
from storage.songs.files import File
from storage.songs.library import Song
from storage.tasks import Task

IMPORTED = "imported"
"""The model of a task that was made elsewhere."""

CHOICES = 25
"""Discord's limit of choices in an autocompletion."""

_TRACK_LIMIT = 200
_VIDGO_ID = re.compile(r"[A-Za-z0-9_-]{6,200}")
_NAMED_ID = re.compile(r"\btask[_ ]?id\W{1,10}([A-Za-z0-9_-]{6,200})", re.IGNORECASE)
"""An id with its name before it, as in an address or in VidGo's own answers."""


class Songs:
    """Finds a member's songs, brings them in and makes new ones."""

    def __init__(
        self,
        database: Database,
        vidgo: VidGo,
        ending: Ending,
        limits: Limits,
        clock: Callable[[], float],
        *,
        version: str,
    ) -> None:
        self._version = version
        self._database = database
        self._vidgo = vidgo
        self._ending = ending
        self._limits = limits
        self._clock = clock

    async def choices(self, user_id: int, typed: str, *, kind: str | None = "song") -> list[Song]:
        """Return the member's newest songs whose title contains what was typed so far; `kind` None adds covers.

        Those that are called just that come first: what is made of a song has the song's title within its own.
        """
        text = clean(typed, TITLE_LIMIT)
        async with self._database.read() as snapshot:
            found = await library.search(snapshot, user_id, text, CHOICES, kind=kind)
            named = await library.titled(snapshot, user_id, text, CHOICES) if len(found) == CHOICES and text else []
        return [*named, *(song for song in found if song not in named)][:CHOICES]

    async def find(self, user_id: int, track: str | None, *, kind: str | None = "song") -> Song:
        """Return the song that a member means: a choice, a pasted VidGo id, a whole title, or nothing for the newest.

        `kind` None also finds covers. Raises `MemberError` with one sentence for each way in which there is none.
        """
        # As titles are kept; and a lone surrogate, which JSON can carry, cannot be looked for.
        typed = clean(track or "", _TRACK_LIMIT)
        if not typed:
            newest = await self.choices(user_id, "")
            if not newest:
                raise MemberError(errors.no_songs())
            return newest[0]
        task_id, _, number = typed.partition(".")
        position = int(number) if number.isdecimal() and len(number) < 4 else 0
        async with self._database.read() as snapshot:
            task = await rows.get(snapshot, task_id) if is_id(task_id) else None
            task = task or await rows.by_vidgo_id(snapshot, _pasted(typed))
            if task is not None:
                song = await library.find(snapshot, user_id, task.id, position)
                if song is not None and kind in (None, song.kind):
                    return song
                asked = user_id in {task.user_id, *await notifications.requesters_of(snapshot, task.id)}
                if not asked or (song is None and task.status is TaskStatus.FINISHED):
                    raise MemberError(errors.not_yours())
                raise MemberError(_why_not(task))
            named = await library.titled(snapshot, user_id, typed, 1)
        if named:
            return named[0]
        if is_id(task_id):  # nobody types that: it stood behind a button or a choice, and its song is forgotten
            raise MemberError(errors.not_yours())
        pasted = _pasted(typed)
        if not _VIDGO_ID.fullmatch(pasted):
            raise MemberError(errors.unknown_track(typed))
        try:
            return (await self.bring_in(user_id, None, pasted))[0]
        except MemberError as error:
            if error.text.template == errors.unknown_task_id().template:
                raise MemberError(errors.unknown_track(typed)) from None
            raise

    async def bring_in(self, user_id: int, guild_id: int | None, vidgo_id: str) -> list[Song]:
        """Import a finished music task of VidGo's into a member's library and return its variants.

        Raises `MemberError` where VidGo does not know the task, or it is not finished, failed or not music.
        """
        vidgo_id = _pasted(vidgo_id)
        if not _VIDGO_ID.fullmatch(vidgo_id):
            raise MemberError(errors.unknown_task_id())
        async with self._database.read() as snapshot:
            known = await rows.by_vidgo_id(snapshot, vidgo_id)
        if known is None or known.status is not TaskStatus.FINISHED:
            report = await self._read(vidgo_id)
            if known is not None:
                # What is not finished here, or was given up, is finished there.
                await self._ending.finish(known, report)
            else:
                known = await self._store(user_id, guild_id, vidgo_id, report)
        async with self._database.write() as transaction:
            files = await file_rows.of(transaction, known.id)
            if known.model == CoverArt.model or not any(file.audio_url for file in files):
                raise MemberError(errors.not_a_song())
            await library.add(transaction, [user_id], files, "song", self._clock())
            found = [await library.find(transaction, user_id, known.id, file.position) for file in files]
        return [song for song in found if song is not None]

    async def from_post(self, user_id: int, message: PostMessage, track: str | None = None) -> str:
        """Return the value of the song that a post of the bot carries, which is now in the member's library too.

        Of several versions it is the one that `track` names. Whoever sees a post may build on it, unless the server's
        managers want it otherwise. Raises `MemberError` then, and where the message carries no song.
        """
        async with self._database.write() as transaction:
            meant, all_of_it = await self._of_post(transaction, user_id, message, track)
            await library.add(transaction, [user_id], all_of_it, "song", self._clock())
        return cards.track_value(meant)

    async def title_of_post(self, user_id: int, message: PostMessage, track: str) -> str:
        """Return the title of the song that a post carries; raises `MemberError` as `from_post` does."""
        async with self._database.read() as snapshot:
            return (await self._of_post(snapshot, user_id, message, track))[0].title

    async def is_post(self, message: PostMessage) -> bool:
        """Tell whether a message is a post of a finished task, not one that says why there is none."""
        async with self._database.read() as snapshot:
            row = await posts.by_message(snapshot, message)
            task = await rows.get(snapshot, row.task_id) if row is not None and row.task_id is not None else None
        return task is not None and task.status is TaskStatus.FINISHED

    async def _of_post(
        self, snapshot: Snapshot, user_id: int, message: PostMessage, track: str | None
    ) -> tuple[File, list[File]]:
        row, task = await post_of(snapshot, user_id, message)
        song_id = task.source_id if task.model == CoverArt.model and task.source_id is not None else task.id
        with_audio = [file for file in await file_rows.of(snapshot, song_id) if file.audio_url]
        if not with_audio:
            raise MemberError(errors.no_song_here())
        named = next((file for file in with_audio if cards.track_value(file) == track), None)
        return named or next((file for file in with_audio if file.position == row.position), with_audio[0]), with_audio

    async def generate(
        self, requester: Requester, *, prompt: str, style: str | None, title: str | None, instrumental: bool
    ) -> Ordered:
        """Order a new song; raises `MemberError` where a limit is reached."""
        request = GenerateMusic(prompt=prompt, style=style, title=title, instrumental=instrumental, mv=self._version)
        name = clean(title or prompt, 80) or "Untitled"
        task = new_task(
            request,
            now=self._clock(),
            user_id=requester.user_id,
            guild_id=requester.guild_id,
            title=name,
            order_key=order_key(request.model, requester.user_id, requester.guild_id, request.dump()),
        )
        async with self._database.write(durable=False) as transaction:
            return await order(transaction, self._limits, requester, task, name)

    async def _read(self, vidgo_id: str) -> Report:
        try:
            report = await self._vidgo.detail(vidgo_id)
        except UnknownTask:
            raise MemberError(errors.unknown_task_id()) from None
        except (KeyRefused, NoCredits) as error:
            raise MemberError(errors.owner_must_act(isinstance(error, KeyRefused))) from None
        except (Busy, AnswerLost, VidGoError):
            raise MemberError(errors.vidgo_busy()) from None
        if report.status is Status.FAILED:
            raise MemberError(errors.failed_import())
        if report.status is not Status.FINISHED:
            raise MemberError(errors.unfinished_import())
        if report.hides_audio:
            raise MemberError(errors.unusable_address())
        if not report.has_audio:
            raise MemberError(errors.not_a_song())
        return report

    async def _store(self, user_id: int, guild_id: int | None, vidgo_id: str, report: Report) -> Task:
        now = self._clock()
        first = next(file for file in report.files if file.audio_url)
        title = clean(first.title or "", TITLE_LIMIT) or "Untitled"
        task = _imported(vidgo_id, title, now=now, user_id=user_id, guild_id=guild_id)
        try:
            async with self._database.write() as transaction:
                await rows.add(transaction, task)
                await file_rows.add(transaction, to_files(task.id, report.files, title, now))
        except IntegrityError:  # somebody imported it at the same moment
            async with self._database.read() as snapshot:
                found = await rows.by_vidgo_id(snapshot, vidgo_id)
            if found is None:
                raise
            return found
        return task


async def post_of(snapshot: Snapshot, user_id: int, message: PostMessage) -> tuple[Notification, Task]:
    """Return a post and what it carries, for a member who is about to build on it.

    Raises `MemberError` where the message is no such post, and where the server's managers do not want that.
    """
    row = await posts.by_message(snapshot, message)
    task = await rows.get(snapshot, row.task_id) if row is not None and row.task_id is not None else None
    if row is None or task is None or task.status is not TaskStatus.FINISHED:
        raise MemberError(errors.no_song_here())
    if row.user_id != user_id and not (await servers.get(snapshot, row.guild_id)).covers_of_others:
        raise MemberError(errors.covers_of_others_off())
    return row, task


def _pasted(text: str) -> str:
    """Return an id without what comes along when it is copied from a message or a page."""
    line = clean(text, _TRACK_LIMIT)
    if (named := _NAMED_ID.search(line)) is not None:
        return named[1]
    # Quotes and brackets of any language, and markdown; "-" and "_" may be parts of an id.
    around = {one for one in line if unicodedata.category(one)[0] in "PSZ"} - {"-", "_"}
    return line.strip("".join(around))


def _imported(vidgo_id: str, title: str, *, now: float, user_id: int, guild_id: int | None) -> Task:
    draft = new_task(GenerateMusic(prompt=title), now=now, user_id=user_id, guild_id=guild_id, title=title)
    return replace(
        draft,
        vidgo_id=vidgo_id,
        model=IMPORTED,
        request={},
        status=TaskStatus.FINISHED,
        poll_at=None,
    )


def _why_not(task: Task) -> Text:
    if not task.status.is_final:
        return errors.unfinished(task.title)
    if task.status is not TaskStatus.FINISHED:
        return errors.failed_track(task.title)
    return errors.not_a_song()
