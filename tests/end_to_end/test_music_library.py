"""A member's own songs: pages, search, what can be done with each, and what is still running."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.end_to_end.heard import artwork_shown, listen
from tests.end_to_end.music import (
    EXTEND,
    PERFORM,
    archived,
    forge,
    open_library,
    open_music,
    perform,
    press,
    private_word,
    says,
    served,
    titles,
    track_of,
)
from tests.end_to_end.world import COVER, SONG, said

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Any

    from sandbox.discord import Message
    from tests.end_to_end.world import Person, World

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A bot whose members have libraries."""
    async with open_music(tmp_path_factory.mktemp("library")) as world:
        yield world


def fields(embed: dict[str, Any]) -> dict[str, str]:
    """Return the fields of an embed by name."""
    return {field["name"]: field["value"] for field in embed["fields"]}


def labels(page: Message) -> list[str]:
    """Return the labels of a page's buttons."""
    return [str(button.label) for button in page.buttons]


async def turn(person: Person, page: Message, label: str) -> None:
    """Turn a page and wait for it to change; nothing else is said."""
    edits = len(page.edits)
    call = await press(person, page, label)
    await call.changed.wait_for(lambda: len(page.edits) > edits, 10, "turned page")
    assert call.replies == [page]


# Pages


async def test_pages_show_what_there_is_and_turn_both_ways(world: World) -> None:
    ada = world.person("ada")
    songs = [await ada.imports(f"Page Song {number}", tags=f"folk {number}", seconds=2 + number) for number in range(6)]
    pictures = [await served(world, song, "1.jpeg") for song in songs]
    for song in songs:
        await archived(world, song, what="image")
    page = await open_library(ada)
    assert "page 1" in page.content
    assert titles(page) == [f"Page Song {number}" for number in (5, 4, 3, 2)]
    assert [embed["description"] for embed in page.embeds] == [f"folk {number}" for number in (5, 4, 3, 2)]
    assert [fields(embed)["Duration"] for embed in page.embeds] == ["0:07", "0:06", "0:05", "0:04"]
    assert {fields(embed)["Kind"] for embed in page.embeds} == {"song"}
    for embed in page.embeds:
        made = re.fullmatch(r"<t:(\d+):R>", fields(embed)["Made"])
        assert made is not None
        assert time.time() - 120 < int(made[1]) <= time.time()
    by_url = {file.url: file.data for file in page.files}
    assert [by_url[embed["thumbnail"]["url"]] for embed in page.embeds] == [pictures[number] for number in (5, 4, 3, 2)]
    assert page.attachments == []
    assert "▶" in labels(page)
    assert "◀" not in labels(page)

    await turn(ada, page, "▶")
    assert "page 2" in page.content
    assert titles(page) == ["Page Song 1", "Page Song 0"]
    by_url = {file.url: file.data for file in page.files}
    assert [by_url[embed["thumbnail"]["url"]] for embed in page.embeds] == [pictures[1], pictures[0]]
    assert "◀" in labels(page)
    assert "▶" not in labels(page)

    await turn(ada, page, "◀")
    assert titles(page) == [f"Page Song {number}" for number in (5, 4, 3, 2)]
    assert len(page.files) == 4


async def test_a_search_stays_through_the_pages(world: World) -> None:
    ada = world.person("ada")
    for number in range(5):
        await ada.imports(f"Ärger {number}")
        await ada.imports(f"Other {number}")
    page = await open_library(ada, "ärger")
    assert "“ärger”" in page.content
    assert titles(page) == [f"Ärger {number}" for number in (4, 3, 2, 1)]
    await turn(ada, page, "▶")
    assert titles(page) == ["Ärger 0"]
    assert "“ärger”" in page.content
    nothing = await open_library(ada, "%")
    assert "None of your songs has “%” in its title" in nothing.content
    assert nothing.embeds == []
    assert nothing.buttons == []


async def test_an_exactly_full_page_promises_no_other(world: World) -> None:
    ada = world.person("ada")
    for number in range(4):
        await ada.imports(f"Four {number}")
    page = await open_library(ada)
    assert len(page.embeds) == 4
    assert [label for label in labels(page) if label in "◀▶"] == []


async def test_an_empty_library_says_how_to_fill_it(world: World) -> None:
    page = await open_library(world.person("ada"))
    assert "/music generate" in page.content
    assert page.buttons == []


