"""A song's audio and artwork for whoever needs them: from the archive, else fetched once for all who want them."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

from bot.formats.decoder import DecodeError
from bot.formats.fetched import Fetched
from bot.formats.kinds import MediaKind
from bot.formats.transcode import fit_to
from bot.media.fetch import FetchError, FetchProblem
from bot.media.shared import Shared
from bot.media.sources import Sources
from storage.archive.archive import Archive
from storage.archive.disk import link_or_copy
from storage.archive.index import AUDIO, PICTURE, What
from storage.files import File

log = logging.getLogger(__name__)

WAIT_SECONDS = 5.0
"""How long those wait for a file who hold a place that others could use."""

KEEP_SECONDS = 15.0
"""How long what was fetched is there for the next one who wants it: beyond the longest pause of whoever comes again."""

ARCHIVED_SECONDS = 1.0
"""How long it is still there once the archive has it."""

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
        await self._fetched.close()
        await self._fitted.close()

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

    def is_archived(self, file: File, what: What) -> None:
        """Keep what was fetched of a file no longer than needed, now that the archive has it."""
        self._fetched.drop(_name(file, what), after=ARCHIVED_SECONDS)

    async def _get(
        self, file: File, what: What, destination: Path, wait: float | None, stale_after: float | None
    ) -> Fetched:
        sha256 = file.audio_sha256 if what is AUDIO else file.image_sha256
        if sha256 is not None:
            kept = await self._kept(sha256, destination)
            if kept is not None:
                return kept
        fetch = partial(self._fetch, file, what)
        fetched = await self._fetched.get(_name(file, what), fetch, wait=wait, stale_after=stale_after)
        if file.archive_at is None:  # it had to make room, or could not be had when the archive tried
            await self._archive.plan(file)
        return await _placed(fetched, destination)

    async def _kept(self, sha256: str, destination: Path) -> Fetched | None:
        try:
            kept = await self._archive.get(sha256, destination)
        except OSError as error:
            log.warning("the archive cannot be read, and %s is fetched: %s", sha256, error)
            return None
        return None if kept is None else Fetched(kept.path, kept.size, MediaKind(kept.kind))

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
    link_or_copy(source, destination)


def _discard(fetched: Fetched | None) -> None:
    if fetched is not None:
        fetched.path.unlink(missing_ok=True)
