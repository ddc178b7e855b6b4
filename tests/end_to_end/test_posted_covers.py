"""A cover's post: which of its pictures it carries, and what is said to who has the cover already."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.end_to_end.heard import picture_in
from tests.end_to_end.music import (
    ENDS,
    PERFORM,
    come_back,
    eventually,
    forge,
    noted,
    open_library,
    open_music,
    post_again,
    press,
    private_word,
    refusals,
    thumbnails,
    track_of,
)
from tests.end_to_end.test_music_buttons import state

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

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


# Pictures


@pytest.mark.parametrize("when", ENDS)
async def test_the_requester_chooses_the_picture_that_the_song_carries(world: World, when: str) -> None:
    ada = world.person("ada")
    bob = world.person("bob", ada.channel)
    await ada.imports(f"Gallery {when}")
    post = await noted(world, await ada.covered())
    assert len(post.embeds) == 2
    one, two = (next(file for file in post.files if file.url == embed["image"]["url"]) for embed in post.embeds)
    assert one.data != two.data
    assert picture_in(post.attachments[0].data) == one.data
    buttons = [found for found in post.buttons if str(found.custom_id).startswith("picture:")]
    assert [found.label for found in buttons] == ["Use picture 1", "Use picture 2"]
    assert [found.disabled for found in buttons] == [True, False]
    before = state(world)
    word = await private_word(await forge(bob, post, str(buttons[1].custom_id)))
    assert "Only the member who asked for it can choose" in word
    assert state(world) == before
    await come_back(world, when)
    content = post.content
    await asyncio.gather(*(press(ada, post, str(buttons[1].custom_id)) for _ in range(2)))
    await ada.channel.wait_for(lambda found: found is post and picture_in(found.attachments[0].data) == two.data)
    assert post.content == content
    assert len(post.attachments) == 1
    assert len(post.embeds) == 2
    chosen = [found.disabled for found in post.buttons if str(found.custom_id).startswith("picture:")]
    assert chosen == [False, True]
    await eventually(lambda: not world.rows("SELECT 1 FROM notifications WHERE picture_wanted IS NOT NULL"))
    # Both are kept. The library follows, and so does what is posted from there.
    query = "SELECT image_sha256 FROM files JOIN notifications USING (task_id) WHERE message_id = ?"
    await eventually(lambda: len({row["image_sha256"] for row in world.rows(query, post.id)} - {None}) == 2)
    page = await open_library(ada, f"Gallery {when}")
    shown = [file for file in page.files if file.url == thumbnails(page)[0]]
    assert [file.data for file in shown] == [two.data]
    # A picture's number is no version's: what is heard is the song of which it is a cover.
    heard = await (await press(ada, page, "Play for me")).reply()
    assert [one.content_type for one in heard.attachments] == ["audio/mpeg"]
    again = await noted(world, await ada.result(await press(ada, page, "Post")))
    assert picture_in(again.attachments[0].data) == two.data
    once_more = await press(ada, await (await ada.cover()).reply(), "Post again")
    assert picture_in((await ada.result(once_more)).attachments[0].data) == two.data


async def test_a_picture_that_was_chosen_is_shown_although_the_bot_dies(world: World) -> None:
    ada = world.person("ada")
    await ada.imports("Dying Gallery")
    post = await noted(world, await ada.covered())
    two = next(file for file in post.files if file.url == post.embeds[1]["image"]["url"])
    fault = world.discord.hang("PATCH", rf"/channels/\d+/messages/{post.id}", 600)
    chosen = next(one for one in post.buttons if one.label == "Use picture 2")
    await press(ada, post, str(chosen.custom_id))
    await eventually(lambda: fault.struck)
    await world.bot.kill()
    fault.end()
    await world.bot.start()
    await ada.channel.wait_for(lambda found: found is post and picture_in(found.attachments[0].data) == two.data)


async def test_a_post_can_be_pressed_before_the_bot_has_heard_that_it_is_there(world: World) -> None:
    ada = world.person("ada")
    bob = world.person("bob", ada.channel)
    await ada.imports("Just Arrived")
    world.discord.hang("POST", rf"^/channels/{ada.channel.id}/messages$", 600, when="after")
    post = await ada.covered()
    two = next(file for file in post.files if file.url == post.embeds[1]["image"]["url"])
    assert not world.rows("SELECT 1 FROM notifications WHERE message_id = ?", post.id)
    await press(bob, post, "Like")
    await ada.channel.wait_for(lambda found: found is post and "1" in [button.label for button in found.buttons])
    assert (await private_word(await press(bob, post, "Keep"))).startswith("**Just Arrived** is in your library.")
    asked = await press(bob, post, "New version…")
    await asked.acknowledged()
    assert asked.modal is not None
    assert "Just Arrived" in asked.modal["title"]
    covered = await world.discord.message_menu(bob.member, post, "Cover this track")
    assert "Just Arrived" in (await covered.reply()).content
    pressed = await press(ada, post, "Use picture 2")
    await eventually(lambda: world.rows("SELECT 1 FROM notifications WHERE picture_wanted IS NOT NULL"))
    assert pressed.followups == []
    await world.bot.kill()
    await world.bot.start()
    await ada.channel.wait_for(lambda found: found is post and picture_in(found.attachments[0].data) == two.data)
    await noted(world, post)
    assert [button.label for button in post.buttons].count("1") == 1


# A cover that one has


@pytest.mark.parametrize("when", ENDS)
async def test_who_has_a_cover_is_shown_where_and_may_have_it_again(world: World, when: str) -> None:
    ada = world.person("ada")
    bob = world.person("bob", ada.channel)
    song = await ada.imports(f"Had {when}")
    await bob.brings_in(song)
    post = await noted(world, await ada.covered())
    call = await ada.cover()
    word = await ada.refusal(call)
    assert word == f"You have this one: https://discord.com/channels/{world.guild.id}/{ada.channel.id}/{post.id}"
    reply = await call.reply()
    assert [one.label for one in reply.buttons] == ["Post again", "New version…"]
    await come_back(world, when)
    again = await noted(world, await ada.result(await press(ada, reply, "Post again")))
    assert "New artwork" in again.content
    # The newest post is the one that is named, and it is each member's own.
    assert str(again.id) in await ada.refusal(await ada.cover())
    assert "New artwork" in (await noted(world, await bob.result(await bob.cover()))).content
    assert world.submitted(song) == 1
    # One's own post that is gone is no post.
    for message in (post, again):
        world.discord.delete_message(message)
    assert "New artwork" in (await ada.result(await ada.cover())).content
    assert world.submitted(song) == 1
    assert refusals(world) == [("GET", 10008)]


@pytest.mark.parametrize("where", ["under artwork", "where it is said that one has it"])
async def test_new_version_opens_the_form_of_a_style(world: World, where: str) -> None:
    ada = world.person("ada")
    await ada.imports(f"Anew {where}")
    message = await noted(world, await ada.covered())
    if where != "under artwork":
        message = await (await ada.cover()).reply()
    call = await press(ada, message, "New version…")
    await call.acknowledged()
    sent = await world.discord.submit_modal(ada.member, call, {"style": "slow waltz"})
    result = await ada.result(sent)
    assert f"here is a new version: **Anew {where} (slow waltz)**." in result.content
    assert world.vidgo.accepted(PERFORM)[-1].input["prompt"] == "slow waltz"


async def test_post_again_posts_nothing_of_others(world: World) -> None:
    ada = world.person("ada")
    eve = world.person("eve", ada.channel)
    await ada.imports("Not Eves")
    await ada.covered()
    track = await track_of(ada, "not eves")
    post = await post_again(ada, "Not Eves")
    before = state(world)
    assert "not in your library" in await eve.refusal(await forge(eve, post, f"repost:{track}"))
    assert state(world) == before
