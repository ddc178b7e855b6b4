"""The archive in a store that is slow, away or shared: nothing is lost, half there, or waited for."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete

from storage.archive import s3 as s3_module
from storage.archive.archive import SETTLED_SECONDS
from storage.archive.carrying import carry
from storage.archive.index import AUDIO
from storage.archive.s3 import PART_BYTES, S3, Access
from storage.archive.store import StoreError, StoreRefused
from storage.schema import files as files_table
from tests.storage.shelf import Shelf, open_shelf
from tests.storage.songs import add_song, stored
from tests.stores.places import InStore, OnDisk, Standing
from tests.stores.stand_in import Fault, StandIn, stand_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT = Path(__file__).parents[2]
PASSING = [Fault.SLOW_DOWN, Fault.CUT, Fault.PAGE, Fault.MISSING, Fault.DENIED, Fault.HANG]
"""What says nothing about a file."""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {"ANSWER_SECONDS": 3.0, "LOOK_SECONDS": 5.0, "TRANSFER_SECONDS": 20.0}.items():
        monkeypatch.setattr(s3_module, name, seconds)
    monkeypatch.setattr(s3_module, "REST_SECONDS", 0.0)


@pytest.fixture
async def server() -> AsyncIterator[StandIn]:
    async with stand_in() as server:
        yield server


@pytest.fixture
def standing(server: StandIn, impatient: None) -> Standing:
    return Standing(server)


@pytest.fixture
async def shelf(tmp_path: Path, standing: Standing, address: str) -> AsyncIterator[Shelf]:
    async with open_shelf(tmp_path, standing, address) as it:
        yield it


# A store that does not do what it should


@pytest.mark.parametrize("fault", [Fault.SLOW_DOWN, Fault.DENIED, Fault.HANG])
async def test_what_the_store_does_not_take_is_not_called_kept(shelf: Shelf, server: StandIn, fault: Fault) -> None:
    _, file = await add_song(shelf.database)
    server.fault(fault)
    with pytest.raises(StoreError) as caught:
        await shelf.archive.put(shelf.source(b"a song"), file, AUDIO, "mp3")
    assert "AK" not in str(caught.value)  # neither what the store says of the key nor the key
    assert await shelf.known() == shelf.place.names() == set()
    assert await stored(shelf.database, file) == file
    server.mend()
    assert (await shelf.keep(b"a song", file)).audio_sha256 in shelf.place.names()


async def test_a_file_whose_receipt_was_lost_is_kept_once(shelf: Shelf, server: StandIn) -> None:
    _, file = await add_song(shelf.database)
    server.fault(Fault.LOST, "PUT")
    with suppress(StoreError):
        await shelf.archive.put(shelf.source(b"a song"), file, AUDIO, "mp3")
    server.mend()
    kept = await shelf.keep(b"a song", file)
    assert shelf.place.names() == await shelf.known() == {kept.audio_sha256}


@pytest.mark.parametrize("fault", PASSING)
async def test_no_single_answer_makes_a_file_lost(shelf: Shelf, server: StandIn, tmp_path: Path, fault: Fault) -> None:
    file = await shelf.keep(b"a song")
    server.fault(fault, "GET")
    with pytest.raises(OSError, match=r".") as caught:
        await shelf.archive.get(file.audio_sha256 or "", tmp_path / "out")
    assert "AK" not in str(caught.value)
    assert await stored(shelf.database, file) == file
    assert [name for name in os.listdir(tmp_path) if "out" in name or name.startswith(".")] == []  # noqa: PTH208 (in an async function)
    server.mend()
    assert await shelf.archive.get(file.audio_sha256 or "", tmp_path / "out") is not None
    assert (tmp_path / "out").read_bytes() == b"a song"


async def test_a_file_that_the_store_itself_has_otherwise_is_damaged(
    shelf: Shelf, server: StandIn, tmp_path: Path
) -> None:
    file = await shelf.keep(b"a song")
    server.fault(Fault.FLIPPED, "GET")
    assert await shelf.archive.get(file.audio_sha256 or "", tmp_path / "out") is None
    assert (await stored(shelf.database, file)).archive_at == shelf.now
    assert shelf.place.names() == await shelf.known() == set()


async def test_another_file_under_its_name_is_replaced(shelf: Shelf) -> None:
    name = hashlib.sha256(b"a song").hexdigest()
    shelf.place.write(name, b"half a s")
    await shelf.keep(b"a song")
    assert shelf.place.read(name) == b"a song"


@pytest.mark.parametrize("fault", [Fault.UNCONDITIONAL, Fault.CONFLICT])
async def test_a_store_that_takes_no_conditions_keeps_files_too(shelf: Shelf, server: StandIn, fault: Fault) -> None:
    server.fault(fault, "PUT")
    file = await shelf.keep(b"a song")
    assert shelf.place.read(file.audio_sha256 or "") == b"a song"


async def test_a_store_that_hangs_is_left_alone_for_a_while(
    shelf: Shelf, server: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = await shelf.keep(b"a song")
    monkeypatch.setattr(s3_module, "REST_SECONDS", 600.0)
    server.fault(Fault.HANG)
    with pytest.raises(StoreError):
        await shelf.archive.get(file.audio_sha256 or "", tmp_path / "out")
    asked = server.requests.total()
    for _ in range(3):
        with pytest.raises(StoreError, match=r"a moment ago: (it did not answer in time|it took longer)"):
            await shelf.archive.get(file.audio_sha256 or "", tmp_path / "out")
    assert server.requests.total() == asked
    assert await stored(shelf.database, file) == file


@pytest.mark.parametrize("method", ["PUT", "GET", "HEAD", "LIST", "DELETE"])
async def test_a_store_that_refuses_has_answered(
    server: StandIn, standing: Standing, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, method: str
) -> None:
    monkeypatch.setattr(s3_module, "REST_SECONDS", 600.0)
    store, name = S3(standing.access), hashlib.sha256(b"a song").hexdigest()
    source = tmp_path / "song"
    source.write_bytes(b"a song")

    async def ask() -> None:
        match method:
            case "PUT":
                await store.put(source, name, "mp3")
            case "GET":
                await store.get(name, tmp_path / "out")
            case "HEAD":
                await store.address(name, "GET")
            case "LIST":
                await anext(store.names(), None)
            case "DELETE":
                await store.remove(name)

    server.fault(Fault.FORBIDDEN, method)
    for _ in range(2):
        with pytest.raises(StoreRefused, match=r"^access is refused \(403\)$"):
            await ask()
    server.mend()
    await store.put(source, name, "mp3")
    await ask()


async def test_a_store_that_removes_nothing_costs_no_more_than_the_room_that_is_needed(
    tmp_path: Path, standing: Standing, server: StandIn, address: str
) -> None:
    async with open_shelf(tmp_path, standing, address, max_bytes=50) as shelf:
        songs = [await shelf.keep(bytes([number]) * 10) for number in range(5)]
        _, file = await add_song(shelf.database)
        server.fault(Fault.SLOW_DOWN, "DELETE")
        for _ in range(4):
            with pytest.raises(StoreError):
                await shelf.archive.put(shelf.source(b"5" * 15), file, AUDIO, "mp3")
        states = list((await shelf.states()).values())
        assert sorted(states) == ["going"] * 2 + ["kept"] * 3
        server.mend()
        with pytest.raises(StoreError, match="no room"):  # another process may be at it
            await shelf.archive.put(shelf.source(b"5" * 15), file, AUDIO, "mp3")
        shelf.now += SETTLED_SECONDS + 1
        await shelf.keep(b"5" * 15, file)
        left = {(await stored(shelf.database, song)).audio_sha256 for song in songs} - {None}
        assert len(left) == 3
        assert left < shelf.place.names() == await shelf.known()


async def test_what_could_not_be_removed_goes_later(shelf: Shelf, server: StandIn) -> None:
    file = await shelf.keep(b"a song")
    async with shelf.database.write() as transaction:
        await transaction.execute(delete(files_table))
    server.fault(Fault.SLOW_DOWN, "DELETE")
    with pytest.raises(StoreError):
        await shelf.archive.collect()
    assert await shelf.states() == {file.audio_sha256: "going"}
    server.mend()
    shelf.now += SETTLED_SECONDS + 1
    await shelf.archive.tidy()
    assert shelf.place.names() == await shelf.known() == set()


async def test_a_listing_that_fails_removes_nothing(shelf: Shelf, server: StandIn) -> None:
    await shelf.keep(b"a song")
    for fault in (Fault.SLOW_DOWN, Fault.PAGE, Fault.HANG):
        server.fault(fault, "LIST")
        with suppress(StoreError):
            await shelf.archive.tidy()
        assert len(shelf.place.names()) == 1


# At the start


@pytest.mark.parametrize("fault", [Fault.SLOW_DOWN, Fault.HANG])
async def test_a_store_that_is_away_keeps_no_start_waiting(
    server: StandIn, standing: Standing, caplog: pytest.LogCaptureFixture, fault: Fault
) -> None:
    server.fault(fault)
    await S3(standing.access).open()
    assert "cannot be reached yet" in caplog.text


async def test_a_store_that_refuses_is_told_at_once(server: StandIn, standing: Standing) -> None:
    with pytest.raises(StoreRefused, match="NoSuchBucket"):
        await S3(Access("another", "", server.url, None, "AKID", "secret")).open()
    server.fault(Fault.DENIED)
    with pytest.raises(StoreRefused, match="AccessDenied"):
        await S3(standing.access).open()


async def test_a_probe_puts_gets_and_deletes(server: StandIn, standing: Standing) -> None:
    store = S3(standing.access)
    await store.probe()
    assert set(server.requests) == {"LIST", "PUT", "GET", "DELETE"}
    assert server.objects == {}
    for method in ("LIST", "PUT", "GET", "DELETE"):
        server.fault(Fault.DENIED, method)
        with pytest.raises(StoreRefused):
            await store.probe()
        server.mend()


# Large files


async def test_a_large_file_goes_in_parts(shelf: Shelf, server: StandIn, tmp_path: Path) -> None:
    data = b"".join(bytes([number % 251]) * 65_536 for number in range(150))
    shelf.archive._max_bytes = 1 << 30
    file = await shelf.keep(data)
    assert server.longest <= PART_BYTES
    assert server.types == {next(iter(server.objects)): "audio/mpeg"}
    assert await shelf.archive.get(file.audio_sha256 or "", tmp_path / "out") is not None
    assert (tmp_path / "out").read_bytes() == data


def test_a_file_of_forty_megabytes_is_never_in_memory_as_a_whole(bucket: InStore, tmp_path: Path) -> None:
    program = """
