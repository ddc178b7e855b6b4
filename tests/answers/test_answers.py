"""Answers to commands: one for each, true, and nothing ordered for anybody who was told that nothing was."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from bot.answers.acknowledgements import Acknowledgements
from sandbox.discord.rest.faults import EDITS, FIRST_ANSWERS, FOLLOW_UPS, When
from storage import notifications
from tests.end_to_end.music import fill_in, open_library, press
from tests.end_to_end.world import COVER, SONG
from tests.tasks.room import open_room

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.discord import Call, Message
    from tests.end_to_end.world import Person
    from tests.tasks.room import Room

EXTEND = "extend-music"


def posts(person: Person) -> list[Message]:
    return [message for message in person.channel.messages if message.files]


def directly(room: Room, person: Person) -> list[Message]:
    """Return what the bot has written to a person alone."""
    return room.discord.dm(person.member).messages


async def closed(room: Room) -> None:
    """Wait until nobody is owed an answer."""
    await room.until(lambda: not room.rows("SELECT 1 FROM notifications WHERE state = 'asked'"))


async def an_unknown_song(room: Room, person: Person) -> Call:
    """Ask for a song of which VidGo says only after a while that it does not exist, so that the answer is put off."""
    slow = room.vidgo.fault("detail", "slow", seconds=5)
    call = await person.cover("ABCDEF0123456789")
    await room.vidgo.wait_fault(slow)
    await call.acknowledged()
    room.advance(5)
    return call


async def vidgo_rests(room: Room, person: Person, seconds: float) -> None:
    """Let VidGo ask to be left alone for a while."""
    room.vidgo.hold(SONG)
    await (await person.use("music generate", prompt="the wind")).reply()
    busy = room.vidgo.fault("detail", "busy_retry_after", seconds=seconds)
    await room.pass_until(lambda: busy.struck)
    await room.settle()


# "No credits were used" is true


@pytest.mark.parametrize("skew", [0.0, 3600.0, 86_400.0, -86_400.0])
async def test_a_command_that_lives_for_more_than_five_minutes_is_no_orphan(tmp_path: Path, skew: float) -> None:
    """Nor is one whose host's clock is set meanwhile."""
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        song = room.vidgo.add_song("Sea")
        await vidgo_rests(room, ada, 300)
        call = await ada.cover(song.id)
        await call.acknowledged()
        room.bot.skew = skew
        for _ in range(9):
            room.advance(35)
            await room.settle()
        await room.pass_until(lambda: room.vidgo.accepted(COVER))
        room.bot.skew = 0.0
        reply = await call.reply()
        assert any("Covering **Sea**" in words for words in (*reply.edits, reply.content))
        await room.pass_until(lambda: posts(ada))
        assert "interrupted" not in "".join(message.content for message in room.discord.said)


