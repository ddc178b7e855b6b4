"""Files for whoever needs them: fetched once for all, from the archive where it has them, and looked at."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn

import aiohttp
import discord
import pytest

from bot.fetching.fetch import FetchError, FetchProblem
from bot.formats.fetched import Fetched
from bot.formats.kinds import MediaKind
from bot.media import files as files_module
from bot.media.files import MOST_IN_MEMORY, MOST_PREFETCHED
from storage.archive.index import AUDIO
from storage.schema import NotificationState
from storage.wakeups import Queue
from tests.media.bench import open_bench
from tests.media.origins import answer, origin, saying
from tests.media.samples import picture, sound, stored
from tests.storage.rows import a_notification, add

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.media.bench import Bench
    from tests.stores.places import Place

MP3 = sound("mp3", "libmp3lame", 2.0)
PNG = picture("png", "image2pipe", 64, 64, "rgb24")


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with open_bench(tmp_path) as it:
        yield it


@pytest.fixture
async def archiving(tmp_path: Path, place: Place) -> AsyncIterator[Bench]:
    """A bench for each kind of archive."""
    async with open_bench(tmp_path, place) as it:
        yield it


async def released(going: asyncio.Event, data: bytes, writer: asyncio.StreamWriter) -> None:
    """Answer when told to."""
    await going.wait()
    writer.write(answer(data))


async def test_twenty_who_want_a_song_fetch_it_once(bench: Bench) -> None:
    going = asyncio.Event()
    async with origin(lambda _, writer: released(going, MP3, writer)) as site:
        file = await bench.song(audio_url=site.url())
        places = [bench.place / str(number) for number in range(20)]
        for place in places:
            place.mkdir()
        getting = [asyncio.create_task(bench.files.audio(file, place)) for place in places]
        await asyncio.sleep(0)
        going.set()
        got = await asyncio.gather(*getting)
        assert site.connections == 1
    assert {one.store().read_bytes() for one in got} == {MP3}
    assert {one.path.parent for one in got} == set(places)


async def test_what_was_prefetched_is_used_for_the_same_address_only(bench: Bench) -> None:
    async with origin(saying(answer(MP3))) as site:
        file = await bench.song(audio_url=site.url())
        bench.files.prefetch(file)
        assert (await bench.files.audio(file, bench.place)).store().read_bytes() == MP3
        assert site.connections == 1
        # The read names another one: what the callback named is not taken for it.
        other = replace(file, audio_url=site.url("/other.mp3"))
        await bench.files.audio(other, bench.place)
        assert [request.split("?")[0] for request in site.requests] == ["GET /song.mp3", "GET /other.mp3"]


async def test_what_is_thrown_away_in_the_moment_it_is_wanted_is_no_fault_of_the_disk(tmp_path: Path) -> None:
    gone = Fetched(tmp_path / "gone", len(MP3), MediaKind.MP3)
    with pytest.raises(FetchError) as caught:
        await files_module._placed(gone, tmp_path / "mine")
    assert caught.value.kind is FetchProblem.UNDER_WAY
    there = Fetched(stored(tmp_path / "there", MP3), len(MP3), MediaKind.MP3)
    with pytest.raises(FileNotFoundError):
        await files_module._placed(there, tmp_path / "missing" / "mine")


async def test_prefetching_has_its_bounds(bench: Bench) -> None:
    going = asyncio.Event()
    async with origin(lambda _, writer: released(going, MP3, writer)) as site:
        for number in range(3 * MOST_PREFETCHED):
            bench.files.prefetch(await bench.song(audio_url=site.url(f"/{number}.mp3")))
        assert bench.files.in_transit == MOST_PREFETCHED
        # Whoever really wants a file is not turned away by that.
        wanted = asyncio.create_task(
            bench.files.audio(await bench.song(audio_url=site.url("/wanted.mp3")), bench.place)
        )
        await asyncio.sleep(0)
        going.set()
        assert (await wanted).size == len(MP3)


async def test_the_archive_takes_what_was_fetched_without_fetching_it_again(archiving: Bench) -> None:
    async with origin(saying(answer(MP3))) as site, origin(saying(answer(PNG))) as gallery:
        file = await archiving.song(audio_url=site.url(), image_urls=[gallery.url()], archive_at=archiving.now)
        archiving.files.prefetch(file)
        await archiving.files.audio(file, archiving.place)
        await archiving.files.picture(file, archiving.place)
        kept = await archiving.archive_it(file)
        assert (site.connections, gallery.connections) == (1, 1)
        assert archiving.kept() == {kept.audio_sha256, kept.image_sha256}
        assert kept.archive_at is None
        assert archiving.counted("kept") == 2
    # From here on the archive alone is asked.
    got = await archiving.files.audio(kept, archiving.place)
    assert (got.path.read_bytes(), got.kind) == (MP3, MediaKind.MP3)


async def test_only_some_small_files_are_in_memory(bench: Bench) -> None:
    async with origin(saying(answer(MP3))) as site:
        for number in range(MOST_IN_MEMORY + 4):
            bench.files.prefetch(await bench.song(audio_url=site.url(f"/{number}.mp3")))
        async with asyncio.timeout(20):
            while len(list(bench.files._fetched.results())) < MOST_IN_MEMORY + 4:  # noqa: ASYNC110 - nobody is told
                await asyncio.sleep(0.01)
    held = [one.data for one in bench.files._fetched.results()]
    assert sum(data is not None for data in held) == MOST_IN_MEMORY


async def test_nobody_waits_for_a_host_longer_than_said(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    going = asyncio.Event()
    async with origin(lambda _, writer: released(going, MP3, writer)) as site:
        file = await bench.song(audio_url=site.url())
        with pytest.raises(FetchError) as caught:
            await bench.files.audio(file, bench.place, wait=0.05)
        assert caught.value.kind is FetchProblem.UNDER_WAY
        going.set()
        assert (await bench.files.audio(file, bench.place, wait=20)).size == len(MP3)
        assert site.connections == 1
        # Nor for the decoder.
        with pytest.raises(FetchError) as caught:
            await bench.files.fitted(file, bench.place, limit=20_000, reserve=0, wait=0)
        assert caught.value.kind is FetchProblem.UNDER_WAY
        fitted = await bench.files.fitted(file, bench.place, limit=20_000, reserve=0)
        assert fitted is not None
        assert fitted.path.stat().st_size == fitted.size <= 20_000
        assert await bench.files.fitted(file, bench.place, limit=1000, reserve=0) is None


async def test_a_failure_is_seen_by_all_and_tried_anew_by_each_who_has_seen_it(bench: Bench) -> None:
    async with origin(saying(answer(b"", status="503 Service Unavailable"))) as site:
        file = await bench.song(audio_url=site.url())
        for stale_after in (None, None, 0.0):
            with pytest.raises(FetchError, match="HTTP 503"):
                await bench.files.audio(file, bench.place, stale_after=stale_after)
        assert site.connections == 2


async def test_an_archive_that_cannot_be_read_is_passed_by_and_loses_nothing(
    archiving: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with origin(saying(answer(MP3))) as site:
        kept = await archiving.archive_it(await archiving.song(audio_url=site.url(), archive_at=archiving.now))
        monkeypatch.setattr(archiving.archive._store, "get", unreadable)
        assert (await archiving.files.audio(kept, archiving.place)).store().read_bytes() == MP3
    assert archiving.kept() == {kept.audio_sha256}
    assert (await archiving.again(kept)).audio_sha256 == kept.audio_sha256


async def unreadable(*_: object) -> bool:
    raise OSError(5, "Input/output error")


async def test_a_place_that_is_gone_costs_the_archive_nothing(archiving: Bench) -> None:
    async with origin(saying(answer(MP3))) as site:
        kept = await archiving.archive_it(await archiving.song(audio_url=site.url(), archive_at=archiving.now))
        archiving.place.rmdir()
        for _ in range(5):
            got = await archiving.files.audio(kept, archiving.place)
            with pytest.raises(FileNotFoundError):
                got.store()
    assert archiving.kept() == {kept.audio_sha256}
    assert (await archiving.again(kept)).audio_sha256 == kept.audio_sha256


async def test_what_had_to_make_room_is_kept_again_once_somebody_wants_it(archiving: Bench) -> None:
    async with origin(saying(answer(MP3))) as site:
        file = await archiving.song(audio_url=site.url())
        await archiving.files.audio(file, archiving.place)
        assert (await archiving.again(file)).archive_at == archiving.now
        async with asyncio.timeout(30):
            await archiving.database.wakeups.wait(Queue.ARCHIVER, 600)
        # One that is to be archived anyway is not planned anew.
        new = await archiving.song(audio_url=site.url("/new.mp3"), archive_at=archiving.now + 100)
        await archiving.files.audio(new, archiving.place)
        assert (await archiving.again(new)).archive_at == archiving.now + 100


# What comes


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b"\r\n" + MP3, None),
        (sound("mp4", "aac", 2.0), None),
        (sound("webm", "libopus", 2.0), None),
        (sound("aiff", "pcm_s16be", 2.0), None),
        (sound("adts", "aac", 2.0), None),
        (b"ID3\x03\x00\x00\x00\x00\x00\x0a" + bytes(10) + sound("flac", "flac", 2.0), None),
        *((known, len(known)) for known in (MP3, sound("wav", "pcm_s16le", 2.0), sound("ogg", "libopus", 2.0))),
    ],
    ids=["line end", "mp4", "webm", "aiff", "adts", "tagged flac", "mp3", "wav", "ogg"],
)
async def test_sound_is_taken_as_it_is_where_known_and_as_an_mp3_where_not(
    bench: Bench, data: bytes, size: int | None
) -> None:
    async with origin(saying(answer(data))) as site:
        got = await bench.files.audio(await bench.song(audio_url=site.url()), bench.place)
    assert got.kind.is_audio
    assert (got.store().read_bytes() == data) == (size is not None)
    assert got.size == got.path.stat().st_size
    if size is None:
        assert got.kind is MediaKind.MP3


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (PNG, FetchProblem.NOT_MEDIA),
        (b"PK\x03\x04" + bytes(2000), FetchProblem.NOT_MEDIA),
        (b"\xff\xfb\x90\x64" + bytes(5), FetchProblem.NOT_MEDIA),
        (picture("libsvtav1", "avif", 64, 64, "yuv420p"), FetchProblem.NOT_MEDIA),
        (b"<html>" * 100, FetchProblem.NO_FILE),
        (b"", FetchProblem.NO_FILE),
    ],
    ids=["png", "zip", "a frame", "avif", "html", "empty"],
)
async def test_what_is_no_sound_is_none(bench: Bench, data: bytes, problem: FetchProblem) -> None:
    async with origin(saying(answer(data))) as site:
        file = await bench.song(audio_url=site.url())
        with pytest.raises(FetchError) as caught:
            await bench.files.audio(file, bench.place)
    assert caught.value.kind is problem
    assert list(bench.place.iterdir()) == []


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (PNG, MediaKind.PNG),
        (picture("libwebp", "webp", 64, 64, "yuv420p"), MediaKind.WEBP),
        (picture("libsvtav1", "avif", 64, 64, "yuv420p"), MediaKind.JPEG),
        (picture("tiff", "image2pipe", 64, 64, "rgb24"), MediaKind.JPEG),
    ],
    ids=["png", "webp", "avif", "tiff"],
)
async def test_pictures_are_taken_as_they_are_where_known_and_as_jpegs_where_not(
    bench: Bench, data: bytes, kind: MediaKind
) -> None:
    async with origin(saying(answer(data))) as site:
        got = await bench.files.picture(await bench.song(image_urls=[site.url()]), bench.place)
    assert got.kind is kind
    assert (got.store().read_bytes() == data) == (kind is not MediaKind.JPEG)
    assert got.size == got.path.stat().st_size


async def test_the_first_picture_that_can_be_had_is_taken(bench: Bench) -> None:
    gone, page = saying(answer(b"", status="404 Not Found")), saying(answer(b"<html>"))
    async with origin(gone) as first, origin(page) as second, origin(saying(answer(PNG))) as third:
        file = await bench.song(image_urls=[first.url(), second.url(), third.url()])
        assert (await bench.files.picture(file, bench.place)).store().read_bytes() == PNG
        # Of several troubles that one is told which leaves most hope.
        file = await bench.song(image_urls=[first.url(), second.url()])
        with pytest.raises(FetchError) as caught:
            await bench.files.picture(file, bench.place)
    assert caught.value.kind is FetchProblem.NO_FILE


def answered(status: int, code: int) -> discord.HTTPException:
    """Return what discord.py raises for an answer with an error code, 0 for none of Discord's."""
    response: Any = SimpleNamespace(status=status, reason="Reason", headers={})
    return discord.HTTPException(response, {"message": "No", "code": code})


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (answered(404, 10008), FetchProblem.GONE),
        (answered(503, 0), FetchProblem.NETWORK),
        (discord.RateLimited(40.0), FetchProblem.NETWORK),
        (aiohttp.ServerDisconnectedError(), FetchProblem.NETWORK),
    ],
)
async def test_what_an_earlier_post_may_have_is_not_gone_while_that_cannot_be_read(
    tmp_path: Path, error: Exception, problem: FetchProblem
) -> None:
    async def find_post(_channel: int, _message: int) -> NoReturn:
        raise error

    async with (
        open_bench(tmp_path, find_post=find_post) as bench,
        origin(saying(answer(b"", status="404 Not Found"))) as gone,
    ):
        file = await bench.song(audio_url=gone.url(), image_urls=[gone.url()])
        await add(
            bench.database, [a_notification(state=NotificationState.DELIVERED, task_id=file.task_id, message_id=8)]
        )
        for get in (bench.files.audio, bench.files.picture):
            with pytest.raises(FetchError) as caught:
                await get(file, bench.place)
            assert caught.value.kind is problem


