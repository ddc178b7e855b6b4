"""A member's own songs: pages, search, and what can be done with each."""

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
    act,
    archived,
    cards,
    choose,
    eventually,
    fill_in,
    forge,
    lines,
    menu,
    noted,
    open_library,
    open_music,
    perform,
    press,
    private_word,
    redrawn,
    served,
    thumbnails,
    titles,
    track_of,
)
from tests.end_to_end.world import said

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sandbox.discord import Message
    from tests.end_to_end.world import Person, World

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A bot whose members have libraries."""
    async with open_music(tmp_path_factory.mktemp("library")) as world:
        yield world


def labels(page: Message) -> list[str]:
    """Return the labels of a page's buttons."""
    return [str(button.label) for button in page.buttons]


def chosen(page: Message) -> str:
    """Return the label of the song that is chosen on a page."""
    [label] = [option["label"] for option in menu(page)["options"] if option["default"]]
    return str(label)


async def turn(person: Person, page: Message, label: str) -> None:
    """Turn a page and wait for it to change; nothing else is said."""
    call = await press(person, page, label)
    await redrawn(page, call)
    assert call.replies == [page]


# Pages


async def test_pages_show_what_there_is_and_turn_both_ways(world: World) -> None:
    ada = world.person("ada")
    songs = [await ada.imports(f"Page Song {number}", tags=f"folk {number}", seconds=2 + number) for number in range(7)]
    pictures = [await served(world, song, "1.jpeg") for song in songs]
    for song in songs:
        await archived(world, song, what="image")
    page = await open_library(ada)
    assert page.is_layout
    assert page.content == ""
    assert lines(page)[0] == "## Your songs and covers\n1 to 5 of 7"
    assert menu(page)["placeholder"] == "Choose a song"
    assert titles(page) == [f"Page Song {number}" for number in (6, 5, 4, 3, 2)]
    for number, card in zip((6, 5, 4, 3, 2), cards(page), strict=True):
        assert card.splitlines()[1:3] == [f"song · 0:0{2 + number}", f"folk {number}"]
        # It was made elsewhere, so when is not known.
        added = re.fullmatch(r"-# Added <t:(\d+):R>", card.splitlines()[3])
        assert added is not None
        assert time.time() - 120 < int(added[1]) <= time.time()
    by_url = {file.url: file.data for file in page.files}
    assert [by_url[url] for url in thumbnails(page)] == [pictures[number] for number in (6, 5, 4, 3, 2)]
    assert "Older" in labels(page)
    assert "Newer" not in labels(page)

    await turn(ada, page, "Older")
    assert "6 to 7 of 7" in lines(page)[0]
    assert titles(page) == ["Page Song 1", "Page Song 0"]
    assert [option["label"] for option in menu(page)["options"]] == ["6. Page Song 1", "7. Page Song 0"]
    by_url = {file.url: file.data for file in page.files}
    assert [by_url[url] for url in thumbnails(page)] == [pictures[1], pictures[0]]
    assert "Newer" in labels(page)
    assert "Older" not in labels(page)

    await turn(ada, page, "Newer")
    assert titles(page) == [f"Page Song {number}" for number in (6, 5, 4, 3, 2)]
    assert len(page.files) == 5


async def test_no_song_is_skipped_when_others_come_and_go_meanwhile(world: World) -> None:
    ada = world.person("ada")
    for number in range(11):
        await ada.imports(f"Steady {number:02}")
    page = await open_library(ada)
    assert titles(page) == [f"Steady {number:02}" for number in (10, 9, 8, 7, 6)]
    # One comes before, and two go: one of this page, and the one with which the next page would begin.
    await ada.imports("Newcomer")
    for name in ("Steady 08", "Steady 05"):
        await redrawn(other := await open_library(ada, name), await press(ada, other, "Remove"))
    await turn(ada, page, "Older")
    assert titles(page) == [f"Steady {number:02}" for number in (4, 3, 2, 1, 0)]
    assert "6 to 10 of 10" in lines(page)[0]
    await turn(ada, page, "Newer")
    assert titles(page) == ["Newcomer", "Steady 10", "Steady 09", "Steady 07", "Steady 06"]


async def test_a_page_of_which_all_is_gone_gives_way_to_the_one_before(world: World) -> None:
    ada = world.person("ada")
    for number in range(6):
        await ada.imports(f"Thinning {number}")
    page = await open_library(ada)
    await turn(ada, page, "Older")
    assert titles(page) == ["Thinning 0"]
    await redrawn(page, await press(ada, page, "Remove"))
    assert titles(page) == [f"Thinning {number}" for number in (5, 4, 3, 2, 1)]
    assert "1 to 5 of 5" in lines(page)[0]


