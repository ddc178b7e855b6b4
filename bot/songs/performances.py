"""New music made from a song: a performance in another style, and a continuation."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from bot.fetching.fetch import FetchError, FetchProblem
from bot.media.files import Files
from bot.media.links import FETCH_SECONDS, Links
from bot.servers.limits import Limits
from bot.songs.finding import Songs
from bot.songs.orders import Ordered, Requester, order
from bot.tasks.new import new_task, order_key
from bot.vidgo import CoverAudio, ExtendMusic
from bot.words.sentences import errors
from bot.words.sentences.errors import MemberError
from bot.words.text import TITLE_LIMIT, clean
from storage import tasks as rows
from storage.database import Database
from storage.songs import files as file_rows
from storage.songs.files import File
from storage.tasks import Task

_STYLE_LIMIT = 1000
_NAMED_STYLE = 40
"""How much of a style is told in the name of a performance."""

CONTINUE = "Continue the song"
"""What VidGo is told where nobody says how a song goes on."""


def performance_name(title: str, style: str) -> str:
    """Return what a performance in a style is called."""
    return clean(f"{title} ({style[:_NAMED_STYLE]})", TITLE_LIMIT)


class Performances:
    """Orders new music made from a member's song."""

    def __init__(
        self,
        database: Database,
        songs: Songs,
        files: Files,
        links: Links,
        limits: Limits,
        *,
        version: str,
        directory: Path,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._songs = songs
        self._files = files
        self._links = links
        self._version = version
        self._limits = limits
        self._directory = directory
        self._clock = clock

    async def perform(self, requester: Requester, track: str | None, style: str) -> Ordered:
        """Order a new performance of a song, or join the one in that style that is under way.

        Raises `MemberError` where there is no such song, VidGo could not fetch it, or a limit is reached.
        """
        song = await self._songs.find(requester.user_id, track)
        source, file = await self._source(song.task_id, song.position)
        longest = CoverAudio.longest_source(self._version)
        if (file.duration or 0) > longest:
            raise MemberError(errors.too_long(song.title, round(longest / 60)))
        wanted = clean(style, _STYLE_LIMIT)
        if not wanted:
            raise MemberError(errors.no_style())
        url = await self._address(source, file)
        task = new_task(
            CoverAudio(upload_url=url, style=wanted, title=song.title, mv=self._version),
            now=self._clock(),
            user_id=requester.user_id,
            guild_id=requester.guild_id,
            title=performance_name(song.title, wanted),
            source_id=song.task_id,
            order_key=order_key(CoverAudio.model, song.task_id, song.position, wanted.casefold()),
        )
        async with self._database.write(durable=False) as transaction:
            return await order(transaction, self._limits, requester, task, song.title)

    async def extend(self, requester: Requester, track: str | None, prompt: str | None, at: float | None) -> Ordered:
        """Order a continuation of a song from `at` seconds on, or from its end.

        Raises `MemberError` where there is no such song, it cannot be extended there, or a limit is reached.
        """
        song = await self._songs.find(requester.user_id, track)
        _, file = await self._source(song.task_id, song.position)
        if file.audio_id is None:
            raise MemberError(errors.not_extendable(song.title))
        if at is not None and file.duration is not None and at >= file.duration:
            raise MemberError(errors.beyond_the_end(song.title, int(file.duration)))
        if prompt is None and at is None:
            request = ExtendMusic(audio_id=file.audio_id, mv=self._version)
        else:
            end = max((file.duration or 60.0) - 1, 1.0)
            request = ExtendMusic(
                audio_id=file.audio_id,
                prompt=prompt or CONTINUE,
                style=file.tags or song.title,
                title=song.title,
                continue_at=at if at is not None else end,
                mv=self._version,
            )
        task = new_task(
            request,
            now=self._clock(),
            user_id=requester.user_id,
            guild_id=requester.guild_id,
            title=song.title,
            source_id=song.task_id,
            order_key=order_key(ExtendMusic.model, song.task_id, song.position, request.dump()),
        )
        async with self._database.write(durable=False) as transaction:
            return await order(transaction, self._limits, requester, task, song.title)

    async def _source(self, task_id: str, position: int) -> tuple[Task, File]:
        async with self._database.read() as snapshot:
            task = await rows.get(snapshot, task_id)
            file = await file_rows.one(snapshot, task_id, position)
        if task is None or file is None:
            raise MemberError(errors.not_a_song())
        return task, file

    async def _address(self, task: Task, file: File) -> str:
        """Return where VidGo can fetch a song: at its own host while it is there, else here."""
        if file.audio_url is not None and await self._files.at_vidgo(file):
            return file.audio_url
        kept = await self._is_kept(file)
        made = self._links.make(task, file.position, FETCH_SECONDS)
        if made is not None and kept:
            return made[0]
        raise MemberError(errors.source_out_of_reach(file.title, kept=kept))

    async def _is_kept(self, file: File) -> bool:
        """Tell whether the listener could serve a song: from the archive, or from an earlier post.

        Raises `MemberError` where that cannot be said now.
        """
        with tempfile.TemporaryDirectory(dir=self._directory, ignore_cleanup_errors=True) as name:
            try:
                await self._files.audio(file, Path(name))
            except FetchError as error:
                if error.kind is not FetchProblem.GONE:  # somebody may have it, but cannot be reached
                    raise MemberError(errors.audio_not_now(file.title)) from None
                return False
        return True
