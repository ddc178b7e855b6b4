"""Sentences that members read seldom, each as it comes out of the whole program."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.discord.rest.faults import FOLLOW_UPS, POSTS
from tests.end_to_end.music import EXTEND, fill_in, open_library, press
from tests.end_to_end.world import COVER, SONG, Person
from tests.replies.test_posting import an_order, finish, posts, states
from tests.tasks.room import open_room

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.asyncio

SONG_FIELDS = {
    "What it is about, or its lyrics": "With a style, this is sung word for word.",
    "Style": "Such as: acoustic folk, female voice.",
    "Title": None,
    "Without singing": None,
}
EXTENSION_FIELDS = {
    "How it goes on, or more lyrics": "Empty: as it was.",
    "Where to start": "Seconds, or minutes and seconds such as 1:30. Empty: from its end.",
}
NOT_FOUND: dict[str, Any] = {
    "code": 404,
    "error": {"message": "Parent task not found", "type": "resource_not_found_error"},
}
EXISTS: dict[str, Any] = {"code": 409, "error": {"message": "exists already", "type": "conflict_error"}}
NOT_READY: dict[str, Any] = {"code": 409, "error": {"message": "the song is not finished", "type": "conflict_error"}}


@pytest.mark.parametrize(
    ("model", "fault", "words"),
    [
        (
            COVER,
            {"status": 409, "body": NOT_READY},
            "VidGo says that **Sea** is not ready to be covered yet. Try again in a few minutes. No credits were used.",
        ),
        (
            COVER,
            {"status": 404, "body": NOT_FOUND},
            (
                "VidGo does not find **Sea**, so it made no cover. If the song is new, try again in a few minutes; if "
                "it is old, give a style for a new version of it. No credits were used."
            ),
        ),
        (
            EXTEND,
            {"status": 409, "body": NOT_READY},
            "VidGo says that **Sea** is not finished yet. Try again in a few minutes. No credits were used.",
        ),
        (
            EXTEND,
            {"status": 404, "body": NOT_FOUND},
            (
                "VidGo does not find **Sea**, so it was not continued. If the song is new, try again in a few minutes. "
                "No credits were used."
            ),
        ),
        (
            EXTEND,
            {"status": 409, "body": EXISTS},
            (
                "VidGo says that what was ordered for **Sea** exists already, but does not let me have it. It was not "
                "made again. No credits were used."
            ),
        ),
        (
            SONG,
            {"status": 409, "body": EXISTS},
            (
                "VidGo says that what was ordered for **the sea** exists already, but does not let me have it. It was "
                "not made again. No credits were used."
            ),
        ),
    ],
)
async def test_what_vidgo_says_of_an_order_is_told_in_private(
    tmp_path: Path, model: str, fault: dict[str, Any], words: str
) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        await ada.imports("Sea")
        room.vidgo.fault("submit", "status", model=model, **fault)
        if model == COVER:
            call = await ada.cover()
        elif model == EXTEND:
            call = await ada.use("music extend")
        else:
            call = await ada.use("music generate", prompt="the sea")
        told, _ = await room.pass_until(lambda: next((one for one in call.followups if one.ephemeral), None))
        assert told.content == words


async def test_an_order_that_is_given_the_id_of_another_is_told_in_private(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        song = await ada.imports("Sea")
        taken = {"code": 200, "data": {"task_id": song.id, "status": "not_started"}}
        room.vidgo.fault("submit", "status", status=200, body=taken)
        call = await ada.use("music generate", prompt="the wind")
        told, _ = await room.pass_until(lambda: next((one for one in call.followups if one.ephemeral), None))
        assert told.content == (
            "VidGo gave an answer that I cannot read, so I do not know what became of **the wind**. Ask again in a "
            "while. VidGo may have charged for it."
        )


async def test_an_order_that_is_sent_elsewhere_is_sent_again(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        room.vidgo.fault("submit", "status", status=302, body={}, headers={"Location": "https://elsewhere.invalid/"})
        call = await ada.use("music generate", prompt="the sea")
        acknowledgement = await call.reply()
        await room.pass_until(lambda: "is done" in acknowledgement.content)
        assert call.followups == []


async def test_a_cover_that_somebody_else_has_comes_again_and_ends_in_one_small_line(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        bob = room.person("bob", ada.channel)
        song = await ada.imports("Sea")
        await bob.brings_in(song)
        first, again = "Covering **Sea** – started <t:", "**Sea** was covered before. Here it comes again."
        for person, words in ((ada, first), (bob, again)):
            call = await person.cover()
            acknowledgement = await call.reply()
            assert "\n".join([*acknowledgement.edits, acknowledgement.content]).startswith(words)
            await room.pass_until(lambda said=acknowledgement: "is done" in said.content)  # type: ignore[misc]  # a lambda with a default
            [post] = [one for one in ada.channel.messages if one.reference == acknowledgement.id]
            place = f"{room.guild.id}/{ada.channel.id}/{post.id}"
            assert acknowledgement.content == f"-# **Sea** is done: https://discord.com/channels/{place}"
            assert acknowledgement.buttons == []


@pytest.mark.parametrize(
    ("seconds", "duration"),
    [(20, "half a minute"), (60, "a minute"), (90, "1½ minutes"), (150, "2½ minutes"), (420, "7 minutes")],
)
async def test_it_is_told_how_long_it_usually_takes(tmp_path: Path, seconds: float, duration: str) -> None:
    async with open_room(tmp_path, vidgo_seconds=seconds) as room:
        ada = room.person("ada")
        for number in range(4):
            call = await ada.use("music generate", prompt=f"wave {number}")
            first = (await call.reply()).content
            await room.pass_until(lambda call=call: call.original is not None and "is done" in call.original.content)  # type: ignore[misc]  # a lambda with a default
        since = re.search(r"<t:\d+:R>", first)
        assert since is not None
        assert first == f"Making **wave 3** – started {since[0]}, usually takes about {duration}."


async def test_a_form_says_what_each_field_is_for(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        await ada.imports("Sea")
        song = await ada.use("music generate")
        page = await open_library(ada)
        extension = await press(ada, page, "Extend…")
        recording = await ada.use("cover", file=room.discord.attach("hum.mp3", b""))
        for call, title, fields in (
            (song, "A new song", SONG_FIELDS),
            (extension, "Extend: Sea", EXTENSION_FIELDS),
            (recording, "Cover this recording", {"Style": "Such as: acoustic folk, female voice"}),
        ):
            await call.acknowledged()
            assert call.modal is not None
            assert call.modal["title"] == title
            labels = [one for one in call.modal["components"] if one["type"] == 18]
            assert {one["label"]: one.get("description") for one in labels} == fields
        # Without a word the song goes on from its end, as it was.
        sent = await fill_in(ada, extension)
        assert "Extending **Sea**" in (await sent.reply()).content


async def test_what_fails_too_late_for_a_private_word_is_told_in_the_channel(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        call = await an_order(room, ada)
        room.advance(16 * 60)
        for task in room.vidgo.tasks.values():
            room.vidgo.finish(task, error_message="no luck")
        told = await ada.ending(call)
        assert told.content == (
            f"<@{ada.member.id}> VidGo could not make **the sea** and says: “no luck”. VidGo charges nothing for what "
            "it could not make."
        )
        place = f"{room.guild.id}/{ada.channel.id}/{told.id}"
        words = f"**the sea** could not be made: https://discord.com/channels/{place}"
        await room.until(lambda: call.replies[0].content == words, words)


async def test_a_closed_channel_of_somebody_who_takes_no_direct_messages_says_what_became_of_it(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        room.discord.close_dms(ada.member)
        call = await an_order(room, ada)
        closed = room.discord.refuse("POST", POSTS, 50013, times=None)
        room.discord.refuse("POST", FOLLOW_UPS, 50083, status=403, times=None)
        finish(room)
        await room.until(lambda: states(room) == ["undeliverable"])
        words = "**the sea** is done, but I could not post it. It is in your </music library:"
        await room.until(lambda: call.replies[0].content.startswith(words))
        assert call.replies[0].content.endswith(": post it from there where I may post.")
        # It can; the command would order another song, and pay for that.
        closed.end()
        elsewhere = Person(room, ada.member, room.guild.add_channel("elsewhere"))
        room.channels.append(elsewhere.channel)
        await press(elsewhere, await open_library(elsewhere), "Post")
        await room.until(lambda: posts(elsewhere))
        assert len(room.vidgo.submissions) == 1


async def test_what_comes_to_nothing_and_has_no_words_leads_to_ones_songs(tmp_path: Path) -> None:
    """A cover whose audio is VidGo's and whose file nobody will ever have."""
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        await ada.imports("Sea")
        room.vidgo.set_result(COVER, "audio")
        room.vidgo.set_song_files("not_found", model=COVER)
        call = await ada.cover()
        await room.pass_until(lambda: [one for one in ada.channel.messages if one.reference], limit=90_000)
        [told] = [one for one in ada.channel.messages if call.original and one.reference == call.original.id]
        assert "so I cannot post it" in told.content
        assert [one.label for one in told.buttons] == ["My songs", "Remove"]
        page = await (await press(ada, told, "My songs")).reply()
        assert page.ephemeral
        assert "Sea" in str(page.components)
