"""Forms in which orders are typed, what came to nothing and is tried again or changed, and what nobody may press."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.end_to_end.music import (
    EXTEND,
    PERFORM,
    answers_noted,
    fill_in,
    forge,
    noted,
    open_library,
    open_music,
    post_again,
    press,
    private_word,
    says,
)
from tests.end_to_end.world import COVER, SONG, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from sandbox.discord import Call, Message
    from sandbox.vidgo import Submission
    from tests.end_to_end.world import Person, World

pytestmark = pytest.mark.asyncio(loop_scope="module")

POLICY = {"code": 400, "error": {"message": "Sensitive words found", "type": "content_moderation_error"}}
TRY, CHANGE = "Try again", "Change the words…"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A bot whose forms are filled in."""
    async with open_music(tmp_path_factory.mktemp("forms")) as world:
        yield world


@pytest.fixture(autouse=True)
def let_go(world: World) -> Iterator[None]:
    """Leave nothing held that the next test waits for."""
    yield
    world.vidgo.release()
    world.vidgo.clear_faults()


async def open_form(person: Person, call: Call) -> dict[str, Any]:
    """Return what a form shows, by its fields' names."""
    await call.acknowledged()
    assert call.modal is not None
    fields = [item["component"] for item in call.modal["components"]]
    return {field["custom_id"]: field.get("value") or field.get("default") for field in fields}


async def told(call: Call) -> Message:
    """Return the private message that refuses something."""
    reply = await call.reply()
    assert reply.ephemeral
    return reply


def orders(world: World, model: str = SONG) -> list[Submission]:
    return [one for one in world.vidgo.submissions if one.model == model]


# Forms


async def test_without_a_prompt_a_form_opens_and_is_an_order(world: World) -> None:
    ada = world.person("ada")
    call = await ada.use("music generate", style="folk")
    assert await open_form(ada, call) == {"prompt": None, "style": "folk", "title": None, "instrumental": False}
    sent = await fill_in(ada, call, prompt="a song of the sea", title="Sea", instrumental=True)
    result = await ada.result(sent)
    assert "here is your song **Sea**" in result.content
    assert orders(world)[-1].input["instrumental"] is True
    assert "a song of the sea" in orders(world)[-1].input["style"]


@pytest.mark.parametrize("who", ["requester", "somebody else"])
async def test_other_style_under_a_post_opens_a_form(world: World, who: str) -> None:
    ada = world.person("ada")
    await ada.imports(f"Styled by {who}")
    post = await post_again(ada, f"Styled by {who}")
    person = ada if who == "requester" else world.person("bob", ada.channel)
    call = await press(person, post, "Other style…")
    assert await open_form(person, call) == {"style": None}
    assert call.modal is not None
    assert call.modal["title"] == f"Other style: Styled by {who}"
    sent = await fill_in(person, call, style="slow waltz")
    assert "new version" in (await person.result(sent)).content
    assert orders(world, PERFORM)[-1].input["prompt"] == "slow waltz"


async def test_extend_opens_a_form_and_takes_minutes_and_seconds(world: World) -> None:
    ada = world.person("ada")
    await ada.imports("Long Road", seconds=100)
    post = await post_again(ada, "Long Road")
    call = await press(ada, post, "Extend…")
    assert await open_form(ada, call) == {"prompt": None, "at": None}
    sent = await fill_in(ada, call, prompt="and home again", at="\uff11:1\uff10")  # as Japanese keyboards write it
    assert "extended" in (await ada.result(sent)).content
    assert orders(world, EXTEND)[-1].input["continue_at"] == 70


async def test_a_moment_that_is_none_comes_back_with_what_was_typed(world: World) -> None:
    ada = world.person("ada")
    await ada.imports("Short Road")
    [choice] = await ada.type_track("Short Road")
    page = await post_again(ada, "Short Road")
    before = len(orders(world, EXTEND))
    sent = await fill_in(ada, await forge(ada, page, f"lengthen:{choice.value}"), prompt="on and on", at="1:75")
    refused = await told(sent)
    assert "“1:75” is not a moment of a song" in refused.content
    again = await press(ada, refused, CHANGE)
    assert await open_form(ada, again) == {"prompt": "on and on", "at": "1:75"}
    again = await press(ada, await told(await fill_in(ada, again, at="the end")), CHANGE)
    assert len(orders(world, EXTEND)) == before
    assert "extended" in (await ada.result(await fill_in(ada, again, at=""))).content


