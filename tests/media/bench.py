"""All that gets files, put together: a database, an archive and a fetcher, with a clock that is turned by hand."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import discord

from bot.fetching.fetch import Fetcher
from bot.media.archiver import Archiver
from bot.media.files import Files
from bot.media.sources import FindPost, Sources
from bot.metrics import Metrics
from storage.archive.archive import Archive
from storage.database import Database
from tests.storage.songs import NOW, add_song, stored
from tests.stores.places import OnDisk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from storage.songs.files import File
    from tests.stores.places import Place


@dataclass
class Clock:
    """A clock that is turned by hand."""

    now: float = NOW

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@dataclass
class Bench:
    """What is under test."""

    clock: Clock
    database: Database
    archive: Archive
    files: Files
    archiver: Archiver
    metrics: Metrics
    posting: Path
    archived_in: Place
    place: Path

    @property
    def now(self) -> float:
        """Return the time."""
        return self.clock.now

    @now.setter
    def now(self, time: float) -> None:
        self.clock.now = time

    async def song(self, **values: Any) -> File:
        """Add a song and return its file's row."""
        return (await add_song(self.database, **values))[1]

    async def again(self, file: File) -> File:
        """Read a file's row again."""
        return await stored(self.database, file)

    async def archive_it(self, file: File) -> File:
        """Let the archiver try a file, and return its row."""
        await self.archiver.do(f"{file.task_id}.{file.position}")
        return await self.again(file)

    def forget_failures(self) -> None:
        """Forget what could not be had, as if the time had passed that only this clock knows of."""
        for work in (self.files._fetched, self.files._stored):
            for name in [name for name, job in work._jobs.items() if job.has_failed]:
                del work._jobs[name]

    def counted(self, outcome: str) -> float:
        """Return how often trying to archive a file had an outcome."""
        return self.metrics.registry.get_sample_value("coverbot_archived_total", {"outcome": outcome}) or 0.0

    def kept(self) -> set[str]:
        """Return the names of what the archive has."""
        return self.archived_in.names()


async def nobody(_channel: int, _message: int) -> NoReturn:
    """Stand in for Discord where nothing was posted."""
    raise discord.ClientException("nothing was posted")


@asynccontextmanager
async def open_bench(
    tmp_path: Path, archived_in: Place | None = None, *, find_post: FindPost = nobody, **fetching: Any
) -> AsyncIterator[Bench]:
    """Put everything together; `find_post` stands in for Discord, `fetching` are options of the fetcher."""
    posting, place = tmp_path / "posting", tmp_path / "place"
    archived_in = archived_in or OnDisk(tmp_path / "media")
    for path in (posting, place):
        path.mkdir()
    database = await Database.open(f"sqlite:///{tmp_path / 'c.db'}")
    options = {"allow_private": True, "max_bytes": 1 << 24, "idle_timeout": 5.0, **fetching}
    fetcher = Fetcher(**options)
    clock = Clock()
    archive = Archive(database, archived_in.store(), 1 << 26, clock)
    files = Files(archive, Sources(database, fetcher, find_post), posting)
    metrics = Metrics()
    archiver = Archiver(database, archive, files, directory=posting, clock=clock, metrics=metrics)
    it = Bench(clock, database, archive, files, archiver, metrics, posting, archived_in, place)
    await archive.open()
    try:
        yield it
    finally:
        await files.close()
        assert list(posting.iterdir()) == []
        await fetcher.close()
        await archive.close()
        await database.close()
