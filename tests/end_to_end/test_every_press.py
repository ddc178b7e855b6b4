"""Every button and every form that there is: made up, pressed by others, and pressed twice at once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import discord
import pytest
import pytest_asyncio

from bot.words.forms import CUSTOM_ID as FORM
from bot.words.pages.panel import CUSTOM_ID as PANEL
from bot.words.recordings import CUSTOM_ID as RECORDING
from cogs.components import buttons, forms, library, posts, recordings, settings
from cogs.components.items import Component
from sandbox.discord.rest.faults import EDITS, FIRST_ANSWERS
from tests.end_to_end.music import (
    choose,
    eventually,
    fill_in,
    forge,
    noted,
    open_library,
    open_music,
    post_again,
    press,
    private_word,
    redrawn,
    refusals,
)
from tests.end_to_end.test_music_buttons import state
from tests.end_to_end.world import COVER, SONG

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

    from sandbox.discord import Call, Message
    from tests.end_to_end.world import Person, World

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOBODYS = "0123456789abcdefghjkmnpq"
BUTTONS = {
    "CoverButton": f"cover:{NOBODYS}",
    "StopButton": f"stop:{NOBODYS}",
    "ForgetButton": "forget:1",
    "RemoveButton": f"remove:{NOBODYS}",
    "LikeButton": f"like:{NOBODYS}",
    "KeepButton": f"keep:{NOBODYS}",
    "AgainButton": f"again:{NOBODYS}",
    "VersionButton": f"version:{NOBODYS}",
    "PictureButton": f"picture:{NOBODYS}:1",
    "PostAgainButton": f"repost:{NOBODYS}",
    "StyleButton": f"style:{NOBODYS}",
    "LengthenButton": f"lengthen:{NOBODYS}",
    "RetryButton": f"retry:{NOBODYS}",
    "ChangeButton": f"change:{NOBODYS}",
    "SongButton": f"song:post:{NOBODYS}",
    "SettingsItem": "settings:limits",
}
"""A custom id of each button as somebody might make it up."""

OWN = {"LibraryButton": "library", "PageItem": "songs:t:"}
"""Those that show whoever presses what is theirs, wherever they are pressed."""

FORMS = {
    FORM: [f"form:style:{NOBODYS}", f"form:extension:{NOBODYS}", f"form:style@{NOBODYS}", f"form:extension@{NOBODYS}"],
    RECORDING: [f"recording:{NOBODYS}"],
    PANEL: ["settings:limits", "settings:welcome", "settings:role:1"],
}
"""Custom ids of each form, by how they begin."""

MODULES = (buttons, forms, library, posts, recordings, settings)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with open_music(tmp_path_factory.mktemp("presses")) as world:
        yield world


@pytest.fixture(autouse=True)
def let_go(world: World) -> Iterator[None]:
    yield
    world.vidgo.release()
    world.vidgo.clear_faults()


def items() -> dict[str, Any]:
    """Return the classes of all buttons that the program knows."""
    return {
        name: one
        for module in MODULES
        for name, one in vars(module).items()
        if isinstance(one, type)
        and issubclass(one, discord.ui.DynamicItem)
        and one is not Component  # what all of them are
        and not name.startswith("_")
    }


async def test_no_button_is_left_out() -> None:
    known = BUTTONS | OWN
    assert set(items()) == set(known)
    for name, item in items().items():
        assert item.__discord_ui_compiled_template__.fullmatch(known[name]), name


async def made_up_form(person: Person, call: Call, custom_id: str) -> Call:
    """Send a form that nobody was shown, in the place of the one that a call was answered with."""
    await call.acknowledged()
    assert call.modal is not None
    call.modal["custom_id"] = custom_id
    call.modal["components"] = []
    return await person.world.discord.submit_modal(person.member, call, {}, components=[{"type": 18, "component": "?"}])


async def test_what_is_made_up_is_told_so_and_changes_nothing(world: World) -> None:
    ada = world.person("ada")
    eve = world.person("eve", ada.channel)
    await ada.imports("Shown")
    post = await post_again(ada, "Shown")
    before, submissions = state(world), len(world.vidgo.submissions)
    tried: dict[str, str] = {}
    for name, custom_id in BUTTONS.items():
        # These take the song of a post, whatever their custom ids say.
        is_of_post = name in ("CoverButton", "StyleButton", "LengthenButton")
        message = await open_library(eve) if is_of_post else post
        tried[custom_id] = await private_word(await forge(eve, message, custom_id))
    for begins, custom_ids in FORMS.items():
        for custom_id in custom_ids:
            # Those of the panel belong to a message.
            opened = await (forge(eve, post, f"style:{NOBODYS}") if begins == PANEL else eve.use("music generate"))
            tried[custom_id] = (await (await made_up_form(eve, opened, custom_id)).reply()).content
    for custom_id, sentence in tried.items():
        assert sentence.endswith("."), custom_id
        assert "Something went wrong" not in sentence, custom_id
    assert state(world) == before
    assert len(world.vidgo.submissions) == submissions
    assert world.rows("SELECT 1 FROM likes") == []
    assert not post.deleted
    # These show everybody their own songs: here none.
    page = await (await forge(eve, post, OWN["LibraryButton"])).reply()
    assert page.ephemeral
    assert "You have no songs here yet" in str(page.components)


@dataclass
class Theirs:
    """Something of a member's, with the buttons that are for that member alone."""

    message: Message
    begins: tuple[str, ...]