async def test_a_form_that_arrives_twice_is_one_order(world: World) -> None:
    ada = world.person("ada")
    before = len(orders(world))
    call = await ada.use("music generate")
    sent = await fill_in(ada, call, prompt="only once")
    world.discord.deliver_again(sent)
    await ada.result(sent)
    assert len(orders(world)) == before + 1


# What came to nothing


@pytest.mark.parametrize("by", ["command", "form"])
async def test_what_vidgo_refuses_comes_back_filled_in_over_a_restart(world: World, by: str) -> None:
    ada = world.person("ada")
    world.vidgo.fault("submit", "status", status=400, body=POLICY, model=SONG)
    if by == "command":
        call = await ada.use("music generate", prompt="rude words", style="punk", title="Rude")
    else:
        call = await fill_in(ada, await ada.use("music generate"), prompt="rude words", style="punk", title="Rude")
    refused = await noted(world, await ada.failure(call))
    assert refused.content == (
        "VidGo did not make **Rude**: its rules do not allow some of the words. Change them and try again. "
        "No credits were used."
    )
    assert [button.label for button in refused.buttons] == [TRY, CHANGE]
    await answers_noted(world)
    await world.bot.kill()
    await world.bot.start()
    again = await press(ada, refused, CHANGE)
    assert await open_form(ada, again) == {
        "prompt": "rude words", "style": "punk", "title": "Rude", "instrumental": False,
    }  # fmt: skip
    result = await ada.result(await fill_in(ada, again, prompt="kind words"))
    assert "here is your song **Rude**" in result.content
    assert orders(world)[-1].input["prompt"] == "kind words"


async def test_a_reason_that_nobody_knows_is_quoted_as_vidgos(world: World) -> None:
    ada = world.person("ada")
    world.vidgo.set_failure(SONG, "the muse is asleep", times=1)
    call = await ada.use("music generate", prompt="wake up")
    failed = await ada.failure(call)
    assert failed.content == (
        "VidGo could not make **wake up** and says: “the muse is asleep”. VidGo charges nothing for what it could not "
        "make."
    )
    assert call.original is not None
    await says(call.original, "**wake up** could not be made.")
    assert "muse" not in call.original.content


async def test_try_again_pressed_twice_at_once_pays_once(world: World) -> None:
    ada = world.person("ada")
    world.vidgo.set_failure(SONG, "no", times=1)
    failed = await ada.failure(await ada.use("music generate", prompt="again and again"))
    before = len(orders(world))
    world.vidgo.hold(SONG)
    calls = await asyncio.gather(*(press(ada, failed, TRY) for _ in range(2)))
    replies = await asyncio.gather(*(call.reply() for call in calls))
    refused = [reply for reply in replies if reply.ephemeral]
    assert len(refused) == 1
    assert "You have tried that again already" in refused[0].content
    world.vidgo.release()
    [ordered] = [call for call, reply in zip(calls, replies, strict=True) if not reply.ephemeral]
    assert "here is your song **again and again**" in (await ada.result(ordered)).content
    assert len(orders(world)) == before + 1
    # Nor when it has long been made.
    word = await ada.refusal(await press(ada, failed, TRY))
    assert word.startswith("You have tried that again already. With the other button you can change the words.")


async def test_what_is_refused_once_more_can_be_tried_once_more(world: World) -> None:
    ada = world.person("ada")
    world.vidgo.fault("submit", "status", status=400, body=POLICY, model=SONG, times=2)
    refused = await noted(world, await ada.failure(await ada.use("music generate", prompt="third time lucky")))
    refused = await noted(world, await ada.failure(await press(ada, refused, TRY)))
    assert [button.label for button in refused.buttons] == [TRY, CHANGE]
    assert (await open_form(ada, await press(ada, refused, CHANGE)))["prompt"] == "third time lucky"
    assert "here is your song" in (await ada.result(await press(ada, refused, TRY))).content


