"""Whatever VidGo delivers arrives as a file that plays and that the server takes, or as a link that works."""

from __future__ import annotations

import io
import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import av
import pytest
import pytest_asyncio
from av.audio.stream import AudioStream

from bot.media.links import DOWNLOAD_SECONDS
from sandbox.music import compose, compose_of_size, seconds_for_size
from tests.end_to_end.heard import listen, picture_in, tag_of
from tests.end_to_end.music import (
    archived_whole,
    open_library,
    open_music,
    perform,
    post_again,
    press,
    refusals,
    served,
)
from tests.end_to_end.world import COVER, IMPATIENT, SONG

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from sandbox.discord import Message
    from sandbox.vidgo import Task
    from tests.end_to_end.world import Person, World

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMIT = 10 * 2**20
MP3_BYTES, WAV_BYTES = 12_000_000, 40_000_000
TOO_LARGE = ("POST", 40005)
VIDGO_KEEPS_SECONDS = 86400


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hidden(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A bot without a public address."""
    async with open_music(tmp_path_factory.mktemp("hidden"), module=IMPATIENT) as world:
        yield world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def public(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A bot whose listener people can reach."""
    async with open_music(tmp_path_factory.mktemp("public"), callbacks=True) as world:
        yield world


@contextmanager
def upload_limit(world: World, size: int) -> Iterator[None]:
    """Let the server take files of at most so many bytes for a while."""
    before, world.guild.upload_limit = world.guild.upload_limit, size
    try:
        yield
    finally:
        world.guild.upload_limit = before


async def bring(person: Person, title: str, data: bytes, seconds: float, content_type: str = "audio/mpeg") -> Task:
    """Bring in a song whose only file holds these bytes."""
    vidgo = person.world.vidgo
    song = vidgo.add_song(title, tags="folk, warm", seconds=seconds, variants=1)
    vidgo.set_song_files("bytes", task=song, data=data, content_type=content_type)
    await person.brings_in(song)
    return song


def encoded(codec: str, container: str, sound: bytes, **options: str) -> bytes:
    """Return a WAV file in another format."""
    buffer = io.BytesIO()
    with av.open(io.BytesIO(sound), "r") as source, av.open(buffer, "w", format=container) as target:
        rate = 48_000 if codec == "libopus" else 44_100
        stream = cast("AudioStream", target.add_stream(codec, rate=rate, layout="stereo", options=options))
        for frame in source.decode(source.streams.audio[0]):
            frame.pts = None
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return buffer.getvalue()


def padded(mp3: bytes, size: int) -> bytes:
    """Return an MP3 file with an ID3v2.4 tag of nothing but padding that brings it to `size` bytes."""
    tag = tag_of(mp3)
    frames = mp3 if tag is None else mp3[tag.size :]
    room = size - len(frames) - 10
    return b"ID3\x04\x00\x00" + bytes((room >> shift) & 0x7F for shift in (21, 14, 7, 0)) + bytes(room) + frames


async def check_fitted(post: Message, song: Task, seconds: float, limit: int) -> None:
    """Hold a re-encoded post against its song."""
    [audio] = post.attachments
    assert audio.filename.endswith(".mp3")
    assert audio.content_type == "audio/mpeg"
    assert len(audio.data) <= limit
    assert "quality is reduced" in post.content
    heard = listen(audio.data)
    assert heard.seconds == pytest.approx(seconds, abs=0.1)
    assert heard.loudness > 0.02
    tag = tag_of(audio.data)
    assert tag is not None
    assert str(tag["TIT2"]) == song.title
    assert str(tag["TCON"]) == "folk, warm"


@pytest.mark.parametrize("kind", ["mp3", "wav"])
async def test_a_file_over_the_limit_is_posted_smaller_and_whole(hidden: World, kind: str) -> None:
    ada = hidden.person("ada")
    size = MP3_BYTES if kind == "mp3" else WAV_BYTES
    data = compose_of_size("Long Haul", size, style="folk", fmt="mp3" if kind == "mp3" else "wav")
    seconds = seconds_for_size(size, "mp3" if kind == "mp3" else "wav")
    assert len(data) > LIMIT
    song = await bring(ada, f"Long Haul {kind}", data, seconds, f"audio/{kind}")
    picture = await served(hidden, song, "1.jpeg")
    page = await open_library(ada)
    post = await ada.result(await press(ada, page, "Post"), timeout=200)
    await check_fitted(post, song, seconds, LIMIT)
    assert picture_in(post.attachments[0].data) == picture
    # The best that fits: it is not thrown away by the megabyte.
    assert len(post.attachments[0].data) > (0.7 * LIMIT if kind == "mp3" else 2**20)


async def test_a_server_that_shrank_meanwhile_still_gets_its_file(hidden: World) -> None:
    ada = hidden.person("ada")
    # Twelve megabytes are mostly room for tags here, so that it takes little time to encode them.
    data = padded(compose("Lost Boosts", style="folk", seconds=30), MP3_BYTES)
    hidden.vidgo.set_song_files("bytes", model=SONG, times=1, data=data)
    hidden.vidgo.hold(SONG)
    with upload_limit(hidden, 50 * 2**20):
        call = await ada.use("music generate", prompt="sea", style="folk, warm", title="Lost Boosts")
        await call.reply()
    hidden.vidgo.release(SONG)
    post = await ada.result(call, timeout=60)
    task = hidden.vidgo.tasks[str(hidden.vidgo.accepted(SONG)[-1].task_id)]
    await check_fitted(post, task, 30, LIMIT)
    assert refusals(hidden) == [TOO_LARGE]


async def test_a_boosted_server_gets_the_file_as_it_is(hidden: World) -> None:
    ada = hidden.person("ada")
    data = compose_of_size("Long Haul", MP3_BYTES, style="folk")
    with upload_limit(hidden, 50 * 2**20):
        await bring(ada, "Boosted", data, seconds_for_size(MP3_BYTES))
        post = await post_again(ada, "Boosted")
    assert post.attachments[0].data == data
    assert "quality" not in post.content


async def test_a_song_that_fits_only_without_its_new_artwork_is_made_smaller(hidden: World) -> None:
    ada = hidden.person("ada")
    data = compose("Tight", style="folk", seconds=20, bit_rate=256_000)
    song = await bring(ada, "Tight", data, 20)
    limit = len(data) + 1000
    with upload_limit(hidden, limit):
        assert (await post_again(ada, "Tight")).attachments[0].data == data
        post = await ada.covered()
    await check_fitted(post, song, 20, limit)
    assert "New artwork" in post.content


@pytest.mark.parametrize("kind", ["flac", "ogg vorbis", "ogg opus", "m4a", "wav"])
async def test_what_does_not_play_everywhere_becomes_mp3(hidden: World, kind: str) -> None:
    ada = hidden.person("ada")
    sound = compose("Other Coat", style="folk", seconds=4, fmt="wav")
    if kind == "flac":
        data = encoded("flac", "flac", sound)
    elif kind == "ogg vorbis":
        data = encoded("vorbis", "ogg", sound, strict="experimental")
    elif kind == "ogg opus":
        data = encoded("libopus", "ogg", sound)
    elif kind == "m4a":
        data = encoded("aac", "ipod", sound)
    else:
        data = sound
    song = await bring(ada, f"Other Coat {kind}", data, 4)
    post = await post_again(ada, song.title)
    [audio] = post.attachments
    assert audio.filename.endswith(".mp3")
    assert "quality" not in post.content
    heard = listen(audio.data)
    assert heard.seconds == pytest.approx(4, abs=0.1)
    assert heard.loudness > 0.02
    tag = tag_of(audio.data)
    assert tag is not None
    assert str(tag["TIT2"]) == song.title
    assert picture_in(audio.data) == await served(hidden, song, "1.jpeg")


@pytest.mark.parametrize("kind", ["in another style", "as a cover with audio"])
async def test_new_performances_are_made_to_fit_too(hidden: World, kind: str) -> None:
    ada = hidden.person("ada")
    await ada.imports(f"Other Way {kind}", seconds=20)
    with upload_limit(hidden, 300_000):
        if kind == "in another style":
            call = await perform(ada, "jazz")
        else:
            hidden.vidgo.set_result(COVER, "audio", times=1)
            call = await ada.cover()
        post = await ada.result(call, timeout=60)
    assert "new version" in post.content
    assert "quality is reduced" in post.content
    assert post.attachments[0].size <= 300_000
    assert listen(post.attachments[0].data).seconds == pytest.approx(20, abs=0.3)


async def linked(world: World, post: Message) -> tuple[str, int, bytes]:
    """Return the address under the Download button, when it expires by the message's words, and what it gives."""
    assert post.attachments == []
    assert "this server takes no file of its size. The button fetches it until <t:" in post.content
    [address] = [button.url for button in post.buttons if button.label == "Download" and button.url is not None]
    expires = re.search(r"<t:(\d+):f>", post.content)
    assert expires is not None
    async with world.http.get(address) as response:
        assert response.status == 200
        return address, int(expires[1]), await response.read()


async def test_what_cannot_fit_is_linked_at_vidgo(hidden: World) -> None:
    ada = hidden.person("ada")
    song = await ada.imports("Two Minutes", seconds=120)
    with upload_limit(hidden, 200_000):
        post = await post_again(ada, "Two Minutes")
    address, expires, data = await linked(hidden, post)
    assert address == f"{hidden.vidgo.api_url}/files/{song.id}/1.mp3"
    assert expires == pytest.approx(time.time() + VIDGO_KEEPS_SECONDS, abs=120)
    assert listen(data).seconds == pytest.approx(120, abs=0.1)
    assert post.pings == {ada.member.id}


async def test_what_cannot_fit_is_linked_here_and_outlives_vidgo(public: World) -> None:
    ada = public.person("ada")
    song = await ada.imports("Two Minutes", seconds=120)
    original = await served(public, song)
    await archived_whole(public, song)
    public.vidgo.expire_files(song)
    with upload_limit(public, 200_000):
        post = await post_again(ada, "Two Minutes")
    address, expires, data = await linked(public, post)
    assert address.startswith(f"{public.url}/media/")
    assert expires == pytest.approx(time.time() + DOWNLOAD_SECONDS, abs=120)
    assert data == original
    async with public.http.head(address) as answer:  # else a proxy would hand it out for longer than that
        assert answer.headers["Cache-Control"] == "private, no-cache"


async def test_without_a_public_address_nothing_is_linked_that_vidgo_has_deleted(hidden: World) -> None:
    ada = hidden.person("ada")
    song = await ada.imports("Too Late", seconds=120)
    await archived_whole(hidden, song)
    hidden.vidgo.expire_files(song)
    with upload_limit(hidden, 200_000):
        post = await post_again(ada, "Too Late")
    assert post.files == []
    assert "takes no file of its size, and there is nowhere" in post.content
    assert [button.label for button in post.buttons if button.url] == []


async def test_a_file_that_cannot_be_decoded_is_explained_not_linked(hidden: World) -> None:
    ada = hidden.person("ada")
    rubbish = b"fLaC" + bytes(range(256)) * 400
    await bring(ada, "Noise", rubbish, 10, "audio/flac")
    post = await post_again(ada, "Noise")
    assert post.files == []
    assert "not music that I can post" in post.content
    assert hidden.bot.errors() != []
