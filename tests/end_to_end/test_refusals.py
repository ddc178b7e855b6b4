"""What a member may not or cannot have: one plain sentence each, and nothing ordered that nobody can post."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.end_to_end.music import private_word
from tests.end_to_end.world import COVER, KEY, SONG, eventually, open_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sandbox.vidgo import Task
    from tests.end_to_end.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")

ADOPTED = ["409_id", "409_error_id", "400_id"]
NOT_ADOPTED = ["409", "400_text", "400_upstream_id"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def broke(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A bot whose key and credits run out, which a test of its own log needs for itself."""
    async with open_world(tmp_path_factory.mktemp("broke"), callbacks=False) as world:
        yield world


async def cover_elsewhere(world: World, song: Task) -> str:
    """Order a song's cover with the same key, but not through the bot; return VidGo's id of it once it is done."""
    body: dict[str, Any] = {"model": COVER, "input": {"task_id": song.id}, "callback_url": "https://else.invalid/"}
    headers = {"Authorization": f"Bearer {KEY}"}
    async with world.http.post(f"{world.vidgo.api_url}/api/generate/submit", json=body, headers=headers) as response:
        task_id = str((await response.json())["data"]["task_id"])
    await world.vidgo.wait_task(task_id, "finished")
    return task_id


# Songs that exist already


@pytest.mark.parametrize("style", ADOPTED)
async def test_a_cover_that_vidgo_names_is_taken_over(polling: World, style: Any) -> None:
    polling.vidgo.duplicate_style = style
    ada = polling.person("ada")
    song = await ada.imports(f"Known {style.replace('_', ' ')}")
    earlier = await cover_elsewhere(polling, song)
    result = await ada.covered()
    assert "New artwork" in result.content
    assert len(result.attachments) == 1
    assert [row["vidgo_id"] for row in polling.rows("SELECT vidgo_id FROM tasks WHERE vidgo_id = ?", earlier)]
    # Asked again, nobody asks VidGo any more: one order elsewhere, one refused, that is all.
    await ada.covered()
    assert polling.submitted(song) == 2


@pytest.mark.parametrize("style", NOT_ADOPTED)
async def test_a_cover_that_nobody_can_name_is_explained(polling: World, style: Any) -> None:
    polling.vidgo.duplicate_style = style
    ada = polling.person("ada")
    song = await ada.imports("Known Nowhere")
    await cover_elsewhere(polling, song)
    sentence = (await ada.failure(await ada.cover())).content
    assert "a cover of **Known Nowhere** exists already" in sentence
    assert polling.submitted(song) == 2
    assert [one for one in polling.vidgo.accepted(COVER) if one.input == {"task_id": song.id}][1:] == []


# Tracks that are none


async def test_a_song_of_somebody_else_is_refused(polling: World) -> None:
    ada = polling.person("ada")
    eve = polling.person("eve")
    song = await ada.imports("Ada's Own")
    [choice] = await ada.type_track("")
    for track in (choice.value, f"{choice.value}.1", song.id):
        assert "not in your library" in await eve.refusal(await eve.cover(track))
    assert (await eve.refusal(await eve.cover("Ada's Own"))).startswith("I do not know a song")
    assert polling.submitted(song) == 0


async def test_an_id_may_come_with_what_stood_around_it(polling: World) -> None:
    ada = polling.person("ada")
    arounds = (
        "`{}`",
        "<{}>",
        ' "{}". ',
        "\u200b{}\u200b",
        "({}),\n",
        "“{}”",
        "„{}“",
        "「{}」",
        "**{}**",
        "|| {} ||",
        "#{}:",
    )
    named = ("task_id: {}", '"task_id": "{}",', "https://h.example/detail/music?task_id={}&x=1", "Task ID = {}.")
    for around in (*arounds, *named):
        song = polling.vidgo.add_song(f"Song {around!a}", seconds=1, variants=1)
        assert (
            "is in your library"
            in (await (await ada.use("music import", task_id=around.format(song.id))).reply()).content
        )
    assert "Covering" in (await (await ada.cover(f"`{song.id}`")).reply()).content


