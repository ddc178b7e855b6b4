"""The archive keeps what it was given, whatever happens beside it, and gives nothing back that has changed."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import shutil
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, select

from storage import forget
from storage.archive import disk as disk_module
from storage.archive.archive import LEFTOVER_SECONDS, Archive
from storage.archive.index import AUDIO, PICTURE
from storage.database import Database, Transaction
from storage.schema import files as files_table
from storage.schema import media as media_table
from tests.storage.songs import NOW, add_song, stored

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from storage.archive.index import What
    from storage.files import File


@dataclass
class Shelf:
    """An archive with what is around it."""

    database: Database
    archive: Archive
    directory: Path
    inbox: Path
    now: float = NOW

    def source(self, data: bytes) -> Path:
        """Return a file that has just been fetched."""
        path = self.inbox / hashlib.sha256(data).hexdigest()[:16]
        path.write_bytes(data)
        return path

    async def keep(self, data: bytes, file: File | None = None, what: What = AUDIO) -> File:
        """Keep a song's file and return its row."""
        file = file or (await add_song(self.database))[1]
        assert await self.archive.put(self.source(data), file, what, "mp3")
        return await stored(self.database, file)

    def path(self, sha256: str | None) -> Path:
        """Return where a file lies."""
        assert sha256 is not None
        return self.directory / sha256[:2] / sha256

    def on_disk(self) -> set[str]:
        """Return the names of all files there are."""
        return {path.name for path in self.directory.rglob("*") if path.is_file()}

    async def known(self) -> set[str]:
        """Return the hashes that have a row."""
        async with self.database.read() as connection:
            return set((await connection.execute(select(media_table.c.sha256))).scalars())


@asynccontextmanager
async def open_shelf(tmp_path: Path, address: str, max_bytes: int = 10_000_000) -> AsyncIterator[Shelf]:
    database = await Database.open(address)
    inbox = tmp_path / "inbox"
    inbox.mkdir(exist_ok=True)
    archive = Archive(database, tmp_path / "media", max_bytes, lambda: it.now)
    it = Shelf(database, archive, tmp_path / "media", inbox)
    await archive.open()
    try:
        yield it
    finally:
        await archive.close()
        await database.close()


@pytest.fixture
async def shelf(tmp_path: Path, address: str) -> AsyncIterator[Shelf]:
    async with open_shelf(tmp_path, address) as it:
        yield it


async def test_what_is_kept_comes_back_as_it_was(shelf: Shelf, tmp_path: Path) -> None:
    file = await shelf.keep(b"a song")
    shelf.now += 100
    kept = await shelf.archive.get(file.audio_sha256 or "", tmp_path / "out")
    assert kept is not None
    assert (kept.kind, kept.size, kept.path.read_bytes()) == ("mp3", 6, b"a song")
    async with shelf.database.read() as connection:
        assert (await connection.execute(select(media_table.c.used_at))).scalars().all() == [NOW + 100]
    assert shelf.on_disk() == await shelf.known() == {file.audio_sha256}


async def test_audio_and_picture_of_a_song_are_kept_apart(shelf: Shelf) -> None:
    file = await shelf.keep(b"a song")
    file = await shelf.keep(b"a picture", file, PICTURE)
    assert [file.audio_sha256, file.image_sha256] == [
        hashlib.sha256(data).hexdigest() for data in (b"a song", b"a picture")
    ]
    assert shelf.on_disk() == {file.audio_sha256, file.image_sha256}


# Published beside collections


