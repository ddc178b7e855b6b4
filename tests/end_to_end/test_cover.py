"""`/cover`: a song in, its cover out, however VidGo reports it and whoever asks."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING

import pytest

from sandbox.vidgo.results import SHAPES
from tests.end_to_end.heard import artwork_shown, listen, music_of, picture_in, tag_of
from tests.end_to_end.world import COVER, SONG, eventually, said

if TYPE_CHECKING:
    from tests.end_to_end.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")

AUDIO = {shape for shape in SHAPES if shape.startswith("audio")}
NO_MUSIC = {"lyrics"}
WAV = {"wav"}
NO_FILES = {"generate_cover_empty", "generate_cover_broken", "no_files", "null_files", "missing_files"}
ARTWORK = set(SHAPES) - AUDIO - NO_MUSIC - WAV - NO_FILES


async def test_a_song_is_acknowledged_and_its_cover_arrives_by_callback(calling: World) -> None:
    ada = calling.person("ada")
    song = await ada.imports("Harbour Lights", tags="folk, warm", seconds=3)
    offered = await ada.type_track("harb")
    calling.vidgo.hold(COVER)
    asked = time.time()
    call = await ada.cover(offered[0].value)
    acknowledgement = await call.reply()

    assert not acknowledgement.ephemeral
    assert "**Harbour Lights**" in acknowledgement.content
    expected = re.search(r"<t:(\d+):R>", acknowledgement.content)
    assert expected is not None
    assert int(asked) <= int(expected[1]) <= time.time()
    _, _, usual = acknowledgement.content.removesuffix(".").rpartition(" about ")
    words = f"Covering **Harbour Lights** – started {expected[0]}, usually takes about {usual}."
    assert acknowledgement.content == words
    assert acknowledgement.pings == set()

    calling.vidgo.tells_credits = ("finished",)
    calling.vidgo.release(COVER)
    result = await ada.result(call, timeout=10)
    calling.vidgo.tells_credits = None
    assert result.replied_to is acknowledgement
    assert result.pings == {ada.member.id}
    assert not result.mention_everyone
    assert result.content == f"<@{ada.member.id}> 🎨 New artwork for **Harbour Lights**. Want it sung anew?"

    [audio] = result.attachments
    assert audio.filename == "Harbour_Lights.mp3"
    assert audio.content_type == "audio/mpeg"
    heard = listen(audio.data)
    assert heard.seconds == pytest.approx(3, abs=0.3)
    assert heard.loudness > 0.02
    [embed, second] = result.embeds
    assert embed["title"] == "Harbour Lights"
    assert second["image"]["url"] != embed["image"]["url"]
    assert second["url"] == embed["url"]
    assert re.fullmatch(
        rf"<@{ada.member.id}> · </cover:\d+>\nfolk, warm\nThe music is the original's\.", embed["description"]
    )
    assert embed["footer"]["text"] == "0:03 · 1 credit"
    assert artwork_shown(result).content_type == "image/png"

    submission = next(one for one in calling.vidgo.submissions if one.input == {"task_id": song.id})
    assert str(submission.callback_url).startswith(f"{calling.url}/callbacks/vidgo/")
    # The post may be there before VidGo has read the answer.
    await eventually(lambda: any(one.task_id == submission.task_id for one in calling.vidgo.deliveries))
    statuses = [one.status for one in calling.vidgo.deliveries if one.task_id == submission.task_id]
    assert statuses == [200]
    assert calling.submitted(song) == 1


async def test_without_a_public_address_the_bot_asks_by_itself(polling: World) -> None:
    ada = polling.person("ada")
    song = await ada.imports("Low Water")
    result = await ada.covered()
    assert "New artwork" in result.content
    assert len(result.attachments) == 1
    [submission] = [one for one in polling.vidgo.submissions if one.input == {"task_id": song.id}]
    # VidGo's schema wants an address; this one is reserved and leads nowhere.
    assert str(submission.callback_url).split("/")[2].endswith(".invalid")
    assert [one for one in polling.vidgo.deliveries if one.task_id == submission.task_id] == []


@pytest.mark.parametrize("shape", sorted(ARTWORK))
async def test_a_result_of_artwork_alone_comes_with_the_music_of_the_original(polling: World, shape: str) -> None:
    ada = polling.person("ada")
    song = await ada.imports(f"Tide {shape.replace('_', ' ')}", tags="shanty")
    polling.vidgo.set_result(COVER, shape, times=1)
    result = await ada.covered()
    assert "New artwork" in result.content
    assert result.pings == {ada.member.id}
    [audio] = result.attachments
    shown = artwork_shown(result)
    assert picture_in(audio.data) == shown.data
    tag = tag_of(audio.data)
    assert tag is not None
    assert str(tag["TIT2"]) == song.title
    async with polling.http.get(f"{polling.vidgo.api_url}/files/{song.id}/1.mp3") as response:
        original = await response.read()
    assert music_of(audio.data) == music_of(original)
    async with polling.http.get(f"{polling.vidgo.api_url}/files/{song.id}/1.jpeg") as response:
        assert await response.read() != shown.data


@pytest.mark.parametrize("shape", sorted(AUDIO))
async def test_a_result_with_audio_is_posted_as_a_new_performance(polling: World, shape: str) -> None:
    ada = polling.person("ada")
    song = await ada.imports(f"Gull {shape.replace('_', ' ')}", seconds=3)
    polling.vidgo.set_result(COVER, shape, times=1)
    result = await ada.covered()
    assert result.content == f"<@{ada.member.id}> here is your cover of **{song.title}**, in a new version."
    [audio] = result.attachments
    assert listen(audio.data).seconds == pytest.approx(3, abs=0.3)
    async with polling.http.get(f"{polling.vidgo.api_url}/files/{song.id}/1.mp3") as response:
        assert music_of(audio.data) != music_of(await response.read())
    assert result.embeds[0]["title"] == song.title
    assert ("thumbnail" in result.embeds[0]) == (shape != "audio_no_image")


async def test_a_result_in_another_format_plays_too(polling: World) -> None:
    ada = polling.person("ada")
    await ada.imports("Uncompressed")
    polling.vidgo.set_result(COVER, "wav", times=1)
    result = await ada.covered()
    [audio] = result.attachments
    assert audio.filename in {"Uncompressed.wav", "Uncompressed.mp3"}
    assert listen(audio.data).loudness > 0.02


async def test_a_failure_is_told_with_the_reason_in_plain_words(calling: World) -> None:
    ada = calling.person("ada")
    await ada.imports("Broken String")
    calling.vidgo.set_failure(COVER, "the *artwork* could not be produced, ask @everyone.", times=1)
    call = await ada.cover()
    told = await ada.failure(call)
    assert "VidGo could not make **Broken String** and says: “the \\*artwork\\* could not be produced" in told.content
    assert "VidGo charges nothing for what it could not make." in told.content
    assert told.pings == set()
    assert not told.mention_everyone
    assert [button.label for button in told.buttons] == ["Try again"]
    assert told.files == []


async def test_who_asks_while_it_runs_joins_and_is_told_too(calling: World) -> None:
    ada = calling.person("ada")
    bob = calling.person("bob")
    song = await ada.imports("One Song")
    await bob.brings_in(song)
    calling.vidgo.hold(COVER)
    first = await ada.cover()
    await first.reply()
    second = await bob.cover()
    assert said(await second.reply()).startswith("**One Song** is being covered already; you get it too – started <t:")
    calling.vidgo.release(COVER)
    for person, call in ((ada, first), (bob, second)):
        result = await person.result(call)
        assert result.pings == {person.member.id}
        assert len(result.attachments) == 1
    assert calling.submitted(song) == 1


async def test_a_finished_cover_is_posted_again_at_once(calling: World) -> None:
    ada = calling.person("ada")
    bob = calling.person("bob")
    song = await ada.imports("Once Is Enough")
    await bob.brings_in(song)
    first = await ada.covered()
    reads = len([one for one in calling.vidgo.requests if "/detail/" in one.path])
    has_it = await (await ada.cover()).reply()
    assert str(first.id) in has_it.content
    calls = [await calling.discord.press(ada.member, has_it, "Post again"), await bob.cover()]
    for person, call in zip((ada, bob), calls, strict=True):
        assert "before" in said(await call.reply())
        again = await person.result(call, timeout=5)
        assert again.id != first.id
        assert again.pings == {person.member.id}
        assert again.attachments[0].data == first.attachments[0].data
    assert calling.submitted(song) == 1
    assert len([one for one in calling.vidgo.requests if "/detail/" in one.path]) == reads


async def test_twenty_members_at_the_same_moment_share_one_cover(calling: World) -> None:
    song = calling.vidgo.add_song("Everybody's Song", seconds=2, variants=1)
    rooms = [calling.person(f"host{number}").channel for number in range(4)]
    crowd = [calling.person(f"member{number}", rooms[number % 4]) for number in range(20)]
    await asyncio.gather(*(person.brings_in(song) for person in crowd))
    calls = await asyncio.gather(*(person.cover() for person in crowd))
    acknowledgements = await asyncio.gather(*(call.reply() for call in calls))
    assert all("**Everybody's Song**" in one.content and not one.ephemeral for one in acknowledgements)
    results = await asyncio.gather(*(person.result(call, 60) for person, call in zip(crowd, calls, strict=True)))
    assert calling.submitted(song) == 1
    assert [result.pings for result in results] == [{person.member.id} for person in crowd]
    assert all(len(result.attachments) == 1 for result in results)


async def test_a_whole_title_is_found_however_many_have_it_within_theirs(polling: World) -> None:
    ada = polling.person("ada")
    song = await ada.imports("Tide")
    for number in range(13):
        await ada.imports(f"Tide (style {number})", variants=2)
    assert [choice.name for choice in await ada.type_track("tide")][:2] == ["Tide · 0:02", "Tide (style 12) · 0:02"]
    assert len(await ada.type_track("tide")) == 25
    await ada.covered("tide")
    assert polling.submitted(song) == 1


async def test_left_out_the_track_is_the_newest_song(polling: World) -> None:
    ada = polling.person("ada")
    for title in ("Oldest", "Older", "Newest"):
        await ada.imports(title)
    assert "**Newest**" in (await ada.covered()).content
    # A cover is no song: what is newest does not change by it.
    assert "**Newest**" in (await ada.covered()).content


async def test_a_pasted_vidgo_id_and_a_typed_title_are_understood(polling: World) -> None:
    ada = polling.person("ada")
    pasted = polling.vidgo.add_song("From Elsewhere", seconds=2, variants=1)
    assert "**From Elsewhere**" in (await ada.covered(f" {pasted.id} ")).content
    assert [choice.name.partition(" · ")[0] for choice in await ada.type_track("elsewhere")] == ["From Elsewhere"]
    await ada.imports("Something Else")
    assert "You have this one" in (await (await ada.cover("from elsewhere")).reply()).content
    assert polling.submitted(pasted) == 1


async def test_the_second_version_of_a_song_keeps_its_own_music(polling: World) -> None:
    ada = polling.person("ada")
    song = await ada.imports("Two Takes", seconds=4, variants=2)
    choices = await ada.type_track("two takes")
    assert [choice.name for choice in choices] == ["Two Takes · 0:04", "Two Takes (2) · 0:04"]
    result = await ada.covered(choices[1].value)
    async with polling.http.get(f"{polling.vidgo.api_url}/files/{song.id}/2.mp3") as response:
        assert music_of(result.attachments[0].data) == music_of(await response.read())


async def test_the_list_offers_ones_own_songs_newest_first_and_filtered(calling: World) -> None:
    ada = calling.person("ada")
    bob = calling.person("bob")
    for title in ("Äpfel im Wind", "Night Train", "Morning Train"):
        await ada.imports(title)
    await bob.imports("Bob's Train")

    async def titles(typed: str) -> list[str]:
        return [choice.name.partition(" · ")[0] for choice in await ada.type_track(typed)]

    assert await titles("") == ["Morning Train", "Night Train", "Äpfel im Wind"]
    assert await titles("TRAIN") == ["Morning Train", "Night Train"]
    assert await titles("äpfel") == ["Äpfel im Wind"]
    assert await titles("%") == []
    assert await titles("_") == []
    assert await titles("bob") == []


async def test_the_list_is_cut_at_what_discord_allows(calling: World) -> None:
    ada = calling.person("ada")
    for number in range(9):
        await ada.imports(f"Number {number} " + "x" * 150, variants=3)
    choices = await ada.type_track("number")
    assert len(choices) == 25
    assert choices[0].name.startswith("Number 8")
    assert all(len(choice.name) <= 100 and len(str(choice.value)) <= 100 for choice in choices)


async def test_a_new_song_is_posted_with_a_button_that_covers_it(calling: World) -> None:
    ada = calling.person("ada")
    call = await ada.use("music generate", prompt="a song of the sea", style="shanty", title="Sea Song")
    assert "**Sea Song**" in (await call.reply()).content
    song = await ada.result(call)
    assert "your song **Sea Song**" in song.content
    assert song.pings == {ada.member.id}
    assert song.embeds[0]["title"] == "Sea Song"
    assert listen(song.attachments[0].data).loudness > 0.02
    pressed = await calling.discord.press(ada.member, song, "Cover")
    cover = await ada.result(pressed)
    assert "New artwork for **Sea Song**" in cover.content
    assert len([one for one in calling.vidgo.submissions if one.model == SONG]) == 1


@pytest.mark.parametrize("kind", ["voice", "announcement"])
async def test_a_cover_arrives_in_channels_of_other_kinds(calling: World, kind: str) -> None:
    place = calling.guild.add_channel(f"the {kind} channel", kind)
    calling.channels.append(place)
    ada = calling.person("ada", place)
    await ada.imports("Anywhere")
    assert (await ada.covered()).channel is place


async def test_a_cover_arrives_in_a_thread(calling: World) -> None:
    ada = calling.person("ada")
    await ada.imports("In A Thread")
    ada.channel = calling.thread(ada.channel, "songs")
    result = await ada.covered()
    assert result.channel is ada.channel
    assert len(result.attachments) == 1


async def test_the_usual_time_follows_what_covers_took_before(polling: World) -> None:
    ada = polling.person("ada")
    for number in range(4):
        await ada.imports(f"Measured {number}")
    for number in range(3):
        await ada.covered(f"Measured {number}")
    call = await ada.cover("Measured 3")
    # Covers take 0.3 s here; without any to go by, the bot would say a minute and a half.
    assert "usually takes about half a minute" in said(await call.reply())
    await ada.result(call)


@pytest.mark.parametrize("end", ["SIGTERM", "kill -9"])
async def test_a_restart_before_the_callback_loses_nothing(calling: World, end: str) -> None:
    ada = calling.person("ada")
    song = await ada.imports(f"Through {end} by callback")
    calling.vidgo.hold(COVER)
    call = await ada.cover()
    await call.reply()
    await calling.vidgo.wait_submission(lambda one: one.input == {"task_id": song.id})
    await eventually(lambda: calling.rows("SELECT 1 FROM tasks WHERE status IN ('waiting', 'running')") != [])
    await (calling.bot.stop() if end == "SIGTERM" else calling.bot.kill())
    await calling.bot.start()
    calling.vidgo.release(COVER)
    result = await ada.result(call)
    assert result.pings == {ada.member.id}
    assert len(result.attachments) == 1
    assert calling.submitted(song) == 1


@pytest.mark.parametrize("end", ["SIGTERM", "kill -9"])
async def test_what_finishes_while_the_bot_is_down_is_posted_when_it_is_back(polling: World, end: str) -> None:
    ada = polling.person("ada")
    song = await ada.imports(f"Through {end} by asking")
    polling.vidgo.hold(COVER)
    call = await ada.cover()
    await call.reply()
    submission = await polling.vidgo.wait_submission(lambda one: one.input == {"task_id": song.id})
    await eventually(lambda: polling.rows("SELECT 1 FROM tasks WHERE status IN ('waiting', 'running')") != [])
    await (polling.bot.stop() if end == "SIGTERM" else polling.bot.kill())
    polling.vidgo.release(COVER)
    await polling.vidgo.wait_task(str(submission.task_id), "finished")
    await polling.bot.start()
    result = await ada.result(call)
    assert result.pings == {ada.member.id}
    assert len(result.attachments) == 1
    assert polling.submitted(song) == 1
