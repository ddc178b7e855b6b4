"""Buttons and the message menu: after restarts, in the wrong hands, and with custom ids that nobody gave out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from sandbox.discord.state.permissions import MEMBER_PERMISSIONS
from tests.end_to_end.heard import music_of
from tests.end_to_end.music import (
    answers_noted,
    forge,
    handed_over,
    noted,
    open_library,
    open_music,
    perform,
    post_again,
    post_track,
    press,
    private_word,
    redrawn,
    served,
    titles,
    track_of,
)
from tests.end_to_end.world import COVER, eventually, said

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from typing import Any

    from sandbox.discord import Message
    from tests.end_to_end.world import Person, World

pytestmark = pytest.mark.asyncio(loop_scope="module")

MENU = "Cover this track"
ENDS = ["at once", "after kill -9"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A bot whose buttons are pressed."""
    async with open_music(tmp_path_factory.mktemp("buttons")) as world:
        yield world


@pytest.fixture(autouse=True)
def let_go(world: World) -> Iterator[None]:
    """Leave nothing held that the next test waits for."""
    yield
    world.vidgo.release()


async def come_back(world: World, when: str) -> None:
    """Kill the bot and start it again, if this is what the test is about."""
    if when == "after kill -9":
        await world.bot.kill()
        await world.bot.start()


async def remove(person: Person, message: Message) -> None:
    """Press *Remove*, and wait for the message to go."""
    call = await press(person, message, "Remove")
    await person.world.discord.wait_until(lambda: message.deleted)
    assert call.followups == []


def state(world: World) -> list[dict[str, Any]]:
    """Return all that a press could change, without what the bot's own clockwork does meanwhile."""
    columns = {
        "tasks": "id, vidgo_id, user_id, title, error_kind, finished_at",
        "files": "task_id, position",
        "library": "user_id, task_id, position, title",
        # Each press is written down until it is answered, but not as being about anything.
        "notifications WHERE task_id IS NOT NULL": "id, task_id, state, message_id, ack_message_id, ack_wanted",
    }
    return [row for table, kept in columns.items() for row in world.rows(f"SELECT {kept} FROM {table} ORDER BY 1, 2")]


# Pressed by whom they are for


@pytest.mark.parametrize("when", ENDS)
async def test_cover_under_a_posted_song_works_for_everybody(world: World, when: str) -> None:
    ada = world.person("ada")
    bob = world.person("bob", ada.channel)
    song = await ada.imports(f"Posted {when}", variants=2)
    post = await post_track(ada, await track_of(ada, "posted", 1))
    await come_back(world, when)
    # Bob does not have the song yet. The button brings it into his library.
    result = await bob.result(await press(bob, post, "Cover"))
    assert result.pings == {bob.member.id}
    assert "New artwork" in result.content
    assert music_of(result.attachments[0].data) == music_of(await served(world, song, "2.mp3"))
    assert f"Posted {when} (2)" in titles(await open_library(bob))
    assert world.submitted(song) == 1


@pytest.mark.parametrize("when", ENDS)
async def test_the_message_menu_covers_what_a_message_carries(world: World, when: str) -> None:
    ada = world.person("ada")
    bob = world.person("bob", ada.channel)
    song = await ada.imports(f"Menu {when}")
    cover = await noted(world, await ada.covered())
    performed = await noted(world, await ada.result(await perform(ada, "jazz")))
    await come_back(world, when)
    call = await world.discord.message_menu(bob.member, cover, MENU)
    assert "before" in said(await call.reply())
    assert f"New artwork for **Menu {when}**" in (await bob.result(call)).content
    assert world.submitted(song) == 1
    call = await world.discord.message_menu(bob.member, performed, MENU)
    assert f"New artwork for **Menu {when} (jazz)**" in (await bob.result(call)).content


