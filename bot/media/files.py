"""A song's audio and artwork for whoever needs them: from the archive, else fetched once for all who want them."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

from bot.fetching.fetch import FetchError, FetchProblem
from bot.fetching.shared import Shared
from bot.formats.decoder import DecodeError
from bot.formats.fetched import Fetched
from bot.formats.kinds import MediaKind
from bot.formats.transcode import fit_to
from bot.media.sources import Sources
from storage.archive.archive import Archive, Kept
from storage.archive.disk import link_or_copy
from storage.archive.index import AUDIO, PICTURE, What
from storage.songs.files import File

log = logging.getLogger(__name__)

WAIT_SECONDS = 5.0
"""How long those wait for a file who hold a place that others could use."""

KEEP_SECONDS = 15.0
"""How long what was fetched is there for the next one who wants it: beyond the longest pause of whoever comes again."""

ARCHIVED_SECONDS = 1.0
"""How long it is still there once the archive has it."""

STORE_SECONDS = 2.5
"""How long the same wait for the archive's store, until the file is fetched from where it came from."""

MOST_AT_ONCE = 64
"""How many files are being got at once, and how many made smaller or wait for that."""

MOST_PREFETCHED = 16
"""From how many files on their way on none is fetched before somebody asks for it."""

MOST_IN_MEMORY = 8
"""How many small files are in memory instead of on disk at once."""


class Files:
    """Gets files. Its methods raise `FetchError` for what cannot be had now, and `OSError` for the own disk's faults.

    With `wait` they wait that many seconds at most, counted from when the fetching began, and raise `FetchError` of
    the kind `UNDER_WAY` where it takes longer. With `stale_after` they do not raise what somebody met longer ago than
    so many seconds, but try anew.
    """

    def __init__(self, archive: Archive, sources: Sources, directory: Path) -> None:
        self._archive = archive
        self._sources = sources
        self._directory = directory
        self._fetched: Shared[Fetched] = Shared(most=MOST_AT_ONCE, keep=KEEP_SECONDS, discard=_discard)
        self._stored: Shared[Fetched | None] = Shared(most=MOST_AT_ONCE, keep=KEEP_SECONDS, discard=_discard)
        self._fitted: Shared[Fetched | None] = Shared(most=MOST_AT_ONCE, keep=KEEP_SECONDS, discard=_discard)

    @property
    def in_transit(self) -> int:
        """Return how many files are being got or made smaller, or were so a moment ago and are not archived yet."""
        return len(self._fetched) + len(self._fitted)

    def prefetch(self, file: File) -> None:
        """Begin to fetch what will be wanted in a moment. It is used only for a file of the same address."""
        for what in (AUDIO, PICTURE):
            if len(self._fetched) < MOST_PREFETCHED and _addresses(file, what):
                self._fetched.begin(_name(file, what), partial(self._fetch, file, what))

    async def close(self) -> None:
        """End what is under way."""
        for work in (self._fetched, self._fitted, self._stored):
            await work.close()

    async def audio(
        self, file: File, directory: Path, *, wait: float | None = None, stale_after: float | None = None
    ) -> Fetched:
        """Get a file's audio into `directory`."""
        return await self._get(file, AUDIO, directory / f"audio{file.position}", wait, stale_after)

    async def picture(
        self, file: File, directory: Path, *, wait: float | None = None, stale_after: float | None = None
    ) -> Fetched:
        """Get a file's artwork into `directory`."""
        return await self._get(file, PICTURE, directory / f"picture{file.position}", wait, stale_after)

    async def fitted(
        self,
        file: File,
        directory: Path,
        *,
        limit: int,
        reserve: int,
        wait: float | None = None,
        stale_after: float | None = None,
    ) -> Fetched | None:
        """Get a file's audio into `directory` as an MP3 of at most `limit - reserve` bytes; None where none fits.

        Raises `FetchError` of the kind `NOT_MEDIA` for audio that cannot be decoded.
        """
        name = f"{_name(file, AUDIO)}-{limit}-{reserve}"
        fit = partial(self._fit, file, name, limit, reserve)
        fitted = await self._fitted.get(name, fit, wait=wait, stale_after=stale_after)
        return None if fitted is None else await _placed(fitted, directory / f"fitted{file.position}.mp3")

    async def at_vidgo(self, file: File) -> bool:
        """Tell whether VidGo still hands out a file's audio."""
        return await self._sources.at_vidgo(file)

    async def address(self, file: File, method: Literal["GET", "HEAD"]) -> str | None:
        """Return where anybody can fetch a file's audio for some minutes, None where only we can hand it out."""
        if file.audio_sha256 is None:
            return None
        try:
            return await self._archive.address(file.audio_sha256, method)
        except OSError as error:
            log.warning("the archive cannot be read, and %s is handed out from here: %s", file.audio_sha256, error)
            return None

    def is_archived(self, file: File, what: What) -> None:
        """Keep what was fetched of a file no longer than needed, now that the archive has it."""
        self._fetched.drop(_name(file, what), after=ARCHIVED_SECONDS)

    async def _get(
        self, file: File, what: What, destination: Path, wait: float | None, stale_after: float | None
    ) -> Fetched:
        sha256 = file.audio_sha256 if what is AUDIO else file.image_sha256
        trouble = None
        if sha256 is not None:
            try:
                kept = await self._kept(sha256, destination, wait, stale_after)
            except FetchError as error:
                trouble = error
            else:
                if kept is not None:
                    return kept
        fetch = partial(self._fetch, file, what)
        try:
            fetched = await self._fetched.get(_name(file, what), fetch, wait=wait, stale_after=stale_after)
        except FetchError as error:
            if trouble is None or error.kind is FetchProblem.UNDER_WAY:
                raise
            raise trouble from error
        if (
            file.archive_at is None and trouble is None
        ):  # it had to make room, or could not be had when the archive tried
            await self._archive.plan(file)
        return await _placed(fetched, destination)

    async def _kept(
        self, sha256: str, destination: Path, wait: float | None, stale_after: float | None
    ) -> Fetched | None:
        """Get a file from the archive; None where it has lost it. Raises `FetchError` where it cannot be asked now."""
        try:
            if not self._archive.is_shared:
                return _fetched(await self._archive.get(sha256, destination))
            # Others want the same, and who comes again shall find it further on.
            read, wait = partial(self._read, sha256), None if wait is None else min(wait, STORE_SECONDS)
            stored = await self._stored.get(sha256, read, wait=wait, stale_after=stale_after)
            return None if stored is None else await _placed(stored, destination)
        except OSError as error:
            log.warning("the archive cannot be read, and %s is fetched: %s", sha256, error)
            raise FetchError(FetchProblem.ARCHIVE, f"the archive cannot be read: {error}") from None

    async def _read(self, sha256: str) -> Fetched | None:
        return _fetched(await self._archive.get(sha256, self._directory / f"stored-{sha256}"))

    async def _fetch(self, file: File, what: What) -> Fetched:
        place = self._directory / f"fetched-{_name(file, what)}"
        # A small file that is about to be posted need not take the way over the disk first.
        on_their_way = len(self._fetched) - sum(one.data is None for one in self._fetched.results())
        get = self._sources.audio if what is AUDIO else self._sources.picture
        try:
            return await get(file, place, in_memory=on_their_way <= MOST_IN_MEMORY)
        except BaseException:
            place.unlink(missing_ok=True)
            raise

    async def _fit(self, file: File, name: str, limit: int, reserve: int) -> Fetched | None:
        place = self._directory / f"fitted-{name}"
        with tempfile.TemporaryDirectory(dir=self._directory, ignore_cleanup_errors=True) as directory:
            audio = await self.audio(file, Path(directory))
            try:
                fitted = await fit_to(await asyncio.to_thread(audio.store), place, limit=limit, reserve=reserve)
            except DecodeError as error:
                raise FetchError(FetchProblem.NOT_MEDIA, error.reason) from None
        return None if fitted is None else Fetched(place, fitted.size, MediaKind.MP3)


