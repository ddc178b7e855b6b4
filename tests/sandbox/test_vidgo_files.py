"""The result files are real, and every way in which a file host misbehaves really happens."""

from __future__ import annotations

import asyncio
import io
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import av
import pytest

from sandbox.vidgo import Task, VidGoStandIn
from sandbox.vidgo.files import FileKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def started(**settings: Any) -> AsyncIterator[tuple[VidGoStandIn, aiohttp.ClientSession]]:
    standin = VidGoStandIn(seconds=0.02, audio_seconds=0.5, **settings)
    async with standin as vidgo, aiohttp.ClientSession() as session:
        yield vidgo, session


def first_url(task: Task, field: str = "audio_url") -> str:
    files = task.files
    assert files
    return str(files[0][field])


def length(data: bytes) -> float:
    """Return the decoded length of audio, in seconds."""
    with av.open(io.BytesIO(data), "r") as container:
        stream = container.streams.audio[0]
        return float(sum(frame.samples for frame in container.decode(stream)) / stream.rate)


def picture_size(data: bytes) -> tuple[int, int]:
    with av.open(io.BytesIO(data), "r") as container:
        frame = next(container.decode(container.streams.video[0]))
        return frame.width, frame.height


async def fetch(session: aiohttp.ClientSession, url: str) -> tuple[int, str, bytes]:
    async with session.get(url, allow_redirects=False) as answer:
        return answer.status, answer.content_type, await answer.read()


async def test_songs_play_as_long_as_they_say_and_have_pictures() -> None:
    async with started() as (vidgo, session):
        song = vidgo.add_song("Harbour Lights", seconds=2.5)
        bodies = set()
        for entry in song.files or []:
            status, kind, body = await fetch(session, str(entry["audio_url"]))
            assert (status, kind) == (200, "audio/mpeg")
            assert abs(length(body) - entry["duration"]) < 0.01
            bodies.add(body)
            status, kind, body = await fetch(session, entry["image_url"])
            assert (status, kind) == (200, "image/jpeg")
            assert picture_size(body) == (512, 512)
            bodies.add(body)
        assert len(bodies) == 4
        assert not any(one.authorized for one in vidgo.requests)


async def test_covers_and_conversions_have_files_of_their_own() -> None:
    async with started() as (vidgo, session):
        song = vidgo.add_song("Harbour Lights", seconds=0.5)
        headers = {"Authorization": "Bearer test-key"}
        audio_id = song.variants[1].audio_id
        orders = {
            "generate-music-cover": {"task_id": song.id},
            "convert-to-wav": {"task_id": song.id, "audio_id": audio_id},
        }
        made = {}
        for model, order in orders.items():
            order_body = {"model": model, "callback_url": "https://callbacks.invalid/", "input": order}
            async with session.post(vidgo.api_url + "/api/generate/submit", json=order_body, headers=headers) as answer:
                task_id = (await answer.json())["data"]["task_id"]
            made[model] = await vidgo.wait_task(task_id, "finished")
        cover = f"{vidgo.api_url}/files/{made['generate-music-cover'].id}"
        pictures = [await fetch(session, f"{cover}/cover-{number}.png") for number in (1, 2)]
        assert [(status, kind) for status, kind, _ in pictures] == [(200, "image/png")] * 2
        assert pictures[0][2] != pictures[1][2]
        assert picture_size(pictures[0][2]) == (512, 512)
        status, kind, body = await fetch(session, first_url(made["convert-to-wav"], "wav_url"))
        assert (status, kind, body[:4]) == (200, "audio/wav", b"RIFF")
        assert abs(length(body) - song.variants[1].duration) < 0.01


async def test_files_are_missing_before_the_end_after_expiry_and_by_other_names() -> None:
    async with started() as (vidgo, session):
        song = vidgo.add_song("One", seconds=0.5)
        url = first_url(song)
        assert (await fetch(session, url))[0] == 200
        for name in ("3.mp3", "0.mp3", "1.exe", "x.mp3", "1"):
            assert (await fetch(session, url.replace("1.mp3", name)))[0] == 404
        vidgo.expire_files(song)
        assert (await fetch(session, url))[0] == 404
        running = vidgo.add_song("Two", status="running")
        assert (await fetch(session, f"{vidgo.api_url}/files/{running.id}/1.mp3"))[0] == 404
        assert (await fetch(session, f"{vidgo.api_url}/files/NOBODY/1.mp3"))[0] == 404


