"""What failed or was given up here, and is finished at VidGo after all: whoever asked for it gets it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from storage import notifications
from storage import tasks as rows
from tests.end_to_end.world import COVER, SONG
from tests.tasks.room import open_room
from tests.tasks.test_lost_orders import says

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.discord import Call, Message
    from sandbox.vidgo import Task
    from tests.end_to_end.world import Person
    from tests.tasks.room import Room


def posts(person: Person) -> list[Message]:
    return [message for message in person.channel.messages if message.files]


async def called_failed(room: Room) -> tuple[Person, Call, Task]:
    """Let VidGo say for minutes that it does not know a task which it makes; return it, called failed here."""
    ada = room.person("ada")
    room.vidgo.hold(SONG)
    call = await ada.use("music generate", prompt="the sea")
    await call.reply()
    room.vidgo.fault("detail", "status", status=404, times=None)
    await room.pass_until(lambda: room.tasks("failed"))
    assert "no longer knows" in (await ada.ending(call)).content
    room.vidgo.clear_faults()
    return ada, call, room.vidgo.tasks[room.task()["vidgo_id"]]


async def called_given_up(room: Room) -> tuple[Person, Call, Task]:
    """Let VidGo take longer than the owner allows; return the task, given up here."""
    ada = room.person("ada")
    room.vidgo.hold(SONG)
    call = await ada.use("music generate", prompt="the sea")
    await call.reply()
    await room.pass_until(lambda: room.tasks("given_up"), stride=20)
    assert "stopped waiting" in (await ada.ending(call)).content
    return ada, call, room.vidgo.tasks[room.task()["vidgo_id"]]


ENDINGS = {"failed": called_failed, "given_up": called_given_up}


@pytest.mark.parametrize("ending", list(ENDINGS))
async def test_a_late_callback_revives_it(tmp_path: Path, ending: str) -> None:
    async with open_room(tmp_path, TASK_GIVE_UP_SECONDS="1800") as room:
        ada, call, task = await ENDINGS[ending](room)
        assert call.original is not None
        acknowledgement, told = call.original, await ada.ending(call)
        link = f"**the sea** has not come: https://discord.com/channels/{room.guild.id}/{ada.channel.id}/{told.id}"
        await says(room, acknowledgement, "**the sea** has not come." if told.ephemeral else link)
        room.vidgo.finish(task)
        await room.pass_until(lambda: posts(ada))
        [post] = posts(ada)
        assert post.reference == call.original.id
        await room.until(lambda: "is done" in call.replies[0].content)
        word = await ada.refusal(await room.discord.press(ada.member, told, "Try again"))
        assert word == "**the sea** has come after all, so it was not made again."
        assert len(room.vidgo.submissions) == 1
        assert room.task()["error_kind"] is None


async def test_a_late_callback_revives_it_though_what_was_said_of_it_is_said_once_more(tmp_path: Path) -> None:
    """VidGo's detail lags behind its callback; what had ended the task before is no reason to end it at once again."""
    async with open_room(tmp_path) as room:
        ada, _, task = await called_failed(room)
        lagging = room.vidgo.fault("detail", "status", status=404)
        room.vidgo.finish(task)
        await room.pass_until(lambda: lagging.struck)
        await room.pass_until(lambda: posts(ada) or room.tasks("failed"))
        assert len(posts(ada)) == 1


@pytest.mark.parametrize("ending", list(ENDINGS))
async def test_importing_it_revives_it(tmp_path: Path, ending: str) -> None:
    async with open_room(tmp_path, callbacks=False, TASK_GIVE_UP_SECONDS="1800") as room:
        ada, _, task = await ENDINGS[ending](room)
        room.vidgo.finish(task)
        await ada.brings_in(task)
        await room.pass_until(lambda: posts(ada))
        assert len(posts(ada)) == 1
        assert len(room.rows("SELECT 1 FROM tasks")) == 1


async def test_importing_it_by_somebody_else_brings_it_to_whoever_asked(tmp_path: Path) -> None:
    async with open_room(tmp_path, callbacks=False, TASK_GIVE_UP_SECONDS="1800") as room:
        ada, _, task = await called_given_up(room)
        room.vidgo.finish(task)
        eve = room.person("eve")
        await eve.brings_in(task)
        await room.pass_until(lambda: posts(ada))
        assert not posts(eve)
        assert await eve.type_track("")
        assert await ada.type_track("")


async def test_a_failure_that_a_callback_only_repeats_stays_one(tmp_path: Path) -> None:
    async with open_room(tmp_path, TASK_GIVE_UP_SECONDS="1800") as room:
        ada, _, task = await called_failed(room)
        before = len(ada.channel.messages)
        room.vidgo.finish(task, error_message="no voice")
        await room.vidgo.wait_delivery(lambda one: one.status == 200)
        await room.settle()
        assert room.tasks("failed") == 1
        assert len(ada.channel.messages) == before


