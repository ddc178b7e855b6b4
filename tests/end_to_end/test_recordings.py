"""Members' own recordings: what is taken, what is refused before anything is ordered, and what is left of them."""

from __future__ import annotations

import asyncio
import io
import wave
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.end_to_end.heard import listen
from tests.end_to_end.music import (
    PERFORM,
    answers_noted,
    eventually,
    fill_in,
    forge,
    open_library,
    open_music,
    post_again,
    press,
    private_word,
    titles,
)
from tests.end_to_end.world import said
from tests.media.samples import picture, sound

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sandbox.discord import Call, Message
    from sandbox.vidgo import Submission
    from tests.end_to_end.world import Person, World

pytestmark = pytest.mark.asyncio(loop_scope="module")

MENU = "Cover this track"
MOST_BYTES = 4_500_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A bot that takes recordings up to a size."""
    directory = tmp_path_factory.mktemp("recordings")
    async with open_music(directory, MEDIA_MAX_BYTES=str(MOST_BYTES)) as world:
        yield world


@pytest.fixture(scope="module")
def mp3() -> bytes:
    return sound("mp3", "libmp3lame", 3)


def wav(seconds: float) -> bytes:
    """Return silence of a telephone's quality."""
    file = io.BytesIO()
    with wave.open(file, "wb") as output:
        output.setnchannels(1)
        output.setsampwidth(1)
        output.setframerate(8000)
        output.writeframes(b"\x80" * round(seconds * 8000))
    return file.getvalue()


async def cover_file(person: Person, name: str, data: bytes, **options: Any) -> Call:
    """Type `/cover` with a file."""
    return await person.use("cover", file=person.world.discord.attach(name, data), **options)


async def menu(person: Person, message: Message) -> Call:
    """Choose *Cover this track* on a message."""
    return await person.world.discord.message_menu(person.member, message, MENU)


def asked(world: World, style: str) -> list[Submission]:
    """Return what was asked of VidGo in a style that only one test uses."""
    found = [one for one in world.vidgo.submissions if one.model == PERFORM]
    return [one for one in found if one.input["prompt"] == style]


# What is taken


@pytest.mark.parametrize(
    ("name", "container", "codec"),
    [
        ("My Song (demo).mp3", "mp3", "libmp3lame"),
        ("take.wav", "wav", "pcm_s16le"),
        ("take.flac", "flac", "flac"),
        ("voice.ogg", "ogg", "libopus"),
        ("memo.m4a", "ipod", "aac"),
        ("no-name-for-it.bin", "mp3", "libmp3lame"),  # its content says what it is
    ],
)
async def test_a_recording_is_performed_anew_from_where_discord_has_it(
    world: World, name: str, container: str, codec: str
) -> None:
    ada = world.person("ada")
    data = sound(container, codec, 3)
    style = f"slow jazz, {container} {codec} {name}"
    call = await cover_file(ada, name, data, style=style)
    stem = name.rpartition(".")[0]
    assert f"**{stem}**" in said(await call.reply())
    result = await ada.result(call)
    assert f"here is a new version of your recording **{stem}**" in result.content
    assert result.pings == {ada.member.id}
    assert listen(result.attachments[0].data).seconds == pytest.approx(3, abs=0.5)
    [submission] = asked(world, style)
    assert "/ephemeral-attachments/" in submission.input["upload_url"]
    # The result is in her library, the recording is not.
    found = titles(await open_library(ada))
    assert len(found) == 2
    assert all(title.startswith(stem[:10]) and "(slow jazz" in title for title in found)
    assert await post_again(ada, stem) is not None


async def test_without_a_style_a_form_asks_for_it(world: World, mp3: bytes) -> None:
    ada = world.person("ada")
    call = await cover_file(ada, "hummed.mp3", mp3)
    await call.acknowledged()
    assert call.modal is not None
    shown = str(call.modal)
    assert "**hummed**" in shown
    assert "must be yours to use" in shown
    assert "Such as: acoustic folk, female voice" in shown
    result = await ada.result(await fill_in(ada, call, style="brass band"))
    assert "your recording **hummed**" in result.content
    assert len(asked(world, "brass band")) == 1


