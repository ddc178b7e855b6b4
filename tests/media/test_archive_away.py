"""A store that is slow or away: whoever wants a file gets it from where it came from, and is told the truth if not."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bot.fetching.fetch import FetchError, FetchProblem
from bot.media import files as files_module
from bot.media.archiver import PAUSES
from storage.archive import s3 as s3_module
from tests.media.bench import open_bench
from tests.media.origins import answer, origin, saying
from tests.media.samples import sound
from tests.stores.places import Standing
from tests.stores.stand_in import Fault, StandIn, stand_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from storage.songs.files import File
    from tests.media.bench import Bench

MP3 = sound("mp3", "libmp3lame", 1.0)


@pytest.fixture
async def server() -> AsyncIterator[StandIn]:
    async with stand_in() as server:
        yield server


@pytest.fixture
async def bench(tmp_path: Path, server: StandIn, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    monkeypatch.setattr(files_module, "STORE_SECONDS", 0.05)
    monkeypatch.setattr(files_module, "KEEP_SECONDS", 0.1)
    monkeypatch.setattr(s3_module, "ANSWER_SECONDS", 3.0)
    monkeypatch.setattr(s3_module, "REST_SECONDS", 0.0)
    async with open_bench(tmp_path, Standing(server)) as it:
        yield it


async def archived(bench: Bench) -> File:
    """Keep a song whose host forgets it then."""
    async with origin(saying(answer(MP3))) as site:
        kept = await bench.archive_it(await bench.song(audio_url=site.url(), archive_at=bench.now))
    assert kept.audio_sha256 is not None
    return kept


async def test_who_holds_a_place_does_not_wait_for_a_store_that_hangs(bench: Bench, server: StandIn) -> None:
    async with origin(saying(answer(MP3))) as site:
        kept = await bench.archive_it(await bench.song(audio_url=site.url(), archive_at=bench.now))
        server.fault(Fault.HANG)
        got = await bench.files.audio(kept, bench.place, wait=20.0)
        assert server.hanging.is_set()
        assert got.store().read_bytes() == MP3
    assert await bench.again(kept) == kept
    assert bench.kept() == {kept.audio_sha256}


async def test_what_only_a_slow_store_has_is_under_way_until_it_is_there(bench: Bench, server: StandIn) -> None:
    async with origin(saying(answer(b"", status="404 Not Found"))) as site:
        kept = replace(await archived(bench), audio_url=site.url())
        server.fault(Fault.HANG, "GET")
        with pytest.raises(FetchError) as caught:
            await bench.files.audio(kept, bench.place, wait=20.0)
        assert caught.value.kind is FetchProblem.UNDER_WAY
        # Its time is over, and VidGo has nothing: that is not the last word either.
        with pytest.raises(FetchError) as caught:
            await bench.files.audio(kept, bench.place)
        assert caught.value.kind is FetchProblem.ARCHIVE
        server.mend()
        bench.forget_failures()
        got = await bench.files.audio(kept, bench.place)
        assert got.store().read_bytes() == MP3
    assert (await bench.again(kept)).audio_sha256 == kept.audio_sha256


async def test_what_a_store_did_not_take_is_brought_there_later(bench: Bench, server: StandIn) -> None:
    async with origin(saying(answer(MP3))) as site:
        file = await bench.song(audio_url=site.url(), archive_at=bench.now)
        for fault, pause in zip((Fault.SLOW_DOWN, Fault.HANG, Fault.DENIED), PAUSES, strict=False):
            server.fault(fault)
            file = await bench.archive_it(file)
            assert (file.audio_sha256, file.archive_at) == (None, bench.now + pause)
            bench.now += pause
        server.mend()
        file = await bench.archive_it(file)
    assert (file.archive_at, bench.counted("later"), bench.counted("kept")) == (None, 3, 1)
    assert bench.kept() == {file.audio_sha256}


async def test_twenty_who_want_a_song_ask_the_store_once(bench: Bench, server: StandIn) -> None:
    kept = await archived(bench)
    places = [bench.place / str(number) for number in range(20)]
    for place in places:
        place.mkdir()
    before = server.requests["GET"]
    got = await asyncio.gather(*(bench.files.audio(kept, place) for place in places))
    assert server.requests["GET"] == before + 1
    assert {one.store().read_bytes() for one in got} == {MP3}
    assert {one.path.parent for one in got} == set(places)
