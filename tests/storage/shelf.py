"""An archive with what is around it."""

from __future__ import annotations

import itertools
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from storage.archive.archive import Archive
from storage.archive.index import AUDIO
from storage.database import Database
from storage.schema import media
from tests.storage.songs import NOW, add_song, stored

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from storage.archive.index import What
    from storage.songs.files import File
    from tests.stores.places import Place

_numbers = itertools.count()


@dataclass
class Shelf:
    """An archive, its database, its place, and where files come from."""

    database: Database
    archive: Archive
    place: Place
    inbox: Path
    now: float = NOW

    def source(self, data: bytes) -> Path:
        """Return a file that has just been fetched."""
        path = self.inbox / f"{next(_numbers)}"
        path.write_bytes(data)
        return path

    async def keep(self, data: bytes, file: File | None = None, what: What = AUDIO) -> File:
        """Keep a song's file and return its row."""
        file = file or (await add_song(self.database))[1]
        assert await self.archive.put(self.source(data), file, what, "mp3")
        return await stored(self.database, file)

    def another(self, max_bytes: int = 10_000_000) -> Archive:
        """Return the archive as another process has it."""
        return Archive(self.database, self.place.store(), max_bytes, lambda: self.now)

    async def states(self) -> dict[str, str]:
        """Return the state of each file that has a row."""
        async with self.database.read() as snapshot:
            return {row.sha256: row.state for row in await snapshot.execute(select(media))}

    async def known(self) -> set[str]:
        """Return the hashes that have a row."""
        return set(await self.states())


@asynccontextmanager
async def open_shelf(tmp_path: Path, place: Place, address: str, max_bytes: int = 10_000_000) -> AsyncIterator[Shelf]:
    """Open an archive in a place."""
    database = await Database.open(address)
    inbox = tmp_path / "inbox"
    inbox.mkdir(exist_ok=True)
    archive = Archive(database, place.store(), max_bytes, lambda: it.now)
    it = Shelf(database, archive, place, inbox)
    await archive.open()
    try:
        yield it
    finally:
        await archive.close()
        await database.close()
