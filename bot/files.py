"""Where a song's audio and artwork come from: the archive, VidGo while it keeps them, or an earlier post of the bot."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from weakref import WeakValueDictionary

import discord

from bot.fetch import Fetched, Fetcher, FetchError, FetchProblem
from bot.media import MediaKind, image_is_sane
from bot.worker import Worker
from storage import notifications
from storage import tasks as rows
from storage.archive import Archive
from storage.database import Database
from storage.tasks import File

log = logging.getLogger(__name__)

ARTWORK_BYTES = 8 * 1024 * 1024
"""No picture larger than this is shown; documents speak of 3 MB at most."""

PICTURES_TRIED = 3
POSTS_TRIED = 3

ARCHIVE_PAUSES = (60.0, 300.0, 1800.0, 7200.0, 21600.0)
"""Seconds until the archive tries a file again; VidGo deletes it after a day."""

FindPost = Callable[[int, int], Awaitable[discord.Message]]
"""Reads a message, given the ids of its channel and its own; raises `discord.HTTPException`."""


class Files:
    """Gets files, and keeps each that it gets in the archive."""

    def __init__(self, database: Database, archive: Archive, fetcher: Fetcher, find_post: FindPost) -> None:
        self._database = database
        self._archive = archive
        self._fetcher = fetcher
        self._find_post = find_post
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def audio(self, file: File, directory: Path) -> Fetched:
        """Get a file's audio; raises `FetchError` when nobody has it."""
        async with self._lock(file, "audio"):
            file = await self._current(file)
            destination = directory / f"audio{file.position}"
            kept = await self._kept(file.audio_sha256, destination)
            if kept is not None:
                return kept
            try:
                fetched = await self._fetch_audio(file.audio_url, destination)
            except FetchError as error:
                found = await self._from_post(file, destination)
                if found is None:
                    raise
                log.info("task %s: its audio is gone (%s) and taken from an earlier post", file.task_id, error.reason)
                fetched = found
            await self._keep(file, fetched, "audio_sha256")
            return fetched

    async def at_vidgo(self, file: File) -> bool:
        """Tell whether VidGo still hands out a file's audio."""
        return file.audio_url is not None and await self._fetcher.answers(file.audio_url)

    async def picture(self, file: File, directory: Path, *, needed: bool = False) -> Fetched | None:
        """Get a file's first artwork that can be had; a song is not held up for want of one.

        With `needed`, raises `FetchError` where there is none now but perhaps later.
        """
        later: FetchError | None = None
        async with self._lock(file, "picture"):
            file = await self._current(file)
            kept = await self._kept(file.image_sha256, directory / f"picture{file.position}")
            if kept is not None:
                return kept
            for number, url in enumerate(file.image_urls[:PICTURES_TRIED]):
                destination = directory / f"picture{file.position}-{number}"
                try:
                    fetched = await self._fetcher.fetch(url, destination, max_bytes=ARTWORK_BYTES)
                except FetchError as error:
                    log.warning("task %s: a picture cannot be had: %s", file.task_id, error.reason)
                    later = error if error.retryable else later
                    continue
                if fetched.kind.is_image and await asyncio.to_thread(image_is_sane, fetched.path):
                    await self._keep(file, fetched, "image_sha256")
                    return fetched
                log.warning("task %s: what should be a picture is %s", file.task_id, fetched.kind)
            found = await self._picture_from_post(file, directory / f"picture{file.position}")
            if found is not None:
                await self._keep(file, found, "image_sha256")
            elif needed and later is not None:
                raise later
            return found

    def _lock(self, file: File, what: str) -> asyncio.Lock:
        # Held by each caller in turn, so that many who want one file at the same moment fetch it once.
        return self._locks.setdefault(f"{what} {file.task_id}.{file.position}", asyncio.Lock())

    async def _current(self, file: File) -> File:
        async with self._database.read() as connection:
            return await rows.file_of(connection, file.task_id, file.position) or file

    async def _kept(self, sha256: str | None, destination: Path) -> Fetched | None:
        if sha256 is None:
            return None
        kept = await self._archive.get(sha256, destination)
        return None if kept is None else Fetched(kept.path, kept.size, MediaKind(kept.kind), kept.sha256)

    async def _fetch_audio(self, url: str | None, destination: Path) -> Fetched:
        if url is None:
            raise FetchError(FetchProblem.GONE, "VidGo named no address")
        fetched = await self._fetcher.fetch(url, destination)
        if not fetched.kind.is_audio:
            raise FetchError(FetchProblem.NOT_MEDIA, f"{fetched.kind} where audio was promised")
        return fetched

    async def _from_post(self, file: File, destination: Path) -> Fetched | None:
        async with self._database.read() as connection:
            posts = await notifications.posts_of(
                connection, file.task_id, file.position, POSTS_TRIED, with_artwork=True
            )
        for post in posts:
            try:
                message = await self._find_post(post.channel_id, post.message_id or 0)
                for attachment in message.attachments:
                    fetched = await self._fetcher.fetch(attachment.url, destination)
                    if fetched.kind.is_audio:
                        return fetched
            except (discord.HTTPException, FetchError) as error:
                log.info("task %s: no audio in message %s: %s", file.task_id, post.message_id, error)
        return None

    async def _picture_from_post(self, file: File, destination: Path) -> Fetched | None:
        # Pictures without audio are all artwork of the same song, so a post of any variant shows one of them.
        position = None if file.audio_url is None else file.position
        async with self._database.read() as connection:
            posts = await notifications.posts_of(connection, file.task_id, position, POSTS_TRIED, with_artwork=False)
        for post in posts:
            try:
                message = await self._find_post(post.channel_id, post.message_id or 0)
                for embed in message.embeds:
                    if embed.image.url is None:
                        continue
                    fetched = await self._fetcher.fetch(embed.image.url, destination, max_bytes=ARTWORK_BYTES)
                    if fetched.kind.is_image and await asyncio.to_thread(image_is_sane, fetched.path):
                        return fetched
            except (discord.HTTPException, FetchError) as error:
                log.info("task %s: no picture in message %s: %s", file.task_id, post.message_id, error)
        return None

    async def _keep(self, file: File, fetched: Fetched, column: str) -> None:
        if not self._archive.is_on:
            return
        try:
            await self._archive.put(fetched.path, fetched.sha256, fetched.kind.value)
        except OSError as error:  # a full disk must not keep the song from its requester
            log.error("the archive cannot keep a file of task %s: %s", file.task_id, error)
            return
        async with self._database.write(durable=False) as connection:
            await rows.change_file(connection, file, **{column: fetched.sha256})


