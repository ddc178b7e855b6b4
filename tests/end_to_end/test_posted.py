"""What a post leads to: its card, both versions, and every button under it, pressed twice, by others and forged."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.end_to_end.heard import music_of
from tests.end_to_end.music import (
    ENDS,
    EXTEND,
    PERFORM,
    come_back,
    eventually,
    forge,
    noted,
    open_library,
    open_music,
    perform,
    post_again,
    post_track,
    press,
    private_word,
    served,
    titles,
    track_of,
)
from tests.end_to_end.test_music_buttons import state
from tests.end_to_end.world import COVER, SONG, Person

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from typing import Any

    from sandbox.discord import Message
    from tests.end_to_end.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A bot whose posts are looked at."""
    async with open_music(tmp_path_factory.mktemp("posts")) as world:
        yield world


@pytest.fixture(autouse=True)
def let_go(world: World) -> Iterator[None]:
    """Leave nothing held that the next test waits for."""
    yield
    world.vidgo.release()


async def generated(person: Person, prompt: str, **options: str) -> Message:
    """Order a song and return its post."""
    return await noted(person.world, await person.result(await person.use("music generate", prompt=prompt, **options)))


def button(message: Message, name: str) -> Any:
    """Return the button whose custom id begins with a name."""
    return next(one for one in message.buttons if str(one.custom_id).startswith(name + ":"))


def audio(message: Message) -> list[str]:
    return [file.filename for file in message.attachments]


# The card


async def test_a_card_says_who_what_how_and_how_long(world: World) -> None:
    ada = world.person("ada")
    world.vidgo.tells_credits = ("finished",)
    post = await generated(ada, "[Verse]\nLanterns *on* the water\nand more", style="folk, <@1>", title="Sea Song")
    [embed] = post.embeds
    assert embed["title"] == "Sea Song"
    who, style, words = embed["description"].split("\n")
    assert re.fullmatch(rf"<@{ada.member.id}> · </music generate:\d+>", who)
    assert style == "folk, \\<@\u200b1\\>"
    assert words == "> Lanterns \\*on\\* the water"
    assert embed["footer"]["text"].partition(" · ")[0::2] == ("0:02 / 0:02", "both versions · 20 credits")
    assert "thumbnail" in embed
    assert "image" not in embed
    assert post.pings == {ada.member.id}
    picture = next(file for file in post.files if file.url == embed["thumbnail"]["url"])
    assert picture.description == "Artwork of Sea Song"


async def test_words_are_not_shown_where_they_were_not_typed(world: World) -> None:
    ada = world.person("ada")
    await generated(ada, "A secret of the harbour", style="folk", title="Elsewhere")
    other = world.discord.add_guild("Elsewhere")
    away = Person(world, other.add_member(ada.member), other.add_channel("songs"))
    world.channels.append(away.channel)
    post = await post_again(away, "Elsewhere")
    assert "secret" not in str(post.embeds)


async def test_each_kind_has_its_colour(world: World) -> None:
    ada = world.person("ada")
    made = await generated(ada, "colours", style="folk", title="Colours")
    cover = await noted(world, await ada.covered())
    performed = await noted(world, await ada.result(await perform(ada, "jazz")))
    extended = await noted(world, await ada.result(await ada.use("music extend", track="Colours")))
    assert len({post.embeds[0]["color"] for post in (made, cover, performed, extended)}) == 4


async def test_buttons_are_rows_that_fit_a_phone_and_each_has_words(world: World) -> None:
    ada = world.person("ada")
    for post in (await generated(ada, "rows", style="folk", title="Rows"), await noted(world, await ada.covered())):
        rows = [row["components"] for row in post.components]
        assert all(len(row) <= 5 for row in rows)
        assert all(one["label"] for row in rows for one in row)
        destroying = next(row for row in rows if any("remove:" in one.get("custom_id", "") for one in row))
        assert len(destroying) > 1


# Both versions


async def test_both_versions_are_in_the_post_and_in_the_library(world: World) -> None:
    ada = world.person("ada")
    post = await generated(ada, "two of them", style="folk", title="Twins")
    assert audio(post) == ["Twins.mp3", "Twins_2.mp3"]
    assert music_of(post.attachments[0].data) != music_of(post.attachments[1].data)
    assert titles(await open_library(ada, "Twins")) == ["Twins", "Twins (2)"]
    assert [one for one in post.buttons if str(one.custom_id).startswith("version:")] == []