async def test_the_longest_search_and_titles_fit_a_page(world: World) -> None:
    ada = world.person("ada")
    title = "Wörter “mit” `allem` " + "ü" * 90
    for _ in range(5):
        await ada.imports(title)
    search = "ü" * 60
    page = await open_library(ada, search)
    assert len(page.embeds) == 4
    await turn(ada, page, "▶")
    assert len(page.embeds) == 1
    await turn(ada, page, "◀")
    assert len(page.embeds) == 4


async def test_each_kind_is_named(world: World) -> None:
    ada = world.person("ada")
    await ada.imports("Kinds", seconds=3)
    track = await track_of(ada, "kinds")
    await ada.covered(track)
    await ada.result(await perform(ada, "jazz", track))
    await ada.result(await ada.use("music extend", track=track, at=2))
    page = await open_library(ada)
    found = [(title, fields(embed)["Kind"]) for title, embed in zip(titles(page), page.embeds, strict=True)]
    assert found[0] == ("Kinds", "extended song")
    assert found[2] == ("Kinds (jazz)", "new performance")
    await turn(ada, page, "▶")
    found = [(title, fields(embed)["Kind"]) for title, embed in zip(titles(page), page.embeds, strict=True)]
    assert found == [("Kinds", "cover"), ("Kinds", "song")]
    # A cover of a cover is no choice.
    assert labels(page)[:2] == ["1 Post", "1 Remove"]


# What can be done with a song


async def test_a_song_is_posted_covered_and_extended_by_its_buttons(world: World) -> None:
    ada = world.person("ada")
    song = await ada.imports("Pressed", seconds=3)
    await ada.imports("Newer")
    page = await open_library(ada)
    assert labels(page)[4:8] == ["2 Post", "2 Cover", "2 Extend", "2 Remove"]

    call = await press(ada, page, "2 Post")
    assert "Here comes **Pressed**" in said(await call.reply())
    post = await ada.result(call)
    assert post.attachments[0].data == await served(world, song)
    assert artwork_shown(post).data == await served(world, song, "1.jpeg")
    assert post.pings == {ada.member.id}

    cover = await ada.result(await press(ada, page, "2 Cover"))
    assert "New artwork for **Pressed**" in cover.content
    assert world.submitted(song) == 1

    extended = await ada.result(await press(ada, page, "2 Extend"))
    assert "**Pressed**, extended" in extended.content
    assert listen(extended.attachments[0].data).seconds == pytest.approx(5, abs=0.3)
    [submission] = [one for one in world.vidgo.accepted(EXTEND) if one.input["audio_id"] == song.variants[0].audio_id]
    assert submission.input["default_param_flag"] is False


async def test_removing_a_song_from_the_library_concerns_only_oneself(world: World) -> None:
    ada = world.person("ada")
    bob = world.person("bob")
    song = await ada.imports("Shared Shelf", variants=2)
    await bob.brings_in(song)
    page = await open_library(ada)
    assert titles(page) == ["Shared Shelf", "Shared Shelf (2)"]
    sentence = await private_word(await press(ada, page, "1 Remove"))
    assert "**Shared Shelf** is no longer in your library" in sentence
    assert titles(await open_library(ada)) == ["Shared Shelf (2)"]
    assert [choice.name.partition(" · ")[0] for choice in await ada.type_track("shared")] == ["Shared Shelf (2)"]
    assert titles(await open_library(bob)) == ["Shared Shelf", "Shared Shelf (2)"]
    # Pressed once more on the page that still shows it.
    assert "not in your library" in await private_word(await press(ada, page, "1 Remove"))
    # Brought in again, it is there again.
    await ada.brings_in(song)
    assert len(titles(await open_library(ada))) == 2


