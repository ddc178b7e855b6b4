"""Turns an ended task into the message that its requester gets: words, buttons and files that play."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import discord

from bot.formats.fetched import Fetched
from bot.formats.kinds import MediaError, MediaKind, attachment_name
from bot.formats.lengths import duration_of
from bot.formats.tags import tag_mp3
from bot.media.fetch import FetchError, FetchProblem
from bot.media.files import WAIT_SECONDS, Files
from bot.media.links import DOWNLOAD_SECONDS, Links
from bot.media.patience import KEEPS_SECONDS, Failures, Later, decide, failed
from bot.vidgo import CoverArt
from bot.words import cards, errors, posts
from bot.words.cards import SongDetails
from bot.words.text import Text
from storage import files as file_rows
from storage import servers
from storage import tasks as rows
from storage.database import Database
from storage.files import File
from storage.notifications import Notification
from storage.schema import TaskStatus
from storage.tasks import Task

log = logging.getLogger(__name__)

T = TypeVar("T")

TAG_BYTES = 64 * 1024
"""Room for title, tags and the like in an MP3, besides its artwork."""

URL_LIMIT = 512
"""Discord's limit of a link button's address."""


@dataclass(frozen=True, slots=True)
class Post:
    """A message ready to be sent. `files` come with the names that people see.

    Without `notifies` it names its requester, who hears nothing of it.
    """

    content: str
    view: discord.ui.View
    embed: discord.Embed | None = None
    files: list[tuple[Fetched, str]] = field(default_factory=list)
    notifies: bool = True


class NotYet(Exception):  # noqa: N818 (a word says what happened)
    """A result that cannot be composed now, as one of its files cannot be had yet.

    Compose it again in `seconds`, with these `failures`. Until then the member should know as much as `stage` says;
    `is_news` tells whether that is more than at the last time.
    """

    def __init__(self, reason: str, failures: Failures, later: Later) -> None:
        super().__init__(reason)
        self.reason = reason
        self.seconds = later.seconds
        self.stage = later.stage
        self.is_news = later.stage > failures.told
        self.failures = replace(failures, told=max(later.stage, failures.told))


@dataclass(frozen=True, slots=True)
class _Result:
    """What a result is made of: the rows of its audio and of its pictures, best first.

    With `artwork_only` the audio is the original's, and the result is more than that.
    """

    details: SongDetails
    audio: File | None
    pictures: list[File]
    artwork_only: bool
    notifies: bool


@dataclass(frozen=True, slots=True)
class _Parts:
    """The files that were got. `problem` is what kept the audio away, where it is not there."""

    song: Fetched | None
    artwork: Fetched | None
    problem: FetchProblem | None = None
    shrunk: bool = False


class _LostError(Exception):
    """What a result cannot do without will never be had."""

    def __init__(self, error: FetchError) -> None:
        super().__init__(error.reason)
        self.error = error


class Composer:
    """Gets a task's files and composes its message."""

    def __init__(self, database: Database, files: Files, links: Links, clock: Callable[[], float]) -> None:
        self._database = database
        self._files = files
        self._links = links
        self._clock = clock

    async def compose(
        self,
        row: Notification,
        task: Task,
        directory: Path,
        *,
        limit: int,
        failures: Failures | None = None,
    ) -> Post:
        """Compose what a notification says, with files of at most `limit` bytes, which are written to `directory`.

        It takes seconds at most: whatever takes longer goes on by itself, and is found further on at the next try.
        `failures` are those of the last `NotYet`. Raises `NotYet`, and `OSError`.
        """
        if task.status is not TaskStatus.FINISHED:
            return _say(row, errors.failure(task), cards.failed_buttons(row, task))
        result = await self._result(row, task)
        try:
            got = await self._get(result, task, directory, failures)
            parts = await self._fit(result, task, got, directory, limit, failures)
        except _LostError as lost:
            log.error("task %s: its file cannot be posted: %s", task.id, lost)
            return _say(row, _explain(lost.error, task.title, is_artwork=result.artwork_only))
        if parts is None:
            return await self._linked(row, task, result)
        return self._post(row, task, result, parts, limit)

    def compose_plain(self, row: Notification, task: Task) -> Post:
        """Compose one sentence for a result that Discord refuses as it is."""
        return _say(row, posts.post_refused(task.title))

    async def compose_link(self, row: Notification, task: Task) -> Post:
        """Compose a message whose audio is a link, for a channel that takes no file of that size."""
        return await self._linked(row, task, await self._result(row, task))

    async def _result(self, row: Notification, task: Task) -> _Result:
        async with self._database.read() as snapshot:
            notifies = (await servers.get(snapshot, row.guild_id)).mentions
            own = await file_rows.of(snapshot, task.id)
            with_audio = [file for file in own if file.audio_url]
            audio = next((file for file in with_audio if file.position == row.position), None)
            audio = audio or next(iter(with_audio), None)
            artwork_only = audio is None
            if audio is None and task.source_id is not None:
                audio = await file_rows.one(snapshot, task.source_id, row.position)
        pictures = [file for file in (own if artwork_only or audio is None else [audio]) if file.image_urls]
        details = SongDetails(task.title, "", None)
        if audio is not None:
            details = SongDetails(audio.title or task.title, audio.tags, audio.duration)
        return _Result(details, audio, pictures, artwork_only, notifies)

    # Files

    async def _get(self, result: _Result, task: Task, directory: Path, failures: Failures | None) -> _Parts:
        """Get the files of a result; raises `NotYet` and `_LostError`."""
        # Both to their ends, whatever becomes of one: what is left running would outlive the directory.
        song, artwork = await asyncio.gather(
            self._song(result, directory, failures), self._artwork(result, directory, failures), return_exceptions=True
        )
        artwork = await self._or_without(artwork, result, task, failures, of=task.id, needed=result.artwork_only)
        audio_of = task.id if result.audio is None else result.audio.task_id
        if isinstance(song, FetchError) and result.artwork_only:
            log.info("task %s: the original's audio cannot be had: %s", task.id, song.reason)
        problem = song.kind if isinstance(song, FetchError) else None
        song = await self._or_without(song, result, task, failures, of=audio_of, needed=not result.artwork_only)
        return _Parts(song, artwork, problem)

    async def _song(self, result: _Result, directory: Path, failures: Failures | None) -> Fetched | None:
        if result.audio is None:
            return None
        stale_after = self._stale_after(failures)
        return await self._files.audio(result.audio, directory, wait=WAIT_SECONDS, stale_after=stale_after)

    async def _artwork(self, result: _Result, directory: Path, failures: Failures | None) -> Fetched | None:
        problem: FetchError | None = None
        stale_after = self._stale_after(failures)
        for file in result.pictures:
            try:
                return await self._files.picture(file, directory, wait=WAIT_SECONDS, stale_after=stale_after)
            except FetchError as error:
                if problem is None or error.kind is FetchProblem.UNDER_WAY:
                    problem = error
        if result.artwork_only and problem is None:
            problem = FetchError(FetchProblem.GONE, "VidGo named no picture")
        if problem is not None:
            raise problem
        return None

    def _stale_after(self, failures: Failures | None) -> float | None:
        return None if failures is None else failures.age(self._clock())

    async def _or_without(
        self,
        got: T | BaseException,
        result: _Result,
        task: Task,
        failures: Failures | None,
        *,
        of: str,
        needed: bool,
    ) -> T | None:
        """Return what was got of a task's files, or None where there is something to post without it."""
        if not isinstance(got, BaseException):
            return got
        if not isinstance(got, FetchError):
            raise got
        if not needed and not result.artwork_only and got.kind is not FetchProblem.UNDER_WAY:
            return None  # a song is not held up for want of a picture
        made_at = task.finished_at or task.created_at
        if of != task.id:
            async with self._database.read() as snapshot:
                other = await rows.get(snapshot, of)
            made_at = made_at if other is None else other.finished_at or other.created_at
        now = self._clock()
        failures = failed(failures, got.kind, now)
        later = decide(failures, made_at, now, needed=needed)
        if later is not None:
            raise NotYet(got.reason, failures, later) from got
        if needed:
            raise _LostError(got) from got
        return None

    async def _fit(
        self,
        result: _Result,
        task: Task,
        parts: _Parts,
        directory: Path,
        limit: int,
        failures: Failures | None,
    ) -> _Parts | None:
        """Bring the song to a form that plays everywhere and a size that fits; None where no size does."""
        song, artwork = parts.song, parts.artwork
        if song is None or result.audio is None:
            return parts
        embedded = artwork if artwork is not None and artwork.kind in (MediaKind.JPEG, MediaKind.PNG) else None
        reserve = TAG_BYTES + (embedded.size if embedded is not None else 0)
        if reserve > limit // 2:
            embedded, reserve = None, TAG_BYTES
        too_large = song.size > limit or (result.artwork_only and song.size + reserve > limit)
        plain = (
            song.kind is MediaKind.MP3
            and (song.seconds or await asyncio.to_thread(duration_of, song.open())) is not None
        )
        if plain and not too_large and not result.artwork_only:
            return parts
        if not plain or too_large:
            try:
                fitted: Fetched | FetchError | None = await self._files.fitted(
                    result.audio,
                    directory,
                    limit=limit,
                    reserve=reserve,
                    wait=WAIT_SECONDS,
                    stale_after=self._stale_after(failures),
                )
            except FetchError as error:
                fitted = error
            if fitted is None:
                return None
            song = await self._or_without(
                fitted, result, task, failures, of=result.audio.task_id, needed=not result.artwork_only
            )
            if song is None:
                return replace(parts, song=None, problem=FetchProblem.NOT_MEDIA)
        path = await asyncio.to_thread(song.store)
        tagged = await asyncio.to_thread(_tag, path, directory / "tagged.mp3", result.details, embedded)
        return replace(parts, song=tagged, shrunk=too_large)

    # Messages

    def _post(self, row: Notification, task: Task, result: _Result, parts: _Parts, limit: int) -> Post:
        files: list[tuple[Fetched, str]] = []
        if parts.song is not None:
            files.append((parts.song, attachment_name(result.details.title, parts.song.kind)))
        image = None
        if parts.artwork is not None and parts.artwork.size <= limit:
            image = f"cover{parts.artwork.kind.extension}"
            files.append((parts.artwork, image))
        coverable = result.audio if task.model != CoverArt.model else None
        is_gone = parts.problem in (None, FetchProblem.GONE)
        said = [
            posts.artwork_alone(result.details.title, is_gone=is_gone)
            if result.artwork_only and parts.song is None
            else posts.result(task, result.details.title, artwork_only=result.artwork_only)
        ]
        if parts.shrunk:
            said.append(posts.reduced())
        if task.late_at is not None:
            said.append(posts.apology())
        return Post(
            content=posts.told(row.user_id, *said),
            view=cards.post_buttons(row.id, cover=None if coverable is None else cards.track_value(coverable)),
            embed=cards.card(result.details, image=image),
            files=files,
            notifies=result.notifies,
        )

    async def _linked(self, row: Notification, task: Task, result: _Result) -> Post:
        link, expires = None, 0.0
        if result.audio is not None:
            async with self._database.read() as snapshot:
                holder = await rows.get(snapshot, result.audio.task_id) or task
            made = self._links.make(holder, result.audio.position, DOWNLOAD_SECONDS)
            if made is not None:
                link, expires = made
            elif await self._files.at_vidgo(result.audio) and len(result.audio.audio_url or "") <= URL_LIMIT:
                link = result.audio.audio_url
                expires = (holder.finished_at or holder.created_at) + KEEPS_SECONDS
        if link is None:
            return _say(row, posts.file_out_of_reach(task.title))
        return Post(
            content=posts.told(row.user_id, posts.file_too_large(task.title, expires)),
            view=cards.post_buttons(row.id, link=link),
            embed=cards.card(result.details, image=None),
            notifies=result.notifies,
        )


def _say(row: Notification, text: Text, view: discord.ui.View | None = None) -> Post:
    return Post(content=posts.told(row.user_id, text), view=view or cards.post_buttons(row.id))


def _tag(source: Path, destination: Path, details: SongDetails, artwork: Fetched | None) -> Fetched:
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
        destination = source
    return Fetched(destination, destination.stat().st_size, MediaKind.MP3)


def _explain(error: FetchError, title: str, *, is_artwork: bool) -> Text:
    match error.kind:
        case FetchProblem.GONE:
            return posts.file_lost(title)
        case FetchProblem.TOO_LARGE:
            return posts.file_beyond_bounds(title)
        case FetchProblem.REFUSED_ADDRESS | FetchProblem.BAD_URL:
            return posts.address_refused(title)
        case FetchProblem.NOT_MEDIA:
            return posts.artwork_refused(title) if is_artwork else posts.file_refused(title)
    return posts.file_never_came(title)
