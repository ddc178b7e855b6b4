"""What the stand-in makes with each model, as documented."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    pass

from tests.sandbox.vidgo_client import started


async def test_lyrics_have_variants_and_at_most_two_hundred_words() -> None:
    async with started() as client:
        data = await client.made("generate-lyrics", {"prompt": "rain over the harbour tonight"})
        assert [set(entry) for entry in data["files"]] == [{"title", "text"}] * 2
        assert (await client.submit("generate-lyrics", {"prompt": "a " * 200}))[0] == 200
        assert (await client.submit("generate-lyrics", {"prompt": "a " * 201}))[0] == 400


async def test_wav_is_made_once_per_track() -> None:
    async with started() as client:
        song = client.vidgo.add_song("One", seconds=0.5)
        for variant in song.variants:
            order = {"task_id": song.id, "audio_id": variant.audio_id}
            data = await client.made("convert-to-wav", order)
            assert set(data["files"][0]) == {"wav_url"}
            assert (await client.submit("convert-to-wav", order))[0] == 409
        assert (await client.submit("convert-to-wav", {"task_id": song.id, "audio_id": "other"}))[0] == 404


async def test_an_extension_follows_its_source() -> None:
    async with started() as client:
        song = client.vidgo.add_song("One", tags="jazz", seconds=4)
        order: dict[str, Any] = {"default_param_flag": False, "audio_id": song.variants[0].audio_id, "mv": "V5"}
        first = (await client.made("extend-music", order))["files"][0]
        assert (first["title"], first["tags"], first["duration"]) == ("One", "jazz", 4.5)
        order["default_param_flag"] = True
        assert (await client.submit("extend-music", order))[0] == 400
        own = {**order, "prompt": "more", "style": "rock", "title": "One more", "continue_at": 2}
        first = (await client.made("extend-music", own))["files"][0]
        assert (first["title"], first["tags"], first["duration"]) == ("One more", "rock", 2.5)
        assert (await client.submit("extend-music", {**own, "continue_at": 9}))[0] == 400
        assert (await client.submit("extend-music", {**own, "task_id": song.id}))[0] == 400
        assert (await client.submit("extend-music", {**own, "audio_id": "other"}))[0] == 404


async def test_a_new_performance_hears_its_source_and_keeps_the_tune() -> None:
    async with started() as client:
        song = client.vidgo.add_song("One", tags="folk", seconds=1)
        order = {
            "upload_url": f"{client.vidgo.api_url}/files/{song.id}/1.mp3",
            "custom_mode": True,
            "instrumental": True,
            "mv": "V5",
            "style": "techno",
            "title": "One by night",
        }
        data = await client.made("upload-and-cover-audio", order)
        first = data["files"][0]
        assert (first["title"], first["tags"], first["duration"]) == ("One by night", "techno", 1)
        assert client.vidgo.tasks[data["task_id"]].variants[0].tune == "One"
        # The new performance is a song of its own, so it may get artwork.
        await client.made("generate-music-cover", {"task_id": data["task_id"]})


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("{base}/files/{song}/1.jpeg", "not a readable audio|no audio"),
        ("{base}/files/{song}/9.mp3", "status 404"),
        ("https://elsewhere.invalid/a.mp3", "could not be fetched"),
        ("http://127.0.0.1:9/a.mp3", "could not be fetched"),
    ],
)
async def test_an_upload_that_is_no_audio_fails_the_task(url: str, reason: str) -> None:
    async with started() as client:
        song = client.vidgo.add_song("One", seconds=0.5)
        order = {
            "upload_url": url.format(base=client.vidgo.api_url, song=song.id),
            "custom_mode": True,
            "instrumental": True,
            "mv": "V5",
            "style": "techno",
            "title": "One by night",
        }
        data = await client.made("upload-and-cover-audio", order, "failed")
        assert re.search(reason, data["error_message"])
        assert client.vidgo.charged == []


async def test_too_long_an_upload_fails_with_the_small_version() -> None:
    async with started() as client:
        song = client.vidgo.add_song("One", seconds=61)
        order = {
            "upload_url": f"{client.vidgo.api_url}/files/{song.id}/1.mp3",
            "custom_mode": False,
            "instrumental": False,
            "mv": "V4_5ALL",
            "prompt": "as a waltz",
        }
        assert "longer than 60" in (await client.made("upload-and-cover-audio", order, "failed"))["error_message"]