@pytest.mark.parametrize("what", ["late", "answered", "lost", "a page", "other JSON"])
async def test_a_first_answer_that_is_not_taken_leaves_no_traceback(world: World, what: str) -> None:
    ada = world.person("ada")
    await ada.imports("Slack Water")
    page = await open_library(ada)

    async def strike(typed: Callable[[], Awaitable[object]]) -> None:
        fault = (
            world.discord.refuse("POST", FIRST_ANSWERS, 10062 if what == "late" else 40060)
            if what in ("late", "answered")
            else world.discord.lose_answer("POST", FIRST_ANSWERS)
            if what == "lost"
            else world.discord.garble("POST", FIRST_ANSWERS, body=None if what == "a page" else "{}")
        )
        await typed()
        await fault.used_up()

    await strike(lambda: world.discord.start_autocomplete(ada.member, ada.channel, "cover", "track", "Sla"))
    await strike(lambda: forge(ada, page, "of no version"))
    await strike(lambda: forge(ada, page, f"style:{NOBODYS}"))
    await strike(lambda: ada.use("music generate"))
    # What is logged of it is there before a further answer: the world looks for tracebacks when it ends.
    assert [choice.name for choice in await ada.type_track("Sla")] != []
    assert [line for line in world.bot.log_lines if "Traceback" in line or "Ignoring exception" in line] == []
    assert {code for _, code in refusals(world)} <= {10062, 40060, 10015}


async def test_a_post_that_discord_does_not_remove_is_removed_by_the_next_press(world: World) -> None:
    ada = world.person("ada")
    await ada.imports("Sticky")
    post = await noted(world, await post_again(ada, "Sticky"))
    world.discord.refuse("DELETE", r"^/channels/\d+/messages/", 40333)
    assert "Something went wrong on my side" in await private_word(await press(ada, post, "Remove"))
    assert not post.deleted
    await press(ada, post, "Remove")
    await world.discord.state.changed.wait_for(lambda: post.deleted, 10, "removed post")
    assert [line for line in world.bot.log_lines if "Traceback" in line] == []


async def test_a_heart_that_cannot_be_drawn_counts_all_the_same(world: World) -> None:
    ada = world.person("ada")
    await ada.imports("Liked")
    post = await noted(world, await post_again(ada, "Liked"))
    fault = world.discord.garble("PATCH", EDITS, when="before")
    call = await forge(
        ada, post, next(str(one.custom_id) for one in post.buttons if str(one.custom_id).startswith("like:"))
    )
    await fault.used_up()
    await eventually(lambda: world.rows("SELECT 1 FROM likes WHERE user_id = ?", ada.member.id))
    assert [choice.name for choice in await ada.type_track("Liked")] != []
    bob = world.person("bob", ada.channel)
    await press(bob, post, "Like")
    await ada.channel.wait_for(lambda one: one is post and "2" in [button.label for button in one.buttons])
    assert call.followups == []
    assert [line for line in world.bot.log_lines if "Traceback" in line] == []


