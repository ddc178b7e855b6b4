"""What is pressed or forgotten in the moment in which the bot has done something and has not yet written it down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest
from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from bot.answers import interactions
from sandbox.discord.rest.faults import EDITS, FIRST_ANSWERS, FOLLOW_UPS, POSTS
from storage.schema import notifications
from storage.songs import likes
from tests.end_to_end.world import SONG
from tests.replies.test_posting import an_order, finish, forget_everything, posts, states
from tests.tasks.room import open_room

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.discord import Call, Message
    from tests.end_to_end.world import Person
    from tests.tasks.room import Room


async def a_post_unheard_of(room: Room, person: Person) -> tuple[Call, Message]:
    """Let a song be posted, of which the bot hears only 20 s later; return the order and the post."""
    call = await an_order(room, person)
    slow = room.discord.hang("POST", POSTS, 20, when="after", times=1)
    finish(room)
    await slow.strikes(1)
    [post] = posts(person)
    return call, post


def private_words(call: Call) -> list[str]:
    """Return what a press was answered with."""
    return [reply.content for reply in call.replies if reply.ephemeral]


# Remove


@pytest.mark.parametrize("moment", ["while it is sent", "before its acknowledgement says so"])
async def test_an_acknowledgement_promises_nothing_once_its_post_is_removed(tmp_path: Path, moment: str) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        if moment == "while it is sent":
            call, post = await a_post_unheard_of(room, ada)
        else:
            call = await an_order(room, ada)
            edge = room.discord.refuse_at_edge("PATCH", EDITS, 503, times=None)
            finish(room)
            await edge.strikes(1)
            await room.until(lambda: states(room) == ["delivered"])
            [post] = posts(ada)
        await room.discord.press(ada.member, post, "Remove")
        await room.until(lambda: post.deleted)
        room.discord.clear_faults()
        await room.pass_until(lambda: call.replies[0].content.startswith("-# **the sea** is done: "))
        assert call.replies[0].buttons == []
        room.advance(600)
        await room.settle()
        assert states(room) == ["cancelled"]
        assert posts(ada) == []


async def test_a_post_that_could_not_be_removed_while_it_was_sent_is_removed_by_the_next_press(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        _, post = await a_post_unheard_of(room, ada)
        edge = room.discord.refuse_at_edge("DELETE", EDITS, 503)
        pressed = await room.discord.press(ada.member, post, "Remove")
        await room.until(lambda: private_words(pressed))
        assert edge.over
        assert "Please try again" in private_words(pressed)[0]
        again = await room.discord.press(ada.member, post, "Remove")
        await room.until(lambda: post.deleted)
        assert private_words(again) == []


async def test_a_post_in_a_channel_that_is_closed_by_now_is_removed_all_the_same(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        await an_order(room, ada)
        finish(room)
        await room.until(lambda: states(room) == ["delivered"])
        [post] = posts(ada)
        closed = room.discord.refuse("DELETE", r"^/channels/", 50001)
        pressed = await room.discord.press(ada.member, post, "Remove")
        await room.until(lambda: post.deleted)
        await room.settle()
        assert closed.over
        assert private_words(pressed) == []


async def test_a_failure_told_directly_and_removed_at_once_leads_nowhere(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        call = await an_order(room, ada)
        room.advance(16 * 60)  # the interaction takes nothing any more
        room.discord.refuse("POST", rf"^/channels/{ada.channel.id}/messages$", 50013, times=None)
        direct = room.discord.dm(ada.member)
        slow = room.discord.hang("POST", rf"^/channels/{direct.id}/messages$", 20, when="after", times=1)
        for task in list(room.vidgo.tasks.values()):
            room.vidgo.finish(task, error_message="no luck")
        await slow.strikes(1)
        [told] = direct.messages
        await room.discord.press(ada.member, told, "Remove")
        await room.until(lambda: told.deleted)
        await room.pass_until(lambda: not call.replies[0].buttons)
        assert call.replies[0].content == "**the sea** could not be made."


# Forgotten


@pytest.mark.parametrize("way", ["at once", "put off"])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_the_acknowledgement_of_whoever_is_forgotten_meanwhile_promises_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, when: Literal["before", "after"]
) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        room.vidgo.hold(SONG)
        if way == "at once":
            slow = room.discord.hang("POST", FIRST_ANSWERS, 2, when=when, times=1)
        else:
            monkeypatch.setattr(interactions, "CROWD", 0)
            slow = room.discord.hang("PATCH", EDITS, 2, when=when, times=1)
        call = await ada.use("music generate", prompt="the sea")
        await slow.strikes(1)
        monkeypatch.undo()
        await forget_everything(room, ada)
        room.advance(2)
        await room.until(lambda: call.replies)
        await room.settle()
        assert call.replies[0].content == "**the sea** will not be posted. No credits were used."
        assert call.replies[0].buttons == []
        assert room.vidgo.submissions == []


async def test_who_waits_for_what_no_interaction_reaches_any_more_is_forgotten_all_the_same(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        await an_order(room, ada)
        async with room.bot.parts.database.write() as transaction:  # as it is where a lost result comes after all
            await transaction.execute(update(notifications).values(ack_message_id=None, interaction_token=None))
        await forget_everything(room, ada)


async def test_who_is_forgotten_reads_it_though_the_question_cannot_be_changed(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        asked = await (await ada.use("music forget")).reply()
        room.discord.refuse("PATCH", EDITS, 50001)
        pressed = await room.discord.press(ada.member, asked, "Forget everything")
        await room.until(lambda: private_words(pressed))
        assert "I have forgotten you" in private_words(pressed)[0]


async def test_an_answer_in_the_place_of_a_question_is_sent_again_where_it_was_lost(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        asked = await (await ada.use("music forget")).reply()
        lost = room.discord.lose_answer("PATCH", EDITS, when="before")
        await room.discord.press(ada.member, asked, "Forget everything")
        await room.until(lambda: "I have forgotten you" in asked.content)
        assert lost.over


# Don't post


async def test_who_stops_what_is_just_told_to_have_failed_is_told_that(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        call = await an_order(room, ada)
        slow = room.discord.hang("POST", FOLLOW_UPS, 5, when="after", times=1)
        for task in list(room.vidgo.tasks.values()):
            room.vidgo.finish(task, error_message="no luck")
        await slow.strikes(1)
        pressed = await room.discord.press(ada.member, call.replies[0], "Don't post")
        await room.until(lambda: private_words(pressed))
        assert private_words(pressed)[0].startswith("VidGo could not make **the sea** and says: “no luck”.")


async def test_who_stops_what_could_not_be_posted_is_told_that(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        room.discord.close_dms(ada.member)
        call = await an_order(room, ada)
        closed = room.discord.refuse("POST", POSTS, 50013, times=None)
        locked = room.discord.refuse("POST", FOLLOW_UPS, 50083, status=403, times=None)
        room.discord.hang("PATCH", EDITS, 5)
        finish(room)
        await room.until(lambda: states(room) == ["undeliverable"])
        closed.end()
        locked.end()
        pressed = await room.discord.press(ada.member, call.replies[0], "Don't post")
        await room.until(lambda: private_words(pressed))
        assert private_words(pressed)[0].startswith("**the sea** is done, but I could not post it.")


async def test_a_press_of_whose_first_answer_nobody_ever_hears_is_told_to_have_done_nothing(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        call = await an_order(room, ada)
        never = room.discord.hang("POST", FIRST_ANSWERS, 600, when="after", times=1)
        pressed = await room.discord.press(ada.member, call.replies[0], "Don't post")
        await never.strikes(1)
        room.advance(11)
        await room.until(lambda: private_words(pressed))
        assert "Please try again" in private_words(pressed)[0]
        assert states(room) == ["waiting"]
        await room.discord.press(ada.member, call.replies[0], "Don't post")
        await room.until(lambda: "will not be posted" in call.replies[0].content)


async def test_a_press_for_which_the_database_is_away_is_answered_and_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_given: object) -> None:
        raise OperationalError("", None, OSError("the server is away"))

    monkeypatch.setattr("tests.end_to_end.world._FORGOTTEN", ())  # the log may tell of it
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        await an_order(room, ada)
        finish(room)
        await room.until(lambda: posts(ada))
        monkeypatch.setattr(likes, "press", away)
        pressed = await room.discord.press(ada.member, posts(ada)[0], "Like")
        await room.until(lambda: private_words(pressed))
        assert "Something went wrong on my side" in private_words(pressed)[0]
        assert "failed: OperationalError: the server is away" in room.bot.log
        assert "Traceback" not in room.bot.log


# Tried again


@pytest.mark.parametrize("answer", ["too late", "unheard of"])
async def test_what_was_tried_again_in_vain_can_be_tried_once_more(tmp_path: Path, answer: str) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        room.vidgo.set_failure(SONG, "no luck", times=1)
        call = await ada.use("music generate", prompt="the sea")
        await room.pass_until(lambda: private_words(call))
        await room.settle()
        told = call.replies[-1]
        if answer == "too late":
            room.discord.refuse("POST", FIRST_ANSWERS, 10062)
        else:
            room.discord.lose_answer("POST", FIRST_ANSWERS, times=3, when="before")
        await room.discord.press(ada.member, told, "Try again")
        await room.pass_until(lambda: "answered" in states_of_all(room))
        pressed = await room.discord.press(ada.member, told, "Try again")
        await room.pass_until(lambda: posts(ada))
        assert (await pressed.reply()).content.startswith(("Making **the sea**", "-# **the sea** is done"))
        assert len(room.vidgo.submissions) == 2


async def test_what_was_tried_again_by_a_program_that_died_can_be_tried_once_more(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        told = await (await ada.use("music extend", track="ABCDEF0123456789", prompt="and on")).reply()
        hanging = room.vidgo.fault("detail", "hang")
        await room.discord.press(ada.member, told, "Try again")
        await room.vidgo.wait_fault(hanging)
        await room.bot.kill()
        room.advance(1000)  # its token has expired: Discord itself has told her
        await room.bot.start()
        await room.until(lambda: "asked" not in states_of_all(room))
        pressed = await room.discord.press(ada.member, told, "Try again")
        await room.until(lambda: private_words(pressed))
        assert "I do not know a song" in private_words(pressed)[0]


def states_of_all(room: Room) -> list[str]:
    """Return the states of all notifications, also of those that ordered nothing."""
    return [row["state"] for row in room.rows("SELECT state FROM notifications")]