async def test_a_search_stays_through_the_pages(world: World) -> None:
    ada = world.person("ada")
    for number in range(6):
        await ada.imports(f"Ärger {number}")
        await ada.imports(f"Other {number}")
    page = await open_library(ada, "ärger")
    assert lines(page)[0].endswith("\n1 to 5 of 6 with “ärger” in the title")
    assert titles(page) == [f"Ärger {number}" for number in (5, 4, 3, 2, 1)]
    await choose(ada, page, 2)
    assert "“ärger”" in lines(page)[0]
    await turn(ada, page, "Older")
    assert titles(page) == ["Ärger 0"]
    assert "“ärger”" in lines(page)[0]
    await redrawn(page, await press(ada, page, "Remove"))
    assert titles(page) == [f"Ärger {number}" for number in (5, 4, 3, 2, 1)]
    nothing = await open_library(ada, "%")
    assert lines(nothing)[0].endswith("\nNone of your songs has “%” in its title.")
    assert titles(nothing) == []
    assert nothing.buttons == []


async def test_an_exactly_full_page_promises_no_other(world: World) -> None:
    ada = world.person("ada")
    for number in range(5):
        await ada.imports(f"Five {number}")
    page = await open_library(ada)
    assert len(titles(page)) == 5
    assert {"Newer", "Older"}.isdisjoint(labels(page))


async def test_an_empty_library_says_how_to_fill_it(world: World) -> None:
    page = await open_library(world.person("ada"))
    assert "/music generate" in lines(page)[0]
    assert page.buttons == []


async def test_the_longest_search_and_titles_fit_a_page(world: World) -> None:
    ada = world.person("ada")
    title = "Wörter “mit” `allem` " + "ü" * 90
    for _ in range(6):
        await ada.imports(title, tags="*_~" * 90)
    page = await open_library(ada, "ü" * 50)
    assert len(titles(page)) == 5
    await turn(ada, page, "Older")
    assert len(titles(page)) == 1
    await turn(ada, page, "Newer")
    assert len(titles(page)) == 5


async def test_each_kind_is_named_with_when_it_was_made(world: World) -> None:
    ada = world.person("ada")
    await ada.imports("Kinds", seconds=3)
    track = await track_of(ada, "kinds")
    await ada.covered(track)
    await ada.result(await perform(ada, "jazz", track))
    await ada.result(await ada.use("music extend", track=track, at=2))
    page = await open_library(ada)
    shown = cards(page)
    await turn(ada, page, "Older")
    shown += cards(page)
    found = [
        (title, card.splitlines()[1].partition(" ·")[0], card.splitlines()[-1].split()[1])
        for title, card in ((card.splitlines()[0].partition(". ")[2].rstrip("*"), card) for card in shown)
    ]
    assert found[0] == ("Kinds", "extended song", "Made")
    assert found[2] == ("Kinds (jazz)", "new version", "Made")
    assert found[-2:] == [("Kinds", "cover", "Made"), ("Kinds", "song", "Added")]
    # A cover of a cover is no choice.
    await turn(ada, page, "Newer")
    await choose(ada, page, 5)
    assert labels(page)[:3] == ["Play for me", "Post", "Remove"]


# What can be done with a song


async def test_a_song_is_posted_covered_and_extended_by_its_buttons(world: World) -> None:
    ada = world.person("ada")
    song = await ada.imports("Pressed", seconds=3)
    await ada.imports("Newer One")
    page = await open_library(ada)
    assert chosen(page) == "1. Newer One"
    await choose(ada, page, 2)
    assert chosen(page) == "2. Pressed"
    assert labels(page) == ["Play for me", "Post", "Cover", "Extend…", "Remove"]

    call = await press(ada, page, "Post")
    assert "Here comes **Pressed**" in said(await call.reply())
    post = await ada.result(call)
    assert post.attachments[0].data == await served(world, song)
    assert artwork_shown(post).data == await served(world, song, "1.jpeg")
    assert post.pings == {ada.member.id}

    cover = await ada.result(await press(ada, page, "Cover"))
    assert "New artwork for **Pressed**" in cover.content
    assert world.submitted(song) == 1

    extended = await ada.result(await fill_in(ada, await press(ada, page, "Extend…")))
    assert "**Pressed**, extended" in extended.content
    assert listen(extended.attachments[0].data).seconds == pytest.approx(5, abs=0.3)
    [submission] = [one for one in world.vidgo.accepted(EXTEND) if one.input["audio_id"] == song.variants[0].audio_id]
    assert submission.input["default_param_flag"] is False


