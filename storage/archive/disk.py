"""The archive of audio and artwork: files on disk under their hash, and rows that say which were used last.

A file is read back only after its hash was found right, so neither a power cut nor a flipped bit can get into Discord,
and nothing needs to be forced onto the disk here.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, exists, func, insert, select, update

from storage.database import Database, Transaction
from storage.schema import files, media
from storage.wakeups import Queue

log = logging.getLogger(__name__)

_BLOCK = 64 * 1024
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
        self._directory = directory
        self._max_bytes = max_bytes
        self._clock = clock
        self._lock = asyncio.Lock()

    @property
    def is_on(self) -> bool:
        """Whether anything is kept at all."""
        return self._max_bytes > 0

    async def open(self) -> None:
        """Make the directory, remove what an earlier process left half done and keep to the cap; raises `OSError`."""
        if not self.is_on:
            return
        async with self._database.read() as connection:
            known = set((await connection.execute(select(media.c.sha256))).scalars())
        present = await asyncio.to_thread(self._sweep, known)
        async with self._database.write() as connection:
            for lost in known - present:
                await _forget(connection, lost, again_at=self._clock())
        async with self._lock:
            await self._make_room(0)

    async def put(self, source: Path, kind: str) -> str | None:
        """Keep a file, which gets a second name or is copied, and return its SHA-256 in hex; None where it is not kept.

        The least recently used files make room for it.
        """
        if not self.is_on:
            return None
        async with self._lock:
            size = (await asyncio.to_thread(source.stat)).st_size
            if size > self._max_bytes:
                return None
            sha256 = await asyncio.to_thread(_digest, source)
            await self._make_room(size, keep=sha256)
            await asyncio.to_thread(self._store, source, sha256)
            async with self._database.write(durable=False) as connection:
                await connection.execute(
                    insert(media)
                    .prefix_with("OR REPLACE")
                    .values(sha256=sha256, kind=kind, size=size, used_at=self._clock())
                )
        return sha256

    async def get(self, sha256: str, destination: Path) -> Kept | None:
        """Link or copy a file of the archive to `destination`; None where it was lost or is damaged."""
        if not self.is_on:
            return None
        async with self._database.read() as connection:
            row = (await connection.execute(select(media).where(media.c.sha256 == sha256))).first()
        if row is None:
            return None
        if not await asyncio.to_thread(self._fetch, sha256, destination):
            log.warning("the archive has lost or damaged %s; it is fetched again", sha256)
            await self.drop(sha256, again_at=self._clock())
            return None
        async with self._database.write(durable=False) as connection:
            await connection.execute(update(media).where(media.c.sha256 == sha256).values(used_at=self._clock()))
        return Kept(destination, sha256, row.kind, row.size)

    async def drop(self, sha256: str, *, again_at: float | None = None) -> None:
        """Remove a file; `again_at` is when to try to get it again."""
        async with self._lock:
            await asyncio.to_thread(self._path(sha256).unlink, missing_ok=True)
            async with self._database.write() as connection:
                await _forget(connection, sha256, again_at=again_at)

    async def drop_unused(self) -> None:
        """Remove what no song refers to any more."""
        async with self._database.read() as connection:
            unused = await connection.execute(
                select(media.c.sha256).where(
                    ~exists().where(files.c.audio_sha256 == media.c.sha256),
                    ~exists().where(files.c.image_sha256 == media.c.sha256),
                )
            )
            found = list(unused.scalars())
        for sha256 in found:
            await self.drop(sha256)

    async def _make_room(self, wanted: int, *, keep: str = "") -> None:
        """Remove the least recently used files, except `keep`, until `wanted` bytes more fit."""
        others = media.c.sha256 != keep
        while True:
            async with self._database.read() as connection:
                query = select(func.coalesce(func.sum(media.c.size), 0)).where(others)
                total = wanted + (await connection.execute(query)).scalar_one()
                if total <= self._max_bytes:
                    return
                oldest = await connection.execute(
                    select(media.c.sha256, media.c.size).where(others).order_by(media.c.used_at).limit(_EVICTED_AT_ONCE)
                )
                rows = oldest.all()
            if not rows:
                return
            async with self._database.write() as connection:
                for sha256, size in rows:
                    if total <= self._max_bytes:
                        break
                    total -= size
                    await asyncio.to_thread(self._path(sha256).unlink, missing_ok=True)
                    await _forget(connection, sha256)

    def _path(self, sha256: str) -> Path:
        return self._directory / sha256[:2] / sha256

    def _store(self, source: Path, sha256: str) -> None:
        # Else the database's next durable commit would wait until these megabytes are on the disk.
        with source.open("rb") as file:
            os.fdatasync(file.fileno())
        target = self._path(sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{sha256}.part")
        part.unlink(missing_ok=True)
        try:
            link_or_copy(source, part)
            part.replace(target)
        except OSError:  # a full disk shall not be filled by halves of files
            part.unlink(missing_ok=True)
            raise

    def _fetch(self, sha256: str, destination: Path) -> bool:
        destination.unlink(missing_ok=True)
        try:
            link_or_copy(self._path(sha256), destination)
            if _digest(destination) == sha256:
                return True
        except FileNotFoundError:
            return False
        destination.unlink()
        return False

    def _sweep(self, known: set[str]) -> set[str]:
        """Remove files that no row knows, and return the names of those that one does."""
        self._directory.mkdir(parents=True, exist_ok=True)
        present: set[str] = set()
        # Nothing but what this class may have put there: an owner may have named a directory with other things in it.
        for path in self._directory.glob("[0-9a-f][0-9a-f]/*"):
            if path.name in known:
                present.add(path.name)
            elif path.is_file():
                path.unlink()
        return present


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def link_or_copy(source: Path, destination: Path) -> None:
    """Give a file a second name, or a copy where that cannot be; raises `OSError`."""
    try:
        os.link(source, destination)
    except FileNotFoundError:
        raise
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, destination)


async def _forget(connection: Transaction, sha256: str, *, again_at: float | None = None) -> None:
    connection.wakes(Queue.ARCHIVER)
    await connection.execute(delete(media).where(media.c.sha256 == sha256))
    # What was lost is worth another try while VidGo or Discord may still have it; what had to make room is not.
    again = {} if again_at is None else {"archive_at": again_at}
    for column in (files.c.audio_sha256, files.c.image_sha256):
        await connection.execute(update(files).where(column == sha256).values({column.name: None, **again}))