async def test_a_recording_that_a_message_forwards_can_be_covered(world: World, mp3: bytes) -> None:
    ada = world.person("ada")
    recording = world.discord.post_as(ada.member, ada.channel, "listen", {"hummed.mp3": mp3})
    forward = world.discord.post_as(ada.member, ada.channel, "this one")
    call = await world.discord.message_menu(ada.member, forward, MENU, forwards=recording)
    result = await ada.result(await fill_in(ada, call, style="a forwarded waltz"))
    assert "your recording **hummed**" in result.content


async def test_the_menu_of_a_message_with_a_recording_asks_for_the_style(world: World, mp3: bytes) -> None:
    ada = world.person("ada")
    bob = world.person("bob", ada.channel)
    files = {"notes.txt": b"la la la", "rehearsal.mp3": mp3, "other.mp3": mp3}
    message = world.discord.post_as(bob.member, ada.channel, "listen!", files)
    call = await menu(ada, message)
    result = await ada.result(await fill_in(ada, call, style="string quartet"))
    assert "your recording **rehearsal**" in result.content
    [submission] = asked(world, "string quartet")
    assert submission.input["upload_url"] == message.files[1].url


async def test_the_menu_still_covers_the_bots_own_posts(world: World) -> None:
    ada = world.person("ada")
    song = await ada.imports("Posted By Me")
    result = await ada.result(await menu(ada, await post_again(ada, "Posted By Me")))
    assert "New artwork for **Posted By Me**" in result.content
    assert world.submitted(song) == 1


async def test_what_somebody_else_posts_again_is_not_called_their_recording(world: World, mp3: bytes) -> None:
    ada = world.person("ada")
    bob = world.person("bob", ada.channel)
    post = await ada.result(await cover_file(ada, "lullaby.mp3", mp3, style="harp"))
    await bob.result(await press(bob, post, "Cover"))
    again = await post_again(bob, "lullaby")
    assert "recording" not in again.content


# What is refused, before anything is ordered


async def test_a_song_and_a_recording_at_once_are_one_too_many(world: World, mp3: bytes) -> None:
    ada = world.person("ada")
    await ada.imports("Both")
    orders = len(world.vidgo.submissions)
    call = await cover_file(ada, "both.mp3", mp3, track="Both", style="tango")
    assert "either one of your songs or a recording" in await ada.refusal(call)
    call = await cover_file(ada, "both.mp3", mp3, track="Both")
    assert "either one of your songs or a recording" in await ada.refusal(call)
    assert len(world.vidgo.submissions) == orders


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("page.mp3", b"<html>no music here</html>" * 40, "is not an MP3, WAV, FLAC, Ogg or M4A file"),
        ("empty.mp3", b"", "is not an MP3, WAV, FLAC, Ogg or M4A file"),
        ("noise.mp3", bytes(range(1, 256)) * 40, "is not an MP3, WAV, FLAC, Ogg or M4A file"),
        ("cover.mp3", picture("png", "image2pipe", 32, 32, "rgb24"), "is not an MP3, WAV, FLAC, Ogg or M4A file"),
        ("cut.flac", b"fLaC" + b"\x00" * 20, "cannot tell how long **cut** is"),
        ("long.wav", wav(481), "is longer than 8 minutes"),
        ("large.wav", wav(600), "**large** is larger than 4 MB, the most that I take. No credits were used."),
    ],
)
async def test_what_vidgo_would_not_take_is_refused_privately(world: World, name: str, data: bytes, words: str) -> None:
    ada = world.person("ada")
    orders = len(world.vidgo.submissions)
    sentence = await ada.refusal(await cover_file(ada, name, data, style="polka"))
    assert words in sentence
    assert "No credits were used" in sentence
    assert len(world.vidgo.submissions) == orders
    assert await eventually(lambda: not world.rows("SELECT 1 FROM tasks WHERE title LIKE '%polka%'"))
    # Nothing of it is left.
    assert list(world.bot.directory.rglob("recording")) == []


