"""Orders whose answer is lost: never paid twice, never kept secret, and their result is welcome whenever it comes."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from contextvars import ContextVar
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from bot.tasks.reading import Reading
from bot.tasks.submission import CONFIRM_SECONDS, QUEUE_SECONDS, Submission
from sandbox.discord.rest.faults import FOLLOW_UPS, When
from sandbox.vidgo.faults import FaultKind
from sandbox.vidgo.state import DuplicateStyle
from storage.sqlite.database import SQLiteDatabase
from storage.wakeups import Queue
from tests.end_to_end.world import COVER, SONG
from tests.tasks.room import open_room

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from bot.vidgo import VidGoError
    from sandbox.discord import Call, Message
    from sandbox.vidgo import Task
    from storage.database import Snapshot
    from storage.tasks import Task as Row
    from tests.end_to_end.world import Person
    from tests.tasks.room import Room


async def says(room: Room, message: Message, words: str) -> None:
    """Wait until a message says something."""
    await room.until(lambda: words in message.content, words)


def posts(person: Person) -> list[Message]:
    """Return what was posted with a file in a person's channel."""
    return [message for message in person.channel.messages if message.files]


def words_in(person: Person) -> str:
    """Return all that everybody can read in a person's channel."""
    return "\n".join(message.content for message in person.channel.messages)


def late_task(room: Room) -> Task:
    """Return the one new song that VidGo makes."""
    return room.vidgo.tasks[str(room.vidgo.accepted(SONG)[0].task_id)]


async def a_lost_order(room: Room, kind: FaultKind = "lose_answer_after") -> tuple[Person, Call, Message]:
    """Let somebody order a new song whose answer is lost; return the acknowledgement too."""
    ada = room.person("ada")
    fault = room.vidgo.fault("submit", kind)
    call = await ada.use("music generate", prompt="the sea")
    await room.vidgo.wait_fault(fault)
    return ada, call, await call.reply()


# A cover


@pytest.mark.parametrize("callbacks", [True, False])
async def test_a_cover_is_sent_again_until_vidgo_answers(tmp_path: Path, callbacks: bool) -> None:
    async with open_room(tmp_path, callbacks=callbacks) as room:
        ada = room.person("ada")
        song = await ada.imports("Sea")
        lost = room.vidgo.fault("submit", "lose_answer_before", times=5)
        call = await ada.cover()
        acknowledgement = await call.reply()
        sent = [room.now()]
        while room.submitted(song) < 6:
            known = room.submitted(song)
            await room.pass_until(lambda known=known: room.submitted(song) > known)  # type: ignore[misc]  # mypy knows no lambda with a default
            sent.append(room.now())
        pauses = [later - earlier for earlier, later in pairwise(sent[1:])]
        assert pauses == sorted(pauses)
        assert pauses[-1] > 10
        assert lost.struck == 5
        assert len(room.vidgo.accepted(COVER)) == 1
        assert any("not confirmed" in words for words in acknowledgement.edits)
        await room.until(lambda: "Covering **Sea** – started" in acknowledgement.content)
        await room.pass_until(lambda: posts(ada))
        assert len(room.vidgo.charged) == 1


@pytest.mark.parametrize("style", ["409_id", "409_error_id", "400_id"])
async def test_a_cover_that_exists_already_is_adopted_by_its_id(tmp_path: Path, style: DuplicateStyle) -> None:
    async with open_room(tmp_path, callbacks=False) as room:
        room.vidgo.duplicate_style = style
        ada = room.person("ada")
        await ada.imports("Sea")
        room.vidgo.fault("submit", "lose_answer_after")
        call = await ada.cover()
        await call.reply()
        await room.pass_until(lambda: posts(ada))
        assert room.task("model = ?", COVER)["vidgo_id"] == room.vidgo.accepted(COVER)[0].task_id
        assert len(room.vidgo.charged) == 1


async def test_a_cover_whose_earlier_id_cannot_be_read_now_is_adopted_later(tmp_path: Path) -> None:
    async with open_room(tmp_path, callbacks=False) as room:
        room.vidgo.duplicate_style = "409_id"
        ada = room.person("ada")
        await ada.imports("Sea")
        room.vidgo.fault("submit", "lose_answer_after")
        room.vidgo.fault("detail", "status", status=500)
        await (await ada.cover()).reply()
        await room.pass_until(lambda: posts(ada))
        assert len(room.vidgo.charged) == 1