async def test_what_an_earlier_post_has_is_not_gone_while_it_cannot_be_fetched(tmp_path: Path) -> None:
    async with (
        origin(saying(answer(b"", status="404 Not Found"))) as gone,
        origin(saying(answer(b"", status="503 Service Unavailable"))) as away,
    ):

        async def find_post(_channel: int, _message: int) -> Any:
            picture_of = SimpleNamespace(image=SimpleNamespace(url=None), thumbnail=SimpleNamespace(url=away.url()))
            return SimpleNamespace(attachments=[SimpleNamespace(url=away.url())], embeds=[picture_of])

        async with open_bench(tmp_path, find_post=find_post) as bench:
            file = await bench.song(audio_url=gone.url(), image_urls=[gone.url()])
            post = a_notification(state=NotificationState.DELIVERED, task_id=file.task_id, message_id=8)
            await add(bench.database, [post])
            for get in (bench.files.audio, bench.files.picture):
                with pytest.raises(FetchError) as caught:
                    await get(file, bench.place)
                assert caught.value.kind is FetchProblem.BAD_STATUS


async def test_a_decoder_that_cannot_be_started_says_nothing_about_the_file(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    async with origin(saying(answer(sound("mp4", "aac", 1.0)))) as site:
        with pytest.raises(FileNotFoundError):
            await bench.files.audio(await bench.song(audio_url=site.url()), bench.place)


async def test_what_is_kept_for_others_goes_in_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_module, "ARCHIVED_SECONDS", 0.0)
    async with origin(saying(answer(sound("wav", "pcm_s16le", 30.0)))) as site:
        file = await bench.song(audio_url=site.url())
        await bench.files.audio(file, bench.place)
        assert len(list(bench.posting.iterdir())) == 1
        bench.files.is_archived(file, AUDIO)
        async with asyncio.timeout(10):
            while bench.files.in_transit:  # noqa: ASYNC110 - nobody is told
                await asyncio.sleep(0.01)
    assert list(bench.posting.iterdir()) == []