async def test_the_message_menu_knows_what_carries_no_song(world: World) -> None:
    ada = world.person("ada")
    bob = world.person("bob", ada.channel)
    await ada.imports("Not Here")
    world.vidgo.set_failure(COVER, "no", times=1)
    call = await ada.cover()
    failed = await noted(world, await ada.failure(call))
    assert call.original is not None
    other = world.discord.post_as(bob.member, bob.channel, "what a song")
    assert "carries no song" in await private_word(await world.discord.message_menu(bob.member, other, MENU))
    for message in (failed, call.original):
        pressed = await world.discord.message_menu(bob.member, message, MENU)
        assert "carries no song" in await bob.refusal(pressed)


@pytest.mark.parametrize("when", ENDS)
async def test_remove_takes_ones_own_post_away(world: World, when: str) -> None:
    ada = world.person("ada")
    await ada.imports(f"Removed {when}")
    cover = await noted(world, await ada.covered())
    await come_back(world, when)
    await remove(ada, cover)
    # What was made is still there.
    assert (await post_again(ada, f"Removed {when}")).attachments


@pytest.mark.parametrize("when", ENDS)
async def test_a_moderator_may_remove_and_nobody_else(world: World, when: str) -> None:
    ada = world.person("ada")
    bob = world.person("bob", ada.channel)
    moderator = world.person("moderator", ada.channel)
    moderator.member.permissions = MEMBER_PERMISSIONS | {"manage_messages"}
    await ada.imports(f"Moderated {when}")
    post = await noted(world, await ada.covered())
    await come_back(world, when)
    before = state(world)
    word = await private_word(await press(bob, post, "Remove"))
    assert word == "Only the member who asked for it, or somebody who manages messages, can remove this."
    assert not post.deleted
    assert state(world) == before
    await remove(moderator, post)


@pytest.mark.parametrize("when", ENDS)
async def test_dont_post_is_for_the_requester_alone(world: World, when: str) -> None:
    ada = world.person("ada")
    bob = world.person("bob", ada.channel)
    await ada.imports(f"Stopped {when}")
    world.vidgo.hold(COVER)
    call = await ada.cover()
    acknowledgement = await call.reply()
    is_sent = "SELECT 1 FROM tasks WHERE status IN ('waiting', 'running') AND title = ?"
    await eventually(lambda: world.rows(is_sent, f"Stopped {when}") != [])
    await come_back(world, when)
    assert "Only the member who asked for it can stop this" in await private_word(
        await press(bob, acknowledgement, "Don't post")
    )
    await press(ada, acknowledgement, "Don't post")
    await ada.channel.wait_for(lambda one: one is acknowledgement and "will not be posted" in one.content)
    assert "may use credits all the same" in acknowledgement.content
    assert acknowledgement.buttons == []
    world.vidgo.release(COVER)


async def test_a_library_page_works_after_a_restart(world: World) -> None:
    ada = world.person("ada")
    for number in range(6):
        await ada.imports(f"Lasting {number}")
    page = await open_library(ada)
    await answers_noted(world)
    await world.bot.kill()
    await world.bot.start()
    await redrawn(page, await press(ada, page, "Older"))
    assert titles(page) == ["Lasting 0"]
    assert (await ada.result(await press(ada, page, "Post"))).attachments


# Altered by hand