@pytest.mark.parametrize("prompt", [" ", "\u200b", "\u202e\u3000\u2060", "\u3164\u2800"], ids=ascii)
async def test_words_that_show_nothing_are_no_words(polling: World, prompt: str) -> None:
    ada = polling.person("ada")
    refused = await ada.refusal(await ada.use("music generate", prompt=prompt))
    assert refused.startswith("Say what the song is about")
    assert [
        one
        for one in polling.vidgo.submissions
        if not one.input.get("prompt", "x").strip("\u200b\u202e\u2060 \u3000\u3164\u2800")
    ] == []
    call = await ada.use("music generate", prompt=f"rain {prompt}", style=prompt, title=prompt)
    order = await polling.vidgo.wait_submission(lambda one: one.input.get("prompt") == f"rain {prompt}".strip())
    assert not order.input["custom_mode"]
    await ada.result(call)


@pytest.mark.parametrize(
    ("track", "words"),
    [
        ("NOSUCHTASK000001", "I do not know a song “NOSUCHTASK000001”"),
        ("the one with the chorus", "I do not know a song “the one with the chorus”"),
        ("0123456789abcdefghjkmnpq", "That song is not in your library. Import it with"),
        ("..", "I do not know a song"),
        ("😀" * 100, "I do not know a song"),
        ("@everyone <@&1> **x**", "I do not know a song “@\u200beveryone \\<@\u200b&1\\> \\*\\*x\\*\\*”"),
    ],
)
async def test_an_unknown_track_is_refused(polling: World, track: str, words: str) -> None:
    before = len(polling.vidgo.submissions)
    ada = polling.person("ada")
    await ada.imports("Something")
    sentence = await ada.refusal(await ada.cover(track))
    assert sentence.startswith(words)
    assert len(polling.vidgo.submissions) == before


async def test_without_any_song_the_member_is_told_how_to_get_one(polling: World) -> None:
    ada = polling.person("ada")
    sentence = await ada.refusal(await ada.cover())
    assert "/music generate" in sentence
    assert "/music import" in sentence


@pytest.mark.parametrize("status", ["not_started", "running"])
async def test_an_unfinished_song_is_refused(polling: World, status: Any) -> None:
    ada = polling.person("ada")
    song = polling.vidgo.add_song("Half Done", status=status)
    assert "not finished" in await ada.refusal(await ada.cover(song.id))
    assert polling.submitted(song) == 0


async def test_the_bots_own_unfinished_song_is_refused(polling: World) -> None:
    ada = polling.person("ada")
    polling.vidgo.hold(SONG)
    making = await ada.use("music generate", prompt="slow song")
    await making.reply()
    submission = await polling.vidgo.wait_submission(lambda one: one.input.get("prompt") == "slow song")
    assert "**slow song** is still being made" in await ada.refusal(await ada.cover(str(submission.task_id)))
    polling.vidgo.release(SONG)
    await ada.result(making)
    assert "**slow song**" in (await ada.covered(str(submission.task_id))).content


async def test_a_failed_song_is_refused(polling: World) -> None:
    ada = polling.person("ada")
    song = polling.vidgo.add_song("Never Made", status="failed")
    assert "could not make that song" in await ada.refusal(await ada.cover(song.id))
    polling.vidgo.set_failure(SONG, "the choir was ill", times=1)
    making = await ada.use("music generate", prompt="own failure")
    assert "the choir was ill" in (await ada.failure(making)).content
    [row] = polling.rows("SELECT vidgo_id FROM tasks WHERE title = 'own failure'")
    sentence = (
        "**own failure** was never finished, so nothing can be made from it. Pick another song. No credits were used."
    )
    for call in (await ada.cover(row["vidgo_id"]), await ada.use("music extend", track=row["vidgo_id"])):
        assert await ada.refusal(call) == sentence
    assert polling.submitted(song) == 0