async def test_eight_minutes_are_not_too_long(world: World) -> None:
    ada = world.person("ada")
    call = await cover_file(ada, "just.wav", wav(479), style="minuet")
    assert "Covering **just** in the style *minuet*" in said(await call.reply())
    await ada.result(call)
    assert len(asked(world, "minuet")) == 1


async def test_a_recording_that_is_gone_is_told_so(world: World, mp3: bytes) -> None:
    ada = world.person("ada")
    file = world.discord.attach("gone.mp3", mp3)
    del world.discord.state.files[file.id]
    sentence = await ada.refusal(await ada.use("cover", file=file, style="samba"))
    assert "could not get **gone** from Discord" in sentence
    assert asked(world, "samba") == []


@pytest.mark.parametrize("style", ["   ", "\u200b"])
async def test_a_style_of_nothing_is_refused(world: World, mp3: bytes, style: str) -> None:
    ada = world.person("ada")
    sentence = await ada.refusal(await cover_file(ada, "plain.mp3", mp3, style=style))
    assert "which style you want" in sentence


async def test_a_message_without_a_recording_is_told_so(world: World) -> None:
    ada = world.person("ada")
    for files in ({}, {"notes.txt": b"la la la"}):
        message = world.discord.post_as(ada.member, ada.channel, "no music", files)
        call = await menu(ada, message)
        assert "no song of mine that I still know, and no audio file" in await private_word(call)
        assert call.modal is None


# Forms that are stale, foreign or made up


async def test_forms_of_others_and_forms_made_up_order_nothing(world: World, mp3: bytes) -> None:
    ada = world.person("ada")
    eve = world.person("eve", ada.channel)
    call = await cover_file(ada, "mine.mp3", mp3)
    await call.acknowledged()
    assert call.modal is not None
    known = str(call.modal["custom_id"])
    for custom_id in (known, "recording:" + "0" * 24):
        forged = await cover_file(eve, "bait.mp3", mp3)
        await forged.acknowledged()
        assert forged.modal is not None
        forged.modal["custom_id"] = custom_id
        sentence = await eve.refusal(await world.discord.submit_modal(eve.member, forged, {"style": "theft"}))
        assert "I no longer know that recording" in sentence
    forged = await cover_file(eve, "bait.mp3", mp3)
    await forged.acknowledged()
    assert forged.modal is not None
    forged.modal["custom_id"] = "recording:' OR 1=1 --"
    submitted = await world.discord.submit_modal(eve.member, forged, {"style": "theft"})
    assert "no longer know" in await private_word(submitted)
    assert asked(world, "theft") == []
    # A button of that name does nothing either.
    page = await open_library(eve)
    assert "no longer know" in await private_word(await forge(eve, page, known))
    # And the form itself still works.
    assert "your recording **mine**" in (await ada.result(await fill_in(ada, call, style="waltz"))).content


async def test_a_form_outlives_a_restart_and_one_sent_twice_is_paid_once(world: World, mp3: bytes) -> None:
    ada = world.person("ada")
    call = await cover_file(ada, "patient.mp3", mp3)
    await call.acknowledged()
    await answers_noted(world)
    await world.bot.kill()
    await world.bot.start()
    world.vidgo.hold(PERFORM)
    calls = await asyncio.gather(*(fill_in(ada, call, style=" Slow  Blues") for _ in range(2)))
    words = [said(await one.reply()) for one in calls]
    assert sum("already" in one for one in words) == 1
    world.discord.deliver_again(calls[0])
    world.vidgo.release(PERFORM)
    for one in calls:
        assert "your recording **patient**" in (await ada.result(one)).content
    assert len(asked(world, "Slow Blues")) == 1


# Limits, and what managers of a server want