async def test_whoever_is_told_that_nothing_was_ordered_has_nothing_ordered(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        song = room.vidgo.add_song("Sea")
        hanging = room.vidgo.fault("detail", "hang")
        call = await ada.cover(song.id)
        await room.vidgo.wait_fault(hanging)
        await call.acknowledged()
        await room.bot.kill()
        await room.bot.start()
        assert "No credits were used" in await ada.refusal(call)
        room.advance(600)
        await room.settle()
        assert room.vidgo.submissions == []


async def test_a_command_whose_first_answer_never_arrives_orders_nothing(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        lost = room.discord.lose_answer("POST", FIRST_ANSWERS, times=3, when="before")
        call = await ada.use("music generate", prompt="the sea")
        await lost.used_up()
        await closed(room)
        room.advance(600)
        await room.settle()
        assert call.acknowledged_at is None
        assert room.vidgo.submissions == []


async def test_a_command_whose_first_answer_is_heard_late_orders_once(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        lost = room.discord.lose_answer("POST", FIRST_ANSWERS, when="after")
        call = await ada.use("music generate", prompt="the sea")
        await lost.used_up()
        assert "Making **the sea**" in (await call.reply()).content
        await room.until(lambda: len(room.vidgo.submissions) == 1)


async def test_an_edge_that_says_no_to_the_first_answer_is_asked_again(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        room.discord.refuse_at_edge("POST", FIRST_ANSWERS, 403, times=2)
        call = await ada.use("music generate", prompt="the sea")
        assert "Making **the sea**" in (await call.reply()).content


# One order for one wish


async def test_a_button_that_is_pressed_twice_in_a_moment_orders_once(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        await ada.imports("Sea")
        page = await open_library(ada)
        forms = await asyncio.gather(*(room.discord.press(ada.member, page, "Extend…") for _ in range(2)))
        calls = await asyncio.gather(*(fill_in(ada, form) for form in forms))
        words = sorted([(await call.reply()).content for call in calls])
        assert "is being made already; you get it too" in words[0]
        assert "Extending **Sea**" in words[1]
        await room.pass_until(lambda: len(posts(ada)) == 2)
        assert len(room.vidgo.submissions) == len(room.vidgo.charged) == 1
        assert {post.reference for post in posts(ada)} == {call.original.id for call in calls if call.original}


async def test_the_same_song_ordered_twice_in_a_moment_is_ordered_once(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        calls = await asyncio.gather(*(ada.use("music generate", prompt="the sea") for _ in range(2)))
        for call in calls:
            await call.reply()
        await room.pass_until(lambda: len(posts(ada)) == 2)
        assert len(room.vidgo.submissions) == 1


async def test_the_same_words_of_two_people_are_two_songs(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        people = [room.person("ada"), room.person("eve")]
        for person in people:
            await (await person.use("music generate", prompt="the sea")).reply()
        await room.pass_until(lambda: all(posts(person) for person in people))
        assert len(room.vidgo.submissions) == 2


async def test_a_song_ordered_again_when_it_is_there_is_another_song(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        for number in (1, 2):
            await (await ada.use("music generate", prompt="the sea")).reply()
            await room.pass_until(lambda number=number: len(posts(ada)) == number)  # type: ignore[misc]  # mypy knows no lambda with a default
        assert len(room.vidgo.submissions) == 2


@pytest.mark.parametrize("pause", [False, True])
async def test_an_interaction_that_is_delivered_twice_is_one(tmp_path: Path, pause: bool) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        call = await ada.use("music generate", prompt="the sea")
        if pause:
            await call.reply()
        room.discord.deliver_again(call)
        await call.reply()
        await room.pass_until(lambda: posts(ada))
        await room.settle()
        assert len(posts(ada)) == 1
        assert len(room.vidgo.submissions) == 1
        assert len(room.rows("SELECT 1 FROM notifications")) == 1


async def test_a_button_that_is_delivered_twice_is_pressed_once(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        room.vidgo.hold(SONG)
        call = await ada.use("music generate", prompt="the sea")
        acknowledgement = await call.reply()
        pressed = await room.discord.press(ada.member, acknowledgement, "Don't post")
        room.discord.deliver_again(pressed)
        await room.until(lambda: "will not be posted" in acknowledgement.content)
        await room.settle()
        assert pressed.replies == []


# Private words find a way


async def test_a_refusal_that_discord_does_not_take_as_a_follow_up_comes_directly(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        room.discord.refuse_follow_ups_after_deletion()
        ada = room.person("ada")
        await an_unknown_song(room, ada)
        await room.until(lambda: directly(room, ada))
        assert "I do not know a song" in directly(room, ada)[0].content
        await closed(room)


async def test_a_refusal_for_which_there_is_no_way_is_left_alone(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        room.discord.refuse_follow_ups_after_deletion()
        ada = room.person("ada")
        room.discord.close_dms(ada.member)
        await an_unknown_song(room, ada)
        await room.until(lambda: room.rows("SELECT 1 FROM notifications WHERE state = 'answered'"))


async def test_an_interruption_that_discord_does_not_take_as_a_follow_up_comes_directly(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        room.discord.refuse_follow_ups_after_deletion()
        ada = room.person("ada")
        song = room.vidgo.add_song("Sea")
        hanging = room.vidgo.fault("detail", "hang")
        call = await ada.cover(song.id)
        await room.vidgo.wait_fault(hanging)
        await call.acknowledged()
        await room.bot.kill()
        await room.bot.start()
        await room.until(lambda: directly(room, ada))
        assert directly(room, ada)[0].content == (
            "I was interrupted before I could do that. No credits were used; please try again."
        )
        await closed(room)


@pytest.mark.parametrize("command", ["music generate", "music library"])
async def test_a_command_in_a_locked_thread_is_answered_directly_and_orders_nothing(
    tmp_path: Path, command: str
) -> None:
    async with open_room(tmp_path) as room:
        thread = room.thread(room.guild.add_channel("harbour"), "songs")
        ada = room.person("ada", thread)
        room.discord.archive_thread(thread, locked=True)
        await ada.use(command, **({"prompt": "the sea"} if "generate" in command else {}))
        await room.until(lambda: directly(room, ada))
        assert directly(room, ada)[0].content == (
            "I may not answer in that channel or thread: it is locked, or closed to me. No credits were used; use the "
            "command where I may write."
        )
        await closed(room)
        assert room.vidgo.submissions == []


@pytest.mark.parametrize("archived", [True, False])
async def test_a_thread_that_is_locked_before_a_refusal_leaves_the_direct_message(
    tmp_path: Path, archived: bool
) -> None:
    async with open_room(tmp_path) as room:
        thread = room.thread(room.guild.add_channel("harbour"), "songs")
        ada = room.person("ada", thread)
        slow = room.vidgo.fault("detail", "slow", seconds=5)
        call = await ada.cover("ABCDEF0123456789")
        await room.vidgo.wait_fault(slow)
        await call.acknowledged()
        if archived:
            room.discord.archive_thread(thread, locked=True)
        else:
            room.discord.lock_thread(thread)
        room.advance(5)
        await room.until(lambda: directly(room, ada))
        assert "I do not know a song" in directly(room, ada)[0].content


async def test_a_thread_that_is_locked_before_a_private_answer_leaves_the_direct_message(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        thread = room.thread(room.guild.add_channel("harbour"), "songs")
        ada = room.person("ada", thread)
        song = room.vidgo.add_song("Sea")
        slow = room.vidgo.fault("detail", "slow", seconds=5)
        call = await ada.use("music import", task_id=song.id)
        await room.vidgo.wait_fault(slow)
        await call.acknowledged()
        room.discord.archive_thread(thread, locked=True)
        room.advance(5)
        await room.until(lambda: directly(room, ada))
        assert "**Sea** is in your library" in directly(room, ada)[0].content


async def test_a_private_answer_that_was_lost_says_nothing_false(tmp_path: Path) -> None:
    """The song is in the library, so nobody may read that the command was not done."""
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        song = room.vidgo.add_song("Sea")
        edge = room.discord.refuse_at_edge("PATCH", EDITS, 403)
        slow = room.vidgo.fault("detail", "slow", seconds=5)
        call = await ada.use("music import", task_id=song.id)
        await room.vidgo.wait_fault(slow)
        await call.acknowledged()
        room.advance(5)
        await edge.used_up()
        reply = await call.reply()
        assert "my answer got lost. No credits were used" in reply.content
        assert await ada.type_track("")
        await closed(room)


async def test_an_acknowledgement_that_somebody_else_answers_is_made_good(tmp_path: Path) -> None:
    """What says that all is well, in JSON, and is no message, ends in an error of discord.py's own."""
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        song = room.vidgo.add_song("Sea")
        slow = room.vidgo.fault("detail", "slow", seconds=5)
        call = await ada.cover(song.id)
        await room.vidgo.wait_fault(slow)
        await call.acknowledged()
        edge = room.discord.refuse_at_edge("PATCH", EDITS, 200, code=40333)
        room.advance(5)
        await edge.used_up()
        await room.pass_until(lambda: posts(ada))
        assert [one.content for one in call.followups] == []
        await closed(room)


@pytest.mark.parametrize("failing", ["words", "_hand_over"])
async def test_an_order_is_acknowledged_whatever_fault_of_our_own_comes_in_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    monkeypatch.setattr("tests.end_to_end.world._FORGOTTEN", ())  # the log may tell of it
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        await ada.imports("Sea", seconds=1, variants=1)
        method, faults = getattr(Acknowledgements, failing), [RuntimeError("a fault of our own")]

        async def fail_once(*given: Any, **options: Any) -> Any:
            if faults:
                raise faults.pop()
            return await method(*given, **options)

        monkeypatch.setattr(Acknowledgements, failing, fail_once)
        call = await ada.cover()
        await room.pass_until(lambda: posts(ada))
        assert "Something went wrong" not in " ".join(one.content for one in call.replies)
        await closed(room)


async def test_a_form_is_answered_before_it_is_looked_up_what_it_is_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        await ada.imports("Sea", seconds=3, variants=1)
        room.vidgo.set_failure(EXTEND, "no")
        call = await ada.use("music extend", prompt="more of it")
        await room.pass_until(lambda: [one for one in call.followups if one.ephemeral])
        form = await press(ada, call.followups[0], "Change the words…")
        await form.acknowledged()
        get, going = notifications.get, asyncio.Event()

        async def late(*given: Any) -> Any:
            await going.wait()
            return await get(*given)

        monkeypatch.setattr(notifications, "get", late)
        again = await fill_in(ada, form, prompt="less of it", at="")
        await again.acknowledged()
        going.set()
        room.vidgo.set_failure(EXTEND, None)
        await room.pass_until(lambda: posts(ada))
        await closed(room)


async def test_discord_out_of_reach_for_a_while_leaves_nobody_thinking(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        song = room.vidgo.add_song("Sea")
        hanging = room.vidgo.fault("detail", "hang")
        call = await ada.cover(song.id)
        await room.vidgo.wait_fault(hanging)
        await call.acknowledged()
        await room.bot.kill()
        edge = room.discord.refuse_at_edge("*", "^/webhooks/", 403, times=5)
        await room.bot.start()
        await room.pass_until(lambda: edge.over and call.replies)
        assert "No credits were used" in await ada.refusal(call)
        await closed(room)


async def test_discord_out_of_reach_for_long_ends_with_the_token(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        song = room.vidgo.add_song("Sea")
        hanging = room.vidgo.fault("detail", "hang")
        call = await ada.cover(song.id)
        await room.vidgo.wait_fault(hanging)
        await call.acknowledged()
        await room.bot.kill()
        room.discord.refuse_at_edge("*", "^/webhooks/", 403, times=None)
        await room.bot.start()
        _, passed = await room.pass_until(
            lambda: not room.rows("SELECT 1 FROM notifications WHERE state = 'asked'"), stride=10
        )
        assert 800 < passed < 1300


# Buttons


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_button_whose_first_answer_was_lost_is_pressed_all_the_same(tmp_path: Path, when: When) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        room.vidgo.hold(SONG)
        acknowledgement = await (await ada.use("music generate", prompt="the sea")).reply()
        room.discord.lose_answer("POST", FIRST_ANSWERS, when=when)
        await room.discord.press(ada.member, acknowledgement, "Don't post")
        await room.until(lambda: "will not be posted" in acknowledgement.content)


async def test_a_button_whose_first_answer_nobody_takes_does_nothing(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        room.vidgo.hold(SONG)
        acknowledgement = await (await ada.use("music generate", prompt="the sea")).reply()
        edge = room.discord.refuse_at_edge("POST", FIRST_ANSWERS, 403, times=3)
        await room.discord.press(ada.member, acknowledgement, "Don't post")
        await edge.used_up()
        await room.settle()
        assert "will not be posted" not in acknowledgement.content


async def test_a_button_that_is_not_somebodys_says_so_directly_where_it_must(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        eve = room.person("eve", ada.channel)
        room.vidgo.hold(SONG)
        acknowledgement = await (await ada.use("music generate", prompt="the sea")).reply()
        room.discord.refuse("POST", FOLLOW_UPS, 50083, status=403)
        await room.discord.press(eve.member, acknowledgement, "Don't post")
        await room.until(lambda: directly(room, eve))
        assert "Only the member who asked" in directly(room, eve)[0].content
