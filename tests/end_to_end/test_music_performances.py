"""New performances and continuations of a song: where VidGo gets it from, and what the replies say."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from bot.media.links import FETCH_SECONDS, Links
from bot.settings import Settings
from bot.tasks.new import new_task
from bot.vidgo import GenerateMusic
from tests.end_to_end.heard import listen, music_of
from tests.end_to_end.music import (
    EXTEND,
    PERFORM,
    archived,
    expire_everything,
    open_music,
    perform,
    performances,
    post_again,
    served,
)
from tests.end_to_end.world import COVER, KEY, TOKEN, said

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.end_to_end.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def public(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A bot that VidGo reaches from outside."""
    async with open_music(tmp_path_factory.mktemp("public"), callbacks=True) as world:
        yield world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hidden(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A bot without a public address."""
    async with open_music(tmp_path_factory.mktemp("hidden")) as world:
        yield world


# In another style


async def test_a_song_is_performed_from_vidgos_own_file_while_that_lives(hidden: World) -> None:
    ada = hidden.person("ada")
    song = await ada.imports("Harbour Lights", tags="folk", seconds=3)
    call = await perform(ada, "metal")
    acknowledgement = await call.reply()
    assert "Covering **Harbour Lights** in the style *metal*" in said(acknowledgement)
    result = await ada.result(call)
    assert "new version" in result.content
    assert "**Harbour Lights (metal)**" in result.content
    assert "artwork" not in result.content
    assert result.pings == {ada.member.id}
    [submission] = performances(hidden, song)
    assert submission.input["upload_url"] == f"{hidden.vidgo.api_url}/files/{song.id}/1.mp3"
    assert submission.input["prompt"] == "metal"
    assert len(result.attachments) == 2
    for audio in result.attachments:
        assert listen(audio.data).seconds == pytest.approx(3, abs=0.3)
        assert music_of(audio.data) != music_of(await served(hidden, song))


async def test_the_variant_that_was_chosen_is_performed(hidden: World) -> None:
    ada = hidden.person("ada")
    song = await ada.imports("Two Takes", seconds=3, variants=2)
    first, second = await ada.type_track("two takes")
    hidden.vidgo.hold(PERFORM)
    calls = []
    for choice in (second, first):
        calls.append(await perform(ada, "jazz", choice.value))
        assert "already" not in said(await calls[-1].reply())
    hidden.vidgo.release(PERFORM)
    for call in calls:
        await ada.result(call)
    urls = [str(one.input["upload_url"]) for one in performances(hidden, song)]
    assert urls == [f"{hidden.vidgo.api_url}/files/{song.id}/{number}.mp3" for number in (2, 1)]


async def test_an_expired_song_is_performed_from_the_archive(public: World) -> None:
    ada = public.person("ada")
    song = await ada.imports("Kept Here", seconds=3)
    original = await served(public, song)
    await archived(public, song)
    public.vidgo.expire_files(song)
    result = await ada.result(await perform(ada, "jazz"))
    assert "new version" in result.content
    assert listen(result.attachments[0].data).seconds == pytest.approx(3, abs=0.3)
    [submission] = performances(public, song)
    address = str(submission.input["upload_url"])
    assert address.startswith(f"{public.url}/media/")
    async with public.http.get(address) as response:
        assert response.status == 200
        assert response.content_type == "audio/mpeg"
        assert await response.read() == original


async def test_an_expired_song_that_only_discord_still_has_is_performed(public: World) -> None:
    ada = public.person("ada")
    song = await ada.imports("Kept In Discord", seconds=3)
    path = await archived(public, song)
    await post_again(ada, "Kept In Discord")
    public.vidgo.expire_files(song)
    await public.bot.stop()
    path.unlink()
    await public.bot.start()
    result = await ada.result(await perform(ada, "jazz"))
    assert "new version" in result.content
    assert listen(result.attachments[0].data).seconds == pytest.approx(3, abs=0.3)


async def test_what_nobody_has_any_more_cannot_be_performed(public: World) -> None:
    ada = public.person("ada")
    song = await ada.imports("Gone For Good")
    path = await archived(public, song)
    public.vidgo.expire_files(song)
    await public.bot.stop()
    path.unlink()
    await public.bot.start()
    sentence = await ada.refusal(await perform(ada, "jazz"))
    assert "Nobody has the audio of **Gone For Good** any more, so no new version of it can be made." in sentence
    assert performances(public, song) == []


async def test_without_a_public_address_an_expired_song_is_explained(hidden: World) -> None:
    ada = hidden.person("ada")
    song = await ada.imports("Out Of Reach")
    await archived(hidden, song)
    hidden.vidgo.expire_files(song)
    sentence = await ada.refusal(await perform(ada, "jazz"))
    assert "VidGo no longer has **Out Of Reach**" in sentence
    assert "PUBLIC_URL" in sentence
    assert performances(hidden, song) == []
    # The artwork needs no fetching.
    assert "New artwork" in (await ada.covered()).content


async def test_two_styles_at_once_are_two_performances(hidden: World) -> None:
    ada = hidden.person("ada")
    song = await ada.imports("Many Coats")
    calls = await asyncio.gather(perform(ada, "jazz"), perform(ada, "metal"))
    results = await asyncio.gather(*(ada.result(call) for call in calls))
    assert sorted(one.input["prompt"] for one in performances(hidden, song)) == ["jazz", "metal"]
    assert results[0].attachments[0].data != results[1].attachments[0].data
    assert all("new version" in result.content for result in results)


async def test_one_style_at_once_is_one_performance_that_all_are_told_of(hidden: World) -> None:
    people = [hidden.person(name) for name in ("ada", "bob", "eve")]
    song = await people[0].imports("Shared Coat")
    for person in people[1:]:
        await person.brings_in(song)
    hidden.vidgo.hold(PERFORM)
    styles = ("Slow  Jazz", "slow jazz", " SLOW JAZZ ")
    calls = await asyncio.gather(*(perform(person, style) for person, style in zip(people, styles, strict=True)))
    acknowledgements = [said(await call.reply()) for call in calls]
    assert sum("already" in words for words in acknowledgements) == 2
    hidden.vidgo.release(PERFORM)
    results = await asyncio.gather(*(person.result(call) for person, call in zip(people, calls, strict=True)))
    assert len(performances(hidden, song)) == 1
    assert len({result.attachments[0].data for result in results}) == 1
    assert [result.pings for result in results] == [{person.member.id} for person in people]


async def test_a_finished_style_can_be_performed_again(hidden: World) -> None:
    ada = hidden.person("ada")
    song = await ada.imports("Once More")
    for count in (1, 2):
        result = await ada.result(await perform(ada, "jazz", "Once More"))
        assert "new version" in result.content
        assert len(performances(hidden, song)) == count


async def test_a_failed_performance_is_told_with_its_reason_and_may_be_tried_again(hidden: World) -> None:
    ada = hidden.person("ada")
    await ada.imports("Second Try")
    hidden.vidgo.set_failure(PERFORM, "the tempo cannot be kept", times=1)
    told = await ada.failure(await perform(ada, "jazz"))
    assert "could not make" in told.content
    assert "the tempo cannot be kept" in told.content
    assert told.files == []
    assert "new version" in (await ada.result(await perform(ada, "jazz"))).content


@pytest.mark.parametrize(("style", "words"), [("   ", "which style you want"), ("\u200b", "which style you want")])
async def test_a_style_of_nothing_is_refused(hidden: World, style: str, words: str) -> None:
    ada = hidden.person("ada")
    song = await ada.imports("Plain")
    assert words in await ada.refusal(await perform(ada, style))
    assert performances(hidden, song) == []


async def test_a_song_over_eight_minutes_is_refused(hidden: World) -> None:
    ada = hidden.person("ada")
    song = await ada.imports("Endless", seconds=481)
    words = "**Endless** is longer than 8 minutes, the longest song that VidGo makes a new version of."
    assert await ada.refusal(await perform(ada, "jazz")) == f"{words} No credits were used."
    assert performances(hidden, song) == []


# Addresses


async def test_an_altered_or_outdated_address_is_refused(public: World) -> None:
    ada = public.person("ada")
    song = await ada.imports("Signed", variants=2)
    await ada.imports("Signed By Another")
    await archived(public, song)
    [row] = public.rows("SELECT id, media_key FROM tasks WHERE vidgo_id = ?", song.id)
    [other] = public.rows("SELECT id FROM tasks WHERE id != ? LIMIT 1", row["id"])
    settings = Settings(discord_token=TOKEN, vidgo_api_key=KEY, public_url=public.url)
    draft = new_task(GenerateMusic(prompt="x"), now=0, user_id=0, guild_id=None, title="Signed")
    task = replace(draft, **row)

    async def status(address: str) -> int:
        async with public.http.get(public.url + address.removeprefix(public.url)) as response:
            return response.status

    def signed(now: float) -> str:
        made = Links(settings, lambda: now).make(task, 0, FETCH_SECONDS)
        assert made is not None
        return made[0]

    good = signed(time.time())
    async with public.http.get(good) as response:
        assert (response.status, await response.read()) == (200, await served(public, song))
    _, _, _, _, task_id, position, expires, signature, name = good.split("/")

    def path(task_id: str, position: str, expires: str, signature: str) -> str:
        return "/".join(("", "media", task_id, position, expires, signature, name))

    assert await status(path(task_id, position, expires, signature)) == 200
    flipped = ("0" if signature[0] != "0" else "1") + signature[1:]
    altered = [
        path(task_id, position, expires, flipped),
        path(task_id, position, expires, signature[:-1]),
        path(task_id, position, expires, "%F0%9F%8E%B5"),
        path(task_id, "1", expires, signature),
        path(task_id, "00", expires, signature[::-1]),
        path(task_id, position, str(int(expires) + 86400), signature),
        path(task_id, position, "9" * 40, signature),
        path(task_id, "-1", "x", signature),
        path(other["id"], position, expires, signature),
        path("0" * 24, position, expires, signature),
        path("..%2f..%2fetc", position, expires, signature),
    ]
    assert [await status(address) for address in altered] == [403] * len(altered)
    # Rightly signed, but a second too long ago.
    assert await status(signed(time.time() - FETCH_SECONDS - 1)) == 403


# Continued


@pytest.mark.parametrize(
    ("options", "wanted", "seconds"),
    [
        ({}, {"default_param_flag": False}, 5),
        ({"prompt": "and then the rain"}, {"default_param_flag": True, "prompt": "and then the rain"}, 4),
        ({"at": 1.5}, {"default_param_flag": True, "continue_at": 1.5}, 3.5),
        (
            {"prompt": "and then the sun", "at": 2},
            {"default_param_flag": True, "prompt": "and then the sun", "continue_at": 2},
            4,
        ),
    ],
)
async def test_a_song_is_extended(
    hidden: World, options: dict[str, object], wanted: dict[str, object], seconds: float
) -> None:
    ada = hidden.person("ada")
    song = await ada.imports("Longer", seconds=3)
    call = await ada.use("music extend", **options)
    assert "Extending **Longer**" in said(await call.reply())
    result = await ada.result(call)
    assert "**Longer**, extended" in result.content
    assert "artwork" not in result.content
    [submission] = [one for one in hidden.vidgo.accepted(EXTEND) if one.input["audio_id"] == song.variants[0].audio_id]
    assert {name: submission.input[name] for name in wanted} == wanted
    assert listen(result.attachments[0].data).seconds == pytest.approx(seconds, abs=0.3)


@pytest.mark.parametrize("at", [3, 300.5])
async def test_a_moment_beyond_the_end_is_refused(hidden: World, at: float) -> None:
    ada = hidden.person("ada")
    await ada.imports("Too Short", seconds=3)
    before = len(hidden.vidgo.submissions)
    sentence = await ada.refusal(await ada.use("music extend", at=at))
    assert "**Too Short** is only 3 seconds long" in sentence
    assert len(hidden.vidgo.submissions) == before


async def test_a_song_without_an_audio_id_cannot_be_extended(hidden: World) -> None:
    ada = hidden.person("ada")
    song = hidden.vidgo.add_song("No Id", seconds=2)
    song.shape = "audio_no_id"
    await ada.brings_in(song)
    assert "cannot be extended" in await ada.refusal(await ada.use("music extend"))


async def test_an_extended_song_and_a_performance_are_songs_themselves(hidden: World) -> None:
    ada = hidden.person("ada")
    await ada.imports("Root", seconds=3)
    await ada.result(await ada.use("music extend"))
    await ada.result(await perform(ada, "jazz"))
    result = await ada.covered()
    assert "New artwork for **Root (jazz)**" in result.content
    covered = [one.input["task_id"] for one in hidden.vidgo.accepted(COVER)]
    assert hidden.vidgo.tasks[covered[-1]].model == PERFORM
    expire_everything(hidden)
    assert (await post_again(ada, "Root (jazz)")).attachments
