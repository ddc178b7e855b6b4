"""Forgetting: a song, or everything about a member, and nothing of anybody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from sandbox.music import compose
from tests.end_to_end.heard import artwork_shown
from tests.end_to_end.music import (
    archive_files,
    archived,
    archived_whole,
    eventually,
    forge,
    handed_over,
    intact,
    lines,
    noted,
    open_library,
    open_music,
    perform,
    post_again,
    press,
    private_word,
    served,
    titles,
    track_of,
)
from tests.end_to_end.world import COVER, SONG

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from sandbox.discord import Message
    from sandbox.vidgo import Task
    from tests.end_to_end.world import Person, World

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A bot whose members change their minds."""
    async with open_music(tmp_path_factory.mktemp("forget")) as world:
        yield world


@pytest.fixture(autouse=True)
def let_go(world: World) -> Iterator[None]:
    """Leave nothing held that the next test waits for."""
    yield
    world.vidgo.release()


async def forget(person: Person, track: str | None = None) -> Message:
    """Type `/music forget` and return the private answer."""
    call = await person.use("music forget", **({} if track is None else {"track": track}))
    reply = await call.reply()
    assert reply.ephemeral
    return reply


async def confirm(person: Person, question: Message) -> None:
    """Press the confirmation and wait until it is done."""
    call = await press(person, question, "Forget everything")
    await call.changed.wait_for(lambda: "I have forgotten you" in question.content, 10, "forgotten member")
    assert question.buttons == []
    assert call.followups == []


