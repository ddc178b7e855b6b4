"""A song of a member's library for that member alone."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bot.fetching.fetch import FetchError, FetchProblem
from bot.formats.kinds import attachment_name
from bot.media.files import Files
from bot.songs.finding import Songs
from bot.songs.orders import Answer
from bot.words.pages import library as words
from bot.words.sentences import errors
from bot.words.sentences.errors import MemberError
from storage import tasks as rows
from storage.database import Database
from storage.songs import files as file_rows
from storage.songs.files import File
from storage.songs.library import Song


class Playing:
    """Brings songs to those who want to hear them."""

    def __init__(self, database: Database, songs: Songs, files: Files) -> None:
        self._database = database
        self._songs = songs
        self._files = files

    async def play(self, user_id: int, track: str, limit: int, directory: Path) -> Answer:
        """Return an answer with a song's audio of at most `limit` bytes, which is in `directory`.

        Raises `MemberError` where the song is not the member's, or its audio cannot be had or is too large.
        """
        song = await self._songs.find(user_id, track, kind=None)
        file = await self._with_audio(song)
        if file is None:
            raise MemberError(words.nothing_to_play(song.title))
        try:
            audio = await self._files.audio(file, directory)
            if audio.size > limit:
                fitted = await self._files.fitted(file, directory, limit=limit, reserve=0)
                if fitted is None:
                    raise MemberError(words.too_large_to_play(song.title))
                audio = fitted
        except FetchError as error:
            is_gone = error.kind is FetchProblem.GONE
            text = words.nothing_to_play(song.title) if is_gone else errors.audio_not_now(song.title)
            raise MemberError(text) from None
        path = await asyncio.to_thread(audio.store)
        return Answer(words.played(song.title), files=[(path, attachment_name(song.title, audio.kind))])

    async def _with_audio(self, song: Song) -> File | None:
        """Return the file that is heard: a song's own, or that of the song for which it is new artwork."""
        async with self._database.read() as snapshot:
            own = await file_rows.of(snapshot, song.task_id)
            if any(file.audio_url for file in own):
                return next((file for file in own if file.position == song.position and file.audio_url), None)
            task = await rows.get(snapshot, song.task_id)
            if task is None or task.source_id is None:
                return None
            # What stands in the library is one of the pictures; they are of the song, not of one of its versions.
            return next((file for file in await file_rows.of(snapshot, task.source_id) if file.audio_url), None)
