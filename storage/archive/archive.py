"""The archive of audio and artwork: files under their hashes, and rows that say whose they are and when they were used.

A file is read back only after its hash was found right, so neither a power cut nor a flipped bit can get into Discord,
and nothing needs to be forced onto the disk here. No file is moved inside a transaction: its row says first that it
comes or goes, and afterwards that it is kept or gone. Whoever finds it going does not count on it; whoever brings it
counts on it only if its announcement still stands. What a death between the two leaves is such a row or a file without
one, which are tidied up, or a row without a file, which is found when it is read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqlalchemy.exc import IntegrityError

from storage.archive import index
from storage.archive.disk import digest
from storage.archive.index import Media, What
from storage.archive.store import Store, StoreError
from storage.database import Database
from storage.planned import Gone
from storage.schema import MediaState
from storage.songs.files import File

log = logging.getLogger(__name__)

LEFTOVER_SECONDS = 3600.0
"""How old something must be that has begun to come, to be taken for what never will."""

SETTLED_SECONDS = 300.0
"""How old something must be that has begun to go, so that another process may see to it: longer than any request."""

REMOVAL_SECONDS = 120.0
"""How long after that a process begins no further removal, for another one may have seen to it."""

_EVICTED_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Kept:
    """A file of the archive, as a link or copy of one's own. `kind` is the value it was kept with."""

    path: Path
    sha256: str
    kind: str
    size: int


