"""Result files that are not what they should be, and titles that would like to be more than titles."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.end_to_end.heard import listen, picture_in, tag_of
from tests.end_to_end.world import COVER, IMPATIENT, open_world, said

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sandbox.discord import Message
    from tests.end_to_end.world import Person, World

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMIT = 1_500_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bounded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A bot that reads no large files, and to which a minute is a second."""
    async with open_world(
        tmp_path_factory.mktemp("bounded"),
        callbacks=False,
        module=IMPATIENT,
        MEDIA_MAX_BYTES=str(LIMIT),
        ARCHIVE_MAX_BYTES="50000000",
    ) as world:
        yield world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def strict(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A bot with the default setting, which fetches nothing from this machine."""
    async with open_world(
        tmp_path_factory.mktemp("strict"), callbacks=False, MEDIA_ALLOW_PRIVATE_HOSTS="false"
    ) as world:
        yield world


async def next_cover_works(world: World, person: Person) -> None:
    """Hold that what went wrong was that one file."""
    world.vidgo.clear_song_files()
    await person.imports("The Next One")
    assert len((await person.covered()).attachments) == 1


def assert_told(message: Message, person: Person, title: str) -> None:
    """Hold that a requester learns in plain words that there is nothing to hear."""
    assert f"**{title}** is finished, but" in message.content
    assert message.pings == {person.member.id}
    assert message.files == []
    assert message.embeds == []
    assert "http" not in message.content


# Files


GONE = "VidGo no longer has its file"
TOO_LARGE = "its file is larger than any that I take"


@pytest.mark.parametrize(
    ("kind", "reason", "words"),
    [
        ("not_found", "HTTP 404", GONE),
        ("endless", f"larger than {LIMIT} bytes", TOO_LARGE),
        ("too_large", f"larger than {LIMIT} bytes", TOO_LARGE),
        ("disguised", "where audio was promised", "is not music that I can post"),
    ],
)
async def test_a_result_whose_audio_will_never_be_had_is_explained(
    bounded: World, kind: Any, reason: str, words: str
) -> None:
    ada = bounded.person("ada")
    title = f"Audio {kind.replace('_', ' ')}"
    await ada.imports(title)
    logged = len(bounded.bot.log_lines)
    bounded.vidgo.set_result(COVER, "audio", times=1)
    bounded.vidgo.set_song_files(kind, model=COVER, times=1)
    result = await ada.covered()
    assert_told(result, ada, title)
    assert words in result.content
    await bounded.bot.wait_log(reason, after=logged)
    await next_cover_works(bounded, ada)


@pytest.mark.parametrize(
    ("rule", "reason", "words"),
    [
        ({"kind": "not_found"}, "HTTP 404", GONE),
        ({"kind": "endless"}, "larger than", TOO_LARGE),
        ({"kind": "bytes", "data": bytes(2000)}, "no picture that can be shown", "is not a picture that I can show"),
    ],
    ids=["404", "endless", "zeros"],
)
async def test_a_result_whose_only_artwork_will_never_be_had_is_explained(
    bounded: World, rule: Any, reason: str, words: str
) -> None:
    ada = bounded.person("ada")
    title = f"Artwork {rule['kind'].replace('_', ' ')}"
    await ada.imports(title)
    logged = len(bounded.bot.log_lines)
    bounded.vidgo.set_song_files(**rule, model=COVER, media="image", times=1)
    result = await ada.covered()
    assert_told(result, ada, title)
    assert words in result.content
    await bounded.bot.wait_log(reason, after=logged)
    await next_cover_works(bounded, ada)


async def test_an_original_that_is_gone_leaves_the_artwork(bounded: World) -> None:
    ada = bounded.person("ada")
    song = bounded.vidgo.add_song("Gone Original", seconds=2, variants=1)
    bounded.vidgo.expire_files(song)
    await ada.brings_in(song)
    result = await ada.covered()
    assert "New artwork" in result.content
    assert "no longer available" in result.content
    assert result.attachments == []
    assert [file.filename for file in result.files] == ["cover.png", "cover2.png"]
    # There is no song that one of them could be chosen for, and none that could be made anew.
    assert [one.label for one in result.buttons] == ["Like", "Keep", "Remove"]


async def test_an_original_that_expired_later_is_taken_from_the_archive(bounded: World) -> None:
    ada = bounded.person("ada")
    song = await ada.imports("Kept Original")
    first = await ada.covered()
    for task in (song, *song.products):
        bounded.vidgo.expire_files(task)
    again = await ada.covered()
    assert again.attachments[0].data == first.attachments[0].data


@pytest.mark.parametrize(("shape", "media"), [("audio", "audio"), ("image_url", "image")])
async def test_a_file_that_breaks_off_is_fetched_again(bounded: World, shape: str, media: Any) -> None:
    ada = bounded.person("ada")
    song = await ada.imports(f"Broken Off {media}")
    bounded.vidgo.set_result(COVER, shape, times=1)
    bounded.vidgo.set_song_files("reset", model=COVER, media=media, times=1)
    call = await ada.cover()
    submission = await bounded.vidgo.wait_submission(lambda one: one.input == {"task_id": song.id})
    path = f"/files/{submission.task_id}/"
    await bounded.vidgo.wait_request(lambda one: one.path.startswith(path))
    bounded.vidgo.clear_song_files(song.products[0])
    result = await ada.result(call)
    [audio] = result.attachments
    assert listen(audio.data).loudness > 0.02
    assert len([one for one in bounded.vidgo.requests if one.path.startswith(path)]) >= 2


async def test_a_file_with_a_wrong_type_is_judged_by_its_bytes(bounded: World) -> None:
    ada = bounded.person("ada")
    await ada.imports("Mislabelled")
    bounded.vidgo.set_result(COVER, "audio", times=1)
    bounded.vidgo.set_song_files("wrong_type", model=COVER, times=1)
    [audio] = (await ada.covered()).attachments
    assert audio.filename == "Mislabelled.mp3"
    assert audio.content_type == "audio/mpeg"


async def test_a_trickling_file_holds_up_neither_others_nor_the_end(tmp_path: Path) -> None:
    async with open_world(tmp_path, callbacks=False) as world:
        ada = world.person("ada")
        bob = world.person("bob")
        song = await ada.imports("Slow Water")
        await bob.imports("Quick Water")
        world.vidgo.set_result(COVER, "audio", times=1)
        world.vidgo.set_song_files("trickle", model=COVER, times=1)
        slow = await ada.cover()
        await slow.reply()
        submission = await world.vidgo.wait_submission(lambda one: one.input == {"task_id": song.id})
        task = await world.vidgo.wait_task(str(submission.task_id), "finished")
        await world.bot.wait_log("is finished")
        assert len((await bob.covered()).attachments) == 1
        assert [message for message in ada.channel.messages if message.attachments] == []
        await world.bot.stop()
        world.vidgo.clear_song_files(task)
        await world.bot.start()
        assert len((await ada.result(slow)).attachments) == 1


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("", "is not https"),
        ("https://127.0.0.1/song.mp3", "an address that must not be reached"),
        ("https://localhost/song.mp3", "an address that must not be reached"),
        ("https://[::1]/song.mp3", "an address that must not be reached"),
        ("https://2130706433/song.mp3", "not a host name"),
        ("https://127.0.0.1:8443/song.mp3", "a port other than 443"),
    ],
)
async def test_private_addresses_are_never_asked(strict: World, location: str, reason: str) -> None:
    ada = strict.person("ada")
    song = await ada.imports("Inside")
    logged = len(strict.bot.log_lines)
    strict.vidgo.set_result(COVER, "audio", times=1)
    if location:
        strict.vidgo.set_song_files("url", model=COVER, location=location, times=1)
    result = await ada.covered()
    assert_told(result, ada, "Inside")
    line = await strict.bot.wait_log("cannot be posted", after=logged)
    assert reason in line
    assert [one for one in strict.vidgo.requests if one.path.startswith("/files/")] == []
    assert strict.submitted(song) == 1


async def test_artwork_from_a_private_address_is_explained_too(strict: World) -> None:
    ada = strict.person("ada")
    await ada.imports("Inside Artwork")
    logged = len(strict.bot.log_lines)
    result = await ada.covered()
    assert_told(result, ada, "Inside Artwork")
    await strict.bot.wait_log("a picture cannot be had", "is not https", after=logged)


# Titles

HOSTILE = {
    "mentions": "@everyone and @here and <@1174109841015177216> <@&42> <#43> </cover:44> <t:0:R> <:x:45>",
    "markdown": "**b** __u__ ~~s~~ ||p|| `c` ```k``` # h > q [link](https://evil.example/x) https://evil.example",
    "long": "A very long song " * 20,
    "unbroken": "x" * 300,
    "control": "bell\x07 escape\x1b[31m null\x00 line\r\none\ttab\u2028two\x85three",
    "turned": "abc\u202egnp.exe\u202c \u2066hidden\u2069 \u200f\u200e\u061c\ufeff end",
    "zalgo": "z" + "\u0301" * 200 + "algo",
}
DANGEROUS = {chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C, 0xFEFF)}


def shown_by(message: Message) -> list[str]:
    """Return every text of a message that people see."""
    texts = [said(message), *(file.filename for file in message.files), *(str(one.label) for one in message.buttons)]
    for embed in message.embeds:
        texts += [embed.get("title", ""), embed.get("description", "")]
        texts += [part for one in embed.get("fields", []) for part in (one["name"], one["value"])]
    return texts


def assert_harmless(text: str) -> None:
    """Hold that a text neither turns, hides nor calls anything."""
    assert not DANGEROUS & set(text)
    assert [char for char in text if unicodedata.category(char) in {"Cc", "Cs", "Co"} and char != "\n"] == []
    assert "\u0301" * 5 not in text


@pytest.mark.parametrize("name", sorted(HOSTILE))
async def test_a_hostile_title_is_shown_harmlessly(bounded: World, name: str) -> None:
    title = HOSTILE[name]
    ada = bounded.person("ada")
    song = bounded.vidgo.add_song(title, tags=title, seconds=2, variants=1)
    call = await ada.use("music import", task_id=song.id)
    replied = await call.reply()
    [choice] = await ada.type_track("")
    assert_harmless(choice.name)
    assert 1 <= len(choice.name) <= 100
    covering = await ada.cover(choice.value)
    acknowledgement = await covering.reply()
    result = await ada.result(covering)

    assert result.pings == {ada.member.id}
    assert not any(message.mention_everyone for message in (replied, acknowledgement, result))
    assert acknowledgement.pings == replied.pings == set()
    [cover] = [f"</cover:{one['id']}>" for one in bounded.discord.commands.scope(None) if one["name"] == "cover"]
    for message in (replied, acknowledgement, result):
        for text in shown_by(message):
            for line in text.splitlines():
                assert_harmless(line)
            bare = text.replace(f"<@{ada.member.id}>", "").replace("https://discord.com/channels/", "")
            bare = bare.replace(cover, "")  # the bot's own command, by the id that Discord gave to it
            assert re.search(r"@everyone|@here|https://|(?<!\\)<[@#/:]|(?<!\\)<t:0|(?<!\\)\]\(", bare) is None
    [embed, _] = result.embeds
    for shown in (embed["title"], embed["description"].split("\n")[1]):
        assert re.search(r"(?<!\\)[*_~`|>#<\[\]]", shown) is None
    assert len(embed["title"]) <= 256
    [audio] = result.attachments
    assert len(audio.filename) <= 80
    tag = tag_of(audio.data)
    assert tag is not None
    assert_harmless(str(tag["TIT2"]))
    if name in {"long", "unbroken"}:
        assert embed["title"].endswith("…")
        assert choice.name.partition(" · ")[0].endswith("…")
        assert len(embed["title"]) <= 100


@pytest.mark.parametrize("title", ["", "   ", "\u200b\u200f\x07", "...", "😀"])
async def test_a_title_that_is_next_to_nothing_still_has_a_name(bounded: World, title: str) -> None:
    ada = bounded.person("ada")
    song = bounded.vidgo.add_song(title, seconds=2, variants=1)
    await ada.brings_in(song)
    [choice] = await ada.type_track("")
    assert choice.name.partition(" · ")[0] == (title if title in {"...", "😀"} else "Untitled")
    result = await ada.covered(choice.value)
    assert result.embeds[0]["title"]
    [audio] = result.attachments
    assert len(audio.filename) > len(".mp3")
    assert picture_in(audio.data) is not None


@pytest.mark.parametrize("name", ["mentions", "control", "unbroken", "surrogate"])
async def test_a_hostile_reason_is_shown_harmlessly(bounded: World, name: str) -> None:
    ada = bounded.person("ada")
    await ada.imports("Fine Title")
    bounded.vidgo.set_failure(COVER, "half \ud83d of a face" if name == "surrogate" else HOSTILE[name] * 20, times=1)
    told = await ada.failure(await ada.cover())
    assert told.pings == set()
    assert not told.mention_everyone
    assert len(told.content) <= 500
    assert "VidGo could not make **Fine Title**" in told.content
    assert_harmless(told.content)