@pytest.mark.parametrize("when", ENDS)
async def test_a_second_version_that_does_not_fit_comes_at_the_press_of_a_button(world: World, when: str) -> None:
    ada = world.person("ada")
    bob = world.person("bob", ada.channel)
    world.vidgo.set_song_files("not_found", model=SONG, times=1, number=2)
    post = await generated(ada, f"one alone {when}", style="folk", title=f"Alone {when}")
    assert len(audio(post)) == 1
    assert post.embeds[0]["footer"]["text"].startswith("0:02 · version 1 of 2")
    world.vidgo.clear_song_files(next(reversed(world.vidgo.tasks.values())))
    await come_back(world, when)
    other = await bob.result(await press(bob, post, "Version 2"))
    assert len(audio(other)) == 1
    assert other.embeds[0]["footer"]["text"].startswith("0:02 · version 2 of 2")
    assert music_of(other.attachments[0].data) != music_of(post.attachments[0].data)


async def test_a_song_of_the_library_is_posted_in_the_version_that_was_chosen(world: World) -> None:
    ada = world.person("ada")
    song = await ada.imports("Chosen", variants=2)
    post = await post_track(ada, await track_of(ada, "chosen", 1))
    assert len(audio(post)) == 1
    assert music_of(post.attachments[0].data) == music_of(await served(world, song, "2.mp3"))


# Hearts


@pytest.mark.parametrize("when", ENDS)
async def test_hearts_are_counted_once_for_each_and_taken_back(world: World, when: str) -> None:
    ada = world.person("ada")
    bob = world.person("bob", ada.channel)
    post = await generated(ada, f"hearts {when}", style="folk", title="Hearts")
    heart = button(post, "like").custom_id
    assert button(post, "like").label == "Like"

    async def shows(label: str) -> None:
        await ada.channel.wait_for(lambda one: one is post and button(one, "like").label == label)

    await press(ada, post, heart)
    await shows("1")
    await come_back(world, when)
    await press(bob, post, heart)
    await shows("2")
    before = [(one.label, one.custom_id) for one in post.buttons if one.custom_id != heart]
    await press(ada, post, heart)
    await shows("1")
    assert [(one.label, one.custom_id) for one in post.buttons if one.custom_id != heart] == before
    # It is the song that is liked: posted again, it says so.
    again = await post_again(ada, "Hearts")
    assert button(again, "like").label == "1"
    assert len(world.rows("SELECT 1 FROM likes WHERE user_id = ?", bob.member.id)) == 1
    call = await bob.use("music forget")
    asked = await call.reply()
    await press(bob, asked, "Forget everything")
    await eventually(lambda: not world.rows("SELECT 1 FROM likes WHERE user_id = ?", bob.member.id))


async def test_hearts_of_many_at_once_are_all_counted(world: World) -> None:
    ada = world.person("ada")
    post = await generated(ada, "many hearts", style="folk", title="Many")
    heart = button(post, "like").custom_id
    people = [ada, *(world.person(f"fan{number}", ada.channel) for number in range(7))]
    await asyncio.gather(*(press(one, post, heart) for one in people))
    await ada.channel.wait_for(lambda one: one is post and button(one, "like").label == "8")


# Keep


@pytest.mark.parametrize("when", ENDS)
async def test_keep_takes_all_that_a_post_carries_into_ones_own_library(world: World, when: str) -> None:
    ada = world.person("ada")
    bob = world.person("bob", ada.channel)
    post = await generated(ada, f"kept {when}", style="folk", title="Kept")
    await come_back(world, when)
    for _ in range(2):  # twice is once
        word = await private_word(await press(bob, post, button(post, "keep").custom_id))
        assert word.startswith("**Kept** is in your library, in 2 versions.")
        assert titles(await open_library(bob)) == ["Kept", "Kept (2)"]


async def test_keep_under_artwork_brings_its_song_too(world: World) -> None:
    ada = world.person("ada")
    bob = world.person("bob", ada.channel)
    await ada.imports("Framed")
    cover = await noted(world, await ada.covered())
    await private_word(await press(bob, cover, button(cover, "keep").custom_id))
    assert sorted(titles(await open_library(bob))) == ["Framed", "Framed"]


# Again


@pytest.mark.parametrize("when", ENDS)
async def test_again_orders_the_same_words_and_style(world: World, when: str) -> None:
    ada = world.person("ada")
    bob = world.person("bob", ada.channel)
    post = await generated(ada, f"again and {when}", style="folk", title="Twice")
    await come_back(world, when)
    result = await bob.result(await press(bob, post, button(post, "again").custom_id))
    assert "here is your song **Twice**" in result.content
    assert result.pings == {bob.member.id}
    first, second = world.vidgo.accepted(SONG)[-2:]
    assert first.input == second.input


