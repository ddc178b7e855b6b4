"""The archive of audio and artwork: files under their hashes, and rows that say whose they are and when they were used.

A file is read back only after its hash was found right, so neither a power cut nor a flipped bit can get into Discord,
and nothing needs to be forced onto the disk here. A file gets or loses its name inside the transaction that writes or
removes its row, and no two of those run at a time: so nothing is collected that is being published. What a death
between the two leaves is a file without a row, which is swept, or a row without a file, which is found when it is read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

from storage.archive import index
from storage.archive.disk import Disk, digest
from storage.archive.index import Media, What
from storage.database import Database
from storage.files import File

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

THREADS = 4
"""How many files are copied or read at once; a disk that hangs holds these threads and no others."""

LEFTOVER_SECONDS = 3600.0
"""How old a file must be that nobody has published, to be taken for one that nobody will."""

_EVICTED_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Kept:
    """A file of the archive, as a link or copy of one's own. `kind` is the value it was kept with."""

    path: Path
    sha256: str
    kind: str
    size: int


class Archive:
    """Keeps files under their hash in `directory`, at most `max_bytes` of them; 0 bytes switch it off."""

    def __init__(self, database: Database, directory: Path, max_bytes: int, clock: Callable[[], float]) -> None:
        self._database = database
        self._disk = Disk(directory)
        self._max_bytes = max_bytes
        self._clock = clock
        self._threads = ThreadPoolExecutor(THREADS, "archive")
        self._putting = asyncio.Lock()

    @property
    def is_on(self) -> bool:
        """Whether anything is kept at all."""
        return self._max_bytes > 0

    async def open(self, *, alone: bool = True) -> None:
        """Make the directory, remove what an earlier process left half done and keep to the cap; raises `OSError`.

        `alone`: no other process is at it, so whatever is half done was left.
        """
        if self.is_on:
            await self._run(self._disk.open)
            await self.tidy(leftovers_older_than=float("inf") if alone else None)
            await self._make_room(0)

    async def put(self, source: Path, file: File, what: What, kind: str) -> bool:
        """Keep a part of a song's file, which gets a second name or is copied; tell whether it is kept.

        It is not where it is larger than the whole archive, and where the song has been forgotten. The least recently
        used files make room for it. Raises `OSError`.
        """
        if not self.is_on:
            return False
        size = (await self._run(source.stat)).st_size
        if size > self._max_bytes:
            return False
        sha256 = await self._run(digest, source)
        # One at a time, so that the room that was made for one is not taken by another.
        async with self._putting:
            await self._make_room(size, keep=sha256)
            part = await self._run(self._disk.stage, source, sha256)
            try:
                async with self._database.write(durable=False) as transaction:
                    kept = Media(sha256, kind, size, self._clock())
                    if not await index.archived(transaction, file, what, kept):
                        return False
                    await self._run(self._disk.publish, part, sha256)
            finally:
                part.unlink(missing_ok=True)
        return True

    async def get(self, sha256: str, destination: Path) -> Kept | None:
        """Link or copy a file of the archive to `destination`; None where it was lost or is damaged.

        Raises `OSError` where it cannot be read now, or `destination` cannot be made; then it stays as it is.
        """
        if not self.is_on:
            return None
        async with self._database.read() as snapshot:
            kept = await index.get(snapshot, sha256)
        if kept is None:
            return None
        if not await self._run(self._disk.read, sha256, destination):
            await self._lose(kept)
            return None
        async with self._database.write(durable=False) as transaction:
            await index.used(transaction, sha256, self._clock())
        return Kept(destination, sha256, kept.kind, kept.size)

    async def plan(self, file: File) -> None:
        """Have a file got that somebody wanted and the archive has not."""
        if self.is_on:
            async with self._database.write(durable=False) as transaction:
                await index.plan(transaction, file, self._clock())

    async def collect(self) -> None:
        """Remove what no song refers to any more."""
        if not self.is_on:
            return
        async for hashes in self._pages():
            async with self._database.read() as snapshot:
                unused = await index.unused(snapshot, hashes)
            if unused:
                async with self._database.write() as transaction:
                    await self._run(self._disk.remove, *await index.collect(transaction, unused))

    async def tidy(self, *, leftovers_older_than: float | None = None) -> None:
        """Remove what no song refers to, and what lies on the disk and should not: after a crash, or a failed removal.

        Raises `OSError`.
        """
        if not self.is_on:
            return
        await self.collect()
        if leftovers_older_than is None:
            leftovers_older_than = self._clock() - LEFTOVER_SECONDS
        for path in await self._run(self._disk.leftovers, leftovers_older_than):
            await self._run(path.unlink, missing_ok=True)
        present = await self._run(self._disk.names)
        for start in range(0, len(present), index.PAGE):
            names = set(present[start : start + index.PAGE])
            async with self._database.read() as snapshot:
                strays = names - await index.known(snapshot, names)
            if strays:
                async with self._database.write() as transaction:
                    await index.hold_still(transaction)
                    await self._run(self._disk.remove, *strays - await index.known(transaction, strays))

    async def close(self) -> None:
        """Wait for nothing more; what is being copied is left to be removed at the next start."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _lose(self, kept: Media) -> None:
        log.warning("the archive has lost or damaged %s; it is fetched again", kept.sha256)
        async with self._database.write() as transaction:
            # Whoever used it, or put it there again, since it was looked at has seen something better.
            if await index.lost(transaction, kept, self._clock()):
                await self._run(self._disk.remove, kept.sha256)

    async def _make_room(self, wanted: int, *, keep: str = "") -> None:
        """Remove the least recently used files, except `keep`, until `wanted` bytes more fit."""
        while True:
            async with self._database.read() as snapshot:
                total = wanted + await index.total(snapshot, but=keep)
                if total <= self._max_bytes:
                    return
                oldest = await index.oldest(snapshot, _EVICTED_AT_ONCE, but=keep)
            if not oldest:
                return
            async with self._database.write() as transaction:
                for one in oldest:
                    if total <= self._max_bytes:
                        break
                    total -= one.size
                    await index.evict(transaction, one.sha256)
                    await self._run(self._disk.remove, one.sha256)

    async def _pages(self) -> AsyncIterator[list[str]]:
        after = ""
        while True:
            async with self._database.read() as snapshot:
                hashes = await index.page(snapshot, after)
            if not hashes:
                return
            after = hashes[-1]
            yield hashes

    async def _run(self, work: Callable[P, R], *arguments: P.args, **options: P.kwargs) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: work(*arguments, **options))