async def test_a_cover_that_was_ordered_elsewhere_is_adopted_although_its_first_read_fails(tmp_path: Path) -> None:
    async with open_room(tmp_path, callbacks=False) as room:
        room.vidgo.duplicate_style = "409_id"
        ada = room.person("ada")
        song = await ada.imports("Sea")
        elsewhere = room.vidgo.runner.accept(COVER, {"task_id": song.id}, None)
        room.vidgo.fault("detail", "no_route")
        await (await ada.cover()).reply()
        await room.pass_until(lambda: posts(ada))
        assert room.task("model = ?", COVER)["vidgo_id"] == elsewhere.id


async def test_a_cover_that_the_bots_own_first_order_made_is_not_said_to_be_free(tmp_path: Path) -> None:
    """It died before it heard VidGo's yes, so that it counts no try; then VidGo says that the cover exists."""
    async with open_room(tmp_path, callbacks=False) as room:
        room.vidgo.duplicate_style = "409"
        ada = room.person("ada")
        await ada.imports("Sea")
        room.vidgo.fault("submit", "slow", seconds=25)
        call = await ada.cover()
        await call.reply()
        await room.until(lambda: room.vidgo.accepted(COVER))
        await room.bot.kill()
        await room.bot.start()
        told = (await ada.ending(call)).content
        assert "VidGo may have charged for it." in told
        assert "No credits" not in told


