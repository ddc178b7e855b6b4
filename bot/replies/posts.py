"""Turns an ended task into the message that its requester gets: words, buttons and files that play."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from pathlib import Path

import discord

from bot.media.fetch import FetchError, FetchProblem
from bot.media.fetched import Fetched
from bot.media.files import Files
from bot.media.kinds import MediaError, MediaKind, attachment_name, duration_of, tag_mp3
from bot.media.links import DOWNLOAD_SECONDS, Links
from bot.media.transcode import TranscodeError, fit_to
from bot.vidgo import CoverArt
from bot.words import cards, errors, posts
from bot.words.cards import SongDetails
from bot.words.text import Text
from storage import files as file_rows
from storage import tasks as rows
from storage.database import Database
from storage.files import File
from storage.notifications import Notification
from storage.schema import TaskStatus
from storage.tasks import Task

log = logging.getLogger(__name__)

TAG_BYTES = 64 * 1024
"""Room for title, tags and the like in an MP3, besides its artwork."""

URL_LIMIT = 512
"""Discord's limit of a link button's address."""

VIDGO_KEEPS_SECONDS = 86400.0


@dataclass(frozen=True, slots=True)
class Post:
    """A message ready to be sent. `files` come with the names that people see."""

    content: str
    view: discord.ui.View
    embed: discord.Embed | None = None
    files: list[tuple[Fetched, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a result is made of: its words, its audio's row, and the files that were got."""

    details: SongDetails
    audio: File | None
    song: Fetched | None
    artwork: Fetched | None
    artwork_only: bool


class _UnusableError(Exception):
    """The audio cannot be made into a file that plays."""


class Composer:
    """Gets a task's files and composes its message."""

    def __init__(self, database: Database, files: Files, links: Links) -> None:
        self._database = database
        self._files = files
        self._links = links

    async def compose(
        self,
        row: Notification,
        task: Task,
        directory: Path,
        *,
        limit: int,
        final: bool,
        own: list[File] | None = None,
    ) -> Post:
        """Compose what a notification says, with files of at most `limit` bytes, which are written to `directory`.

        `own` are the task's files where the caller knows them. Raises `FetchError` when trying again later may help,
        unless `final` says that there is no later.
        """
        if task.status is not TaskStatus.FINISHED:
            return _say(row, errors.failure(task))
        try:
            parts = await self._get(row, task, directory, final=final, own=own)
        except FetchError as error:
            if error.retryable and not final:
                raise
            log.error("task %s: its audio cannot be posted: %s", task.id, error.reason)
            return _say(row, _explain(error, task.title))
        if parts.artwork_only and parts.artwork is None:
            return _say(row, posts.file_lost(task.title))
        if parts.song is None:
            return self._result(row, task, parts, limit, shrunk=False)
        try:
            song, shrunk = await _fit(parts, directory, limit)
        except _UnusableError as error:
            log.error("task %s: its audio cannot be converted: %s", task.id, error)
            if parts.artwork_only:  # the audio is the original's, and the cover is more than that
                alone = _Parts(parts.details, parts.audio, None, parts.artwork, artwork_only=True)
                return self._result(row, task, alone, limit, shrunk=False)
            return _say(row, posts.file_refused(task.title))
        if song is None:
            return await self._linked(row, task, parts)
        fitted = _Parts(parts.details, parts.audio, song, parts.artwork, parts.artwork_only)
        return self._result(row, task, fitted, limit, shrunk=shrunk)

    def compose_plain(self, row: Notification, task: Task) -> Post:
        """Compose one sentence for a result that Discord refuses as it is."""
        return _say(row, posts.post_refused(task.title))

    async def compose_link(self, row: Notification, task: Task, directory: Path) -> Post:
        """Compose a message whose audio is a link, for a channel that takes no file of that size."""
        return await self._linked(row, task, await self._get(row, task, directory, final=False))

    async def _get(
        self, row: Notification, task: Task, directory: Path, *, final: bool, own: list[File] | None = None
    ) -> _Parts:
        if own is None:
            async with self._database.read() as snapshot:
                own = await file_rows.of(snapshot, task.id)
        with_audio = [file for file in own if file.audio_url]
        audio = next((file for file in with_audio if file.position == row.position), None)
        audio = audio or next(iter(with_audio), None)
        artwork_only = audio is None
        if audio is None and task.source_id is not None:
            async with self._database.read() as snapshot:
                audio = await file_rows.one(snapshot, task.source_id, row.position)
        pictures = [file for file in own if file.image_urls] if artwork_only else [audio] if audio is not None else []
        song, artwork = await asyncio.gather(
            self._song(task, audio, directory, needed=not artwork_only, final=final),
            self._artwork(pictures, directory, needed=artwork_only),
        )
        details = SongDetails(task.title, "", None)
        if audio is not None:
            details = SongDetails(audio.title or task.title, audio.tags, audio.duration)
        return _Parts(details, audio, song, artwork, artwork_only)

    async def _song(
        self, task: Task, file: File | None, directory: Path, *, needed: bool, final: bool
    ) -> Fetched | None:
        if file is None:
            return None
        try:
            return await self._files.audio(file, directory)
        except FetchError as error:
            if needed or (error.retryable and not final):
                raise
            log.warning("task %s: the original's audio cannot be had: %s", task.id, error.reason)
            return None

    async def _artwork(self, candidates: list[File], directory: Path, *, needed: bool) -> Fetched | None:
        later: FetchError | None = None
        for file in candidates:
            try:
                picture = await self._files.picture(file, directory, needed=needed)
            except FetchError as error:
                later = error
                continue
            if picture is not None:
                return picture
        if later is not None:
            raise later
        return None

    def _result(self, row: Notification, task: Task, parts: _Parts, limit: int, *, shrunk: bool) -> Post:
        files: list[tuple[Fetched, str]] = []
        if parts.song is not None:
            files.append((parts.song, attachment_name(parts.details.title, parts.song.kind)))
        image = None
        if parts.artwork is not None and parts.artwork.size <= limit:
            image = f"cover{parts.artwork.kind.extension}"
            files.append((parts.artwork, image))
        coverable = parts.audio if task.model != CoverArt.model else None
        said = [
            posts.result(task, parts.details.title, artwork_only=parts.artwork_only, has_audio=parts.song is not None)
        ]
        if shrunk:
            said.append(posts.reduced())
        if task.late_at is not None:
            said.append(posts.apology())
        return Post(
            content=posts.told(row.user_id, *said),
            view=cards.post_buttons(row.id, cover=None if coverable is None else cards.track_value(coverable)),
            embed=cards.card(parts.details, image=image),
            files=files,
        )

    async def _linked(self, row: Notification, task: Task, parts: _Parts) -> Post:
        link, expires = None, 0.0
        if parts.audio is not None:
            async with self._database.read() as snapshot:
                holder = await rows.get(snapshot, parts.audio.task_id) or task
            made = self._links.make(holder, parts.audio.position, DOWNLOAD_SECONDS)
            if made is not None:
                link, expires = made
            elif await self._files.at_vidgo(parts.audio) and len(parts.audio.audio_url or "") <= URL_LIMIT:
                link = parts.audio.audio_url
                expires = (holder.finished_at or holder.created_at) + VIDGO_KEEPS_SECONDS
        if link is None:
            return _say(row, posts.file_out_of_reach(task.title))
        return Post(
            content=posts.told(row.user_id, posts.file_too_large(task.title, expires)),
            view=cards.post_buttons(row.id, link=link),
            embed=cards.card(parts.details, image=None),
        )


