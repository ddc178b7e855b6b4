"""Carrying the archive of one place over to another, where its rows go to another database."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from storage.archive import index
from storage.archive.index import Media
from storage.archive.store import Store
from storage.database import Database
from storage.schema import MediaState


@dataclass(slots=True)
class Carried:
    """How many files were brought, were there before, and are whole in neither place."""

    brought: int = 0
    there: int = 0
    lost: int = 0


async def carry(database: Database, source: Store, target: Store, directory: Path) -> Carried:
    """Bring every file that the database counts on and the target has not; may be begun again where it was ended.

    In `directory` each lies for a moment, with its hash found right. Raises `OSError`; then nothing that is there is
    less than whole.
    """
    found = Carried()
    there = {name async for names in target.names() for name in names}
    with tempfile.TemporaryDirectory(dir=directory, prefix=".carried-") as place:
        path = Path(place, "file")
        async for file in _kept(database):
            if file.sha256 in there:
                found.there += 1
            elif await _got(source, file.sha256, path):
                await target.put(path, file.sha256, file.kind)
                found.brought += 1
            else:
                found.lost += 1
    return found


async def _got(source: Store, sha256: str, path: Path) -> bool:
    try:
        return await source.get(sha256, path)
    except FileNotFoundError:  # there is nothing at all
        return False


async def _kept(database: Database) -> AsyncIterator[Media]:
    after = ""
    while True:
        async with database.read() as snapshot:
            hashes = await index.page(snapshot, after)
            files = [await index.get(snapshot, sha256) for sha256 in hashes]
        if not hashes:
            return
        for file in files:
            if file is not None and file.state == MediaState.KEPT:
                yield file
        after = hashes[-1]
