"""The archive gets every file, and what fails is tried again for as long as anybody has it."""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING

import pytest

from bot.media import archiver as archiver_module
from bot.media.archiver import PAUSES, TIDY, TIDY_SECONDS, UNDER_WAY_SECONDS
from storage.archive import index
from tests.media.bench import open_bench
from tests.media.origins import answer, origin, saying
from tests.media.samples import picture, sound

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from storage.songs.files import File
    from tests.media.bench import Bench
    from tests.stores.places import Place

MP3 = sound("mp3", "libmp3lame", 1.0)
PNG = picture("png", "image2pipe", 64, 64, "rgb24")
DAY = 86_400.0


@pytest.fixture
async def bench(tmp_path: Path, place: Place) -> AsyncIterator[Bench]:
    async with open_bench(tmp_path, place) as it:
        yield it


async def tried(bench: Bench, file: File, *, most: int = 40) -> tuple[list[float], File]:
    """Let the archiver try a file whenever it is due; return its pauses, and the row as it is in the end."""
    pauses: list[float] = []
    row = await bench.archive_it(file)
    while row.archive_at is not None and len(pauses) < most:
        pauses.append(row.archive_at - bench.now)
        bench.now = row.archive_at
        row = await bench.archive_it(row)
    return pauses, row


async def test_a_place_that_was_full_once_is_tried_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(bench.archive._store, "put", full)
    async with origin(saying(answer(MP3))) as site:
        file = await bench.song(audio_url=site.url(), archive_at=bench.now)
        for number, pause in enumerate([*PAUSES, PAUSES[-1], PAUSES[-1]], 1):
            file = await bench.archive_it(file)
            assert file.archive_at == bench.now + pause
            assert (file.archive_tries, bench.counted("later")) == (number, number)
            bench.now = file.archive_at
        monkeypatch.undo()
        file = await bench.archive_it(file)
    assert (file.archive_at, bench.counted("kept")) == (None, 1)
    assert bench.kept() == {file.audio_sha256}


async def test_a_host_that_is_down_is_tried_for_a_day(bench: Bench) -> None:
    async with origin(saying(answer(b"", status="503 Service Unavailable"))) as site:
        file = await bench.song(audio_url=site.url(), archive_at=bench.now)
        pauses, row = await tried(bench, file)
    assert pauses[:4] == list(PAUSES[:4])
    assert DAY < sum(pauses) < DAY + PAUSES[-1]
    assert (row.audio_sha256, row.archive_at, bench.counted("given_up")) == (None, None, 1)


async def test_404_is_tried_until_it_lasts(bench: Bench) -> None:
    async with origin(saying(answer(b"", status="404 Not Found"))) as site:
        pauses, _ = await tried(bench, await bench.song(audio_url=site.url(), archive_at=bench.now))
        assert sum(pauses) > 600
        assert len(pauses) >= 3
        old = await bench.song(audio_url=site.url(), archive_at=bench.now, finished_at=bench.now - 2 * DAY)
        assert await tried(bench, old) == ([], await bench.again(old))


async def test_a_picture_that_cannot_be_had_yet_is_tried_again_too(bench: Bench) -> None:
    status = {"now": "503 Service Unavailable"}

    async def respond(_: str, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(PNG, status=status["now"]))

    async with origin(saying(answer(MP3))) as site, origin(respond) as gallery:
        file = await bench.song(audio_url=site.url(), image_urls=[gallery.url()], archive_at=bench.now)
        row = await bench.archive_it(file)
        assert (row.audio_sha256 is not None, row.image_sha256, row.archive_at) == (True, None, bench.now + PAUSES[0])
        status["now"] = "200 OK"
        bench.now += PAUSES[0]
        bench.forget_failures()
        row = await bench.archive_it(row)
    assert row.image_sha256 is not None
    assert row.archive_at is None
    assert site.connections == 1


async def test_what_is_still_coming_is_no_try(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archiver_module, "WAIT_SECONDS", 0.05)
    going = asyncio.Event()

    async def respond(_: str, writer: asyncio.StreamWriter) -> None:
        await going.wait()
        writer.write(answer(MP3))

    async with origin(respond) as site:
        file = await bench.song(audio_url=site.url(), archive_at=bench.now)
        row = await bench.archive_it(file)
        assert (row.archive_at, row.archive_tries) == (bench.now + UNDER_WAY_SECONDS, 0)
        going.set()
        await bench.files.audio(row, bench.place)
        row = await bench.archive_it(row)
        assert row.audio_sha256 is not None
        assert site.connections == 1


async def test_what_was_planned_anew_meanwhile_is_not_planned_away(bench: Bench) -> None:
    async with origin(saying(answer(MP3))) as site:
        file = await bench.song(audio_url=site.url(), archive_at=bench.now)
        async with bench.database.write() as connection:
            # As where the archive has just found its copy damaged.
            await index.tried(connection, file, bench.now + 7, 0)
            await index.tried(connection, file, None, 1)
        assert (await bench.again(file)).archive_at == bench.now + 7


async def test_a_song_that_is_gone_is_no_work(bench: Bench) -> None:
    await bench.archiver.do(f"{'0' * 24}.0")


async def test_it_tidies_up_now_and_then(bench: Bench) -> None:
    # A disk was tidied up when it was opened; a store is as soon as everything runs.
    for first in await bench.archiver.claim([], 9):
        await bench.archiver.do(first.id)
    stray = "ab" * 32
    for seconds, is_there in ((TIDY_SECONDS - 1, True), (2.0, False)):
        bench.archived_in.write(stray, b"left over")
        bench.now += seconds
        due = await bench.archiver.claim([], 9)
        assert [one.id for one in due] == ([] if is_there else [TIDY])
        assert await bench.archiver.claim([TIDY], 9) == []
        for one in due:
            await bench.archiver.do(one.id)
        assert (stray in bench.kept()) is is_there
    assert await bench.archiver.claim([], 9) == []
