"""The first answer is the answer: one request for each command, and nothing is ordered whose answer never arrived."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from bot.answers import interactions
from bot.answers.interactions import CROWD
from sandbox.discord.rest.faults import EDITS, FIRST_ANSWERS
from sandbox.discord.state import model
from tests.end_to_end.music import fill_in, forge, open_library
from tests.end_to_end.world import SONG
from tests.patience import patient
from tests.servers.test_server_settings import changed, manager, open_panel
from tests.tasks.room import open_room

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.discord import Call, Message
    from tests.end_to_end.world import Person
    from tests.tasks.room import Room

FEW = 20
TOO_LATE = model.ANSWER_SECONDS + 2
SAID, PUT_OFF = 4, 5
"""The types of a first answer that says something, and of "thinking…"."""


def requests(room: Room, call: Call) -> list[str]:
    """Return what the bot has asked of Discord for an interaction."""
    return [one.method for one in room.discord.requests if call.token in one.path]


def posts(person: Person) -> list[Message]:
    return [message for message in person.channel.messages if message.files]


def asked(room: Room) -> bool:
    return bool(room.rows("SELECT 1 FROM notifications WHERE state = 'asked'"))


def counted(room: Room) -> int:
    """Return how many orders count against the limits of the only member."""
    return sum(row["songs"] for row in room.rows("SELECT songs FROM usage WHERE user_id != 0"))


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a decision the time that it takes where others have the processors."""
    monkeypatch.setattr(interactions, "DECIDE_SECONDS", patient(interactions.DECIDE_SECONDS))


