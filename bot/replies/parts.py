"""The files that a post is made of: which they are, how they are got, and how they are brought to a size that fits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from bot.fetching.fetch import FetchError, FetchProblem
from bot.fetching.patience import Failures, Later, decide, failed
from bot.formats.fetched import Fetched
from bot.formats.kinds import MediaError, MediaKind
from bot.formats.lengths import duration_of
from bot.formats.tags import tag_mp3
from bot.media.files import WAIT_SECONDS, Files
from storage import tasks as rows
from storage.database import Database
from storage.songs.files import File
from storage.tasks import Task

log = logging.getLogger(__name__)

T = TypeVar("T")

TAG_BYTES = 64 * 1024
"""Room for title, tags and the like in an MP3, besides its artwork."""

REQUEST_BYTES = 24_000_000
"""How much several files of one message may be: Discord takes requests of 25 MB, whatever a server takes of a file."""

COMPANY_SECONDS = 8.0
"""How long a post waits for the second version, or the second picture, that is on its way; it comes without then."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a result is made of: the rows of its audio and of its pictures, best first.

    `other` is the version that comes along, `versions` are all that have audio. With `artwork_only` the audio is the
    original's, and `picture` is the place of the picture that its requester has chosen. `likes` is how many like it.
    """

    title: str
    tags: str
    audio: File | None
    pictures: Sequence[File]
    artwork_only: bool
    notifies: bool
    other: File | None = None
    versions: Sequence[File] = ()
    likes: int = 0
    picture: int | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """The files that were got. `artwork` is the one that the song carries, one of `pictures`.

    `problem` is what kept the audio away, where it is not there.
    """

    song: Fetched | None
    other: Fetched | None = None
    artwork: Fetched | None = None
    pictures: Sequence[tuple[File, Fetched]] = field(default_factory=list)
    problem: FetchProblem | None = None
    shrunk: bool = False


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


class LostError(Exception):
    """What a result cannot do without will never be had."""

    def __init__(self, error: FetchError) -> None:
        super().__init__(error.reason)
        self.error = error


class Gathering:
    """Gets the files of results. Its methods raise `NotYet`, `LostError` and `OSError`."""

    def __init__(self, database: Database, files: Files, clock: Callable[[], float]) -> None:
        self._database = database
        self._files = files
        self._clock = clock

    async def get(self, result: Result, task: Task, directory: Path, failures: Failures | None) -> Parts:
        """Get the files of a result."""
        # All to their ends, whatever becomes of one: what is left running would outlive the directory.
        song, other, pictures = await asyncio.gather(
            self._audio(result.audio, directory, failures),
            self._audio(result.other, directory, failures),
            self._pictures(result, directory, failures),
            return_exceptions=True,
        )
        late = isinstance(other, FetchError) and other.kind is FetchProblem.UNDER_WAY
        shown: list[tuple[File, Fetched]] | None = None
        if isinstance(pictures, tuple):
            shown, is_late = pictures
            late = late or is_late
        else:
            shown = await self._or_without(pictures, result, task, failures, of=task.id, needed=result.artwork_only)
        audio_of = task.id if result.audio is None else result.audio.task_id
        if isinstance(song, FetchError) and result.artwork_only:
            log.info("task %s: the original's audio cannot be had: %s", task.id, song.reason)
        problem = song.kind if isinstance(song, FetchError) else None
        song = await self._or_without(song, result, task, failures, of=audio_of, needed=not result.artwork_only)
        if isinstance(other, BaseException) and not isinstance(other, FetchError):
            raise other
        if late:
            self._wait_for_company(failures)
        if isinstance(other, FetchError):
            log.info("task %s: its other version does not come along: %s", task.id, other.reason)
            other = None
        found = shown or []
        artwork = next((got for file, got in found if file.position == result.picture), None)
        return Parts(song, other, artwork or next((got for _, got in found), None), found, problem)

    def _wait_for_company(self, failures: Failures | None) -> None:
        """Raise `NotYet` for as long as a post waits for what it may come without."""
        now = self._clock()
        coming = failed(failures, FetchProblem.UNDER_WAY, now)
        if now - coming.first_at < COMPANY_SECONDS:
            raise NotYet("something that comes along is on its way", coming, Later(1.0, coming.told))

    async def _audio(self, file: File | None, directory: Path, failures: Failures | None) -> Fetched | None:
        if file is None:
            return None
        stale_after = self._stale_after(failures)
        return await self._files.audio(file, directory, wait=WAIT_SECONDS, stale_after=stale_after)

    async def _pictures(
        self, result: Result, directory: Path, failures: Failures | None
    ) -> tuple[list[tuple[File, Fetched]], bool]:
        """Return the pictures that are to be had, and whether another one is on its way."""
        got = await asyncio.gather(
            *(
                self._files.picture(file, directory, wait=WAIT_SECONDS, stale_after=self._stale_after(failures))
                for file in result.pictures
            ),
            return_exceptions=True,
        )
        found: list[tuple[File, Fetched]] = []
        problem: FetchError | None = None
        for file, one in zip(result.pictures, got, strict=True):
            if isinstance(one, FetchError):
                if problem is None or one.kind is FetchProblem.UNDER_WAY:
                    problem = one
            elif isinstance(one, BaseException):
                raise one
            else:
                found.append((file, one))
        if result.artwork_only and not result.pictures:
            problem = FetchError(FetchProblem.GONE, "VidGo named no picture")
        if problem is not None and not found:
            raise problem
        return found, problem is not None and problem.kind is FetchProblem.UNDER_WAY

    def _stale_after(self, failures: Failures | None) -> float | None:
        return None if failures is None else failures.age(self._clock())

    async def _or_without(
        self,
        got: T | BaseException,
        result: Result,
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
            raise LostError(got) from got
        return None

    async def fit(
        self,
        result: Result,
        task: Task,
        parts: Parts,
        directory: Path,
        limit: int,
        failures: Failures | None,
    ) -> Parts | None:
        """Bring the song to a form that plays everywhere and a size that fits; None where no size does."""
        song, artwork = parts.song, parts.artwork
        if song is None or result.audio is None:
            return parts
        embedded = artwork if artwork is not None and artwork.kind in (MediaKind.JPEG, MediaKind.PNG) else None
        reserve = TAG_BYTES + (embedded.size if embedded is not None else 0)
        if reserve > limit // 2:
            embedded, reserve = None, TAG_BYTES
        too_large = song.size > limit or (result.artwork_only and song.size + reserve > limit)
        plain = await _is_plain(song)
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
        if not plain or too_large or result.artwork_only:
            path = await asyncio.to_thread(song.store)
            song = await asyncio.to_thread(_tag, path, directory / "tagged.mp3", result, embedded)
        return replace(parts, song=song, other=await _beside(song, parts, limit), shrunk=too_large)


async def _beside(song: Fetched, parts: Parts, limit: int) -> Fetched | None:
    """Return the other version where it fits beside the song as it is."""
    other = parts.other
    if other is None or other.size > limit or not await _is_plain(other):
        return None
    pictures = sum(got.size for _, got in parts.pictures)
    return other if song.size + other.size + pictures <= REQUEST_BYTES else None


async def _is_plain(song: Fetched) -> bool:
    """Tell whether a song is an MP3 that plays everywhere."""
    return song.kind is MediaKind.MP3 and (
        song.seconds is not None or await asyncio.to_thread(duration_of, song.open()) is not None
    )


def _tag(source: Path, destination: Path, result: Result, artwork: Fetched | None) -> Fetched:
    try:
        tag_mp3(
            source,
            destination,
            title=result.title,
            genre=result.tags or None,
            artwork=None if artwork is None else artwork.store(),
        )
    except MediaError as error:
        log.warning("a file cannot be tagged: %s", error)
        destination = source
    return Fetched(destination, destination.stat().st_size, MediaKind.MP3)