async def test_a_song_plays_for_its_owner_alone_with_a_player(world: World) -> None:
    ada = world.person("ada")
    song = await ada.imports("In Private", seconds=3)
    await ada.covered()
    page = await open_library(ada)
    posts = len(ada.channel.messages)
    for number in (1, 2):  # the cover is new artwork, so what is heard is the original
        call = await act(ada, page, number, "Play for me")
        answer = await call.reply()
        assert answer.ephemeral
        assert answer.content == "**In Private**, for you alone."
        # Components of the second version would show the bare file, without a player.
        assert not answer.is_layout
        [audio] = answer.attachments
        assert (audio.content_type, audio.filename) == ("audio/mpeg", "In_Private.mp3")
        assert audio.data == await served(world, song)
    assert len(ada.channel.messages) == posts
    assert titles(page) == ["In Private", "In Private"]


async def test_a_song_that_nobody_has_any_more_cannot_be_played(world: World) -> None:
    ada = world.person("ada")
    song = await ada.imports("Silent")
    path = await archived(world, song)
    page = await open_library(ada)
    world.vidgo.expire_files(song)
    path.unlink()
    word = await private_word(await press(ada, page, "Play for me"))
    assert word == "Nobody has the audio of **Silent** any more, so I cannot play it."


async def test_a_song_that_discord_does_not_take_is_not_played(world: World) -> None:
    ada = world.person("ada")
    await ada.imports("Heavy", seconds=60)
    page = await open_library(ada)
    before, world.guild.upload_limit = world.guild.upload_limit, 20_000
    try:
        word = await private_word(await press(ada, page, "Play for me"))
    finally:
        world.guild.upload_limit = before
    assert word == "**Heavy** is too large for Discord to take it here, so I cannot play it."


async def test_removing_a_song_from_the_library_concerns_only_oneself_and_can_be_undone(world: World) -> None:
    ada = world.person("ada")
    bob = world.person("bob")
    song = await ada.imports("Shared Shelf", variants=2)
    await bob.brings_in(song)
    await ada.imports("On Top")
    before = world.rows("SELECT * FROM library WHERE user_id = ? ORDER BY added_at, position", ada.member.id)
    page = await open_library(ada)
    assert titles(page) == ["On Top", "Shared Shelf", "Shared Shelf (2)"]
    await redrawn(page, await act(ada, page, 2, "Remove"))
    assert lines(page)[1] == "**Shared Shelf** is no longer in your library."
    assert titles(page) == ["On Top", "Shared Shelf (2)"]
    assert [choice.name.partition(" · ")[0] for choice in await ada.type_track("shared")] == ["Shared Shelf (2)"]
    assert titles(await open_library(bob)) == ["Shared Shelf", "Shared Shelf (2)"]

    await redrawn(page, await press(ada, page, "Undo"))
    assert lines(page)[1] == "**Shared Shelf** is back in your library."
    assert chosen(page) == "2. Shared Shelf"
    assert "Undo" not in labels(page)
    after = world.rows("SELECT * FROM library WHERE user_id = ? ORDER BY added_at, position", ada.member.id)
    assert after == before
    assert world.rows("SELECT * FROM removed_songs WHERE user_id = ?", ada.member.id) == []


async def test_a_song_that_was_forgotten_meanwhile_is_told_to_be_gone_without_its_id(world: World) -> None:
    ada = world.person("ada")
    song = await ada.imports("Fading")
    track = await track_of(ada, "fading")
    page = await open_library(ada)
    form = await press(ada, page, "Extend…")
    await form.acknowledged()
    assert "is forgotten" in await private_word(await ada.use("music forget", track="Fading"))
    calls = [await press(ada, page, label) for label in ("Play for me", "Post", "Cover", "Extend…", "Remove")]
    words = [await private_word(call) for call in (*calls, await fill_in(ada, form), await ada.cover(track))]
    assert {word.partition(".")[0] for word in words} == {"That song is not in your library"}
    # Its own id at VidGo is what a member can use.
    await ada.brings_in(song)