async def test_a_cover_that_exists_without_an_id_is_waited_for(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        song = await ada.imports("Sea")
        room.vidgo.fault("submit", "lose_answer_after")
        await (await ada.cover()).reply()
        await room.pass_until(lambda: posts(ada))
        assert room.submitted(song) == 2
        assert len(room.vidgo.charged) == 1


async def test_a_cover_that_exists_without_an_id_and_never_comes_is_told_in_five_minutes(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        room.vidgo.hold(COVER)
        ada = room.person("ada")
        await ada.imports("Sea")
        room.vidgo.fault("submit", "lose_answer_after")
        call = await ada.cover()
        acknowledgement = await call.reply()
        await says(room, acknowledgement, "not confirmed")
        _, passed = await room.pass_until(lambda: room.tasks("given_up"))
        assert passed < CONFIRM_SECONDS + 30
        assert "exists already, but does not let me have it" in (await ada.failure(call)).content
        # It comes after all.
        room.vidgo.finish(room.vidgo.tasks[str(room.vidgo.accepted(COVER)[0].task_id)])
        await room.pass_until(lambda: posts(ada))


async def test_a_cover_that_vidgo_never_answers_is_given_up_in_the_end(tmp_path: Path) -> None:
    async with open_room(tmp_path, TASK_GIVE_UP_SECONDS="3600") as room:
        ada = room.person("ada")
        await ada.imports("Sea")
        room.vidgo.fault("submit", "lose_answer_before", times=None)
        call = await ada.cover()
        await call.reply()
        _, passed = await room.pass_until(lambda: room.tasks("given_up"), stride=20)
        assert passed > 3600
        assert (await ada.ending(call)).content.partition("> ")[2] == (
            "VidGo never confirmed the order for **Sea**, however often I asked, so I cannot tell whether it was "
            "taken. VidGo makes a song's cover once and charges for it once. Ask again if you want another try. "
            "VidGo may have charged for it."
        )


async def test_a_cover_under_way_at_a_death_is_sent_again(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        song = await ada.imports("Sea")
        fault = room.vidgo.fault("submit", "slow", seconds=20)
        call = await ada.cover()
        await room.vidgo.wait_fault(fault)
        await room.vidgo.wait_submission(lambda one: one.model == COVER)
        await room.bot.kill()
        assert room.tasks("submitting") == 1
        await room.bot.start()
        await room.pass_until(lambda: posts(ada))
        assert call.original is not None
        assert call.original.content
        assert room.submitted(song) == 2
        assert len(room.vidgo.charged) == 1


# Any other model


@pytest.mark.parametrize("kind", ["lose_answer_before", "lose_answer_after"])
async def test_another_order_is_never_sent_again_and_told_within_five_minutes(tmp_path: Path, kind: FaultKind) -> None:
    async with open_room(tmp_path, vidgo_seconds=100_000) as room:
        ada, call, acknowledgement = await a_lost_order(room, kind)
        await says(room, acknowledgement, "not confirmed")
        since = room.task()["submitted_at"]
        await room.pass_until(lambda: room.tasks("given_up"))
        assert room.now() - since <= CONFIRM_SECONDS + 5
        assert "never confirmed the order" in (await ada.failure(call)).content
        assert len(room.vidgo.submissions) == 1


async def test_another_order_is_told_at_once_where_no_callback_can_come(tmp_path: Path) -> None:
    async with open_room(tmp_path, callbacks=False) as room:
        ada = room.person("ada")
        room.vidgo.fault("submit", "lose_answer_before")
        call = await ada.use("music generate", prompt="the sea")
        assert "never confirmed the order" in (await ada.failure(call)).content
        await says(room, await call.reply(), "has not come")
        assert len(room.vidgo.submissions) == 1


async def test_what_was_told_stays_when_it_was_noted_and_the_databases_answer_to_that_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    retry, noted = SQLiteDatabase.retry, []

    async def twice(database: SQLiteDatabase, work: Callable[[], Awaitable[Any]]) -> Any:
        if "_delivered" in getattr(work, "__qualname__", ""):
            noted.append(await work())
        return await retry(database, work)

    monkeypatch.setattr(SQLiteDatabase, "retry", twice)
    async with open_room(tmp_path, callbacks=False) as room:
        ada = room.person("ada")
        room.vidgo.fault("submit", "lose_answer_before")
        call = await ada.use("music generate", prompt="the sea")
        told = await ada.failure(call)
        await says(room, await call.reply(), "has not come")
        await room.settle()
        assert len(noted) == 1
        assert not told.deleted


async def test_an_order_that_hangs_is_told_of_as_soon_as_it_is_lost(tmp_path: Path) -> None:
    async with open_room(tmp_path, vidgo_seconds=100_000) as room:
        ada = room.person("ada")
        fault = room.vidgo.fault("submit", "hang")
        call = await ada.use("music generate", prompt="the sea")
        await room.vidgo.wait_fault(fault)
        room.advance(QUEUE_SECONDS + 0.1)
        acknowledgement = await call.reply()
        assert "Making **the sea** – started" in acknowledgement.content
        room.advance(30)
        await says(room, acknowledgement, "not confirmed")


async def test_another_order_is_not_sent_again_after_a_death(tmp_path: Path) -> None:
    async with open_room(tmp_path, vidgo_seconds=100_000) as room:
        ada = room.person("ada")
        fault = room.vidgo.fault("submit", "hang")
        call = await ada.use("music generate", prompt="the sea")
        await room.vidgo.wait_fault(fault)
        await room.bot.kill()
        await room.bot.start()
        await room.pass_until(lambda: room.tasks("given_up"))
        assert "never confirmed the order" in (await ada.ending(call)).content
        assert len(room.vidgo.submissions) == 1


async def test_an_order_that_is_confirmed_while_somebody_looks_at_it_is_not_called_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who looks goes on only after VidGo's answer was noted, as may be where the database is a server."""
    look, read = Reading.look, SQLiteDatabase.read
    is_looking = ContextVar("is_looking", default=False)
    is_sent, has_seen, goes_on = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def looked(reading: Reading, task_id: str) -> None:
        is_looking.set(is_sent.is_set())
        await look(reading, task_id)

    @asynccontextmanager
    async def slowly(database: SQLiteDatabase) -> AsyncIterator[Snapshot]:
        async with read(database) as snapshot:
            yield snapshot
        if is_looking.get():
            has_seen.set()
            await goes_on.wait()

    monkeypatch.setattr(Reading, "look", looked)
    monkeypatch.setattr(SQLiteDatabase, "read", slowly)
    async with open_room(tmp_path, callbacks=False, POLL_MAX_SECONDS="5") as room:
        ada = room.person("ada")
        fault = room.vidgo.fault("submit", "slow", seconds=20)
        call = await ada.use("music generate", prompt="the sea")
        await room.vidgo.wait_fault(fault)
        is_sent.set()
        room.advance(6)
        room.bot.parts.database.wakeups.wake({Queue.POLLER})  # as another task may
        await room.until(has_seen.is_set)
        assert room.tasks("submitting")
        await room.pass_until(lambda: room.tasks("waiting"))
        goes_on.set()
        await room.pass_until(lambda: posts(ada), limit=300)
        await says(room, await call.reply(), "is done")
        assert call.followups == []


async def test_an_order_that_is_put_back_while_somebody_looks_at_it_is_in_no_doubt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who looks has read that it is being sent, and goes on when VidGo's answer was noted: it has no room."""
    hold, confirm = Submission._hold, Reading._confirm
    is_sent, has_seen, goes_on = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def noted_late(submission: Submission, task: Row, error: VidGoError) -> None:
        is_sent.set()
        await has_seen.wait()
        await hold(submission, task, error)

    async def confirmed_late(reading: Reading, task: Row) -> None:
        has_seen.set()
        await goes_on.wait()
        await confirm(reading, task)

    monkeypatch.setattr(Submission, "_hold", noted_late)
    monkeypatch.setattr(Submission, "is_answering", lambda *_: False)  # as where another process looks
    monkeypatch.setattr(Reading, "_confirm", confirmed_late)
    async with open_room(tmp_path, POLL_MAX_SECONDS="5") as room:
        ada = room.person("ada")
        room.vidgo.fault("submit", "busy_retry_after", seconds=30, model=SONG)
        await ada.use("music generate", prompt="the sea")
        await room.until(is_sent.is_set)
        room.advance(6)
        room.bot.parts.database.wakeups.wake({Queue.POLLER})
        await room.until(lambda: room.tasks("queued"))
        goes_on.set()
        await room.settle()
        [row] = room.rows("SELECT status, doubt, poll_at FROM tasks")
        assert (row["status"], row["doubt"]) == ("queued", None)
        assert row["poll_at"] < room.now() + CONFIRM_SECONDS / 2
        monkeypatch.undo()
        await room.pass_until(lambda: posts(ada), limit=600)
        assert len(room.vidgo.accepted(SONG)) == 1


# It comes after all


async def test_the_callback_of_a_lost_order_brings_its_result(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada, _, _ = await a_lost_order(room)
        await room.pass_until(lambda: posts(ada))
        assert len(posts(ada)) == 1
        assert len(room.vidgo.submissions) == 1


@pytest.mark.parametrize("times", [1, 2])
async def test_what_was_called_lost_is_posted_once_when_it_comes_after_all(tmp_path: Path, times: int) -> None:
    async with open_room(tmp_path) as room:
        room.vidgo.hold(SONG)
        ada, call, acknowledgement = await a_lost_order(room)
        await room.pass_until(lambda: room.tasks("given_up"))
        assert "never confirmed" in (await ada.failure(call)).content
        await says(room, acknowledgement, "has not come")
        task = late_task(room)
        room.vidgo.finish(task)
        for _ in range(times - 1):
            assert await room.vidgo.send_callback(task) == 200
        await room.pass_until(lambda: posts(ada))
        await says(room, acknowledgement, "is done")
        room.advance(120)
        await room.settle()
        assert await room.vidgo.send_callback(task) == 200
        await room.settle()
        assert len(posts(ada)) == 1
        assert f"<@{ada.member.id}>" in posts(ada)[0].content
        assert "the sea" in (await ada.type_track(""))[0].name


async def test_a_loss_that_is_being_told_when_the_result_comes_is_taken_back(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        room.vidgo.hold(SONG)
        ada, call, acknowledgement = await a_lost_order(room)
        telling = room.discord.hang("POST", FOLLOW_UPS, 5)
        await room.pass_until(lambda: telling.struck)
        room.vidgo.finish(late_task(room))
        await room.until(lambda: room.tasks("finished"))
        await room.pass_until(lambda: posts(ada))
        await says(room, acknowledgement, "is done")
        await room.settle()
        assert [told.content for told in call.followups if not told.deleted] == []
        assert "never confirmed" not in words_in(ada)
        assert len(posts(ada)) == 1


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_loss_whose_telling_was_lost_is_followed_by_the_result(tmp_path: Path, when: When) -> None:
    """Whether the sentence arrived or not, the result is posted once."""
    async with open_room(tmp_path) as room:
        room.vidgo.hold(SONG)
        ada, _, _ = await a_lost_order(room)
        room.discord.lose_answer("POST", FOLLOW_UPS, when=when)
        await room.pass_until(lambda: room.rows("SELECT 1 FROM notifications WHERE state = 'sending'"))
        room.vidgo.finish(late_task(room))
        await room.until(lambda: room.tasks("finished"))
        await room.pass_until(lambda: posts(ada))
        await room.settle()
        assert len(posts(ada)) == 1