@pytest.mark.parametrize("model", ["generate-lyrics", COVER])
async def test_what_is_no_song_is_refused(polling: World, model: str) -> None:
    ada = polling.person("ada")
    other = polling.vidgo.add_song("Only Words", model=model)
    words = "What VidGo made under that id is not music. Use the id of a song."
    assert await ada.refusal(await ada.cover(other.id)) == f"{words} No credits were used."
    assert await private_word(await ada.use("music import", task_id=other.id)) == words
    assert polling.submitted(other) == 0


async def test_a_cover_is_no_song_to_cover(polling: World) -> None:
    ada = polling.person("ada")
    song = await ada.imports("Original")
    await ada.covered()
    [row] = polling.rows("SELECT id, vidgo_id FROM tasks WHERE model = ? AND title = 'Original'", COVER)
    before = len(polling.vidgo.submissions)
    for track in (row["id"], row["vidgo_id"]):
        assert "is not music" in await ada.refusal(await ada.cover(track))
    assert len(polling.vidgo.submissions) == before
    assert polling.submitted(song) == 1


# Places where nothing could be posted


@pytest.mark.parametrize(
    ("missing", "name"),
    [
        ("attach_files", "Attach Files"),
        ("embed_links", "Embed Links"),
        ("read_message_history", "Read Message History"),
        ("send_messages", "Send Messages"),
        ("view_channel", "View Channel"),
    ],
)
async def test_where_the_bot_may_not_post_nothing_is_ordered(polling: World, missing: str, name: str) -> None:
    ada = polling.person("ada")
    song = await ada.imports("Nowhere To Go")
    ada.channel.bot_permissions = ada.channel.bot_permissions - {missing}
    sentence = await ada.refusal(await ada.cover())
    assert sentence.startswith("I may not post here: I lack **")
    assert f"**{name}**" in sentence
    assert "No credits were used" in sentence
    call = await ada.use("music generate", prompt="nor this")
    assert "No credits were used" in await ada.refusal(call)
    assert polling.submitted(song) == 0
    assert [one for one in polling.vidgo.submissions if one.model == SONG and one.input["prompt"] == "nor this"] == []


async def test_in_a_thread_the_permission_for_threads_is_needed(polling: World) -> None:
    ada = polling.person("ada")
    song = await ada.imports("No Thread")
    ada.channel.bot_permissions = ada.channel.bot_permissions - {"send_messages_in_threads"}
    ada.channel = polling.thread(ada.channel, "no songs")
    assert "Send Messages In Threads" in await ada.refusal(await ada.cover())
    assert polling.submitted(song) == 0


# What VidGo refuses


@pytest.mark.parametrize("kind", ["busy_retry_after", "busy_text"])
async def test_a_busy_vidgo_is_asked_again_when_it_says(polling: World, kind: Any) -> None:
    ada = polling.person("ada")
    song = await ada.imports("Patience")
    polling.vidgo.fault("submit", kind, model=COVER, seconds=1)
    call = await ada.cover()
    reply = await call.reply()
    await eventually(lambda: any("has not taken" in words for words in (reply.content, *reply.edits)))
    result = await ada.result(call)
    assert len(result.attachments) == 1
    asked = [one for one in polling.vidgo.submissions if one.input == {"task_id": song.id}]
    assert [one.accepted for one in asked] == [False, True]
    assert asked[1].at - asked[0].at >= 0.95


async def test_refused_content_is_told_with_the_reason(polling: World) -> None:
    ada = polling.person("ada")
    error = {"code": 400, "error": {"message": "the lyrics are indecent", "type": "content_moderation_error"}}
    polling.vidgo.fault("submit", "status", status=400, body=error, model=SONG)
    call = await ada.use("music generate", prompt="something rude")
    sentence = (await ada.failure(call)).content
    assert sentence == (
        "VidGo refused the content of **something rude** and says: “the lyrics are indecent”. Change the words and try "
        "again. No credits were used."
    )