def make_archiver(
    database: Database, archive: Archive, files: Files, *, directory: Path, clock: Callable[[], float]
) -> Worker:
    """Make the worker that brings files into the archive which nobody has asked for yet."""

    async def find(skip: Collection[str], limit: int) -> list[str]:
        if not archive.is_on:
            return []
        now = clock()
        async with database.read() as connection:
            return await rows.files_to_archive(connection, now, now + 2 * ARCHIVE_PAUSES[-1], skip, limit)

    async def next_due(skip: Collection[str]) -> float | None:
        if not archive.is_on:
            return None
        async with database.read() as connection:
            return await rows.next_to_archive(connection, skip)

    async def work(item: str) -> None:
        task_id, _, position = item.partition(".")
        async with database.read() as connection:
            file = await rows.file_of(connection, task_id, int(position))
        if file is None:
            return
        tries, again = file.archive_tries, None
        with tempfile.TemporaryDirectory(dir=directory, ignore_cleanup_errors=True) as name:
            place = Path(name)
            try:
                if file.audio_url is not None and file.audio_sha256 is None:
                    await files.audio(file, place)
                if file.image_urls and file.image_sha256 is None:
                    await files.picture(file, place)
            except FetchError as error:
                if error.retryable and tries < len(ARCHIVE_PAUSES):
                    again = clock() + ARCHIVE_PAUSES[tries]
                log.log(
                    logging.INFO if again else logging.WARNING, "task %s is not archived: %s", task_id, error.reason
                )
        async with database.write() as connection:
            await rows.change_file(connection, file, archive_at=again, archive_tries=tries + 1)

    return Worker("archiver", find=find, next_due=next_due, work=work, concurrency=2, clock=clock)