async def test_a_song_that_is_gone_is_removed_and_brought_back_once(world: World) -> None:
    ada = world.person("ada")
    eve = world.person("eve", ada.channel)
    song = await ada.imports("Twice Gone")
    track = await track_of(ada, "twice")
    page, other = await open_library(ada), await open_library(ada)
    calls = [await press(ada, one, "Remove") for one in (page, other)]
    await world.discord.wait_until(lambda: any(call.updated for call in calls))
    late = calls[0] if calls[1].updated else calls[1]
    assert "not in your library" in (await late.reply()).content
    # Somebody else can bring it neither into her own library nor back into hers.
    eves = await open_library(eve)
    for custom_id in (f"song:undo:{track}", f"song:undo:{track}.7", "song:undo:" + "0" * 24):
        assert re.fullmatch(
            r"That song cannot be brought back any more\. Import it again with </music import:\d+>, or make it again\.",
            await private_word(await forge(eve, eves, custom_id)),
        )
    assert world.rows("SELECT * FROM library WHERE task_id = ?", track) == []
    for _ in range(2):
        await redrawn(page, await forge(ada, page, f"song:undo:{track}"))
        assert titles(page) == ["Twice Gone"]
    # What was forgotten meanwhile does not come back.
    await redrawn(page, await forge(ada, page, f"song:remove:{track}"))
    await press(ada, await (await ada.use("music forget")).reply(), "Forget everything")
    await eventually(lambda: not world.rows("SELECT 1 FROM removed_songs WHERE user_id = ?", ada.member.id))
    assert "cannot be brought back" in await private_word(await forge(ada, page, f"song:undo:{track}"))
    assert world.submitted(song) == 0


async def test_places_made_up_by_hand_show_ones_own_songs_from_the_beginning(world: World) -> None:
    ada = world.person("ada")
    await ada.imports("Safe Place")
    track = await track_of(ada, "safe")
    page = await open_library(ada)
    nan = "f_____4AAAAA"  # no number
    for place in ("", "x", "f", f"f{'-' * 11}{track}:", f"b{'_' * 11}{track}.9999:", f"{nan}{track}:", "b:" + "%" * 80):
        call = await forge(ada, page, f"songs:t:{place}")
        await redrawn(page, call)
        assert titles(page) in (["Safe Place"], [])
        assert call.followups == []
    call = await forge(ada, page, "songs:c:")
    await redrawn(page, call)
    assert titles(page) == ["Safe Place"]


async def test_the_button_of_an_old_page_shows_the_library_anew_and_says_why(world: World) -> None:
    ada = world.person("ada")
    await ada.imports("Found Again")
    post = await open_library(ada)
    for custom_id in ("library:1:", "library:0:found", "library:99999:"):
        await redrawn(post, await forge(ada, post, custom_id))
        assert lines(post)[1] == "That page was of an earlier version of me; here are your songs from the newest on."
        assert titles(post) == ["Found Again"]


async def test_variants_are_choices_of_their_own_and_one_task_for_the_cover(world: World) -> None:
    ada = world.person("ada")
    song = await ada.imports("Twice Told", seconds=4, variants=2)
    names = [choice.name for choice in await ada.type_track("twice")]
    assert names == ["Twice Told · 0:04", "Twice Told (2) · 0:04"]
    page = await open_library(ada)
    first = await noted(world, await ada.result(await act(ada, page, 1, "Cover")))
    # Whoever has the one version's cover does not have the other's.
    second = await noted(world, await ada.result(await act(ada, page, 2, "Cover")))
    for track, post in zip(await ada.type_track("twice"), (first, second), strict=True):
        word = await (await ada.cover(track.value)).reply()
        assert word.ephemeral
        assert "You have this one" in word.content
        assert str(post.id) in word.content
    assert world.submitted(song) == 1
    assert artwork_shown(first).data == artwork_shown(second).data
    assert listen(first.attachments[0].data).seconds == pytest.approx(4, abs=0.1)
    assert listen(second.attachments[0].data).seconds == pytest.approx(3.84, abs=0.1)
    assert titles(page) == ["Twice Told", "Twice Told", "Twice Told (2)"]  # the cover has come meanwhile
    posts = [await ada.result(await act(ada, page, number, "Post")) for number in (2, 3)]
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
    assert "None of your songs" in lines(await open_library(bob, "secret"))[0]
    for option in ("track",):
        for command in ("cover", "music extend", "music forget"):
            choices = await world.discord.autocomplete(bob.member, bob.channel, command, option, "secret")
            assert choices == []
    for action in ("play", "post", "cover", "extend", "remove"):
        call = await forge(bob, page, f"song:{action}:{track}")
        assert "not in your library" in await private_word(call)
    assert "not in your library" in await bob.refusal(await perform(bob, "jazz", track))
    reply = await (await bob.use("music forget", track=track)).reply()
    assert reply.ephemeral
    assert "not in your library" in reply.content
    assert titles(await open_library(ada)) == ["Ada's Secret"]
    assert world.submitted(song) == 0
    assert [one for one in world.vidgo.submissions if one.model == PERFORM and song.id in one.input["upload_url"]] == []