async def test_variants_are_choices_of_their_own_and_one_task_for_the_cover(world: World) -> None:
    ada = world.person("ada")
    song = await ada.imports("Twice Told", seconds=4, variants=2)
    names = [choice.name for choice in await ada.type_track("twice")]
    assert names == ["Twice Told · 0:04", "Twice Told (2) · 0:04"]
    page = await open_library(ada)
    first = await ada.result(await press(ada, page, "1 Cover"))
    again = await press(ada, page, "2 Cover")
    assert "before" in said(await again.reply())
    second = await ada.result(again)
    assert world.submitted(song) == 1
    assert artwork_shown(first).data == artwork_shown(second).data
    assert listen(first.attachments[0].data).seconds == pytest.approx(4, abs=0.1)
    assert listen(second.attachments[0].data).seconds == pytest.approx(3.84, abs=0.1)
    posts = [await ada.result(await press(ada, page, f"{number} Post")) for number in (1, 2)]
    assert [post.attachments[0].data for post in posts] == [
        await served(world, song, "1.mp3"),
        await served(world, song, "2.mp3"),
    ]


async def test_a_song_has_the_title_that_was_given_to_it(world: World) -> None:
    ada = world.person("ada")
    for style in ("folk", None):
        options = {} if style is None else {"style": style}
        call = await ada.use("music generate", prompt="rain upon the roof", title="My Own Title", **options)
        result = await ada.result(call)
        assert "your song **My Own Title**" in result.content
        assert result.embeds[0]["title"] == "My Own Title"
        assert result.attachments[0].filename == "My_Own_Title.mp3"
    assert {title.removesuffix(" (2)") for title in titles(await open_library(ada))} == {"My Own Title"}


# Whose songs


async def test_nobody_sees_or_uses_the_songs_of_others(world: World) -> None:
    ada = world.person("ada")
    bob = world.person("bob", ada.channel)
    song = await ada.imports("Ada's Secret")
    track = await track_of(ada, "secret")
    await bob.imports("Bob's Own")
    page = await open_library(bob)
    assert titles(page) == ["Bob's Own"]
    assert "None of your songs" in (await open_library(bob, "secret")).content
    for option in ("track",):
        for command in ("cover", "music extend", "music forget"):
            choices = await world.discord.autocomplete(bob.member, bob.channel, command, option, "secret")
            assert choices == []
    for action in ("post", "cover", "extend", "remove"):
        call = await forge(bob, page, f"song:{action}:{track}")
        assert "not in your library" in await private_word(call)
    assert "not in your library" in await bob.refusal(await perform(bob, "jazz", track))
    reply = await (await bob.use("music forget", track=track)).reply()
    assert reply.ephemeral
    assert "not in your library" in reply.content
    assert titles(await open_library(ada)) == ["Ada's Secret"]
    assert world.submitted(song) == 0
    assert [one for one in world.vidgo.submissions if one.model == PERFORM and song.id in one.input["upload_url"]] == []


# What is running


async def status(person: Person) -> str:
    """Return what `/music status` says."""
    reply = await (await person.use("music status")).reply()
    assert reply.ephemeral
    return reply.content


async def test_the_status_shows_what_runs_and_since_when(world: World) -> None:
    ada = world.person("ada")
    bob = world.person("bob")
    await ada.imports("Waiting For Artwork", seconds=3)
    assert "nothing" in await status(ada)
    world.vidgo.hold(COVER)
    world.vidgo.hold(SONG)
    calls = [await ada.cover(), await ada.use("music generate", prompt="rain", title="Waiting For Rain")]
    for call in calls:
        await call.reply()
    lines = (await status(ada)).splitlines()
    assert len(lines) == 2
    assert "**Waiting For Rain**" in lines[0]
    assert "**Waiting For Artwork**" in lines[1]
    for line in lines:
        since = re.search(r"started <t:(\d+):R>", line)
        assert since is not None
        assert time.time() - 600 < int(since[1]) <= time.time()
    assert "nothing" in await status(bob)
    world.vidgo.release()
    for call in calls:
        await ada.result(call)
    assert "nothing" in await status(ada)


async def test_what_vidgo_has_no_room_for_is_shown_as_queued(world: World) -> None:
    ada = world.person("ada")
    await ada.imports("In The Queue")
    world.vidgo.fault("submit", "busy_retry_after", times=1, model=COVER, seconds=1)
    call = await ada.cover()
    acknowledgement = await call.reply()
    await says(acknowledgement, "has no room for")
    assert "VidGo has no room for **In The Queue** yet; it is next in line." in await status(ada)
    await ada.result(call)
    await says(acknowledgement, "is done")
    # Edited when VidGo had no room, when it took it, and when it was done.
    assert len(acknowledgement.edits) == 3
    assert "<t:" in acknowledgement.edits[2]