async def test_what_is_for_one_alone_does_nothing_for_others(world: World) -> None:
    ada = world.person("ada")
    eve = world.person("eve", ada.channel)
    await ada.imports("Private")
    post = await noted(world, await ada.covered())
    world.vidgo.set_failure(SONG, "no", times=1)
    failed = await noted(world, await ada.failure(await ada.use("music generate", prompt="mine alone")))
    page = await choose(ada, await open_library(ada, "Private"), 2)  # below its cover
    question = await (await ada.use("music forget")).reply()
    have = await (await ada.cover()).reply()
    world.vidgo.hold(SONG)
    waiting = await (await ada.use("music generate", prompt="not yet")).reply()
    await eventually(lambda: world.rows("SELECT 1 FROM tasks WHERE title = 'not yet' AND vidgo_id IS NOT NULL"))
    theirs = [
        Theirs(post, ("remove:", "picture:")),
        Theirs(failed, ("retry:", "change:")),
        Theirs(page, ("song:", "lengthen:")),
        Theirs(question, ("forget:",)),
        Theirs(have, ("repost:", "style:")),
        Theirs(waiting, ("stop:",)),
    ]
    before, submissions = state(world), len(world.vidgo.submissions)
    for one in theirs:
        ids = [str(found.custom_id) for found in one.message.buttons if str(found.custom_id).startswith(one.begins)]
        assert {custom_id.partition(":")[0] + ":" for custom_id in ids} == set(one.begins)
        for custom_id in ids:
            sentence = await private_word(await forge(eve, one.message, custom_id))
            assert "Something went wrong" not in sentence, custom_id
            assert state(world) == before, custom_id
            assert not one.message.deleted, custom_id
    assert len(world.vidgo.submissions) == submissions


@pytest.mark.parametrize("what", ["Cover", "Other style…", "Extend…", "library", "generate", "Post again", "Keep"])
async def test_two_at_once_pay_once(world: World, what: str) -> None:
    """The same press or form twice in the same moment, by two people who both get the result."""
    ada = world.person("ada")
    bob = world.person("bob", ada.channel) if what in ("Cover", "Other style…", "Extend…") else ada
    await ada.imports(f"Twice {what}", seconds=20)
    post = await post_again(ada, f"Twice {what}")
    page = await open_library(ada, f"Twice {what}")
    have = await (await ada.use("cover")).reply() if what == "Post again" else None
    if have is not None:
        await ada.channel.wait_for(lambda one: "New artwork" in one.content)
        have = await (await ada.use("cover")).reply()
    before = len(world.vidgo.charged)
    for model in (COVER, SONG, "extend-music", "upload-and-cover-audio"):
        world.vidgo.hold(model)
    calls: Sequence[Call]
    if what in ("Other style…", "Extend…"):
        opened = await asyncio.gather(press(ada, post, what), press(bob, post, what))
        values = {"style": "waltz"} if what == "Other style…" else {"prompt": "and on"}
        calls = await asyncio.gather(fill_in(ada, opened[0], **values), fill_in(bob, opened[1], **values))
    elif what == "generate":
        opened = await asyncio.gather(ada.use("music generate"), ada.use("music generate"))
        calls = await asyncio.gather(*(fill_in(ada, one, prompt=f"twice {what}") for one in opened))
    elif what == "library":
        calls = await asyncio.gather(press(ada, page, "Cover"), press(ada, page, "Cover"))
    elif have is not None:
        calls = await asyncio.gather(press(ada, have, what), press(ada, have, what))
    else:
        calls = await asyncio.gather(press(ada, post, what), press(bob, post, what))
    for call in calls:
        await call.reply()
    world.vidgo.release()
    if what == "Keep":
        assert len(world.rows("SELECT 1 FROM library WHERE user_id = ?", ada.member.id)) == 1
    else:
        await asyncio.gather(ada.result(calls[0]), bob.result(calls[1]))
    assert len(world.vidgo.charged) - before == (0 if what in ("Post again", "Keep") else 1)


async def test_a_song_is_removed_once_however_often_that_is_pressed(world: World) -> None:
    ada = world.person("ada")
    for title in ("Left", "Gone"):
        await ada.imports(title)
    page = await open_library(ada)
    calls = await asyncio.gather(press(ada, page, "Remove"), press(ada, page, "Remove"))
    await asyncio.gather(*(one.acknowledged() for one in calls))
    await redrawn(page, next(call for call in calls if not call.followups))
    left = world.rows("SELECT title FROM library WHERE user_id = ?", ada.member.id)
    assert [row["title"] for row in left] == ["Left"]