async def test_a_forged_custom_id_is_told_so_and_changes_nothing(world: World) -> None:
    ada = world.person("ada")
    eve = world.person("eve", ada.channel)
    song = await ada.imports("Treasure")
    track = await track_of(ada, "treasure")
    post = await post_again(ada, "Treasure")
    await eve.imports("Bait")
    bait = await post_again(eve, "Bait")
    world.vidgo.hold(COVER)
    call = await ada.cover(track)
    acknowledgement = await handed_over(world, await call.reply())
    eve_call = await eve.cover()
    eve_acknowledgement = await handed_over(world, await eve_call.reply())

    def ids(message: Message) -> dict[str, str]:
        return {str(button.custom_id).partition(":")[0]: str(button.custom_id) for button in message.buttons}

    stop, own_stop = ids(acknowledgement)["stop"], ids(eve_acknowledgement)["stop"]
    removal, own_removal = ids(post)["remove"], ids(bait)["remove"]
    await eventually(lambda: world.rows("SELECT 1 FROM tasks WHERE status IN ('queued', 'submitting')") == [])
    await eventually(lambda: world.rows("SELECT 1 FROM notifications WHERE ack_wanted IS NOT NULL") == [])
    before = state(world)
    forged = [
        (post, own_removal),  # the id of one's own post, on somebody else's
        (post, own_stop.replace("stop", "remove")),  # of one's own notification that has no post yet
        (post, removal.replace("remove", "stop")),
        (post, stop.replace("stop", "remove")),
        (acknowledgement, own_stop),  # stops nothing of one's own here either
        (acknowledgement, stop),
        (acknowledgement, own_removal.replace("remove", "stop")),
        (post, f"song:post:{track}"),
        (post, f"song:remove:{track}"),
        (post, f"song:post:{track}.999"),
        (post, f"forget:{ada.member.id}"),
        (post, f"forget:{'9' * 20}"),
        (post, "remove:" + "0" * 24),
        (post, "remove:" + "z" * 23),
        (post, "remove:" + "A" * 24),
        (post, "stop:' OR 1=1 --"),
        (post, "remove:%"),
        (post, "song:cover:1; DROP TABLE tasks"),
        (post, "song:burn:" + track),
        (post, "library:x:"),
        (post, "library:99999999999999999999:"),
        (post, "cover:"),
        (post, ""),
        (post, "🎵" * 50),
        (post, "x" * 100),
        (post, "remove:" + "0" * 93),
        (post, "stop:\n" + "0" * 24),
        (acknowledgement, f"cover:{track}"),  # an acknowledgement carries no song
        (acknowledgement, "cover:" + "0" * 24 + ".999"),
    ]
    for message, custom_id in forged:
        sentence = await private_word(await forge(eve, message, custom_id))
        assert sentence.endswith("."), custom_id
        assert "Something went wrong" not in sentence, custom_id
        assert state(world) == before, custom_id
        assert not message.deleted, custom_id
        assert acknowledgement.edits == [], custom_id
    assert world.submitted(song) == 1
    world.vidgo.release(COVER)
    await ada.result(call)
    await eve.result(eve_call)


async def test_the_song_under_cover_comes_from_the_message_not_from_the_custom_id(world: World) -> None:
    ada = world.person("ada")
    eve = world.person("eve", ada.channel)
    hidden = await ada.imports("Kept To Myself")
    track = await track_of(ada, "kept to")
    shown = await ada.imports("Shown To All")
    post = await post_again(ada, "Shown To All")
    result = await eve.result(await forge(eve, post, f"cover:{track}"))
    assert "**Shown To All**" in result.content
    assert (world.submitted(shown), world.submitted(hidden)) == (1, 0)
    assert titles(await open_library(eve)) == ["Shown To All", "Shown To All"]


async def test_a_page_turned_by_hand_shows_ones_own_songs_or_none(world: World) -> None:
    ada = world.person("ada")
    await ada.imports("One And Only")
    page = await open_library(ada)
    for custom_id in ("library:0:%", "library:0:' OR ''='", "library:99999:", "library:3:" + "x" * 80, "library:0:\\"):
        edits = len(page.edits)
        call = await forge(ada, page, custom_id)
        await call.changed.wait_for(lambda edits=edits: len(page.edits) > edits, 10, "turned page")  # type: ignore[misc]  # a lambda
        assert titles(page) == ([] if custom_id != "library:99999:" else ["One And Only"])
        assert call.followups == []
    call = await forge(ada, page, "library:0:")
    await call.changed.wait_for(lambda: titles(page) == ["One And Only"], 10, "page of one's own")
