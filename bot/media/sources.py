"""Where a file comes from that the archive has not got: VidGo while it keeps it, else an earlier post of the bot.

What comes is looked at at once. Sound that is no plain MP3, WAV, FLAC, Ogg or M4A file and pictures that Discord might
not show go to the decoder, which makes MP3s and JPEGs of them or says that it cannot.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import discord

from bot.fetching.fetch import Fetcher, FetchError, FetchProblem
from bot.formats.decoder import DecodeError
from bot.formats.fetched import Fetched
from bot.formats.kinds import MediaKind
from bot.formats.lengths import duration_of
from bot.formats.pictures import image_is_sane, to_jpeg
from bot.formats.transcode import fit_to
from bot.refusals import FAILURES, Refusal, explain, meaning_of
from storage.database import Database
from storage.notifications import Notification, posts
from storage.songs import files
from storage.songs.files import File

log = logging.getLogger(__name__)

ARTWORK_BYTES = 8 * 1024 * 1024
"""No picture larger than this is shown; documents speak of 3 MB at most."""

PICTURE_SECONDS = 15.0
"""How long all tries for a picture may take, as its song waits for it."""

PICTURES_TRIED = 3
POSTS_TRIED = 3

_NUMBERED = re.compile(r"/cover(\d{1,3})\.\w+$")

FindPost = Callable[[int, int], Awaitable[discord.Message]]
"""Reads a message, given the ids of its channel and its own; raises what Discord says."""

# As good as certain, so that another picture's trouble says more about whether it is worth to come again.
_LASTING = (
    FetchProblem.GONE,
    FetchProblem.NOT_MEDIA,
    FetchProblem.TOO_LARGE,
    FetchProblem.REFUSED_ADDRESS,
    FetchProblem.BAD_URL,
)


class Sources:
    """Fetches files from where they still are. It raises `FetchError`, and `OSError` for faults of the own disk."""

    def __init__(self, database: Database, fetcher: Fetcher, find_post: FindPost) -> None:
        self._database = database
        self._fetcher = fetcher
        self._find_post = find_post

    async def audio(self, file: File, place: Path, *, in_memory: bool) -> Fetched:
        """Get a file's audio to `place`; with `in_memory` a small one is not written there yet."""
        try:
            return await self._playable(file.audio_url, place, in_memory=in_memory)
        except FetchError as error:
            found = await self._audio_from_post(file, place)
            if found is None:
                raise
            log.info("task %s: its audio is taken from an earlier post: %s", file.task_id, error.reason)
            return found

    async def picture(self, file: File, place: Path, *, in_memory: bool) -> Fetched:
        """Get the first artwork of a file that can be had, as `audio`."""
        problems: list[FetchError] = []
        try:
            async with asyncio.timeout(PICTURE_SECONDS):
                for url in file.image_urls[:PICTURES_TRIED]:
                    try:
                        return await self._showable(url, place, in_memory=in_memory)
                    except FetchError as error:
                        problems.append(error)
        except TimeoutError:
            problems.append(FetchError(FetchProblem.TOO_SLOW, f"not finished within {PICTURE_SECONDS:g} s"))
        for problem in problems:
            log.warning("task %s: a picture cannot be had: %s", file.task_id, problem.reason)
        try:
            found = await self._picture_from_post(file, place)
        except FetchError as error:
            problems.append(error)
        else:
            if found is not None:
                return found
        problems.append(FetchError(FetchProblem.GONE, "VidGo named no picture"))
        raise next((problem for problem in problems if problem.kind not in _LASTING), problems[0])

    async def at_vidgo(self, file: File) -> bool:
        """Tell whether VidGo still hands out a file's audio."""
        return file.audio_url is not None and await self._fetcher.answers(file.audio_url)

    async def _playable(self, url: str | None, place: Path, *, in_memory: bool) -> Fetched:
        if url is None:
            raise FetchError(FetchProblem.GONE, "VidGo named no address")
        fetched = await self._fetcher.fetch(url, place, in_memory=in_memory)
        if fetched.kind.is_image:
            raise FetchError(FetchProblem.NOT_MEDIA, f"{fetched.kind} where audio was promised")
        if fetched.kind is MediaKind.MP3:
            seconds = await asyncio.to_thread(duration_of, fetched.open())
            if seconds is not None:
                return replace(fetched, seconds=seconds)
        elif fetched.kind.is_audio:
            return fetched
        path = await asyncio.to_thread(fetched.store)
        try:
            fitted = await fit_to(path, path, limit=self._fetcher.max_bytes)
        except DecodeError as error:
            raise FetchError(FetchProblem.NOT_MEDIA, f"no sound that can be played: {error.reason}") from None
        if fitted is None:
            raise FetchError(FetchProblem.TOO_LARGE, f"larger than {self._fetcher.max_bytes} bytes as an MP3")
        return Fetched(path, fitted.size, MediaKind.MP3)

    async def _showable(self, url: str, place: Path, *, in_memory: bool) -> Fetched:
        fetched = await self._fetcher.fetch(url, place, max_bytes=ARTWORK_BYTES, in_memory=in_memory)
        if fetched.kind is not MediaKind.UNKNOWN:
            if fetched.kind.is_image and await _is_sane(fetched):
                return fetched
            raise FetchError(FetchProblem.NOT_MEDIA, f"no picture that can be shown, but {fetched.kind}")
        path = await asyncio.to_thread(fetched.store)
        try:
            fits = await to_jpeg(path, path, limit=ARTWORK_BYTES)
        except DecodeError as error:
            raise FetchError(FetchProblem.NOT_MEDIA, f"no picture that can be shown: {error.reason}") from None
        if not fits:
            raise FetchError(FetchProblem.TOO_LARGE, f"larger than {ARTWORK_BYTES} bytes as a JPEG")
        return Fetched(path, (await asyncio.to_thread(path.stat)).st_size, MediaKind.JPEG)

    async def _audio_from_post(self, file: File, place: Path) -> Fetched | None:
        """Take a song's audio from earlier posts; raises `FetchError` where one may have it and cannot be read."""
        unclear: list[FetchError] = []
        for post, message in await self._posts(file, file.position, unclear, with_artwork=True):
            for attachment in message.attachments:
                if (fetched := await self._posted_audio(post, attachment, place, unclear)) is not None:
                    return fetched
        # A song's other version comes second in the posts of the first.
        other = await self._comes_along_with(file)
        if other is not None:
            for post, message in await self._posts(file, other, unclear, with_artwork=False):
                songs = [one for one in message.attachments if (one.content_type or "").startswith("audio/")]
                if len(songs) > 1 and (fetched := await self._posted_audio(post, songs[1], place, unclear)) is not None:
                    return fetched
        if unclear:
            raise unclear[0]
        return None

    async def _posted_audio(
        self, post: Notification, attachment: discord.Attachment, place: Path, unclear: list[FetchError]
    ) -> Fetched | None:
        try:
            fetched = await self._fetcher.fetch(attachment.url, place)
        except FetchError as error:
            _note(error, post, unclear)
            return None
        return fetched if fetched.kind.is_audio else None

    async def _comes_along_with(self, file: File) -> int | None:
        """Return the version in whose posts a file comes second, where there is one."""
        async with self._database.read() as snapshot:
            versions = [one.position for one in await files.of(snapshot, file.task_id) if one.audio_url]
        if file.position not in versions[:2] or len(versions) < 2:
            return None
        return next(position for position in versions[:2] if position != file.position)

    async def _picture_from_post(self, file: File, place: Path) -> Fetched | None:
        """Take a file's artwork from an earlier post, as `_audio_from_post`."""
        unclear: list[FetchError] = []
        # Pictures without audio are all artwork of the same song, so a post of any variant shows them.
        position = None if file.audio_url is None else file.position
        for post, message in await self._posts(file, position, unclear, with_artwork=False):
            shown = filter(None, (url for embed in message.embeds for url in (embed.image.url, embed.thumbnail.url)))
            for url in shown:
                if not _may_be(file, url):
                    continue
                try:
                    return await self._showable(url, place, in_memory=False)
                except FetchError as error:
                    _note(error, post, unclear)
        if unclear:
            raise unclear[0]
        return None

    async def _posts(
        self, file: File, position: int | None, unclear: list[FetchError], *, with_artwork: bool
    ) -> list[tuple[Notification, discord.Message]]:
        """Return the newest posts that can be read; `unclear` gets why others cannot be read now."""
        async with self._database.read() as snapshot:
            rows = await posts.of(snapshot, file.task_id, position, POSTS_TRIED, with_artwork=with_artwork)
        found = []
        for post in rows:
            try:
                found.append((post, await self._find_post(post.channel_id, post.message_id or 0)))
            except FAILURES as error:
                log.info("task %s: message %s cannot be read: %s", file.task_id, post.message_id, explain(error))
                if meaning_of(error) is Refusal.LATER:
                    unclear.append(
                        FetchError(FetchProblem.NETWORK, f"an earlier post cannot be read: {explain(error)}")
                    )
        return found


def _note(error: FetchError, post: Notification, unclear: list[FetchError]) -> None:
    """Note why a post's file cannot be had, in `unclear` where it may be in a moment."""
    log.info("message %s: its file cannot be had: %s", post.message_id, error.reason)
    if error.kind not in _LASTING:
        unclear.append(error)


def _may_be(file: File, url: str) -> bool:
    """Tell whether a picture of a post may be a file's; of several pictures all but the first have a number."""
    numbered = _NUMBERED.search(url.partition("?")[0])
    return file.audio_url is not None or file.position + 1 == (1 if numbered is None else int(numbered[1]))


async def _is_sane(picture: Fetched) -> bool:
    if picture.data is not None:  # a thousand parts in memory are looked at sooner than a thread has begun
        return image_is_sane(picture.open())
    return await asyncio.to_thread(image_is_sane, picture.path)