def about(world: World, person: Person) -> list[dict[str, Any]]:
    """Return every row of the database that names a member, but for what counts against the limits of today."""
    found = []
    tables = [row["name"] for row in world.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in tables:
        columns = [row["name"] for row in world.rows(f"PRAGMA table_info({table})")]
        wanted = [name for name in columns if name.endswith("user_id") or name in {"owner", "owner_id"}]
        for column in wanted if table != "usage" else []:
            found += world.rows(f"SELECT '{table}' AS kept_in, * FROM {table} WHERE {column} = ?", person.member.id)
    return found


def known(world: World, song: Task) -> list[dict[str, Any]]:
    """Return the task and files that are kept of a song of VidGo's."""
    return world.rows(
        "SELECT tasks.id, files.position FROM tasks LEFT JOIN files ON files.task_id = tasks.id WHERE vidgo_id = ?",
        song.id,
    )


async def gone(*paths: Path) -> None:
    """Wait until files are gone."""
    await eventually(lambda: not any(path.exists() for path in paths))


# One song


async def test_a_song_goes_with_its_files(world: World) -> None:
    ada = world.person("ada")
    song = await ada.imports("Away With It", variants=2)
    other = await ada.imports("Stays Here")
    await archived_whole(world, song)
    await archived_whole(world, other)
    paths = [await archived(world, song, number, what=what) for number in (0, 1) for what in ("audio", "image")]
    post = await post_again(ada, "Away With It")
    reply = await forget(ada, await track_of(ada, "away"))
    assert "**Away With It** is forgotten" in reply.content
    assert "What was posted stays" in reply.content
    assert "VidGo keeps its own records" in reply.content
    await gone(*paths)
    assert known(world, song) == []
    assert titles(await open_library(ada)) == ["Stays Here"]
    assert (await archived(world, other)).exists()
    assert not post.deleted
    # The post is still there, but its buttons lead to nothing any more.
    assert "carries no song" in await private_word(await press(ada, post, "Cover"))


async def test_a_song_that_others_have_stays_for_them(world: World) -> None:
    ada = world.person("ada")
    bob = world.person("bob")
    song = await ada.imports("Held In Common")
    await bob.brings_in(song)
    await archived_whole(world, song)
    await forget(ada, await track_of(ada, "common"))
    assert titles(await open_library(ada)) == []
    assert titles(await open_library(bob)) == ["Held In Common"]
    assert intact(await archived(world, song))
    original = await served(world, song)
    world.vidgo.expire_files(song)
    assert (await post_again(bob, "Held In Common")).attachments[0].data == original
    # When the last one lets go of it, it goes.
    path = await archived(world, song)
    await forget(bob, await track_of(bob, "common"))
    await gone(path)
    assert known(world, song) == []


async def test_the_same_bytes_under_another_song_stay(world: World) -> None:
    ada = world.person("ada")
    data = compose("Twins", style="folk", seconds=2)
    twins = []
    for title in ("Twin One", "Twin Two"):
        song = world.vidgo.add_song(title, seconds=2, variants=1)
        world.vidgo.set_song_files("bytes", task=song, data=data)
        await ada.brings_in(song)
        twins.append(song)
    paths = {await archived(world, song) for song in twins}
    assert len(paths) == 1
    await forget(ada, await track_of(ada, "twin one"))
    assert known(world, twins[0]) == []
    assert intact(paths.pop())
    world.vidgo.expire_files(twins[1])
    assert (await post_again(ada, "Twin Two")).attachments[0].data == data


@pytest.mark.parametrize("first", ["the song", "the cover"])
async def test_a_song_and_its_cover_go_in_any_order(world: World, first: str) -> None:
    ada = world.person("ada")
    song = await ada.imports(f"Rooted {first}", seconds=3)
    await noted(world, await ada.covered())
    await noted(world, await ada.result(await perform(ada, "jazz")))
    [cover] = [one.task_id for one in world.vidgo.accepted(COVER) if one.input == {"task_id": song.id}]
    path = await archived(world, song)
    choices = await world.discord.autocomplete(ada.member, ada.channel, "music forget", "track", "rooted")
    rows = {row["id"]: row["kind"] for row in world.rows("SELECT task_id AS id, kind FROM library")}
    covers = [choice.value for choice in choices if rows[str(choice.value).partition(".")[0]] == "cover"]
    songs = [choice.value for choice in choices if rows[str(choice.value).partition(".")[0]] != "cover"]
    assert (len(covers), len(songs)) == (1, 3)
    original = await track_of(ada, f"rooted {first}", 2)  # the newest come first: two variants of the performance
    await forget(ada, original if first == "the song" else covers[0])
    if first == "the song":
        # What its cover is made of is still needed.
        assert path.exists()
        again = await forge(ada, await open_library(ada), f"song:post:{covers[0]}")
        assert (await noted(world, await ada.result(again))).attachments
        await forget(ada, covers[0])
    else:
        assert path.exists()
        await forget(ada, original)
    # The performance is made from the song, and is the last that is.
    await forget(ada, str(songs[0]))
    await gone(path)
    assert known(world, song) == []
    assert world.rows("SELECT 1 FROM tasks WHERE vidgo_id = ?", cover) == []
    assert world.rows("SELECT 1 FROM tasks WHERE user_id = ?", ada.member.id) == []
    assert titles(await open_library(ada)) == []


async def test_a_song_that_is_being_covered_is_covered_first(world: World) -> None:
    ada = world.person("ada")
    await ada.imports("On Its Way")
    track = await track_of(ada, "on its way")
    world.vidgo.hold(COVER)
    call = await ada.cover()
    await handed_over(world, await call.reply())
    await forget(ada, track)
    assert titles(await open_library(ada)) == []
    world.vidgo.release()
    assert "New artwork" in (await ada.result(call)).content


@pytest.mark.parametrize("track", ["no such song", "'; DROP TABLE library; --", "%"])
async def test_what_is_not_there_cannot_be_forgotten(world: World, track: str) -> None:
    ada = world.person("ada")
    await ada.imports("Safe")
    assert "I do not know a song" in (await forget(ada, track)).content
    assert "not in your library" in (await forget(ada, "0" * 24)).content
    assert titles(await open_library(ada)) == ["Safe"]


# Everything


@pytest.mark.parametrize("track", [" ", "\u200b", "\u3000\u202e"], ids=ascii)
async def test_what_shows_nothing_is_no_song_to_forget(world: World, track: str) -> None:
    ada = world.person("ada")
    await ada.imports("The Newest")
    assert [button.label for button in (await forget(ada, track)).buttons] == ["Cancel", "Forget everything"]
    assert len(await ada.type_track("The Newest")) == 1


async def test_everything_about_a_member_goes_after_a_confirmation(world: World) -> None:
    ada = world.person("ada")
    bob = world.person("bob")
    shared = await ada.imports("Ours", variants=2)
    await bob.brings_in(shared)
    own = await ada.imports("Mine Alone", variants=2)
    await bob.imports("Bob's Own")
    await noted(world, await ada.covered("Ours"))
    await noted(world, await ada.result(await perform(ada, "jazz", "Mine Alone")))
    for song in (shared, own):
        await archived_whole(world, song)
    alone = [await archived(world, own, number, what=what) for number in (0, 1) for what in ("audio", "image")]
    together = [await archived(world, shared, number, what=what) for number in (0, 1) for what in ("audio", "image")]
    bobs = titles(await open_library(bob))
    world.vidgo.hold(SONG)
    waiting = await ada.use("music generate", prompt="rain", title="Pending")
    acknowledgement = await handed_over(world, await waiting.reply())
    [button] = acknowledgement.buttons
    world.vidgo.hold(COVER)
    joined = await bob.cover("Bob's Own")
    await handed_over(world, await joined.reply())

    question = await forget(ada)
    assert "cannot be undone" in question.content
    assert "What I posted stays" in question.content
    assert "VidGo keeps its own records" in question.content
    assert about(world, ada) != []
    assert len(titles(await open_library(ada))) == 5  # nothing has happened yet

    await confirm(ada, question)
    assert "What I posted stays" in question.content
    assert "VidGo keeps its own records" in question.content
    assert about(world, ada) == []
    assert known(world, own) == []
    assert world.rows("SELECT 1 FROM tasks WHERE title IN ('Pending', 'Mine Alone (jazz)')") == []
    await gone(*alone)
    assert titles(await open_library(bob)) == bobs
    assert all(intact(path) for path in together)
    assert all(intact(path) for path in archive_files(world))

    # What Ada waited for is not posted, and her buttons know nothing any more.
    world.vidgo.release()
    await bob.result(joined)
    assert [one for one in ada.channel.messages if one.reference == acknowledgement.id] == []
    assert acknowledgement.content == "**Pending** will not be posted. It may use credits all the same."
    assert acknowledgement.buttons == []
    assert "no longer know" in await private_word(await forge(ada, acknowledgement, button.custom_id or ""))
    assert "You have no songs here yet" in lines(await open_library(ada))[0]
    assert await ada.type_track("") == []
    assert "not waiting for anything" in (await (await ada.use("music status")).reply()).content
    world.vidgo.expire_files(shared)
    again = await bob.cover("Ours")
    assert (await bob.result(again)).attachments
    assert world.submitted(shared) == 1


async def test_the_confirmation_works_after_a_restart_and_for_nobody_else(world: World) -> None:
    ada = world.person("ada")
    eve = world.person("eve", ada.channel)
    await ada.imports("Precious")
    await eve.imports("Eve's Own")
    question = await forget(ada)
    await world.bot.kill()
    await world.bot.start()
    before = world.rows("SELECT * FROM library ORDER BY user_id, task_id")
    assert "no longer know" in await private_word(await press(eve, question, "Forget everything"))
    assert world.rows("SELECT * FROM library ORDER BY user_id, task_id") == before
    assert question.buttons != []
    await confirm(ada, question)
    assert about(world, ada) == []
    assert titles(await open_library(eve)) == ["Eve's Own"]


async def test_the_question_can_be_left_without_anything_forgotten(world: World) -> None:
    ada = world.person("ada")
    eve = world.person("eve", ada.channel)
    await ada.imports("Precious")
    question = await forget(ada)
    assert [button.label for button in question.buttons] == ["Cancel", "Forget everything"]
    assert "no longer know" in await private_word(await press(eve, question, "Cancel"))
    call = await press(ada, question, "Cancel")
    await call.changed.wait_for(lambda: "Nothing was forgotten" in question.content, 10, "left question")
    assert question.buttons == []
    assert titles(await open_library(ada)) == ["Precious"]


async def test_who_has_nothing_can_be_forgotten_and_come_back(world: World) -> None:
    ada = world.person("ada")
    await confirm(ada, await forget(ada))
    song = await ada.imports("A New Start")
    await confirm(ada, await forget(ada))
    assert about(world, ada) == []
    await ada.brings_in(song)
    assert "New artwork" in (await ada.covered()).content


async def test_a_running_task_that_another_joined_goes_on_for_them(world: World) -> None:
    ada = world.person("ada")
    bob = world.person("bob")
    song = await ada.imports("Going On")
    await bob.brings_in(song)
    world.vidgo.hold(COVER)
    mine = await ada.cover()
    acknowledgement = await handed_over(world, await mine.reply())
    theirs = await bob.cover()
    await handed_over(world, await theirs.reply())
    await confirm(ada, await forget(ada))
    assert about(world, ada) == []
    world.vidgo.release()
    assert (await bob.result(theirs)).attachments
    assert [one for one in ada.channel.messages if one.reference == acknowledgement.id] == []
    assert about(world, ada) == []
    assert titles(await open_library(ada)) == []
    assert song.id in {row["vidgo_id"] for row in world.rows("SELECT vidgo_id FROM tasks")}


async def test_whoever_made_a_shared_song_is_no_longer_named(world: World) -> None:
    ada = world.person("ada")
    bob = world.person("bob", ada.channel)
    prompt = "a private prompt about my own street"
    made = await ada.use("music generate", prompt=prompt, style="folk", title="Made By Ada")
    post = await noted(world, await ada.result(made))
    await noted(world, await bob.result(await press(bob, post, "Cover")))
    await confirm(ada, await forget(ada))
    assert about(world, ada) == []
    assert "Made By Ada" in titles(await open_library(bob))
    assert "private prompt" not in str(world.rows("SELECT * FROM tasks"))
    # A hash of the words and of who typed them lets others try out what they may have been.
    assert world.rows("SELECT order_key FROM tasks WHERE title = 'Made By Ada' AND source_id IS NULL") == [
        {"order_key": None}
    ]
    assert (await post_again(bob, "Made By Ada")).attachments


async def test_the_cover_of_a_shared_song_stays_until_nobody_has_the_song(world: World) -> None:
    ada = world.person("ada")
    bob = world.person("bob")
    song = await ada.imports("Covered Once")
    await bob.brings_in(song)
    cover = await ada.covered()
    await confirm(ada, await forget(ada))
    # VidGo would make no second one.
    again = await bob.cover()
    result = await noted(world, await bob.result(again))
    assert artwork_shown(result).data == artwork_shown(cover).data
    assert world.submitted(song) == 1
    await confirm(bob, await forget(bob))
    assert known(world, song) == []
    assert world.rows("SELECT 1 FROM tasks WHERE title = 'Covered Once'") == []