async def test_changed_words_are_kept_where_nothing_can_be_ordered_in_that_moment(world: World) -> None:
    ada = world.person("ada")
    await ada.imports("Sea", seconds=3, variants=1)
    world.vidgo.fault("submit", "status", status=400, body=POLICY, model=EXTEND)
    refused = await noted(world, await ada.failure(await ada.use("music extend", prompt="rude words")))
    form = await press(ada, refused, CHANGE)
    await form.acknowledged()
    granted = ada.channel.bot_permissions
    ada.channel.bot_permissions = granted - {"attach_files"}
    missing = await told(await fill_in(ada, form, prompt="kind words", at="0:02"))
    ada.channel.bot_permissions = granted
    assert "Attach Files" in missing.content
    assert [button.label for button in missing.buttons] == [TRY, CHANGE]
    assert await open_form(ada, await press(ada, missing, CHANGE)) == {"prompt": "kind words", "at": "0:02"}
    await ada.result(await press(ada, missing, TRY))
    assert orders(world, EXTEND)[-1].input["prompt"] == "kind words"


async def test_a_failed_cover_can_be_tried_again_and_has_no_words(world: World) -> None:
    ada = world.person("ada")
    song = await ada.imports("Paintless")
    world.vidgo.set_failure(COVER, "no paint", times=1)
    failed = await noted(world, await ada.failure(await ada.cover()))
    assert [button.label for button in failed.buttons] == [TRY]
    assert "New artwork" in (await ada.result(await press(ada, failed, TRY))).content
    again = await ada.refusal(await press(ada, failed, TRY))
    assert again == "You have tried that again already. No credits were used."
    assert world.submitted(song) == 2
    notification = world.rows("SELECT id FROM notifications WHERE message_id = ?", failed.id)[0]["id"]
    changed = await forge(ada, failed, f"change:{notification}")
    assert "something I no longer know" in await private_word(changed)


@pytest.mark.parametrize("what", [SONG, PERFORM, EXTEND])
async def test_again_that_comes_to_nothing_comes_back_filled_in(world: World, what: str) -> None:
    ada = world.person("ada")
    bob = world.person("bob", ada.channel)
    if what == SONG:
        call = await ada.use("music generate", prompt="over the sea", style="folk", title="Sailing")
        expected = {"prompt": "over the sea", "style": "folk", "title": "Sailing", "instrumental": False}
    else:
        await ada.imports(f"Ground of {what}", seconds=20)
        options = {"style": "jazz"} if what == PERFORM else {"prompt": "and home", "at": 12}
        call = await ada.use("cover" if what == PERFORM else "music extend", **options)
        expected = {"style": "jazz"} if what == PERFORM else {"prompt": "and home", "at": "12"}
    post = await noted(world, await ada.result(call))
    world.vidgo.set_failure(what, "no", times=1)
    failed = await noted(world, await bob.failure(await press(bob, post, "Again")))
    assert [button.label for button in failed.buttons] == [TRY, CHANGE]
    changed = await press(bob, failed, CHANGE)
    assert await open_form(bob, changed) == expected
    before = len(orders(world, what))
    assert (await bob.result(await press(bob, failed, TRY))).attachments
    assert (await bob.result(await fill_in(bob, changed, **expected))).attachments
    assert len(orders(world, what)) == before + 2


@pytest.mark.parametrize("by", ["under a post", "in the library", "in the menu"])
async def test_a_cover_by_a_button_that_fails_can_be_tried_again(world: World, by: str) -> None:
    ada = world.person("ada")
    song = await ada.imports(f"Pressed {by}")
    world.vidgo.set_failure(COVER, "no paint", times=1)
    if by == "in the library":
        call = await press(ada, await open_library(ada), "Cover")
    else:
        post = await post_again(ada, f"Pressed {by}")
        if by == "under a post":
            call = await press(ada, post, "Cover")
        else:
            call = await world.discord.message_menu(ada.member, post, "Cover this track")
    failed = await noted(world, await ada.failure(call))
    assert [button.label for button in failed.buttons] == [TRY]
    assert "New artwork" in (await ada.result(await press(ada, failed, TRY))).content
    assert world.submitted(song) == 2


