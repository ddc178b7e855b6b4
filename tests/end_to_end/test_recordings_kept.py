"""Members' own recordings while their orders live: where VidGo gets them, and what is left where nothing came of it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from sandbox.discord.rest.faults import FIRST_ANSWERS
from tests.end_to_end.music import (
    PERFORM,
    eventually,
    fill_in,
    forge,
    noted,
    open_library,
    open_music,
    press,
    says,
    titles,
)
from tests.end_to_end.test_recordings import asked, cover_file
from tests.media.samples import sound

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.end_to_end.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")

POLICY = {"code": 400, "error": {"message": "Sensitive words found", "type": "content_moderation_error"}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A bot that VidGo cannot reach."""
    async with open_music(tmp_path_factory.mktemp("recordings")) as world:
        yield world


@pytest.fixture(scope="module")
def mp3() -> bytes:
    return sound("mp3", "libmp3lame", 3)


# Where VidGo can reach the bot


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def public(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A bot that VidGo can reach."""
    async with open_music(tmp_path_factory.mktemp("public"), callbacks=True) as world:
        yield world


async def address_of(world: World, style: str) -> str:
    """Return where VidGo was told to fetch a recording."""
    await eventually(lambda: asked(world, style))
    [submission] = asked(world, style)
    return str(submission.input["upload_url"])


@pytest.mark.parametrize("loses", ["discord", "archive"])
async def test_vidgo_gets_a_signed_address_and_the_recording_goes_with_its_order(public: World, loses: str) -> None:
    ada = public.person("ada")
    data = sound("mp3", "libmp3lame", 2 + len(loses) / 10)  # one recording for each way
    file = public.discord.attach("hidden.mp3", data)
    public.vidgo.hold(PERFORM)
    call = await ada.use("cover", file=file, style=f"choir, {loses}")
    address = await address_of(public, f"choir, {loses}")
    assert address.startswith(f"{public.url}/media/")
    name = hashlib.sha256(data).hexdigest()
    kept = public.bot.directory / "data" / "media" / name[:2] / name
    assert kept.read_bytes() == data
    if loses == "discord":  # deleted by the member, or its address has expired
        del public.discord.state.files[file.id]
    else:
        kept.unlink()
    async with public.http.get(address) as response:
        assert response.status == 200
        assert await response.read() == data
    # It is no version of what is made of it.
    assert titles(await open_library(ada)) == []
    public.vidgo.release(PERFORM)
    assert "your recording **hidden**" in (await ada.result(call)).content
    async with public.http.get(address) as response:
        assert response.status == 404
    assert public.rows("SELECT 1 FROM files WHERE position >= 1000") == []
    # A start tidies up, as the bot does every hour.
    await public.bot.stop()
    await public.bot.start()
    assert not kept.exists()


@pytest.mark.parametrize("ends", ["failed", "refused", "not wanted"])
async def test_nothing_is_kept_of_a_recording_whose_order_comes_to_nothing(
    public: World, mp3: bytes, ends: str
) -> None:
    ada = public.person("ada")
    if ends == "failed":
        public.vidgo.set_failure(PERFORM, "the tempo cannot be kept", times=1)
    elif ends == "refused":
        public.vidgo.fault("submit", "status", status=400, body=POLICY, model=PERFORM)
    else:
        public.vidgo.fault("submit", "busy_retry_after", seconds=60)
    call = await cover_file(ada, "fleeting.mp3", mp3 + ends.encode(), style=f"tango, {ends}")
    if ends == "not wanted":
        reply = await call.reply()
        await says(reply, "has not taken")
        await press(ada, reply, "Don't post")
        await says(reply, "will not be posted")
    else:
        await ada.failure(call)
    assert public.rows("SELECT 1 FROM files WHERE position >= 1000") == []
    public.vidgo.clear_faults()


# What came to nothing


async def test_what_came_to_nothing_is_tried_again_and_changed(world: World, mp3: bytes) -> None:
    ada = world.person("ada")
    eve = world.person("eve", ada.channel)
    world.vidgo.set_failure(PERFORM, "the tempo cannot be kept", times=2)
    failed = await noted(world, await ada.failure(await cover_file(ada, "stubborn.mp3", mp3, style="polka")))
    assert [button.label for button in failed.buttons] == ["Try again", "Change the words…"]
    again = await ada.failure(await press(ada, failed, "Try again"))
    changed = await press(ada, again, "Change the words…")
    await changed.acknowledged()
    assert "'polka'" in str(changed.modal)
    assert "**stubborn**" in str(changed.modal)
    result = await ada.result(await fill_in(ada, changed, style="slow polka"))
    assert "your recording **stubborn**" in result.content
    assert [len(asked(world, style)) for style in ("polka", "slow polka")] == [2, 1]
    # Nobody else's it is to try.
    assert "can try it again" in await eve.refusal(await forge(eve, failed, str(failed.buttons[0].custom_id)))


@pytest.mark.parametrize("by", ["command", "form"])
async def test_what_was_typed_for_a_refused_recording_comes_back(world: World, by: str) -> None:
    ada = world.person("ada")
    if by == "command":
        call = await cover_file(ada, "words.mp3", b"la la la", style="bossa nova")
    else:
        call = await fill_in(ada, await cover_file(ada, "words.mp3", b"la la la"), style="bossa nova")
    refused = await call.reply()
    assert "is not an MP3" in refused.content
    changed = await press(ada, refused, "Change the words…")
    await changed.acknowledged()
    assert "'bossa nova'" in str(changed.modal)
    assert asked(world, "bossa nova") == []


@pytest.mark.parametrize("by", ["command", "form"])
async def test_what_was_typed_for_a_recording_is_kept_where_nothing_can_be_ordered_in_that_moment(
    world: World, mp3: bytes, by: str
) -> None:
    ada = world.person("ada")
    style = f"ska, by a {by}"
    form = await cover_file(ada, "shut.mp3", mp3) if by == "form" else None
    if form is not None:
        await form.acknowledged()
    granted = ada.channel.bot_permissions
    ada.channel.bot_permissions = granted - {"attach_files"}
    call = await (cover_file(ada, "shut.mp3", mp3, style=style) if form is None else fill_in(ada, form, style=style))
    refused = await call.reply()
    ada.channel.bot_permissions = granted
    assert "Attach Files" in refused.content
    assert [button.label for button in refused.buttons] == ["Try again", "Change the words…"]
    changed = await press(ada, refused, "Change the words…")
    await changed.acknowledged()
    assert f"'{style}'" in str(changed.modal)
    assert "**shut**" in str(changed.modal)
    await ada.result(await press(ada, refused, "Try again"))
    assert len(asked(world, style)) == 1


async def test_a_recording_that_was_tried_again_in_vain_can_be_tried_once_more(world: World, mp3: bytes) -> None:
    ada = world.person("ada")
    world.vidgo.set_failure(PERFORM, "the tempo cannot be kept", times=1)
    failed = await noted(world, await ada.failure(await cover_file(ada, "late.mp3", mp3, style="galop")))
    closed = world.rows("SELECT 1 FROM notifications WHERE state = 'answered'")
    world.discord.refuse("POST", FIRST_ANSWERS, 10062)
    await world.discord.press(ada.member, failed, "Try again")
    await eventually(lambda: len(world.rows("SELECT 1 FROM notifications WHERE state = 'answered'")) > len(closed))
    await ada.result(await press(ada, failed, "Try again"))
    assert len(asked(world, "galop")) == 2