def _say(row: Notification, text: Text) -> Post:
    return Post(content=posts.told(row.user_id, text), view=cards.post_buttons(row.id))


async def _fit(parts: _Parts, directory: Path, limit: int) -> tuple[Fetched | None, bool]:
    """Return the song as an MP3 of at most `limit` bytes, and whether its quality was reduced; None where none fits."""
    song, artwork = parts.song, parts.artwork
    assert song is not None  # noqa: S101 (the caller has looked)
    embedded = artwork if artwork is not None and artwork.kind in (MediaKind.JPEG, MediaKind.PNG) else None
    reserve = TAG_BYTES + (embedded.size if embedded is not None else 0)
    if reserve > limit // 2:
        embedded, reserve = None, TAG_BYTES
    too_large = song.size > limit or (parts.artwork_only and song.size + reserve > limit)
    if song.kind is MediaKind.MP3 and (song.seconds or await asyncio.to_thread(duration_of, song.open())) is None:
        raise _UnusableError("no MP3 frames where they should be")
    if song.kind is MediaKind.MP3 and not too_large and not parts.artwork_only:
        return song, False
    path = await asyncio.to_thread(song.store)
    if song.kind is not MediaKind.MP3 or too_large:
        try:
            fitted = await fit_to(path, directory / "fitted.mp3", limit=limit, reserve=reserve)
        except TranscodeError as error:
            raise _UnusableError(error.reason) from error
        if fitted is None:
            return None, True
        path = fitted.path
    tagged = await asyncio.to_thread(_tag, path, directory / "tagged.mp3", parts.details, embedded)
    return Fetched(tagged, tagged.stat().st_size, MediaKind.MP3), too_large


def _tag(source: Path, destination: Path, details: SongDetails, artwork: Fetched | None) -> Path:
    try:
        tag_mp3(
            source,
            destination,
            title=details.title,
            genre=details.tags or None,
            artwork=None if artwork is None else artwork.store(),
        )
    except MediaError as error:
        log.warning("a file cannot be tagged: %s", error)
        return source
    return destination


def _explain(error: FetchError, title: str) -> Text:
    if error.kind in (FetchProblem.GONE, FetchProblem.BAD_STATUS, FetchProblem.NETWORK, FetchProblem.TOO_SLOW):
        return posts.file_lost(title)
    return posts.file_refused(title)