async def test_two_presses_of_again_at_once_pay_once(world: World) -> None:
    ada = world.person("ada")
    bob = world.person("bob", ada.channel)
    post = await generated(ada, "pay once", style="folk", title="Once")
    before = len(world.vidgo.accepted(SONG))
    world.vidgo.hold(SONG)
    again = button(post, "again").custom_id
    calls = await asyncio.gather(press(ada, post, again), press(ada, post, again), press(bob, post, again))
    for call in calls:
        await call.reply()
    world.vidgo.release(SONG)
    await asyncio.gather(ada.result(calls[0]), ada.result(calls[1]), bob.result(calls[2]))
    assert len(world.vidgo.accepted(SONG)) == before + 1


async def test_again_under_what_was_made_from_a_song(world: World) -> None:
    ada = world.person("ada")
    bob = world.person("bob", ada.channel)
    await ada.imports("Ground", variants=2)
    performed = await noted(world, await ada.result(await perform(ada, "jazz", await track_of(ada, "ground", 1))))
    extended = await noted(world, await ada.result(await ada.use("music extend", track="Ground")))
    result = await bob.result(await press(bob, performed, button(performed, "again").custom_id))
    assert "**Ground (jazz)**" in result.content
    first, second = world.vidgo.accepted(PERFORM)[-2:]
    assert first.input == second.input
    result = await bob.result(await press(bob, extended, button(extended, "again").custom_id))
    assert "**Ground**, extended" in result.content
    first, second = world.vidgo.accepted(EXTEND)[-2:]
    assert first.input == second.input


async def test_again_without_the_words_says_so_and_orders_nothing(world: World) -> None:
    ada = world.person("ada")
    bob = world.person("bob", ada.channel)
    post = await generated(ada, "to be forgotten", style="folk", title="Lost Words")
    await private_word(await press(bob, post, button(post, "keep").custom_id))
    kept = await post_again(bob, "Lost Words")
    asked = await (await ada.use("music forget")).reply()
    await press(ada, asked, "Forget everything")
    await eventually(lambda: not world.rows("SELECT 1 FROM library WHERE user_id = ?", ada.member.id))
    before = len(world.vidgo.submissions)
    assert "no longer know in which words" in await bob.refusal(await press(bob, kept, button(kept, "again").custom_id))
    assert len(world.vidgo.submissions) == before
    # The first post is nobody's any more.
    word = await bob.refusal(await press(bob, post, button(post, "again").custom_id))
    assert word == "That message carries no song of mine that I still know. No credits were used."


# Altered by hand


async def test_forged_custom_ids_change_nothing(world: World) -> None:
    ada = world.person("ada")
    eve = world.person("eve", ada.channel)
    post = await generated(ada, "forged", style="folk", title="Forged")
    await eve.imports("Bait")
    bait = await post_again(eve, "Bait")
    cover = await noted(world, await eve.covered())
    ids = {one.partition(":")[0]: one for one in (str(found.custom_id) for found in post.buttons)}
    number = ids["like"].partition(":")[2]
    before, likes = state(world), world.rows("SELECT * FROM likes")
    submissions = len(world.vidgo.submissions)
    forged = [
        *((bait, ids[name]) for name in ("like", "keep", "again")),
        (bait, f"version:{number}"),
        (post, f"picture:{number}:1"),
        (cover, str(button(cover, "picture").custom_id)[:-1] + "9"),
        (cover, str(button(cover, "picture").custom_id) + "0"),
        (cover, f"picture:{number}:1"),
        *((post, f"{name}:{'0' * 24}") for name in ("like", "keep", "again", "version")),
        (post, "picture:" + "0" * 24 + ":1"),
        (post, "like:%"),
        (post, "again:"),
        (post, "keep:' OR 1=1 --"),
    ]
    for message, custom_id in forged:
        sentence = await private_word(await forge(eve, message, custom_id))
        assert "Something went wrong" not in sentence, custom_id
        assert state(world) == before, custom_id
        assert world.rows("SELECT * FROM likes") == likes, custom_id
    assert len(world.vidgo.submissions) == submissions


async def test_buttons_of_before_keep_working(world: World) -> None:
    """A post of an earlier version, whose buttons were *Cover* and *Remove*."""
    ada = world.person("ada")
    bob = world.person("bob", ada.channel)
    await ada.imports("Elder")
    post = await post_again(ada, "Elder")
    track = str(button(post, "cover").custom_id)
    assert "New artwork" in (await bob.result(await forge(bob, post, track))).content
    assert world.vidgo.accepted(COVER)
    call = await forge(ada, post, str(button(post, "remove").custom_id))
    await world.discord.wait_until(lambda: post.deleted)
    assert call.followups == []