async def test_nothing_is_lost_wherever_a_collection_comes_between(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    write: Callable[..., AbstractAsyncContextManager[Transaction]] = type(shelf.database).write
    between, collecting = 0, False

    @asynccontextmanager
    async def beset(self: Database, **how: bool) -> AsyncIterator[Transaction]:
        await come_between()
        async with write(self, **how) as connection:
            yield connection
        await come_between()

    async def come_between() -> None:
        nonlocal between, collecting
        if not collecting:
            collecting = True
            await shelf.archive.tidy()
            assert await shelf.known() <= shelf.on_disk(), "a row without its file"
            between, collecting = between + 1, False

    _, file = await add_song(shelf.database)
    shelf.now = time.time()  # files have their times from the system
    monkeypatch.setattr(type(shelf.database), "write", beset)
    kept = await shelf.keep(b"a song", file)
    assert between >= 2
    assert shelf.on_disk() == await shelf.known() == {kept.audio_sha256}


@pytest.mark.parametrize("collectors", [1, 3])
async def test_nothing_is_collected_that_is_being_archived(shelf: Shelf, collectors: int) -> None:
    songs = [(await add_song(shelf.database))[1] for _ in range(150)]
    archiving = True

    async def collect() -> int:
        times = 0
        while archiving:
            await shelf.archive.tidy(leftovers_older_than=0)
            times += 1
        return times

    async def archive(some: list[File]) -> None:
        for file in some:
            # A third of them have the same bytes as another.
            await shelf.keep(b"song %d" % (songs.index(file) % 100), file)

    collecting = [asyncio.create_task(collect()) for _ in range(collectors)]
    await asyncio.gather(*(archive(songs[start::4]) for start in range(4)))
    archiving = False
    assert sum(await asyncio.gather(*collecting)) > 3
    await shelf.archive.tidy()
    rows = [await stored(shelf.database, file) for file in songs]
    assert [row for row in rows if row.audio_sha256 is None] == []
    assert shelf.on_disk() == await shelf.known() == {row.audio_sha256 for row in rows}
    assert len(shelf.on_disk()) == 100


async def test_songs_forgotten_while_they_are_archived_leave_nothing(shelf: Shelf) -> None:
    songs = [await add_song(shelf.database, user_id=number) for number in range(60)]

    async def archive(some: list[File]) -> None:
        for file in some:
            await shelf.archive.put(shelf.source(b"song of %s" % file.task_id.encode()), file, AUDIO, "mp3")

    async def forget_all() -> None:
        for number in range(0, 60, 2):
            async with shelf.database.write() as connection:
                await forget.forget_member(connection, number)
            await shelf.archive.collect()

    files = [file for _, file in songs]
    await asyncio.gather(forget_all(), *(archive(files[start::3]) for start in range(3)))
    await shelf.archive.collect()
    left = [await stored(shelf.database, file) for file in files[1::2]]
    assert {row.audio_sha256 for row in left} == shelf.on_disk() == await shelf.known()
    assert len(left) == 30


async def test_a_song_that_was_forgotten_is_not_kept(shelf: Shelf) -> None:
    _, file = await add_song(shelf.database)
    async with shelf.database.write() as connection:
        await connection.execute(delete(files_table))
    assert not await shelf.archive.put(shelf.source(b"a song"), file, AUDIO, "mp3")
    assert shelf.on_disk() == await shelf.known() == set()


async def test_what_two_songs_share_goes_with_the_last_of_them(shelf: Shelf) -> None:
    first, second = await shelf.keep(b"twins"), await shelf.keep(b"twins")
    assert first.audio_sha256 == second.audio_sha256
    for file, left in ((first, 1), (second, 0)):
        async with shelf.database.write() as connection:
            await connection.execute(delete(files_table).where(files_table.c.task_id == file.task_id))
        await shelf.archive.collect()
        assert len(shelf.on_disk()) == left


# Reading


async def test_a_destination_that_cannot_be_made_costs_nothing(shelf: Shelf, tmp_path: Path) -> None:
    file = await shelf.keep(b"a song")
    for destination in (tmp_path / "gone" / "out", tmp_path / "inbox"):
        with pytest.raises(OSError, match=r"gone|inbox"):
            await shelf.archive.get(file.audio_sha256 or "", destination)
    assert await stored(shelf.database, file) == file
    assert shelf.path(file.audio_sha256).read_bytes() == b"a song"


async def test_a_full_disk_at_the_destination_costs_nothing(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = await shelf.keep(b"a song")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space left"):
        await shelf.archive.get(file.audio_sha256 or "", tmp_path / "out")
    assert await stored(shelf.database, file) == file
    assert shelf.on_disk() == {file.audio_sha256}


async def test_one_wrong_read_is_not_damage(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = await shelf.keep(b"a song")
    digests = iter(["f" * 64])
    right = disk_module.digest
    monkeypatch.setattr(disk_module, "digest", lambda path: next(digests, None) or right(path))
    assert await shelf.archive.get(file.audio_sha256 or "", tmp_path / "out") is not None
    assert shelf.on_disk() == {file.audio_sha256}


@pytest.mark.parametrize("damage", ["a flipped bit", "a lost file"])
async def test_what_is_damaged_or_lost_is_dropped_and_got_again(shelf: Shelf, tmp_path: Path, damage: str) -> None:
    file = await shelf.keep(b"a song")
    await shelf.keep(b"another song")
    path = shelf.path(file.audio_sha256)
    if damage == "a lost file":
        path.unlink()
    else:
        path.write_bytes(b"A song")
    assert await shelf.archive.get(file.audio_sha256 or "", tmp_path / "out") is None
    after = await stored(shelf.database, file)
    assert (after.audio_sha256, after.archive_at, after.archive_tries) == (None, NOW, 0)
    assert file.audio_sha256 not in shelf.on_disk() | await shelf.known()
    assert not (tmp_path / "out").exists()


async def test_what_was_put_there_again_while_it_was_looked_at_stays(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = await shelf.keep(b"a song")
    shelf.path(file.audio_sha256).write_bytes(b"A song")
    reading, going_on = asyncio.Event(), asyncio.Event()
    read = shelf.archive._disk.read
    loop = asyncio.get_running_loop()

    def slow(sha256: str, destination: Path) -> bool:
        found = read(sha256, destination)
        loop.call_soon_threadsafe(reading.set)
        asyncio.run_coroutine_threadsafe(going_on.wait(), loop).result()
        return found

    monkeypatch.setattr(shelf.archive._disk, "read", slow)
    getting = asyncio.create_task(shelf.archive.get(file.audio_sha256 or "", tmp_path / "out"))
    await reading.wait()
    shelf.now += 1
    await shelf.keep(b"a song", file)
    going_on.set()
    assert await getting is None
    assert (await stored(shelf.database, file)).audio_sha256 == file.audio_sha256
    assert shelf.path(file.audio_sha256).read_bytes() == b"a song"


async def test_an_archive_that_is_not_mounted_is_not_lost(shelf: Shelf, tmp_path: Path) -> None:
    file = await shelf.keep(b"a song")
    shelf.directory.rename(tmp_path / "elsewhere")
    shelf.directory.mkdir()
    with pytest.raises(FileNotFoundError, match="is its disk mounted"):
        await shelf.archive.get(file.audio_sha256 or "", tmp_path / "out")
    await shelf.archive.tidy()
    shelf.directory.rmdir()
    (tmp_path / "elsewhere").rename(shelf.directory)
    assert await shelf.archive.get(file.audio_sha256 or "", tmp_path / "out") is not None


# Tidying up


async def test_what_a_crash_has_left_goes_at_the_start(tmp_path: Path, address: str) -> None:
    async with open_shelf(tmp_path, address) as shelf:
        file = await shelf.keep(b"a song")
        unused = await shelf.keep(b"of nobody")
        async with shelf.database.write() as connection:
            # As where a song was forgotten, and then the process died.
            await connection.execute(delete(files_table).where(files_table.c.task_id == unused.task_id))
        published = hashlib.sha256(b"published, and its row never committed").hexdigest()
        for name in (published, f".{'ab' * 16}.part", f".{published}.part"):
            path = shelf.directory / published[:2] / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"left over")
        own = [shelf.directory / "README", shelf.directory / published[:2] / "notes"]
        for path in own:
            path.write_text("an owner's own")
    async with open_shelf(tmp_path, address) as shelf:
        assert shelf.on_disk() == {file.audio_sha256, "README", "notes"}
        assert await shelf.known() == {file.audio_sha256}


async def test_what_is_left_over_goes_in_time_and_not_while_it_may_be_wanted(shelf: Shelf) -> None:
    file = await shelf.keep(b"a song")
    part = shelf.path(file.audio_sha256).with_name(".new.part")
    part.write_bytes(b"half a song")
    stray = shelf.path("ab" * 32)
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"left over")
    shelf.now = part.stat().st_ctime + LEFTOVER_SECONDS - 1
    await shelf.archive.tidy()
    assert part.exists()
    assert not stray.exists()
    shelf.now += 2
    await shelf.archive.tidy()
    assert shelf.on_disk() == {file.audio_sha256}


async def test_the_least_recently_used_makes_room(tmp_path: Path, address: str) -> None:
    async with open_shelf(tmp_path, address, max_bytes=30) as shelf:
        first, second = await shelf.keep(b"1" * 10), await shelf.keep(b"2" * 10)
        shelf.now += 1
        assert await shelf.archive.get(first.audio_sha256 or "", tmp_path / "out") is not None
        third = await shelf.keep(b"3" * 15)
        assert shelf.on_disk() == await shelf.known() == {first.audio_sha256, third.audio_sha256}
        gone = await stored(shelf.database, second)
        assert (gone.audio_sha256, gone.archive_at) == (None, None)
        _, large = await add_song(shelf.database)
        assert not await shelf.archive.put(shelf.source(b"4" * 31), large, AUDIO, "mp3")
        # Somebody wants it again.
        await shelf.archive.plan(gone)
        assert (await stored(shelf.database, gone)).archive_at == shelf.now


async def test_a_disk_that_is_full_leaves_no_half_and_no_row(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Path, destination: Path) -> None:
        destination.write_bytes(source.read_bytes()[:2])
        raise OSError(errno.ENOSPC, "No space left on device")

    _, file = await add_song(shelf.database)
    monkeypatch.setattr(disk_module, "link_or_copy", full)
    with pytest.raises(OSError, match="No space left"):
        await shelf.archive.put(shelf.source(b"a song"), file, AUDIO, "mp3")
    assert shelf.on_disk() == await shelf.known() == set()
    monkeypatch.undo()
    await shelf.keep(b"a song", file)


async def test_a_system_without_fdatasync_keeps_files_too(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "fdatasync")
    await shelf.keep(b"a song")


async def test_a_system_without_hard_links_copies(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    file = await shelf.keep(b"a song")
    assert await shelf.archive.get(file.audio_sha256 or "", tmp_path / "out") is not None
    assert (tmp_path / "out").read_bytes() == b"a song"
    assert (tmp_path / "out").stat().st_nlink == 1


async def test_switched_off_it_keeps_nothing_and_touches_nothing(tmp_path: Path, address: str) -> None:
    async with open_shelf(tmp_path, address, max_bytes=0) as shelf:
        _, file = await add_song(shelf.database)
        assert not await shelf.archive.put(shelf.source(b"a song"), file, AUDIO, "mp3")
        assert await shelf.archive.get("ab" * 32, tmp_path / "out") is None
        await shelf.archive.plan(file)
        await shelf.archive.tidy()
        assert not shelf.directory.exists()
