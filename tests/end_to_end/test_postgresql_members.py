"""What members do under posts and in forms, on PostgreSQL: the same as on SQLite, at once and one after the other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.end_to_end.music import (
    MENU,
    PERFORM,
    fill_in,
    menu,
    open_library,
    press,
    private_word,
    redrawn,
    titles,
)
from tests.end_to_end.shell import rows
from tests.end_to_end.world import COVER, SONG, World, eventually, open_world
from tests.media.samples import sound
from tests.postgresql import PostgreSQL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sandbox.discord import Message
    from tests.end_to_end.world import Person

pytestmark = pytest.mark.asyncio(loop_scope="module")

POLICY = {"code": 400, "error": {"message": "Sensitive words found", "type": "content_moderation_error"}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    server = PostgreSQL()
    url = await server.new_database(migrated=False)
    try:
        async with open_world(tmp_path_factory.mktemp("members"), DATABASE_URL=url) as world:
            yield world
    finally:
        await asyncio.to_thread(server.close)


async def posted(person: Person, prompt: str) -> Message:
    """Have a song made and posted, and return the post once it is noted."""
    post = await person.result(await person.use("music generate", prompt=prompt, style="folk", title="Sea Song"))
    await noted(person.world, post)
    return post


def hearts(post: Message) -> str | None:
    """Return what the heart under a post says."""
    return next((one.label for one in post.buttons if str(one.custom_id).startswith("like:")), None)


async def noted(world: World, post: Message) -> None:
    """Wait until the bot has written down what a post is."""

    async def is_noted() -> bool:
        return bool(
            await rows(world, f"SELECT 1 FROM notifications WHERE message_id = {post.id} AND ack_wanted IS NULL")
        )

    await eventually(is_noted)


async def test_hearts_keep_and_again_under_a_post(world: World) -> None:
    ada = world.person("ada")
    bob = world.person("bob", ada.channel)
    post = await posted(ada, "the sea")
    assert len(post.attachments) == 2
    # Two at once are two hearts, and one pressed again is one less.
    await asyncio.gather(press(ada, post, "Like"), press(bob, post, "Like"))
    await ada.channel.wait_for(lambda one: one is post and hearts(one) == "2")
    await press(bob, post, "2")
    await ada.channel.wait_for(lambda one: one is post and hearts(one) == "1")
    assert [row["user_id"] for row in await rows(world, "SELECT user_id FROM likes")] == [ada.member.id]
    # What is kept twice is there once, in both versions.
    for _ in range(2):
        assert "is in your library, in 2 versions" in await private_word(await press(bob, post, "Keep"))
    assert len(titles(await open_library(bob))) == 2
    # Two presses at once pay once.
    before = len(world.vidgo.accepted(SONG))
    world.vidgo.hold(SONG)
    calls = await asyncio.gather(press(ada, post, "Again"), press(bob, post, "Again"))
    words = [(await call.reply()).content for call in calls]
    assert sum("is being made already; you get it too" in one for one in words) == 1
    world.vidgo.release()
    for person, call in zip((ada, bob), calls, strict=True):
        assert "here is your song **Sea Song**" in (await person.result(call)).content
    assert len(world.vidgo.accepted(SONG)) == before + 1


async def test_a_form_that_is_refused_comes_back_and_is_tried_again_once(world: World) -> None:
    ada = world.person("ada")
    world.vidgo.fault("submit", "status", status=400, body=POLICY, model=SONG, times=1)
    form = await ada.use("music generate")
    refused = await ada.failure(await fill_in(ada, form, prompt="rude words", style="punk"))
    await noted(world, refused)
    changed = await press(ada, refused, "Change the words…")
    await changed.acknowledged()
    assert "'rude words'" in str(changed.modal)
    before = len(world.vidgo.accepted(SONG))
    calls = await asyncio.gather(*(press(ada, refused, "Try again") for _ in range(2)))
    replies = [await call.reply() for call in calls]
    [told] = [one.content for one in replies if one.ephemeral]
    assert "You have tried that again already" in told
    [ordered] = [call for call, one in zip(calls, replies, strict=True) if not one.ephemeral]
    assert "here is your song" in (await ada.result(ordered)).content
    assert "here is your song" in (await ada.result(await fill_in(ada, changed, prompt="kind words"))).content
    assert len(world.vidgo.accepted(SONG)) == before + 2


async def test_a_picture_is_chosen_and_the_library_follows(world: World) -> None:
    ada = world.person("ada")
    await ada.imports("Gallery")
    post = await ada.covered()
    await noted(world, post)
    await press(ada, post, "Use picture 2")

    def chosen() -> list[Any]:
        return [one.disabled for one in post.buttons if str(one.custom_id).startswith("picture:")]

    await ada.channel.wait_for(lambda one: one is post and chosen() == [False, True])

    async def follows() -> bool:
        kept = await rows(world, f"SELECT position FROM library WHERE user_id = {ada.member.id} AND kind = 'cover'")
        return [row["position"] for row in kept] == [1]

    await eventually(follows)
    # Who has the cover is shown it, instead of getting it once more.
    before = len(world.vidgo.accepted(COVER))
    assert str(post.id) in await ada.refusal(await ada.cover())
    assert len(world.vidgo.accepted(COVER)) == before


async def test_the_library_is_redrawn_after_remove_and_undo(world: World) -> None:
    ada = world.person("ada")
    for title in ("First", "Second"):
        await ada.imports(title)
    page = await open_library(ada)
    assert len(menu(page)["options"]) == 2
    assert menu(page)["type"] == MENU
    await redrawn(page, await press(ada, page, "Remove"))
    assert titles(page) == ["First"]
    await redrawn(page, await press(ada, page, "Undo"))
    assert titles(page) == ["Second", "First"]


async def test_a_recording_is_covered_and_goes_with_its_order(world: World) -> None:
    ada = world.person("ada")
    file = world.discord.attach("hummed.mp3", sound("mp3", "libmp3lame", 2))
    call = await fill_in(ada, await ada.use("cover", file=file), style="brass band")
    assert "your recording **hummed**" in (await ada.result(call)).content
    [submission] = world.vidgo.accepted(PERFORM)
    assert str(submission.input["upload_url"]).startswith(f"{world.url}/media/")
    assert await rows(world, "SELECT 1 FROM files WHERE position >= 1000") == []