async def test_an_unreadable_refusal_is_told_too(polling: World) -> None:
    ada = polling.person("ada")
    song = await ada.imports("Odd Answer")
    polling.vidgo.fault("submit", "status", status=422, body={"detail": [{"msg": "field required"}]}, model=COVER)
    assert "field required" in (await ada.failure(await ada.cover())).content
    assert polling.submitted(song) == 1
    # A refusal is no cover: the next try is a new order.
    assert len((await ada.covered()).attachments) == 1


async def test_a_lost_answer_is_found_again_through_the_callback(calling: World) -> None:
    ada = calling.person("ada")
    song = await ada.imports("Lost And Found")
    calling.vidgo.fault("submit", "lose_answer_after", model=COVER)
    call = await ada.cover()
    assert "**Lost And Found**" in (await call.reply()).content
    result = await ada.result(call)
    assert len(result.attachments) == 1
    assert calling.submitted(song) == 1


async def test_a_lost_answer_about_a_cover_is_found_by_asking_once_more(polling: World) -> None:
    polling.vidgo.duplicate_style = "409_id"
    ada = polling.person("ada")
    song = await ada.imports("Lost And Found")
    polling.vidgo.fault("submit", "lose_answer_after", model=COVER)
    # Asked once more, VidGo names what it had taken.
    assert len((await ada.covered()).attachments) == 1
    assert len([one for one in polling.vidgo.accepted(COVER) if one.input == {"task_id": song.id}]) == 1


async def test_a_lost_answer_about_a_song_is_told_and_never_repeated_by_itself(polling: World) -> None:
    ada = polling.person("ada")
    before = len(polling.vidgo.accepted(SONG))
    polling.vidgo.fault("submit", "lose_answer_after", model=SONG)
    sentence = (await ada.failure(await ada.use("music generate", prompt="the sea"))).content
    assert "cannot tell whether it was taken" in sentence
    assert "did not order it twice" in sentence
    assert len(polling.vidgo.accepted(SONG)) == before + 1


# What only the owner can mend


async def test_a_refused_key_is_told_to_members_and_logged_once(broke: World) -> None:
    people = [broke.person(f"key{number}") for number in range(3)]
    for person in people:
        await person.imports(f"Keyless {person.member.name}")
    logged = len(broke.bot.log_lines)
    broke.vidgo.revoke_key()
    for person in people:
        sentence = (await person.failure(await person.cover())).content
        assert sentence == (
            "VidGo does not let this bot in, so nothing was made. The owner of this bot has to renew its access. "
            "No credits were used."
        )
        call = await person.use("music import", task_id="NEWSONG000000001")
        word = await private_word(call)
        assert word == "VidGo does not let this bot in. The owner of this bot has to renew its access."
    together = await asyncio.gather(*(person.cover() for person in people))
    for person, call in zip(people, together, strict=True):
        assert "owner" in (await person.failure(call)).content
    [error] = broke.bot.errors(logged)
    assert "VIDGO_API_KEY" in error
    broke.vidgo.revoked = False
    assert len((await people[0].covered()).attachments) == 1


@pytest.mark.parametrize("answer", ["402", "429"])
async def test_missing_credits_are_told_to_members_and_logged_once(broke: World, answer: str) -> None:
    people = [broke.person(f"credit{number}") for number in range(3)]
    for person in people:
        await person.imports(f"Penniless {person.member.name} {answer}")
    logged = len(broke.bot.log_lines)
    if answer == "402":
        broke.vidgo.credits = 0
    else:
        broke.vidgo.fault("submit", "no_credits_429", times=None)
    for person in people:
        for _ in range(2):
            sentence = (await person.failure(await person.cover())).content
            assert sentence == (
                "This bot's VidGo account has run out of credits, so nothing was made. The owner of this bot has to "
                "top it up. No credits were used."
            )
    [error] = broke.bot.errors(logged)
    assert "credits" in error
    broke.vidgo.credits = 100
    broke.vidgo.clear_faults()
    assert len((await people[0].covered()).attachments) == 1
