"""The archive on a disk: full, not mounted, without hard links, or left in the middle of something."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete

from storage.archive import disk as disk_module
from storage.archive.archive import LEFTOVER_SECONDS
from storage.archive.index import AUDIO
from storage.schema import files as files_table
from tests.storage.shelf import Shelf, open_shelf
from tests.storage.songs import add_song, stored
from tests.stores.places import OnDisk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
def disk(tmp_path: Path) -> OnDisk:
    return OnDisk(tmp_path / "media")


@pytest.fixture
async def shelf(tmp_path: Path, disk: OnDisk, address: str) -> AsyncIterator[Shelf]:
    async with open_shelf(tmp_path, disk, address) as it:
        yield it


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
    assert shelf.place.names() == {file.audio_sha256}


async def test_one_wrong_read_is_not_damage(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = await shelf.keep(b"a song")
    digests = iter(["f" * 64])
    right = disk_module.digest
    monkeypatch.setattr(disk_module, "digest", lambda path: next(digests, None) or right(path))
    assert await shelf.archive.get(file.audio_sha256 or "", tmp_path / "out") is not None
    assert shelf.place.names() == {file.audio_sha256}


async def test_an_archive_that_is_not_mounted_is_not_lost(shelf: Shelf, disk: OnDisk, tmp_path: Path) -> None:
    file = await shelf.keep(b"a song")
    disk.directory.rename(tmp_path / "elsewhere")
    disk.directory.mkdir()
    with pytest.raises(FileNotFoundError, match="is its disk mounted"):
        await shelf.archive.get(file.audio_sha256 or "", tmp_path / "out")
    await shelf.archive.tidy()
    disk.directory.rmdir()
    (tmp_path / "elsewhere").rename(disk.directory)
    assert await shelf.archive.get(file.audio_sha256 or "", tmp_path / "out") is not None


async def test_what_a_crash_has_left_goes_at_the_start(tmp_path: Path, disk: OnDisk, address: str) -> None:
    async with open_shelf(tmp_path, disk, address) as shelf:
        file = await shelf.keep(b"a song")
        unused = await shelf.keep(b"of nobody")
        async with shelf.database.write() as connection:
            # As where a song was forgotten, and then the process died.
            await connection.execute(delete(files_table).where(files_table.c.task_id == unused.task_id))
        published = hashlib.sha256(b"published, and its row never committed").hexdigest()
        for name in (published, f".{'ab' * 16}.part", f".{published}.part"):
            path = disk.directory / published[:2] / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"left over")
        own = [disk.directory / "README", disk.directory / published[:2] / "notes"]
        for path in own:
            path.write_text("an owner's own")
    async with open_shelf(tmp_path, disk, address) as shelf:
        assert shelf.place.names() == {file.audio_sha256, "README", "notes"}
        assert await shelf.known() == {file.audio_sha256}


async def test_what_is_left_over_goes_in_time_and_not_while_it_may_be_wanted(shelf: Shelf, disk: OnDisk) -> None:
    file = await shelf.keep(b"a song")
    part = disk.path(file.audio_sha256 or "").with_name(".new.part")
    part.write_bytes(b"half a song")
    stray = disk.path("ab" * 32)
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"left over")
    shelf.now = part.stat().st_ctime + LEFTOVER_SECONDS - 1
    await shelf.archive.tidy()
    assert part.exists()
    assert not stray.exists()
    shelf.now += 2
    await shelf.archive.tidy()
    assert shelf.place.names() == {file.audio_sha256}


async def test_a_disk_that_is_full_leaves_no_half_and_no_row(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Path, destination: Path) -> None:
        destination.write_bytes(source.read_bytes()[:2])
        raise OSError(errno.ENOSPC, "No space left on device")

    _, file = await add_song(shelf.database)
    monkeypatch.setattr(disk_module, "link_or_copy", full)
    with pytest.raises(OSError, match="No space left"):
        await shelf.archive.put(shelf.source(b"a song"), file, AUDIO, "mp3")
    assert shelf.place.names() == await shelf.known() == set()
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