async def test_the_same_recording_in_the_same_style_is_ordered_once_at_a_time(world: World, mp3: bytes) -> None:
    ada = world.person("ada")
    bob = world.person("bob", ada.channel)
    world.vidgo.hold(PERFORM)
    mine = await asyncio.gather(*(cover_file(ada, f"take {n}.mp3", mp3, style="ska") for n in (1, 2)))
    words = [said(await call.reply()) for call in mine]
    assert sum("already" in one for one in words) == 1
    await eventually(lambda: len(asked(world, "ska")) == 1)
    # Somebody else's is somebody else's.
    theirs = await cover_file(bob, "take.mp3", mp3, style="ska")
    assert "already" not in said(await theirs.reply())
    await eventually(lambda: len(asked(world, "ska")) == 2)
    world.vidgo.release(PERFORM)
    for person, call in ((ada, mine[0]), (ada, mine[1]), (bob, theirs)):
        await person.result(call)
    assert len(asked(world, "ska")) == 2


async def test_a_server_may_switch_recordings_off(world: World, mp3: bytes) -> None:
    boss = world.guild.add_member("boss", permissions={"view_channel", "send_messages", "manage_guild"})
    ada = world.person("ada")
    early = await cover_file(ada, "early.mp3", mp3)
    await early.acknowledged()
    panel = await (await world.discord.slash(boss, ada.channel, "coverbot settings")).reply()
    call = await world.discord.press_custom_id(boss, panel, "settings:recordings:0")
    await call.changed.wait_for(lambda: call.updated, 10, "panel drawn anew")
    try:
        assert world.rows("SELECT setting, before, after FROM changes") == [
            {"setting": "recordings", "before": "✓", "after": "✗"}
        ]
        for style in ({}, {"style": "disco"}):
            call = await cover_file(ada, "mine.mp3", mp3, **style)
            sentence = await private_word(call) if not style else await ada.refusal(call)
            assert "may not be covered" in sentence
        message = world.discord.post_as(ada.member, ada.channel, "", {"mine.mp3": mp3})
        assert "may not be covered" in await private_word(await menu(ada, message))
        # Also where the form was open before.
        assert "may not be covered" in await ada.refusal(await fill_in(ada, early, style="disco"))
        assert asked(world, "disco") == []
    finally:
        call = await world.discord.press_custom_id(boss, panel, "settings:recordings:1")
        await call.changed.wait_for(lambda: call.updated, 10, "panel drawn anew")


async def test_a_recording_counts_as_a_song(tmp_path: Path, mp3: bytes) -> None:
    async with open_music(tmp_path, DAILY_SONGS_PER_USER="1") as world:
        ada = world.person("ada")
        world.vidgo.set_failure(PERFORM, "the tempo cannot be kept", times=1)
        told = await ada.failure(await cover_file(ada, "one.mp3", mp3, style="folk"))
        assert "could not make" in told.content
        # What failed is given back.
        await ada.result(await cover_file(ada, "one.mp3", mp3, style="folk"))
        orders = len(world.vidgo.submissions)
        sentence = await ada.refusal(await cover_file(ada, "two.mp3", mp3, style="folk"))
        assert "limit" in sentence
        assert len(world.vidgo.submissions) == orders


async def test_nothing_of_a_recording_is_left_once_it_is_forgotten(world: World, mp3: bytes) -> None:
    ada = world.person("ada")
    open_form = await cover_file(ada, "unsent.mp3", mp3)
    await open_form.acknowledged()
    await ada.result(await cover_file(ada, "forgettable.mp3", mp3, style="ambient"))
    assert world.rows("SELECT recording FROM tasks WHERE user_id = ?", ada.member.id) == [{"recording": "forgettable"}]
    known = world.rows("SELECT name FROM recordings WHERE user_id = ?", ada.member.id)
    assert {row["name"] for row in known} == {"unsent", "forgettable"}
    await press(ada, await (await ada.use("music forget")).reply(), "Forget everything")
    await eventually(lambda: not world.rows("SELECT 1 FROM recordings WHERE user_id = ?", ada.member.id))
    assert world.rows("SELECT 1 FROM tasks WHERE recording = 'forgettable'") == []
    assert "I no longer know that recording" in await ada.refusal(await fill_in(ada, open_form, style="ambient"))