async def test_a_finish_that_is_not_true_is_not_believed(tmp_path: Path) -> None:
    """A callback that speaks of a result makes it be read; what VidGo says then counts, and nobody is told twice."""
    async with open_room(tmp_path, TASK_GIVE_UP_SECONDS="1800") as room:
        ada, _, task = await called_given_up(room)
        before = len(ada.channel.messages)
        body = {"code": 200, "data": {"task_id": task.id, "status": "finished", "files": []}}
        assert await room.vidgo.send_callback(task, body) == 200
        await room.settle()
        assert room.tasks("finished") == 0
        await room.pass_until(lambda: room.tasks("given_up"), stride=20)
        await room.settle()
        assert len(ada.channel.messages) == before


async def test_a_failed_cover_can_be_ordered_again_and_is_taken_over(tmp_path: Path) -> None:
    async with open_room(tmp_path, callbacks=False, TASK_GIVE_UP_SECONDS="1800") as room:
        ada = room.person("ada")
        await ada.imports("Sea")
        room.vidgo.hold(COVER)
        await (await ada.cover()).reply()
        await room.pass_until(lambda: room.tasks("given_up"), stride=20)
        room.vidgo.release()
        await room.settle()
        room.vidgo.finish(room.vidgo.tasks[str(room.vidgo.accepted(COVER)[0].task_id)])
        await ada.cover()
        await room.pass_until(lambda: posts(ada))
        assert len(room.vidgo.charged) == 1


async def test_a_callback_for_a_cover_that_was_ordered_again_goes_to_the_new_order(tmp_path: Path) -> None:
    """Its earlier order was called lost; VidGo makes one cover, and both who asked get it."""
    async with open_room(tmp_path) as room:
        ada, eve = room.person("ada"), room.person("eve")
        song = await ada.imports("Sea")
        await eve.brings_in(song)
        room.vidgo.hold(COVER)
        room.vidgo.fault("submit", "lose_answer_after")
        await (await ada.cover()).reply()
        await room.pass_until(lambda: room.tasks("given_up"))
        room.vidgo.fault("submit", "busy_plain", times=None)
        await (await eve.cover()).reply()
        room.vidgo.finish(room.vidgo.tasks[str(room.vidgo.accepted(COVER)[0].task_id)])
        await room.vidgo.wait_delivery()
        await room.pass_until(lambda: posts(eve))
        await room.pass_until(lambda: posts(ada))


async def test_what_was_called_lost_comes_although_the_same_was_ordered_once_more(tmp_path: Path) -> None:
    """Both were paid for, so both are posted; no callback is told that its task is not this one."""
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        room.vidgo.hold(SONG)
        room.vidgo.fault("submit", "lose_answer_after")
        lost = await ada.use("music generate", prompt="the sea")
        await lost.reply()
        await room.pass_until(lambda: room.tasks("given_up"))
        again = await ada.use("music generate", prompt="the sea")
        await again.reply()
        await room.pass_until(lambda: room.tasks("waiting"))
        first, second = [room.vidgo.tasks[str(one.task_id)] for one in room.vidgo.accepted(SONG)]
        room.vidgo.finish(first)
        assert (await room.vidgo.wait_delivery()).status == 200
        await room.pass_until(lambda: len(posts(ada)) == 1)
        room.vidgo.finish(second)
        await room.pass_until(lambda: len(posts(ada)) == 2)
        assert {post.reference for post in posts(ada)} == {call.original.id for call in (lost, again) if call.original}
        assert len(room.vidgo.charged) == 2


async def test_a_yes_that_was_on_its_way_while_another_process_called_the_order_lost_is_heard(tmp_path: Path) -> None:
    async with open_room(tmp_path, callbacks=False) as room:
        ada = room.person("ada")
        read = room.vidgo.fault("submit", "unread")
        call = await ada.use("music generate", prompt="the sea")
        await call.reply()
        await room.until(lambda: read.struck)
        [row] = room.rows("SELECT id FROM tasks")
        database = room.bot.parts.database
        async with database.write() as transaction:
            task = await rows.get(transaction, row["id"])
            assert task is not None
            await rows.lose(transaction, task, "lost", None, room.now())
            await notifications.make_due(transaction, task.id, room.now())
        assert "**the sea**" in (await ada.ending(call)).content
        read.goes_on.set()
        await room.pass_until(lambda: posts(ada))
        assert room.task()["vidgo_id"] == room.vidgo.accepted(SONG)[0].task_id