async def test_a_file_can_be_missing_html_empty_or_mislabelled() -> None:
    async with started() as (vidgo, session):
        song = vidgo.add_song("One", seconds=0.5)
        url = first_url(song)
        right = (await fetch(session, url))[2]

        async def now(kind: Any, **more: Any) -> tuple[int, str, bytes]:
            vidgo.set_song_files(kind, task=song, **more)
            return await fetch(session, url)

        assert (await now("not_found"))[0] == 404
        status, kind, body = await now("html")
        assert (status, kind, b"<html" in body or b"<!doctype" in body) == (200, "text/html", True)
        assert await now("empty") == (200, "audio/mpeg", b"")
        assert await now("wrong_type") == (200, "text/plain", right)
        status, kind, body = await now("disguised")
        assert (kind, body[:4]) == ("audio/mpeg", b"\x89PNG")
        assert await now("bytes", data=b"abc", content_type="audio/ogg") == (200, "audio/ogg", b"abc")
        status, kind, body = await now("wav")
        assert (kind, body[:4]) == ("audio/wav", b"RIFF")
        vidgo.clear_song_files(song)
        assert (await fetch(session, url))[2] == right


async def test_a_broken_song_starts_well_and_does_not_play() -> None:
    async with started() as (vidgo, session):
        song = vidgo.add_song("One", seconds=4)
        vidgo.set_song_files("broken", task=song)
        _, kind, body = await fetch(session, first_url(song))
        assert kind == "audio/mpeg"
        assert body.startswith((b"ID3", b"\xff\xfb"))
        try:
            played = length(body)
        except av.FFmpegError:
            played = 0.0
        assert played < 0.5


async def test_a_song_can_have_a_given_size_and_plays_through() -> None:
    async with started() as (vidgo, session):
        vidgo.set_song_files("size", size=3_000_000, times=1)
        song = vidgo.add_song("Long")
        entry = (song.files or [])[0]
        _, _, body = await fetch(session, entry["audio_url"])
        assert len(body) == 3_000_000
        assert abs(length(body) - entry["duration"]) < 0.01
        assert vidgo.add_song("Next").file_rules == {}


async def test_redirects_and_foreign_addresses() -> None:
    async with started() as (vidgo, session):
        song = vidgo.add_song("One", seconds=0.5)
        url = first_url(song)
        vidgo.set_song_files("redirect", task=song, location="http://169.254.169.254/latest", status=307)
        async with session.get(url, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (307, "http://169.254.169.254/latest")
        vidgo.set_song_files("redirect_loop", task=song)
        with pytest.raises(aiohttp.TooManyRedirects):
            await session.get(url)
        vidgo.set_song_files("private", task=song)
        assert first_url(song).startswith("http://10.")
        vidgo.set_song_files("url", task=song, location="ftp://a.invalid/b")
        assert first_url(song) == "ftp://a.invalid/b"
        assert first_url(song, "image_url").startswith(vidgo.api_url)
        vidgo.set_song_files("not_found", task=song, media="image")
        assert (await fetch(session, first_url(song, "image_url")))[0] == 404


@pytest.mark.parametrize("kind", ["lying_length", "reset"])
async def test_a_file_can_end_before_its_promised_length(kind: Any) -> None:
    async with started() as (vidgo, session):
        song = vidgo.add_song("One", seconds=0.5)
        vidgo.set_song_files(kind, task=song)
        async with session.get(first_url(song)) as answer:
            assert answer.status == 200
            with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ClientConnectionError)):
                await answer.read()


async def test_a_file_can_promise_half_of_itself() -> None:
    async with started() as (vidgo, session):
        song = vidgo.add_song("One", seconds=0.5)
        right = (await fetch(session, first_url(song)))[2]
        vidgo.set_song_files("short_length", task=song)
        assert (await fetch(session, first_url(song)))[2] == right[: len(right) // 2]


async def test_a_file_can_be_endless_or_far_too_large() -> None:
    async with started() as (vidgo, session):
        song = vidgo.add_song("One", seconds=0.5)
        kinds: dict[FileKind, int | None] = {"endless": None, "too_large": 300_000_000}
        for kind, declared in kinds.items():
            vidgo.set_song_files(kind, task=song, size=300_000_000)
            async with session.get(first_url(song)) as answer:
                assert answer.content_length == declared
                assert len(await answer.content.readexactly(5_000_000)) == 5_000_000
        # Leaving the block cuts the connection; the stand-in must end at once all the same.


@pytest.mark.parametrize("kind", ["trickle", "hang"])
async def test_a_file_can_take_for_ever(kind: Any) -> None:
    async with started() as (vidgo, session):
        song = vidgo.add_song("One", seconds=0.5)
        vidgo.set_song_files(kind, task=song, pause=0.05)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3), session.get(first_url(song)) as answer:
                await answer.read()


async def test_an_unknown_behaviour_is_a_mistake_of_the_test() -> None:
    async with started() as (vidgo, _):
        with pytest.raises(ValueError, match="no such behaviour"):
            vidgo.set_song_files("haunted")  # type: ignore[arg-type]  # which is the point


