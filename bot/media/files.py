"""Where a song's audio and artwork come from: the archive, VidGo while it keeps them, or an earlier post of the bot."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import tempfile
from collections.abc import Awaitable, Callable, Collection, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import discord

from bot.media.fetch import Fetcher, FetchError, FetchProblem
from bot.media.fetched import Fetched
from bot.media.kinds import MediaKind, duration_of, image_is_sane
from bot.worker import Worker
from storage import files as rows
from storage import posts
from storage.archive.disk import Archive, link_or_copy
from storage.database import Database
from storage.files import File
from storage.planned import Due
from storage.wakeups import Queue

log = logging.getLogger(__name__)

AUDIO, PICTURE = "audio", "picture"

SETTLE_SECONDS = 1.0
"""How long a file that has just arrived is at hand before it goes into the archive: until it is posted, mostly."""

MOST_IN_MEMORY = 8
"""How many small files are in memory instead of on disk at once."""

ARTWORK_BYTES = 8 * 1024 * 1024
"""No picture larger than this is shown; documents speak of 3 MB at most."""

PICTURE_SECONDS = 15.0
"""How long all tries for a picture may take, as its song waits for it."""

PICTURES_TRIED = 3
POSTS_TRIED = 3

ARCHIVE_PAUSES = (60.0, 300.0, 1800.0, 7200.0, 21600.0)
"""Seconds until the archive tries a file again; VidGo deletes it after a day."""

FindPost = Callable[[int, int], Awaitable[discord.Message]]
"""Reads a message, given the ids of its channel and its own; raises `discord.HTTPException`."""


class Files:
    """Gets files, and keeps each that it gets in the archive."""

    def __init__(
        self, database: Database, archive: Archive, fetcher: Fetcher, find_post: FindPost, directory: Path
    ) -> None:
        self._database = database
        self._archive = archive
        self._fetcher = fetcher
        self._find_post = find_post
        self._directory = directory
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._arrived: dict[str, Fetched] = {}
        self._files: dict[str, File] = {}
        self._fetching = 0
        self._background: set[asyncio.Task[None]] = set()

    @property
    def at_hand(self) -> int:
        """Return how many files have arrived and are not in the archive yet."""
        return len(self._arrived)

    def expect(self, file: File | None) -> None:
        """Begin to get what will be wanted in a moment; whoever asks for it then waits for the rest only."""
        if file is not None and _name(file, AUDIO) not in self._locks:  # else it is on its way already
            self._spawn(self._expect(file))

    async def settle(self, file: File) -> None:
        """Bring into the archive what has arrived of a file, and return when it is there."""
        for what in (AUDIO, PICTURE):
            await self._settle(_name(file, what))

    async def close(self) -> None:
        """Bring into the archive what has arrived."""
        for task in list(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        for name in list(self._arrived):
            await self._settle(name)

    async def audio(self, file: File, directory: Path | None) -> Fetched:
        """Get a file's audio into `directory`, or just get it; raises `FetchError` when nobody has it."""
        async with self._lock(file, AUDIO):
            destination = None if directory is None else directory / f"audio{file.position}"
            if (arrived := self._arrived.get(_name(file, AUDIO))) is not None:
                return await _linked(arrived, destination)
            kept = await self._kept(file.audio_sha256, destination)
            if kept is not None:
                return kept
            place = self._place(file, AUDIO)
            try:
                fetched = await self._fetch_audio(file.audio_url, place)
            except FetchError as error:
                found = await self._from_post(file, place)
                if found is None:
                    raise
                log.info("task %s: its audio is gone (%s) and taken from an earlier post", file.task_id, error.reason)
                fetched = found
            self._arrive(file, AUDIO, fetched)
            return await _linked(fetched, destination)

    async def at_vidgo(self, file: File) -> bool:
        """Tell whether VidGo still hands out a file's audio."""
        return file.audio_url is not None and await self._fetcher.answers(file.audio_url)

    async def picture(self, file: File, directory: Path | None, *, needed: bool = False) -> Fetched | None:
        """Get a file's first artwork that can be had; a song is not held up for want of one.

        With `needed`, raises `FetchError` where there is none now but perhaps later.
        """
        if not file.image_urls:
            return None
        later: FetchError | None = None
        async with self._lock(file, PICTURE):
            destination = None if directory is None else directory / f"picture{file.position}"
            if (arrived := self._arrived.get(_name(file, PICTURE))) is not None:
                return await _linked(arrived, destination)
            kept = await self._kept(file.image_sha256, destination)
            if kept is not None:
                return kept
            place = self._place(file, PICTURE)
            found: Fetched | None = None
            deadline = asyncio.get_running_loop().time() + PICTURE_SECONDS
            for url in file.image_urls[:PICTURES_TRIED]:
                try:
                    fetched = await self._fetch_picture(url, place, deadline)
                except FetchError as error:
                    log.warning("task %s: a picture cannot be had: %s", file.task_id, error.reason)
                    later = error if error.retryable else later
                    continue
                if fetched.kind.is_image and await _is_sane(fetched):
                    found = fetched
                    break
                log.warning("task %s: what should be a picture is %s", file.task_id, fetched.kind)
            found = found or await self._picture_from_post(file, place)
            if found is not None:
                self._arrive(file, PICTURE, found)
                return await _linked(found, destination)
            if needed and later is not None:
                raise later
            return None

    async def _expect(self, file: File) -> None:
        wanted: list[Coroutine[Any, Any, Fetched | None]] = []
        if file.audio_url is not None:
            wanted.append(self.audio(file, None))
        if file.image_urls:
            wanted.append(self.picture(file, None))
        for failed in await asyncio.gather(*wanted, return_exceptions=True):
            if isinstance(failed, FetchError | OSError):
                log.info("task %s: a file did not come at once: %s", file.task_id, failed)

    def _place(self, file: File, what: str) -> Path:
        return self._directory / f"arrived-{_name(file, what)}"

    def _arrive(self, file: File, what: str, fetched: Fetched) -> None:
        """Have a file at hand for whoever wants it now, and bring it into the archive a moment later."""
        name = _name(file, what)
        self._arrived[name] = fetched
        self._files[name] = file
        asyncio.get_running_loop().call_later(SETTLE_SECONDS, lambda: self._spawn(self._settle(name)))

    async def _settle(self, name: str) -> None:
        async with self._locks.setdefault(name, asyncio.Lock()):
            fetched, file = self._arrived.get(name), self._files.pop(name, None)
            if fetched is None or file is None:
                return
            try:
                await self._keep(file, fetched, "audio" if name.startswith(AUDIO) else "image")
            finally:
                del self._arrived[name]
                await asyncio.to_thread(fetched.path.unlink, missing_ok=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _lock(self, file: File, what: str) -> asyncio.Lock:
        # Held by each caller in turn, so that many who want one file at the same moment fetch it once.
        return self._locks.setdefault(_name(file, what), asyncio.Lock())

    async def _kept(self, sha256: str | None, destination: Path | None) -> Fetched | None:
        if sha256 is None or destination is None:
            return None
        kept = await self._archive.get(sha256, destination)
        return None if kept is None else Fetched(kept.path, kept.size, MediaKind(kept.kind))

    async def _fetch(self, url: str, place: Path, *, max_bytes: int | None = None) -> Fetched:
        """Download a file that is about to be posted: a small one need not take the way over the disk first."""
        held = sum(one.data is not None for one in self._arrived.values()) + self._fetching
        self._fetching += 1
        try:
            return await self._fetcher.fetch(url, place, max_bytes=max_bytes, in_memory=held < MOST_IN_MEMORY)
        finally:
            self._fetching -= 1

    async def _fetch_audio(self, url: str | None, destination: Path) -> Fetched:
        if url is None:
            raise FetchError(FetchProblem.GONE, "VidGo named no address")
        fetched = await self._fetch(url, destination)
        if not fetched.kind.is_audio:
            raise FetchError(FetchProblem.NOT_MEDIA, f"{fetched.kind} where audio was promised")
        return await _measured(fetched)

    async def _fetch_picture(self, url: str, place: Path, deadline: float) -> Fetched:
        try:
            async with asyncio.timeout_at(deadline):
                return await self._fetch(url, place, max_bytes=ARTWORK_BYTES)
        except TimeoutError:
            raise FetchError(
                FetchProblem.TOO_SLOW, f"not finished within {PICTURE_SECONDS:g} s", retryable=True
            ) from None

    async def _from_post(self, file: File, destination: Path) -> Fetched | None:
        async with self._database.read() as connection:
            found = await posts.of(connection, file.task_id, file.position, POSTS_TRIED, with_artwork=True)
        for post in found:
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
            found = await posts.of(connection, file.task_id, position, POSTS_TRIED, with_artwork=False)
        for post in found:
            try:
                message = await self._find_post(post.channel_id, post.message_id or 0)
                for embed in message.embeds:
                    if embed.image.url is None:
                        continue
                    fetched = await self._fetcher.fetch(embed.image.url, destination, max_bytes=ARTWORK_BYTES)
                    if fetched.kind.is_image and await _is_sane(fetched):
                        return fetched
            except (discord.HTTPException, FetchError) as error:
                log.info("task %s: no picture in message %s: %s", file.task_id, post.message_id, error)
        return None

    async def _keep(self, file: File, fetched: Fetched, column: str) -> None:
        if not self._archive.is_on:
            return
        async with self._database.read() as connection:
            row = await rows.one(connection, file.task_id, file.position)
        if row is None or (row.audio_url, row.image_urls) != (file.audio_url, file.image_urls):
            return  # it was expected, but VidGo's own answer named another
        try:
            sha256 = await self._archive.put(await asyncio.to_thread(fetched.store), fetched.kind.value)
        except OSError as error:  # a full disk must not keep the song from its requester
            log.error("the archive cannot keep a file of task %s: %s", file.task_id, error)
            return
        if sha256 is not None:
            async with self._database.write(durable=False) as connection:
                await rows.kept(connection, file, **{column: sha256})


def _name(file: File, what: str) -> str:
    """Name a file by where it comes from, so that what was expected is not taken for what came in the end."""
    source = str(file.audio_url if what == AUDIO else file.image_urls)
    return f"{what}-{file.task_id}.{file.position}-{hashlib.blake2s(source.encode(), digest_size=8).hexdigest()}"


async def _measured(audio: Fetched) -> Fetched:
    """Read how long a file plays, before it is wanted."""
    return replace(audio, seconds=await asyncio.to_thread(duration_of, audio.open()))


async def _is_sane(picture: Fetched) -> bool:
    if picture.data is not None:  # a thousand parts in memory are looked at sooner than a thread has begun
        return image_is_sane(picture.open())
    return await asyncio.to_thread(image_is_sane, picture.path)


async def _linked(fetched: Fetched, destination: Path | None) -> Fetched:
    """Return a file at a place of one's own; one in memory is shared and gets there only when it is stored."""
    if destination is None:
        return fetched
    if fetched.data is None:
        await asyncio.to_thread(_link, fetched.path, destination)
    return replace(fetched, path=destination)


def _link(source: Path, destination: Path) -> None:
    destination.unlink(missing_ok=True)  # a message that was too large is composed again in the same place
    link_or_copy(source, destination)


class Archiving:
    """What the archiver does: bring files into the archive which nobody has asked for yet."""

    def __init__(
        self, database: Database, archive: Archive, files: Files, *, directory: Path, clock: Callable[[], float]
    ) -> None:
        self._database = database
        self._archive = archive
        self._files = files
        self._directory = directory
        self._clock = clock

    async def claim(self, skip: Collection[str], limit: int) -> list[Due]:
        """Return which files to get now."""
        if not self._archive.is_on:
            return []
        now = self._clock()
        async with self._database.read() as snapshot:
            return await rows.claim(snapshot, now, now + 2 * ARCHIVE_PAUSES[-1], skip, limit)

    async def next_due(self, skip: Collection[str]) -> float | None:
        """Return when to get the next one."""
        if not self._archive.is_on:
            return None
        async with self._database.read() as snapshot:
            return await rows.next_due(snapshot, skip)

    async def do(self, item: str) -> None:
        """Get what the archive lacks of a file."""
        task_id, _, position = item.partition(".")
        async with self._database.read() as snapshot:
            file = await rows.one(snapshot, task_id, int(position))
        if file is None:
            return
        tries, again = file.archive_tries, None
        with tempfile.TemporaryDirectory(dir=self._directory, ignore_cleanup_errors=True) as name:
            place = Path(name)
            try:
                if file.audio_url is not None and file.audio_sha256 is None:
                    await self._files.audio(file, place)
                if file.image_urls and file.image_sha256 is None:
                    await self._files.picture(file, place)
            except FetchError as error:
                if error.retryable and tries < len(ARCHIVE_PAUSES):
                    again = self._clock() + ARCHIVE_PAUSES[tries]
                level = logging.INFO if again else logging.WARNING
                log.log(level, "task %s is not archived: %s", task_id, error.reason)
        await self._files.settle(file)
        async with self._database.write() as transaction:
            await rows.archive_at(transaction, file, again, tries + 1)


def make_archiver(work: Archiving, database: Database, clock: Callable[[], float]) -> Worker:
    """Make the worker."""
    return Worker(Queue.ARCHIVER, work, database.wakeups, places=2, clock=clock)
