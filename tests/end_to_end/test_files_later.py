"""Result files that are not there yet, that come slowly, or that are dressed as something else."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.end_to_end.heard import artwork_shown, listen, picture_in
from tests.end_to_end.music import archived, open_library, press, says
from tests.end_to_end.world import COVER, IMPATIENT, eventually, open_world
from tests.media.origins import SECRET, answer, origin, saying
from tests.media.samples import picture, sound

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sandbox.discord import Message
    from tests.end_to_end.world import Person, World

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOT_YET, STILL_NOT = "I do not have its file yet", "I still cannot get its file"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A bot to which a minute is a second."""
    directory = tmp_path_factory.mktemp("patient")
    async with open_world(directory, callbacks=False, module=IMPATIENT, ARCHIVE_MAX_BYTES="50000000") as world:
        yield world


async def patience_of(world: World, person: Person, title: str) -> Message:
    """Cover a song whose file cannot be had now, and follow it until it can; return the post."""
    song = await person.imports(title)
    call = await person.cover(song.id)
    acknowledgement = await call.reply()
    await says(acknowledgement, NOT_YET)
    assert [button.label for button in acknowledgement.buttons] == ["Don't post"]
    await says(acknowledgement, STILL_NOT)
    assert [message for message in person.channel.messages if message.reference == acknowledgement.id] == []
    world.vidgo.clear_faults("files")
    world.vidgo.clear_song_files(song.products[0])
    post = await person.result(call)
    await says(acknowledgement, "is done")
    return post


@pytest.mark.parametrize("media", ["audio", "image"])
@pytest.mark.parametrize("kind", ["html", "empty", "redirect_loop", "reset"])
async def test_a_file_that_is_not_there_yet_is_waited_for(world: World, kind: Any, media: Any) -> None:
    ada = world.person("ada")
    world.vidgo.set_result(COVER, "audio" if media == "audio" else "image_url", times=1)
    world.vidgo.set_song_files(kind, model=COVER, media=media, times=1)
    post = await patience_of(world, ada, f"Patience {kind} {media}")
    assert len(post.attachments) == 1
    assert [file.filename for file in post.files[1:]] == ["cover.png" if media == "image" else "cover.jpg"]


@pytest.mark.parametrize("status", [503, 403, 429, 400])
async def test_a_host_that_refuses_everything_for_a_while_costs_nothing(world: World, status: int) -> None:
    ada = world.person("ada")
    world.vidgo.set_result(COVER, "audio", times=1)
    world.vidgo.fault("files", "status", status=status, times=None)
    post = await patience_of(world, ada, f"Refused {status}")
    assert len(post.attachments) == 1


async def test_404_in_the_first_moments_is_not_no_more(world: World) -> None:
    ada = world.person("ada")
    await ada.imports("Too Early")
    world.vidgo.set_result(COVER, "audio", times=1)
    world.vidgo.fault("files", "status", status=404, times=2)
    assert len((await ada.covered()).attachments) == 1


async def test_a_death_while_a_file_is_waited_for_changes_nothing(tmp_path: Path) -> None:
    async with open_world(tmp_path, callbacks=False, module=IMPATIENT) as world:
        ada = world.person("ada")
        song = await ada.imports("Patient")
        world.vidgo.set_result(COVER, "audio", times=1)
        world.vidgo.set_song_files("html", model=COVER, times=1)
        call = await ada.cover()
        await says(await call.reply(), STILL_NOT)
        await world.bot.kill()
        await world.bot.start()
        world.vidgo.clear_song_files(song.products[0])
        assert len((await ada.result(call)).attachments) == 1
        edits = (await call.reply()).edits
        assert len([edit for edit in edits if NOT_YET in edit]) == 1


async def test_what_could_not_be_had_for_a_day_is_said_to_be_so(tmp_path: Path) -> None:
    async with open_world(tmp_path, callbacks=False, module=IMPATIENT, IMPATIENT_DAY="5") as world:
        ada = world.person("ada")
        await ada.imports("A Day")
        world.vidgo.set_result(COVER, "audio", times=1)
        world.vidgo.set_song_files("html", model=COVER, times=1)
        call = await ada.cover()
        await says(await call.reply(), STILL_NOT)
        result = await ada.result(call)
        assert result.files == []
        assert "could not get its file from VidGo, which keeps files for about a day" in result.content
        await says(await call.reply(), "is finished, but could not be posted:")