async def test_nobody_else_may_press_and_nothing_made_up_orders_anything(world: World) -> None:
    ada = world.person("ada")
    eve = world.person("eve", ada.channel)
    await ada.imports("Ada's Words")
    [choice] = await ada.type_track("Ada's Words")
    world.vidgo.set_failure(SONG, "no", times=1)
    failed = await noted(world, await ada.failure(await ada.use("music generate", prompt="mine")))
    notification = world.rows("SELECT id FROM notifications WHERE message_id = ?", failed.id)[0]["id"]
    before = len(world.vidgo.submissions)
    words = await eve.refusal(await forge(eve, failed, f"retry:{notification}"))
    assert words == "Only the member who asked for it can try it again."
    assert "can try it again" in await private_word(await forge(eve, failed, f"change:{notification}"))
    for made_up in ("retry:0123456789abcdefghjkmnpq", "change:0123456789abcdefghjkmnpq"):
        assert "no longer know" in (await told(await forge(ada, failed, made_up))).content
    # A song of somebody else's, under a message that is no post.
    words = await private_word(await forge(eve, failed, f"style:{choice.value}"))
    assert "not in your library" in words
    assert words.endswith("No credits were used.")
    for odd in ("style:", "style:x", "retry:", f"lengthen:{choice.value}.9999"):
        assert "no longer know" in (await told(await forge(ada, failed, odd))).content
    assert len(world.vidgo.submissions) == before


@pytest.mark.parametrize(
    ("custom_id", "components"),
    [
        ("form:song", []),
        ("form:song", [{"type": 18, "component": {"type": 4, "custom_id": "prompt", "value": ""}}]),
        ("form:song", [{"type": 18, "component": {"type": 4, "custom_id": "prompt", "value": "x" * 3001}}]),
        ("form:song", [{"type": 18, "component": {"type": 23, "custom_id": "prompt", "value": True}}]),
        ("form:style", []),
        ("form:style:0123456789abcdefghjkmnpq", [{"type": 18, "component": {"type": 4, "custom_id": "style"}}]),
        ("form:style@0123456789abcdefghjkmnpq", []),
        ("form:extension@0123456789abcdefghjkmnpq", []),
        ("form:cover", []),
        ("form:song:x", []),
    ],
)
async def test_a_form_that_nobody_was_shown_changes_nothing(world: World, custom_id: str, components: Any) -> None:
    is_unknown = "@" in custom_id or custom_id in {"form:cover", "form:song:x"}
    ada = world.person("ada")
    call = await ada.use("music generate")
    await call.acknowledged()
    assert call.modal is not None
    before = len(world.vidgo.submissions)
    call.modal["custom_id"] = custom_id
    call.modal["components"] = []
    sent = await world.discord.submit_modal(ada.member, call, {}, components=components)
    word = (await told(sent)).content
    assert (word == "This form belongs to something I no longer know. No credits were used.") == is_unknown
    assert word.endswith("No credits were used.")
    assert len(world.vidgo.submissions) == before


async def test_what_was_typed_is_kept_no_longer_than_it_serves(world: World) -> None:
    ada = world.person("ada")
    call = await ada.use("music generate", prompt="a secret song")
    await noted(world, await ada.result(call))
    await eventually(lambda: not world.rows("SELECT 1 FROM notifications WHERE draft LIKE '%a secret song%'"))
    world.vidgo.set_failure(SONG, "no", times=1)
    await ada.failure(await ada.use("music generate", prompt="another secret"))
    await eventually(lambda: bool(world.rows("SELECT 1 FROM notifications WHERE draft LIKE '%another secret%'")))
    confirm = await (await ada.use("music forget")).reply()
    await press(ada, confirm, "Forget everything")
    await eventually(lambda: not world.rows("SELECT 1 FROM notifications WHERE draft LIKE '%secret%'"))
