"""What VidGo gives as its reason, and other sentences that are read seldom, as the whole program says them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.end_to_end.music import PERFORM, open_library, perform, press, private_word
from tests.end_to_end.world import COVER, SONG, open_world

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.discord import Call
    from tests.end_to_end.world import Person, World

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNCHARGED = "VidGo charges nothing for what it could not make."
UNUSED = "No credits were used."
MODERATION, INVALID = "content_moderation_error", "invalid_request_error"


async def an_order(person: Person, model: str) -> Call:
    """Order something that is called “Sea” where VidGo's word about it is told."""
    if model == SONG:
        return await person.use("music generate", prompt="the sea", title="Sea")
    await person.imports("Sea")
    return await (person.cover() if model == COVER else perform(person, "jazz"))


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (
            "Your prompt mentions a specific artist",
            (
                "VidGo did not make **Sea**: the words name an artist, which it does not allow. Describe the music "
                "instead."
            ),
        ),
        (
            "Lyrics contain copyrighted material",
            "VidGo did not make **Sea**: it takes the words for somebody else's. Use words of your own.",
        ),
        (
            "title cannot be longer than 80 characters",
            "VidGo did not make **Sea**: the title is too long for it. Choose a shorter one.",
        ),
        (
            "style exceeds 1000 characters",
            "VidGo did not make **Sea**: it does not take the style. Say it shorter, or in other words.",
        ),
        (
            "The prompt is too long",
            "VidGo did not make **Sea**: the words are too long for it. Shorten them and try again.",
        ),
        ("needs a bass line", "VidGo did not accept the order for **Sea** and says: “needs a bass line”."),
        ("", "VidGo did not accept the order for **Sea** and gives no reason."),
    ],
)
async def test_why_vidgo_does_not_take_an_order(polling: World, reason: str, words: str) -> None:
    ada = polling.person("ada")
    error = {"code": 400, "error": {"message": reason, "type": INVALID}}
    polling.vidgo.fault("submit", "status", status=400, body=error, model=SONG)
    assert (await ada.failure(await an_order(ada, SONG))).content == f"{words} {UNUSED}"


async def test_a_refusal_of_the_words_for_no_reason(polling: World) -> None:
    ada = polling.person("ada")
    error: dict[str, Any] = {"code": 400, "error": {"message": "", "type": MODERATION}}
    polling.vidgo.fault("submit", "status", status=400, body=error, model=SONG)
    assert (await ada.failure(await an_order(ada, SONG))).content == (
        f"VidGo refused the content of **Sea** and gives no reason. Change the words and try again. {UNUSED}"
    )


@pytest.mark.parametrize(
    ("model", "reason", "words"),
    [
        (
            PERFORM,
            "Uploaded audio matches an existing work of art",
            "VidGo did not make **Sea (jazz)**: it takes the recording for somebody else's work.",
        ),
        (
            PERFORM,
            "The audio is longer than 480 seconds",
            "VidGo did not make **Sea (jazz)**: the recording is too long for it.",
        ),
        (
            PERFORM,
            "Failed to download the audio",
            "VidGo did not make **Sea (jazz)**: it could not get or read the recording. Try again later.",
        ),
        (
            SONG,
            "Internal server error",
            "Something went wrong at VidGo while it made **Sea**. Try again later.",
        ),
        (SONG, ".", "VidGo could not make **Sea** and gives no reason. Try again later."),
    ],
)
async def test_why_vidgo_could_not_make_it(polling: World, model: str, reason: str, words: str) -> None:
    ada = polling.person("ada")
    polling.vidgo.set_failure(model, reason, times=1)
    assert (await ada.failure(await an_order(ada, model))).content == f"{words} {UNCHARGED}"


@pytest.mark.parametrize(
    ("model", "reason"),
    [(COVER, "Sensitive words found"), (COVER, "The tags are too long"), (SONG, "The audio is too long")],
)
async def test_a_reason_about_what_an_order_does_not_have_is_quoted(polling: World, model: str, reason: str) -> None:
    """A cover has no words that could be changed, and no song that is made of words has a recording."""
    ada = polling.person("ada")
    polling.vidgo.set_failure(model, reason, times=1)
    told = await ada.failure(await an_order(ada, model))
    assert told.content == f"VidGo could not make **Sea** and says: “{reason}”. {UNCHARGED}"


async def test_a_refused_cover_says_nothing_of_words_to_change(polling: World) -> None:
    ada = polling.person("ada")
    error = {"code": 400, "error": {"message": "Sensitive words found", "type": MODERATION}}
    polling.vidgo.fault("submit", "status", status=400, body=error, model=COVER)
    told = await ada.failure(await an_order(ada, COVER))
    assert told.content == f"VidGo did not accept the order for **Sea** and says: “Sensitive words found”. {UNUSED}"