async def test_six_songs_that_trickle_hold_up_no_other(world: World) -> None:
    world.vidgo.set_result(COVER, "audio", times=6)
    world.vidgo.set_song_files("trickle", model=COVER, times=6, pause=1.0)
    slow = []
    for number in range(6):
        person = world.person(f"slow{number}")
        song = await person.imports(f"Slow {number}")
        slow.append((person, song, await person.cover(song.id)))
    for _, song, _ in slow:
        await eventually(lambda song=song: any(task.status == "finished" for task in song.products))  # type: ignore[misc]  # no lambda with a default
    ada = world.person("ada")
    await ada.imports("Quick")
    started = time.monotonic()
    assert len((await ada.covered()).attachments) == 1
    assert time.monotonic() - started < 12
    for person, song, call in slow:
        assert [message for message in person.channel.messages if message.attachments] == []
        world.vidgo.clear_song_files(song.products[0])
        await person.world.discord.press(person.member, await call.reply(), "Don't post")


@pytest.mark.parametrize(
    ("container", "codec"),
    [("mp4", "aac"), ("webm", "libopus"), ("aiff", "pcm_s16be"), ("adts", "aac"), ("line end", "")],
)
async def test_whatever_can_be_decoded_is_posted_and_archived_as_mp3(world: World, container: str, codec: str) -> None:
    ada = world.person("ada")
    title = f"Dressed as {container}"
    song = world.vidgo.add_song(title, seconds=3, variants=1)
    data = sound(container, codec, 3.0) if codec else b"\r\n" + sound("mp3", "libmp3lame", 3.0)
    world.vidgo.set_song_files("bytes", task=song, data=data, content_type="application/octet-stream")
    await ada.brings_in(song)
    kept = await archived(world, song, rest=False)
    assert listen(kept.read_bytes()).seconds == pytest.approx(3.0, abs=0.1)
    [audio] = (await ada.covered(song.id)).attachments
    assert audio.filename.endswith(".mp3")
    assert listen(audio.data).seconds == pytest.approx(3.0, abs=0.1)


@pytest.mark.parametrize("model", ["song", "cover"])
async def test_artwork_that_discord_may_not_show_is_shown_as_a_jpeg(world: World, model: str) -> None:
    ada = world.person("ada")
    avif = picture("libsvtav1", "avif", 256, 256, "yuv420p")
    song = world.vidgo.add_song(f"Framed {model}", seconds=2, variants=1)
    if model == "song":
        world.vidgo.set_song_files("bytes", task=song, media="image", data=avif, content_type="image/avif")
        await ada.brings_in(song)
        post = await ada.result(await press(ada, await open_library(ada), "Post"))
    else:
        await ada.brings_in(song)
        world.vidgo.set_song_files("bytes", model=COVER, media="image", times=1, data=avif)
        post = await ada.covered(song.id)
        assert picture_in(post.attachments[0].data) == artwork_shown(post).data
    assert artwork_shown(post).filename == "cover.jpg"
    assert artwork_shown(post).data.startswith(b"\xff\xd8\xff")


@pytest.mark.parametrize(
    ("name", "found"), [("a b.mp3", True), ("x" * 5000 + ".mp3", True), ("x" * 9000 + ".mp3", False)]
)
async def test_an_unusual_address_of_audio_is_never_taken_for_none(world: World, name: str, found: bool) -> None:
    ada = world.person("ada")
    await ada.imports(f"Odd Address {len(name)}")
    logged = len(world.bot.log_lines)
    async with origin(saying(answer(sound("mp3", "libmp3lame", 2.0)))) as site:
        world.vidgo.set_result(COVER, "audio", times=1)
        location = f"http://127.0.0.1:{site.port}/{name}?{SECRET}"
        world.vidgo.set_song_files("url", model=COVER, times=1, location=location)
        call = await ada.cover()
        ending = await (ada.result(call) if found else ada.failure(call))
    if found:
        assert "a new version" in ending.content
        assert len(ending.attachments) == 1
    else:
        assert "names an address for its file that cannot be used" in ending.content
        line = await world.bot.wait_log("names an address of its audio", after=logged)
        assert SECRET not in line
        assert f"http://127.0.0.1:{site.port}/xxx" in line
