"""The archive keeps what it was given, whatever happens beside it, and gives nothing back that has changed."""

from __future__ import annotations

import asyncio
import hashlib
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, insert, select

from storage.archive.archive import LEFTOVER_SECONDS, SETTLED_SECONDS
from storage.archive.index import AUDIO, PICTURE
from storage.database import Database, Transaction
from storage.members import forget
from storage.schema import files as files_table
from storage.schema import media as media_table
from tests.storage.shelf import Shelf, open_shelf
from tests.storage.songs import NOW, add_song, stored
from tests.stores.places import OnDisk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from storage.songs.files import File
    from tests.stores.places import Place


@pytest.fixture
async def shelf(tmp_path: Path, place: Place, address: str) -> AsyncIterator[Shelf]:
    async with open_shelf(tmp_path, place, address) as it:
        yield it


async def test_what_is_kept_comes_back_as_it_was(shelf: Shelf, tmp_path: Path) -> None:
    file = await shelf.keep(b"a song")
    shelf.now += 100
    kept = await shelf.archive.get(file.audio_sha256 or "", tmp_path / "out")
    assert kept is not None
    assert (kept.kind, kept.size, kept.path.read_bytes()) == ("mp3", 6, b"a song")
    async with shelf.database.read() as connection:
        assert (await connection.execute(select(media_table.c.used_at))).scalars().all() == [NOW + 100]
    assert shelf.place.names() == await shelf.known() == {file.audio_sha256}


async def test_audio_and_picture_of_a_song_are_kept_apart(shelf: Shelf) -> None:
    file = await shelf.keep(b"a song")
    file = await shelf.keep(b"a picture", file, PICTURE)
    assert [file.audio_sha256, file.image_sha256] == [
        hashlib.sha256(data).hexdigest() for data in (b"a song", b"a picture")
    ]
    assert shelf.place.names() == {file.audio_sha256, file.image_sha256}


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
            await other.tidy()
            states = await shelf.states()
            kept = {name for name, state in states.items() if state == "kept"}
            assert kept <= shelf.place.names(), "a row without its file"
            between, collecting = between + 1, False

    other = shelf.another()
    _, file = await add_song(shelf.database)
    shelf.now = time.time()  # files have their times from the system
    monkeypatch.setattr(type(shelf.database), "write", beset)
    row = await shelf.keep(b"a song", file)
    assert between >= 4
    await other.close()
    assert shelf.place.names() == await shelf.known() == {row.audio_sha256}