# Songs that are brought in


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("running", "VidGo has not finished that song yet. Try again when it is done."),
        (
            "failed",
            "VidGo could not make that song, so there is nothing to import. Use the id of a finished song.",
        ),
    ],
)
async def test_a_song_that_is_not_there_to_be_brought_in(polling: World, status: Any, words: str) -> None:
    song = polling.vidgo.add_song("Sea", status=status)
    assert await private_word(await polling.person("ada").use("music import", task_id=song.id)) == words


@pytest.mark.parametrize("task_id", ["NOSUCHTASK000001", "the one with the chorus"])
async def test_an_id_that_vidgo_does_not_know_is_no_songs(polling: World, task_id: str) -> None:
    word = await private_word(await polling.person("ada").use("music import", task_id=task_id))
    assert word == "VidGo has no song with that id that this bot may use. Check the id and paste it again."


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (
            500,
            "server_error",
            "VidGo is busy or out of reach at the moment. No credits were used; please try again in a few minutes.",
        ),
        (
            402,
            "insufficient_credits_error",
            "This bot's VidGo account has run out of credits. The owner of this bot has to top it up.",
        ),
    ],
)
async def test_a_song_is_not_brought_in_while_vidgo_does_not_say(
    polling: World, status: int, kind: str, words: str
) -> None:
    ada = polling.person("ada")
    song = polling.vidgo.add_song("Sea", seconds=2, variants=1)
    error = {"code": status, "error": {"message": "not now", "type": kind}}
    polling.vidgo.fault("detail", "status", status=status, body=error, times=None)
    try:
        assert await private_word(await ada.use("music import", task_id=song.id)) == words
    finally:
        polling.vidgo.clear_faults()
    word = await private_word(await ada.use("music import", task_id=song.id))
    assert word.startswith("**Sea** is in your library. Cover it with </cover:")


async def test_a_song_that_cannot_be_heard_in_that_moment(polling: World) -> None:
    ada = polling.person("ada")
    song = polling.vidgo.add_song("Sea", seconds=2, variants=1)
    polling.vidgo.set_song_files("unavailable", task=song)
    await ada.brings_in(song)
    page = await open_library(ada)
    word = await private_word(await press(ada, page, "Play for me"))
    assert word == "I cannot get the audio of **Sea** at the moment. No credits were used; try again later."


async def test_a_version_of_the_model_that_takes_a_minute_at_most(tmp_path: Path) -> None:
    async with open_world(tmp_path, callbacks=False, VIDGO_MUSIC_VERSION="V4_5ALL") as world:
        ada = world.person("ada")
        song = await ada.imports("Sea", seconds=61)
        assert await ada.refusal(await perform(ada, "jazz")) == (
            "**Sea** is longer than a minute, the longest song that VidGo makes a new version of. No credits were used."
        )
        async with world.http.get(f"{world.vidgo.api_url}/files/{song.id}/1.mp3") as response:
            file = world.discord.attach("hummed.mp3", await response.read())
        assert await ada.refusal(await ada.use("cover", file=file, style="jazz")) == (
            "**hummed** is longer than a minute, the longest that VidGo takes here. No credits were used."
        )
        assert world.vidgo.submissions == []


# Addresses and files that cannot be used


async def test_a_song_whose_address_is_of_no_use_is_not_brought_in(polling: World) -> None:
    song = polling.vidgo.add_song("Sea", seconds=2, variants=1)
    polling.vidgo.set_song_files("url", task=song, location="https://h.example/" + "x" * 9000)
    word = await private_word(await polling.person("ada").use("music import", task_id=song.id))
    assert word == (
        "VidGo names an address for that song that cannot be used. Try again later, or use the id of another song."
    )


async def test_a_file_at_an_address_that_leads_elsewhere_is_not_fetched(polling: World) -> None:
    ada = polling.person("ada")
    polling.vidgo.set_song_files("url", model=SONG, times=1, location="https://user@h.example/x.mp3")
    told = await ada.result(await an_order(ada, SONG))
    assert told.content == (
        f"<@{ada.member.id}> **Sea** is finished, but VidGo names an address for its file that I must not fetch from, "
        "so I cannot post it. The owner finds the reason in the log."
    )


async def test_a_command_of_another_version(polling: World) -> None:
    ada = polling.person("ada")
    command = polling.discord.commands.find("help", 1, ada.channel)
    command["name"] = "advice"
    try:
        word = await private_word(await ada.use("advice"))
    finally:
        command["name"] = "help"
    assert word == (
        "This command belongs to another version of me. Restart your Discord app and try again; if that does not help, "
        "wait some minutes."
    )