@pytest.mark.parametrize(
    ("kind", "status", "size"),
    [("not_found", 404, 12), ("forbidden", 403, 12), ("unavailable", 503, 12), ("empty", 200, 0)],
)
async def test_files_may_be_there_some_time_after_the_end(kind: Any, status: int, size: int) -> None:
    now = 1_000_000.0
    async with started(clock=lambda: now) as (vidgo, session):
        vidgo.set_song_files(kind, lasting=80)
        now += 1000
        song = vidgo.add_song("One", seconds=0.5)
        for pause in (0, 79):
            now += pause
            code, _, body = await fetch(session, first_url(song))
            assert (code, len(body)) == (status, size)
        now += 1
        code, _, body = await fetch(session, first_url(song))
        assert (code, round(length(body), 1)) == (200, 0.5)
        vidgo.set_song_files(kind, task=song, lasting=5)
        assert (await fetch(session, first_url(song)))[0] == status
        now += 5
        assert (await fetch(session, first_url(song)))[2] == body


async def test_the_file_host_may_be_away_for_a_time() -> None:
    now = 1_000_000.0
    async with started(clock=lambda: now) as (vidgo, session):
        songs = [vidgo.add_song(title, seconds=0.5) for title in ("One", "Two")]
        vidgo.fault("files", "status", status=503, lasting=80)
        assert [(await fetch(session, first_url(song)))[0] for song in songs] == [503, 503]
        now += 80
        assert [(await fetch(session, first_url(song)))[0] for song in songs] == [200, 200]


async def test_a_finished_task_may_get_its_files_later() -> None:
    now = 1_000_000.0
    async with started(clock=lambda: now) as (vidgo, session):
        vidgo.files_lag = 20
        order = {"model": "generate-lyrics", "callback_url": "https://callbacks.invalid/", "input": {"prompt": "rain"}}
        headers = {"Authorization": "Bearer test-key"}
        async with session.post(vidgo.api_url + "/api/generate/submit", json=order, headers=headers) as answer:
            task_id = (await answer.json())["data"]["task_id"]
        task = await vidgo.wait_task(task_id, "finished")
        assert len(task.files or []) == 2
        url = f"{vidgo.api_url}/api/generate/detail/music?task_id={task_id}"
        seen = []
        for pause in (0, 19, 1):
            now += pause
            async with session.get(url, headers=headers) as answer:
                data = (await answer.json())["data"]
                seen.append((data["status"], len(data["files"])))
        assert seen == [("finished", 0), ("finished", 0), ("finished", 2)]


async def test_a_file_trickles_at_a_rate() -> None:
    async with started() as (vidgo, session):
        song = vidgo.add_song("One", seconds=0.5)
        right = (await fetch(session, first_url(song)))[2]
        vidgo.set_song_files("trickle", task=song, rate=len(right) * 2)
        begun = time.monotonic()
        assert (await fetch(session, first_url(song)))[2] == right
        assert time.monotonic() - begun > 0.4


async def test_addresses_may_hold_spaces_or_be_very_long() -> None:
    async with started() as (vidgo, session):
        song = vidgo.add_song("Harbour Lights", seconds=0.5)
        right = (await fetch(session, first_url(song)))[2]
        vidgo.set_song_files("spaced", task=song)
        assert first_url(song).endswith("/Harbour Lights 1.mp3")
        assert (await fetch(session, first_url(song)))[2] == right
        vidgo.set_song_files("long", task=song)
        assert len(first_url(song)) > 2_400
        assert (await fetch(session, first_url(song)))[2] == right


@pytest.mark.parametrize(
    ("kind", "media_type", "beginning"),
    [
        ("m4a", "audio/mp4", b"\x00\x00\x00\x1cftypisom"),
        ("webm", "audio/webm", b"\x1aE\xdf\xa3"),
        ("aiff", "audio/aiff", b"FORM"),
        ("wma", "audio/x-ms-wma", b"0&\xb2u"),
        ("flac", "audio/flac", b"fLaC"),
        ("line_end", "audio/mpeg", b"\r\nID3"),
    ],
)
async def test_songs_come_in_other_containers(kind: Any, media_type: str, beginning: bytes) -> None:
    async with started() as (vidgo, session):
        song = vidgo.add_song("One", seconds=2)
        vidgo.set_song_files(kind, task=song)
        status, declared, body = await fetch(session, first_url(song))
        assert (status, declared) == (200, media_type)
        assert body.startswith(beginning)
        assert abs(length(body) - 2) < 0.1


async def test_artwork_may_be_avif() -> None:
    async with started() as (vidgo, session):
        song = vidgo.add_song("One", seconds=0.5)
        vidgo.set_song_files("avif", task=song, media="image")
        status, declared, body = await fetch(session, first_url(song, "image_url"))
        assert (status, declared, body[4:12]) == (200, "image/avif", b"ftypavif")
        assert picture_size(body) == (512, 512)


async def test_one_of_several_files_can_misbehave_alone() -> None:
    async with started() as (vidgo, session):
        song = vidgo.add_song("Harbour Lights", seconds=0.5)
        vidgo.set_song_files("not_found", task=song, number=2)
        found = [await fetch(session, str(entry["audio_url"])) for entry in song.files or []]
        assert [status for status, _, _ in found] == [200, 404]