import asyncio, hashlib, resource, sys
from pathlib import Path
from storage.archive.disk import digest
from storage.archive.s3 import S3, Access

async def main():
    url, bucket, source = sys.argv[1:]
    store = S3(Access(bucket, "archive", url, None, "AKID", "secret"))
    small = Path(source + ".small")
    small.write_bytes(b"a song")
    for path in (small, Path(source)):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        sha256 = digest(path)
        await store.put(path, sha256, "mp3")
        assert await store.get(sha256, path.with_suffix(".out"))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)

asyncio.run(main())
"""
    source = tmp_path / "song"
    with source.open("wb") as file:
        for number in range(40):
            file.write(bytes([number]) * (1 << 20))
    ended = subprocess.run(
        [sys.executable, "-c", program, bucket.url, bucket.bucket, str(source)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(ended.stdout) < 32 * 1024  # KiB


# From the disk


async def test_an_archive_is_carried_over_whole_and_again_where_that_was_ended(
    tmp_path: Path, standing: Standing, server: StandIn, address: str
) -> None:
    disk = OnDisk(tmp_path / "media")
    async with open_shelf(tmp_path, disk, address) as shelf:
        names = [(await shelf.keep(b"song %d" % number)).audio_sha256 or "" for number in range(4)]
        disk.remove(names[0])
        disk.write(names[1], b"half a s")
        server.fault(Fault.SLOW_DOWN, "PUT")
        with pytest.raises(StoreError):
            await carry(shelf.database, disk.store(), standing.store(), disk.directory)
        assert standing.names() == set()
        server.mend()
        standing.write(names[2], b"song 2")
        found = await carry(shelf.database, disk.store(), standing.store(), disk.directory)
        assert (found.brought, found.there, found.lost) == (1, 1, 2)
        assert standing.names() == {names[2], names[3]}
        assert standing.read(names[3]) == b"song 3"
        assert disk.names() == set(names[1:])


# Several processes


async def test_several_processes_lose_nothing_to_each_other(tmp_path: Path, bucket: InStore, address: str) -> None:
    async with open_shelf(tmp_path, bucket, address) as shelf:
        songs = [(await add_song(shelf.database))[1] for _ in range(30)]
        archives = [shelf.archive, shelf.another(), shelf.another()]
        archiving = True

        async def tidy(number: int) -> None:
            while archiving:
                shelf.now += 1
                await archives[number].tidy()

        async def archive(number: int) -> None:
            # Each of them brings every second song's bytes too.
            for place, file in enumerate(songs):
                while place % 3 == number and (await stored(shelf.database, file)).audio_sha256 is None:
                    with suppress(StoreError):
                        await archives[number].put(shelf.source(b"song %d" % (place // 2)), file, AUDIO, "mp3")

        tidying = [asyncio.create_task(tidy(number)) for number in range(2)]
        await asyncio.gather(*(archive(number) for number in range(3)))
        archiving = False
        await asyncio.gather(*tidying)
        rows = [await stored(shelf.database, file) for file in songs]
        assert {row.audio_sha256 for row in rows} == shelf.place.names() == await shelf.known()
        assert len(shelf.place.names()) == 15


async def test_a_process_that_was_stopped_does_not_count_on_what_went_meanwhile(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = shelf.another()
    _, file = await add_song(shelf.database)
    put = shelf.archive._store.put

    async def stopped(source: Path, sha256: str, kind: str) -> None:
        await put(source, sha256, kind)
        shelf.now += 2 * 3600.0
        await other.tidy()
        assert shelf.place.names() == set()

    monkeypatch.setattr(shelf.archive._store, "put", stopped)
    with pytest.raises(StoreError, match="another process"):
        await shelf.archive.put(shelf.source(b"a song"), file, AUDIO, "mp3")
    assert await shelf.known() == set()
    assert (await stored(shelf.database, file)).audio_sha256 is None


async def test_an_address_is_of_what_is_there_alone(shelf: Shelf) -> None:
    file = await shelf.keep(b"a song")
    name = file.audio_sha256 or ""
    shelf.now += 9
    address = await shelf.archive.address(name, "GET")
    assert address is not None
    assert "X-Amz-Expires=600" in address
    assert address != await shelf.archive.address(name, "HEAD")
    async with shelf.database.read() as snapshot:
        from storage.archive import index

        kept = await index.get(snapshot, name)
    assert kept is not None
    assert kept.used_at == shelf.now
    shelf.place.remove(name)
    assert await shelf.archive.address(name, "GET") is None
    assert await shelf.archive.address("ab" * 32, "GET") is None