@pytest.mark.usefixtures("unhurried")
async def test_an_order_is_acknowledged_by_one_request(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        room.vidgo.hold(SONG)
        call = await ada.use("music generate", prompt="the sea")
        reply = await call.reply()
        await room.until(lambda: room.vidgo.accepted(SONG))
        await room.settle()
        assert requests(room, call) == ["POST"]
        assert (call.ack_type, reply.ephemeral) == (SAID, False)
        assert reply.content.startswith("Making **the sea** – started <t:")
        assert [button.label for button in reply.buttons] == ["Don't post"]
        room.vidgo.release(SONG)
        await room.pass_until(lambda: posts(ada))
        assert posts(ada)[0].reference == reply.id


@pytest.mark.usefixtures("unhurried")
async def test_a_refusal_is_one_private_request(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        call = await ada.cover()
        assert "You have no songs here yet" in await ada.refusal(call)
        await room.settle()
        assert requests(room, call) == ["POST"]
        assert (call.ack_type, call.deleted_original) == (SAID, False)


@pytest.mark.usefixtures("unhurried")
async def test_a_private_command_is_one_private_request(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        call = await ada.use("music status")
        reply = await call.reply()
        await room.settle()
        assert requests(room, call) == ["POST"]
        assert (call.ack_type, reply.ephemeral) == (SAID, True)


async def test_what_takes_longer_is_put_off_and_answered_then(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        song = room.vidgo.add_song("Sea")
        slow = room.vidgo.fault("detail", "slow", seconds=5)
        call = await ada.cover(song.id)
        await room.vidgo.wait_fault(slow)
        await call.acknowledged()
        assert call.ack_type == PUT_OFF
        room.advance(5)
        assert "Covering **Sea**" in (await call.reply()).content
        await room.pass_until(lambda: posts(ada))


@pytest.mark.usefixtures("unhurried")
async def test_vidgos_answer_holds_up_nobody(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        slow = room.vidgo.fault("submit", "slow", seconds=20)
        call = await ada.use("music generate", prompt="the sea")
        assert "Making **the sea**" in (await call.reply()).content
        assert call.ack_type == SAID
        await room.vidgo.wait_fault(slow)
        await room.pass_until(lambda: posts(ada))


# Answers that are lost


async def test_a_lost_answer_to_the_first_answer_is_asked_for_again(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        lost = room.discord.lose_answer("POST", FIRST_ANSWERS, when="after")
        call = await ada.use("music generate", prompt="the sea")
        await lost.used_up()
        reply = await call.reply()
        await room.pass_until(lambda: posts(ada))
        assert len(room.vidgo.submissions) == len(posts(ada)) == 1
        assert posts(ada)[0].reference == reply.id  # so its id was learned
        await room.until(lambda: str(posts(ada)[0].id) in reply.content)


async def test_a_first_answer_of_which_nothing_is_ever_heard_is_found_at_discord(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        lost = room.discord.lose_answer("POST", FIRST_ANSWERS, times=3, when="after")
        call = await ada.use("music generate", prompt="the sea")
        await lost.used_up()
        reply = await call.reply()
        await room.pass_until(lambda: posts(ada))
        assert len(room.vidgo.submissions) == len(posts(ada)) == 1
        assert posts(ada)[0].reference == reply.id
        assert len(call.replies) == 1


@pytest.mark.parametrize("command", ["cover", "music status"])
async def test_a_private_sentence_of_which_nothing_is_ever_heard_is_not_said_again(
    tmp_path: Path, command: str
) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        lost = room.discord.lose_answer("POST", FIRST_ANSWERS, times=3, when="after")
        call = await ada.use(command)
        await lost.used_up()
        await room.pass_until(lambda: not asked(room))
        assert len(call.replies) == 1
        assert call.replies[0].edits == []


async def test_what_never_arrived_is_not_ordered_and_does_not_count(tmp_path: Path) -> None:
    async with open_room(tmp_path, DAILY_SONGS_PER_USER="5") as room:
        ada = room.person("ada")
        lost = room.discord.lose_answer("POST", FIRST_ANSWERS, times=3, when="before")
        call = await ada.use("music generate", prompt="the sea")
        await lost.used_up()
        await room.pass_until(lambda: not asked(room))
        room.advance(600)
        await room.settle()
        assert call.acknowledged_at is None
        assert room.vidgo.submissions == []
        assert counted(room) == 0


async def test_what_comes_too_late_is_not_ordered_and_does_not_count(tmp_path: Path) -> None:
    async with open_room(tmp_path, DAILY_SONGS_PER_USER="5") as room:
        ada = room.person("ada")
        hanging = room.discord.hang("POST", FIRST_ANSWERS, seconds=0.3)
        call = await ada.use("music generate", prompt="the sea")
        await hanging.strikes(1)
        room.advance(TOO_LATE)
        await room.pass_until(lambda: not asked(room))
        assert call.acknowledged_at is None
        assert room.vidgo.submissions == []
        assert counted(room) == 0


async def test_somebody_elses_order_goes_on_where_the_first_ones_answer_never_arrived(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        song = await ada.imports("Sea")
        eve = room.person("eve", ada.channel)
        await eve.brings_in(song)
        hanging = room.discord.hang("POST", FIRST_ANSWERS, seconds=1)
        first = await ada.cover()
        await hanging.strikes(1)
        second = await eve.cover()
        assert "you get it too" in (await second.reply()).content
        room.discord.clear_faults()
        room.advance(TOO_LATE)
        await room.pass_until(lambda: posts(eve))
        assert first.acknowledged_at is None
        assert len(posts(eve)) == len(room.vidgo.submissions) == 1


# Words that Discord does not take


@pytest.mark.parametrize("refused", [1, 2])
async def test_words_that_discord_does_not_take_are_said_without_the_members(tmp_path: Path, refused: int) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        room.discord.refuse("POST", FIRST_ANSWERS, 200000, status=400, times=refused)
        call = await ada.use("music generate", prompt="the sea")
        reply = await call.reply()
        assert reply.content == "I have your order and will post the result here."
        assert reply.ephemeral == (refused == 2)
        await room.pass_until(lambda: posts(ada))
        assert len(room.vidgo.submissions) == 1


async def test_an_acknowledgement_that_only_one_person_sees_is_in_their_language_and_ends_there(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        mia, ada = manager(room), room.person("ada")
        panel = await open_panel(mia)
        await room.discord.select(mia.member, panel, "settings:language", ["de"])
        await changed(room, panel, "**Language**: · → de")
        room.discord.refuse("POST", FIRST_ANSWERS, 200000, status=400, times=2)
        room.vidgo.hold(SONG)
        reply = await (await ada.use("music generate", prompt="the sea")).reply()
        assert reply.ephemeral
        assert reply.content == "I have your order and will post the result here."
        await room.discord.press(ada.member, reply, "Don't post")
        await room.until(lambda: not reply.buttons)
        assert "**the sea**" in reply.content


@pytest.mark.parametrize("what", ["Play for me", "music forget"])
async def test_what_can_only_be_heard_or_pressed_is_not_told_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        await ada.imports("Sea", seconds=3)
        page = await open_library(ada)
        monkeypatch.setattr(interactions, "CROWD", 0)  # so that its answer is put off
        room.discord.refuse("PATCH", EDITS, 50083)
        await (ada.use(what) if what == "music forget" else room.discord.press(ada.member, page, what))
        await room.until(lambda: room.discord.dm(ada.member).messages)
        assert "I may not answer in that channel" in room.discord.dm(ada.member).messages[0].content


@pytest.mark.parametrize("code", [40005, 50035])
async def test_an_answer_that_discord_does_not_take_leaves_nobody_thinking(tmp_path: Path, code: int) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        await ada.imports("Sea", seconds=3)
        page = await open_library(ada)
        room.discord.refuse("PATCH", EDITS, code)
        reply = await (await room.discord.press(ada.member, page, "Play for me")).reply()
        assert "Something went wrong on my side" in reply.content
        assert not room.discord.dm(ada.member).messages


# Deaths


async def test_a_death_before_the_first_answer_orders_nothing(tmp_path: Path) -> None:
    async with open_room(tmp_path, DAILY_SONGS_PER_USER="5") as room:
        ada = room.person("ada")
        hanging = room.discord.hang("POST", FIRST_ANSWERS, seconds=60)
        call = await ada.use("music generate", prompt="the sea")
        await hanging.strikes(1)
        assert room.tasks("queued") == 1
        await room.bot.kill()
        await room.bot.start()
        await room.pass_until(lambda: not asked(room))
        room.advance(600)
        await room.settle()
        assert call.acknowledged_at is None
        assert room.vidgo.submissions == []
        assert counted(room) == 0


async def test_a_death_right_after_the_first_answer_loses_nothing(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        hanging = room.discord.hang("POST", FIRST_ANSWERS, seconds=60, when="after")
        call = await ada.use("music generate", prompt="the sea")
        await hanging.strikes(1)
        await room.bot.kill()
        assert room.vidgo.submissions == []
        await room.bot.start()
        await room.pass_until(lambda: posts(ada))
        assert len(room.vidgo.submissions) == len(posts(ada)) == len(call.replies) == 1
        assert posts(ada)[0].reference == call.replies[0].id


async def test_a_death_right_after_a_private_sentence_says_it_once(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        hanging = room.discord.hang("POST", FIRST_ANSWERS, seconds=60, when="after")
        call = await ada.cover()
        await hanging.strikes(1)
        await room.bot.kill()
        await room.bot.start()
        await room.pass_until(lambda: not asked(room))
        assert len(call.replies) == 1
        assert "You have no songs here yet" in call.replies[0].content


@pytest.mark.parametrize(("command", "option"), [("cover", "track"), ("music import", "task_id")])
async def test_who_is_told_of_an_interruption_finds_help_there(tmp_path: Path, command: str, option: str) -> None:
    async with open_room(tmp_path, SUPPORT_URL="https://support.example/coverbot") as room:
        ada = room.person("ada")
        hanging = room.vidgo.fault("detail", "hang")
        call = await ada.use(command, **{option: room.vidgo.add_song("Sea").id})
        await room.vidgo.wait_fault(hanging)
        await call.acknowledged()
        await room.bot.kill()
        await room.bot.start()
        told = await call.reply()
        assert told.ephemeral
        assert "I was interrupted" in told.content
        assert [button.url for button in told.buttons][-1] == "https://support.example/coverbot"


async def test_who_stops_an_order_before_it_is_known_as_acknowledged_has_nothing_ordered(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        hanging = room.discord.hang("POST", FIRST_ANSWERS, seconds=2, when="after")
        call = await ada.use("music generate", prompt="the sea")
        await hanging.strikes(1)
        reply = await call.reply()
        await room.discord.press(ada.member, reply, "Don't post")
        await room.until(lambda: "will not be posted" in reply.content)
        room.advance(2)
        await room.settle()
        assert "will not be posted" in reply.content
        assert room.vidgo.submissions == []


@pytest.mark.usefixtures("unhurried")
@pytest.mark.parametrize(
    ("command", "options", "private", "words"),
    [
        ("cover", {}, False, "You have no songs here yet"),
        ("music status", {}, True, "You are not waiting for anything a"),
        ("music generate", {"prompt": "the sea"}, False, "Making **the sea**"),
    ],
)
async def test_what_another_process_has_put_off_is_answered_all_the_same(
    tmp_path: Path, command: str, options: dict[str, str], private: bool, words: str
) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        mine = room.discord.hang("POST", FIRST_ANSWERS, seconds=2)
        call = await ada.use(command, **options)
        await mine.used_up()
        # It has the interaction too, and learns from the database that it comes second when this is sent.
        url = f"{room.discord.api_url}/interactions/{call.id}/{call.token}/callback"
        async with room.http.post(url, json={"type": PUT_OFF, "data": {"flags": 64 if private else 0}}) as response:
            assert response.status == 204
        room.advance(2)
        reply = await room.until(lambda: next((one for one in call.replies if words in one.content), None))
        assert reply.ephemeral == (command != "music generate")
        await room.settle()
        assert len([one for one in call.replies if not one.deleted]) == 1
        assert not asked(room)


# Many at once


@pytest.mark.usefixtures("unhurried")
async def test_in_a_crowd_all_first_answers_come_in_time(tmp_path: Path) -> None:
    # The crowd makes work and waits for nobody: what its answers take is processor time, however busy the machine is,
    # and an order that is alone says how much that is here.
    async with open_room(tmp_path) as room:
        room.vidgo.credits = 1e6
        room.vidgo.hold(SONG)
        people = [room.person(f"member{number}") for number in range(3 * CROWD)]
        begun = time.process_time()
        for number, one in enumerate(people[:FEW]):
            call = await one.use("music generate", prompt=f"alone {number}")
            await call.acknowledged(20)
        await room.until(lambda: len(room.vidgo.submissions) == FEW)
        await room.settle()
        whole_order = (time.process_time() - begun) / FEW
        begun = time.process_time()
        calls = await asyncio.gather(*(one.use("music generate", prompt=one.member.name) for one in people))
        await asyncio.gather(*(call.acknowledged(20) for call in calls))
        assert time.process_time() - begun < whole_order * len(people)
        for call in calls:
            assert "Making **" in (await call.reply(60)).content
        await room.until(lambda: len(room.vidgo.submissions) == FEW + len(people))
        # How many were put off depends on the machine. Once the crowd is gone, nobody is.
        await room.settle()
        call = await people[0].use("music generate", prompt="alone again")
        assert "Making **alone again**" in (await call.reply()).content
        assert call.ack_type == SAID


async def test_a_press_or_form_that_fails_before_it_is_looked_at_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.end_to_end.world._FORGOTTEN", ())  # the log may tell of it
    monkeypatch.setattr("cogs.components.forms.fields_of", {}.__getitem__)
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        await ada.imports("Sea", seconds=1, variants=1)
        await (await ada.cover()).reply()
        await room.pass_until(lambda: posts(ada))
        form = await ada.use("music generate")
        # Where the pictures of a page would be.
        pictures = tmp_path / "coverbot.db-posting"
        pictures.rename(tmp_path / "gone")
        for call in (await fill_in(ada, form, prompt="the sea"), await forge(ada, posts(ada)[0], "library")):
            reply = await call.reply()
            assert (reply.ephemeral, "Something went wrong on my side" in reply.content) == (True, True)
        (tmp_path / "gone").rename(pictures)