class Archive:
    """Keeps files under their hash in a store, at most `max_bytes` of them; 0 bytes switch it off."""

    def __init__(self, database: Database, store: Store, max_bytes: int, clock: Callable[[], float]) -> None:
        self._database = database
        self._store = store
        self._max_bytes = max_bytes
        self._clock = clock
        self.size = 0
        """How many bytes are kept, as far as was looked."""
        # What comes and goes, does so one at a time: the room that was made for one is not taken by another, and in a
        # store that nobody else uses nothing is met that is about to go.
        self._changing = asyncio.Lock()

    @property
    def is_on(self) -> bool:
        """Whether anything is kept at all."""
        return self._max_bytes > 0

    @property
    def is_shared(self) -> bool:
        """Whether its files are in a store that other processes use too, and that may be slow or away."""
        return self._store.is_shared

    async def open(self) -> None:
        """Get the store ready; on a disk of one's own, tidy up what an earlier process left, and keep to the cap.

        Raises `OSError`.
        """
        if self.is_on:
            await self._store.open()
            if not self.is_shared:
                await self.tidy(leftovers_older_than=float("inf"))

    async def put(self, source: Path, file: File, what: What, kind: str) -> bool:
        """Keep a part of a song's file, which gets a second name or is copied; tell whether it is kept.

        It is not where it is larger than the whole archive, and where the song has been forgotten. The least recently
        used files make room for it. Raises `OSError`.
        """
        if not self.is_on:
            return False
        size = (await asyncio.to_thread(source.stat)).st_size
        if size > self._max_bytes:
            return False
        sha256 = await asyncio.to_thread(digest, source)
        async with self._changing:
            coming = Media(sha256, kind, size, self._clock())
            await self._announce(coming)
            try:
                await self._make_room(size, keep=sha256)
                await self._store.put(source, sha256, kind)
                async with self._database.write(durable=False) as transaction:
                    is_kept = await index.archived(transaction, file, what, coming, self._clock())
            except BaseException as error:
                async with self._database.write(durable=False) as transaction:
                    await index.never_came(transaction, coming)
                if isinstance(error, Gone):
                    raise StoreError("another process changes the same file") from None
                raise
            if not is_kept:
                async with self._database.write() as transaction:
                    must_go = await index.not_wanted(transaction, coming)
                if must_go:
                    await self._remove([sha256])
        return is_kept

    async def get(self, sha256: str, destination: Path) -> Kept | None:
        """Link or copy a file of the archive to `destination`; None where it was lost or is damaged.

        Raises `OSError` where it cannot be read now, or `destination` cannot be made; then it stays as it is.
        """
        kept = await self._kept(sha256)
        if kept is None:
            return None
        if not await self._store.get(sha256, destination):
            await self._lose(kept)
            return None
        await self._use(sha256)
        return Kept(destination, sha256, kept.kind, kept.size)

    async def address(self, sha256: str, method: Literal["GET", "HEAD"]) -> str | None:
        """Return an address under which anybody can fetch a file from the store for some minutes.

        None where that cannot be: on a disk, and where the file is not there. Raises `OSError`.
        """
        kept = await self._kept(sha256)
        found = None if kept is None else await self._store.address(sha256, method)
        if found is not None:
            await self._use(sha256)
        return found

    async def plan(self, file: File) -> None:
        """Have a file got that somebody wanted and the archive has not."""
        if self.is_on:
            async with self._database.write(durable=False) as transaction:
                await index.plan(transaction, file, self._clock())

    async def collect(self) -> None:
        """Remove what no song refers to any more; raises `OSError`, and what was not removed is tidied up later."""
        if not self.is_on:
            return
        async for hashes in self._pages():
            async with self._database.read() as snapshot:
                unused = await index.unused(snapshot, hashes)
            if unused:
                async with self._changing:
                    async with self._database.write() as transaction:
                        going = await index.collect(transaction, unused, self._clock())
                    await self._remove(going)
        async with self._database.read() as snapshot:
            self.size = await index.total(snapshot, but="")

    async def tidy(self, *, leftovers_older_than: float | None = None) -> None:
        """Remove what no song refers to, what is left over from a crash or a failed removal, and what is too much.

        Raises `OSError`.
        """
        if not self.is_on:
            return
        if leftovers_older_than is None:
            leftovers_older_than = self._clock() - LEFTOVER_SECONDS
        await self.collect()
        async with self._changing:
            await self._finish_going()
            await self._forget_coming(leftovers_older_than)
        await self._store.sweep(leftovers_older_than)
        async for names in self._store.names():
            for start in range(0, len(names), index.PAGE):
                await self._remove_strays(set(names[start : start + index.PAGE]))
        async with self._changing:
            await self._make_room(0)

    def free(self) -> int | None:
        """Return how many bytes are free where it is, None where nobody knows. Raises `OSError`; waits."""
        return self._store.free()

    async def close(self) -> None:
        """Wait for nothing more."""
        await self._store.close()

    async def _kept(self, sha256: str) -> Media | None:
        if not self.is_on:
            return None
        async with self._database.read() as snapshot:
            found = await index.get(snapshot, sha256)
        return found if found is not None and found.state == MediaState.KEPT else None

    async def _use(self, sha256: str) -> None:
        async with self._database.write(durable=False) as transaction:
            await index.used(transaction, sha256, self._clock())

    async def _lose(self, kept: Media) -> None:
        log.warning("the archive has lost or damaged %s; it is fetched again", kept.sha256)
        async with self._changing:
            async with self._database.write() as transaction:
                # Whoever used it, or put it there again, since it was looked at has seen something better.
                is_lost = await index.lost(transaction, kept, self._clock())
            if is_lost:
                self.size -= kept.size
                await self._remove([kept.sha256])

    async def _announce(self, coming: Media) -> None:
        for _ in range(2):
            try:
                async with self._database.write(durable=False) as transaction:
                    await index.announce(transaction, coming)
            except IntegrityError:  # another process has announced it at this very moment
                continue
            except Gone:
                await self._finish_going()
            else:
                return
        raise StoreError("a file of the same name is being removed")

    async def _make_room(self, wanted: int, *, keep: str = "") -> None:
        """Remove the least recently used files, except `keep`, until `wanted` bytes more fit."""
        while True:
            async with self._database.read() as snapshot:
                total = wanted + await index.total(snapshot, but=keep)
                self.size = total
                if total <= self._max_bytes:
                    return
                is_removing = bool(await index.changing(snapshot, MediaState.GOING, float("inf")))
                oldest = await index.oldest(snapshot, _EVICTED_AT_ONCE, but=keep)
            # No more is given up before what goes has gone: else a store that removes nothing would cost everything.
            if is_removing and await self._finish_going():
                continue
            if is_removing or not oldest:
                raise StoreError("there is no room while other files come and go")
            going = []
            async with self._database.write() as transaction:
                for one in oldest:
                    if total <= self._max_bytes:
                        break
                    if await index.evict(transaction, one.sha256, self._clock()):
                        going.append(one.sha256)
                    total -= one.size
            await self._remove(going)

    async def _finish_going(self) -> bool:
        """Remove again what was to go and is there perhaps, for a removal has failed; tell whether there was any."""
        before = self._clock() - SETTLED_SECONDS if self.is_shared else float("inf")
        async with self._database.read() as snapshot:
            found = await index.changing(snapshot, MediaState.GOING, before)
        if found:
            async with self._database.write() as transaction:
                going = [one.sha256 for one in found if await index.goes_still(transaction, one, self._clock())]
            await self._remove(going)
        return bool(found)

    async def _forget_coming(self, before: float) -> None:
        async with self._database.read() as snapshot:
            late = await index.changing(snapshot, MediaState.COMING, before)
        async with self._database.write(durable=False) as transaction:
            for one in late:
                await index.never_came(transaction, one)

    async def _remove_strays(self, names: Collection[str]) -> None:
        async with self._database.read() as snapshot:
            strays = set(names) - await index.known(snapshot, names)
        if strays:
            async with self._changing:
                async with self._database.write() as transaction:
                    going = await index.strays_go(transaction, sorted(strays), self._clock())
                await self._remove(going)

    async def _remove(self, going: Collection[str]) -> None:
        """Remove files whose rows have just been made to say that they go, and then the rows."""
        time = asyncio.get_running_loop().time
        until = time() + REMOVAL_SECONDS
        for sha256 in going:
            if time() > until:
                raise StoreError("the store removes too slowly; what is left is removed later")
            await self._store.remove(sha256)
        if going:
            async with self._database.write(durable=False) as transaction:
                await index.gone(transaction, going)

    async def _pages(self) -> AsyncIterator[list[str]]:
        after = ""
        while True:
            async with self._database.read() as snapshot:
                hashes = await index.page(snapshot, after)
            if not hashes:
                return
            after = hashes[-1]
            yield hashes