@pytest.mark.parametrize("collectors", [1, 3])
async def test_nothing_is_collected_that_is_being_archived(shelf: Shelf, collectors: int) -> None:
    count = 150 if isinstance(shelf.place, OnDisk) else 30
    songs = [(await add_song(shelf.database))[1] for _ in range(count)]
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
            await shelf.keep(b"song %d" % (songs.index(file) % (count * 2 // 3)), file)

    collecting = [asyncio.create_task(collect()) for _ in range(collectors)]
    await asyncio.gather(*(archive(songs[start::4]) for start in range(4)))
    archiving = False
    assert sum(await asyncio.gather(*collecting)) >= 3
    await shelf.archive.tidy()
    rows = [await stored(shelf.database, file) for file in songs]
    assert [row for row in rows if row.audio_sha256 is None] == []
    assert shelf.place.names() == await shelf.known() == {row.audio_sha256 for row in rows}
    assert len(shelf.place.names()) == count * 2 // 3


async def test_songs_forgotten_while_they_are_archived_leave_nothing(shelf: Shelf) -> None:
    count = 60 if isinstance(shelf.place, OnDisk) else 20
    songs = [await add_song(shelf.database, user_id=number) for number in range(count)]

    async def archive(some: list[File]) -> None:
        for file in some:
            await shelf.archive.put(shelf.source(b"song of %s" % file.task_id.encode()), file, AUDIO, "mp3")

    async def forget_all() -> None:
        for number in range(0, count, 2):
            async with shelf.database.write() as connection:
                await forget.forget_member(connection, number)
            await shelf.archive.collect()

    files = [file for _, file in songs]
    await asyncio.gather(forget_all(), *(archive(files[start::3]) for start in range(3)))
    await shelf.archive.collect()
    left = [await stored(shelf.database, file) for file in files[1::2]]
    assert {row.audio_sha256 for row in left} == shelf.place.names() == await shelf.known()
    assert len(left) == count // 2


async def test_a_song_that_was_forgotten_is_not_kept(shelf: Shelf) -> None:
    _, file = await add_song(shelf.database)
    async with shelf.database.write() as connection:
        await connection.execute(delete(files_table))
    assert not await shelf.archive.put(shelf.source(b"a song"), file, AUDIO, "mp3")
    assert shelf.place.names() == await shelf.known() == set()


async def test_what_two_songs_share_goes_with_the_last_of_them(shelf: Shelf) -> None:
    first, second = await shelf.keep(b"twins"), await shelf.keep(b"twins")
    assert first.audio_sha256 == second.audio_sha256
    for file, left in ((first, 1), (second, 0)):
        async with shelf.database.write() as connection:
            await connection.execute(delete(files_table).where(files_table.c.task_id == file.task_id))
        await shelf.archive.collect()
        assert len(shelf.place.names()) == left


# Reading


async def test_a_destination_that_cannot_be_made_costs_nothing(shelf: Shelf, tmp_path: Path) -> None:
    file = await shelf.keep(b"a song")
    for destination in (tmp_path / "gone" / "out", tmp_path / "inbox"):
        with pytest.raises(OSError, match=r"gone|inbox"):
            await shelf.archive.get(file.audio_sha256 or "", destination)
    assert await stored(shelf.database, file) == file
    assert shelf.place.read(file.audio_sha256 or "") == b"a song"


@pytest.mark.parametrize("damage", ["a flipped bit", "a lost file"])
async def test_what_is_damaged_or_lost_is_dropped_and_got_again(shelf: Shelf, tmp_path: Path, damage: str) -> None:
    file = await shelf.keep(b"a song")
    await shelf.keep(b"another song")
    if damage == "a lost file":
        shelf.place.remove(file.audio_sha256 or "")
    else:
        shelf.place.write(file.audio_sha256 or "", b"A song")
    assert await shelf.archive.get(file.audio_sha256 or "", tmp_path / "out") is None
    after = await stored(shelf.database, file)
    assert (after.audio_sha256, after.archive_at, after.archive_tries) == (None, NOW, 0)
    assert file.audio_sha256 not in shelf.place.names() | await shelf.known()
    assert not (tmp_path / "out").exists()


async def test_what_was_put_there_again_while_it_was_looked_at_stays(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = await shelf.keep(b"a song")
    name = file.audio_sha256 or ""
    shelf.place.write(name, b"A song")
    reading, going_on = asyncio.Event(), asyncio.Event()
    read = shelf.archive._store.get

    async def slow(sha256: str, destination: Path) -> bool:
        found = await read(sha256, destination)
        reading.set()
        await going_on.wait()
        return found

    monkeypatch.setattr(shelf.archive._store, "get", slow)
    getting = asyncio.create_task(shelf.archive.get(name, tmp_path / "out"))
    await reading.wait()
    shelf.now += 1
    await shelf.keep(b"a song", file)
    going_on.set()
    assert await getting is None
    assert (await stored(shelf.database, file)).audio_sha256 == name
    assert shelf.place.read(name) == b"a song"


async def test_a_place_where_everything_is_gone_has_lost_nothing(shelf: Shelf, tmp_path: Path) -> None:
    """That is a disk that is not mounted, or another bucket."""
    file = await shelf.keep(b"a song")
    name = file.audio_sha256 or ""
    shelf.place.remove(name)
    if isinstance(shelf.place, OnDisk):
        shelf.place.path(name).parent.rmdir()
    with pytest.raises(OSError, match=r"is its disk mounted|right bucket"):
        await shelf.archive.get(name, tmp_path / "out")
    await shelf.archive.tidy()
    shelf.place.write(name, b"a song")
    assert await shelf.archive.get(name, tmp_path / "out") is not None


# Tidying up


async def test_what_was_interrupted_is_tidied_up_in_time(shelf: Shelf) -> None:
    """As where a process died between its steps, or a removal failed."""
    file = await shelf.keep(b"a song")
    names = {state: hashlib.sha256(state.encode()).hexdigest() for state in ("coming", "going", "stray")}
    async with shelf.database.write() as transaction:
        for state in ("coming", "going"):
            row = {"sha256": names[state], "kind": "mp3", "size": 9, "used_at": NOW, "state": state}
            await transaction.execute(insert(media_table).values(row))
    for name in names.values():
        shelf.place.write(name, b"left over")
    await shelf.archive.tidy()
    # Nobody can say yet whether another process is still at work on the first two.
    alone = isinstance(shelf.place, OnDisk)
    assert shelf.place.names() - {file.audio_sha256} == {names["coming"]} | (set() if alone else {names["going"]})
    for seconds, left in ((SETTLED_SECONDS + 1, {names["coming"]}), (LEFTOVER_SECONDS, set())):
        shelf.now += seconds
        await shelf.archive.tidy()
        assert shelf.place.names() == await shelf.known() == {file.audio_sha256} | left


async def test_the_least_recently_used_makes_room(tmp_path: Path, place: Place, address: str) -> None:
    async with open_shelf(tmp_path, place, address, max_bytes=30) as shelf:
        first, second = await shelf.keep(b"1" * 10), await shelf.keep(b"2" * 10)
        shelf.now += 1
        assert await shelf.archive.get(first.audio_sha256 or "", tmp_path / "out") is not None
        third = await shelf.keep(b"3" * 15)
        assert shelf.place.names() == await shelf.known() == {first.audio_sha256, third.audio_sha256}
        gone = await stored(shelf.database, second)
        assert (gone.audio_sha256, gone.archive_at) == (None, None)
        _, large = await add_song(shelf.database)
        assert not await shelf.archive.put(shelf.source(b"4" * 31), large, AUDIO, "mp3")
        # Somebody wants it again.
        await shelf.archive.plan(gone)
        assert (await stored(shelf.database, gone)).archive_at == shelf.now


async def test_switched_off_it_keeps_nothing_and_touches_nothing(tmp_path: Path, place: Place, address: str) -> None:
    async with open_shelf(tmp_path, place, address, max_bytes=0) as shelf:
        _, file = await add_song(shelf.database)
        assert not await shelf.archive.put(shelf.source(b"a song"), file, AUDIO, "mp3")
        assert await shelf.archive.get("ab" * 32, tmp_path / "out") is None
        await shelf.archive.plan(file)
        await shelf.archive.tidy()
        assert shelf.place.names() == set()
        assert not (tmp_path / "media").exists()