def _fetched(kept: Kept | None) -> Fetched | None:
    return None if kept is None else Fetched(kept.path, kept.size, MediaKind(kept.kind))


def _addresses(file: File, what: What) -> list[str]:
    if what is PICTURE:
        return file.image_urls
    return [] if file.audio_url is None else [file.audio_url]


def _name(file: File, what: What) -> str:
    """Name a file by where it comes from, so that what was prefetched is not taken for what came in the end."""
    digest = hashlib.blake2s("\n".join(_addresses(file, what)).encode(), digest_size=8).hexdigest()
    return f"{what}-{file.task_id}.{file.position}-{digest}"


async def _placed(fetched: Fetched, destination: Path) -> Fetched:
    """Return a file at a place of one's own; one in memory is shared and gets there only when it is stored."""
    if fetched.data is None:
        await asyncio.to_thread(_link, fetched.path, destination)
    return replace(fetched, path=destination)


def _link(source: Path, destination: Path) -> None:
    destination.unlink(missing_ok=True)  # a message that was too large is composed again in the same place
    try:
        link_or_copy(source, destination)
    except FileNotFoundError:
        if source.exists():
            raise
        # Kept for so long, and asked for in the moment in which that ended.
        raise FetchError(FetchProblem.UNDER_WAY, "it was thrown away in this moment") from None


def _discard(fetched: Fetched | None) -> None:
    if fetched is not None:
        fetched.path.unlink(missing_ok=True)
