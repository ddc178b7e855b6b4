"""Orders that wait for their turn at VidGo: queued, not in doubt, and sent whatever happens meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sqlalchemy import text

from bot.tasks.submission import TRIES
from storage.sqlite.database import SQLiteDatabase
from tests.end_to_end.world import COVER, SONG
from tests.tasks.room import open_room

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from sandbox.discord import Call, Message
    from sandbox.vidgo import Task
    from tests.end_to_end.world import Person
    from tests.tasks.room import Room


async def six_orders(room: Room) -> list[Call]:
    """Let somebody order six covers at a time at which VidGo takes nothing, and return them acknowledged."""
    ada = room.person("ada")
    songs = [await ada.imports(f"Song {number}") for number in range(6)]
    slow = await ada.use("music generate", prompt="the sea")
    await slow.reply()
    room.vidgo.fault("detail", "busy_retry_after", seconds=60)
    reads = room.reads()
    await room.pass_until(lambda: room.reads() > reads)
    calls = [await ada.cover(song.id) for song in songs]
    for call in calls:
        await call.reply()
    await room.until(lambda: room.tasks("queued") == 6)
    return calls


async def test_orders_that_wait_for_their_turn_are_sent_after_a_stop(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        calls = await six_orders(room)
        assert all("has not taken" in call.replies[0].content for call in calls)
        await room.bot.stop()
        assert room.tasks("queued") == 6
        assert not room.vidgo.accepted(COVER)
        await room.bot.start()
        await room.pass_until(lambda: len(room.vidgo.accepted(COVER)) == 6)
        assert len(room.vidgo.submissions) == 7
        await room.pass_until(lambda: room.tasks("finished") == 13)


async def test_a_stop_waits_for_an_order_that_is_noted_as_sent_but_was_not_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, sync = asyncio.Event(), SQLiteDatabase.sync

    async def slow_sync(database: SQLiteDatabase) -> None:
        async with database.read() as snapshot:
            submitting = await snapshot.execute(text("SELECT 1 FROM tasks WHERE status = 'submitting'"))
        if submitting.first() is not None:
            await disk.wait()
        await sync(database)

    monkeypatch.setattr(SQLiteDatabase, "sync", slow_sync)
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        await ada.use("music generate", prompt="the sea")
        await room.until(lambda: room.tasks("submitting"))
        stopping = asyncio.create_task(room.bot.stop())
        for _ in range(100):  # so often the loop turns until everything has been told to stop
            await asyncio.sleep(0)
        disk.set()
        await stopping
        assert len(room.vidgo.accepted(SONG)) == 1
        assert room.task()["vidgo_id"]


async def test_what_a_command_orders_that_ends_during_a_stop_is_sent_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, waits, sync = asyncio.Event(), asyncio.Event(), SQLiteDatabase.sync

    async def slow_sync(database: SQLiteDatabase) -> None:
        async with database.read() as snapshot:
            acknowledged = await snapshot.execute(text("SELECT 1 FROM notifications WHERE state = 'waiting'"))
        if acknowledged.first() is not None:
            waits.set()
            await disk.wait()
        await sync(database)

    monkeypatch.setattr(SQLiteDatabase, "sync", slow_sync)
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        await ada.use("music generate", prompt="the sea")
        await waits.wait()
        stopping = asyncio.create_task(room.bot.stop())
        for _ in range(100):  # so often the loop turns until everything has been told to stop
            await asyncio.sleep(0)
        disk.set()
        await stopping
        assert room.tasks("queued") == 1
        assert not room.vidgo.submissions
        await room.bot.start()
        await room.pass_until(lambda: room.vidgo.accepted(SONG))
        assert len(room.vidgo.submissions) == 1


async def test_orders_that_wait_for_their_turn_are_sent_after_a_death(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await six_orders(room)
        await room.bot.kill()
        assert room.tasks("queued") == 6
        await room.bot.start()
        await room.pass_until(lambda: len(room.vidgo.accepted(COVER)) == 6)
        assert len(room.vidgo.submissions) == 7


async def test_orders_that_wait_for_the_bots_own_rate_limit_are_sent_after_a_stop(tmp_path: Path) -> None:
    async with open_room(tmp_path, VIDGO_REQUESTS_PER_SECOND="0.05") as room:
        ada = room.person("ada")
        calls = [await ada.use("music generate", prompt=f"the sea, number {number}") for number in range(6)]
        for call in calls:
            await call.reply()
        # What the bot asked at its start may have taken the first turn.
        await room.pass_until(lambda: room.vidgo.accepted(SONG))
        await room.until(lambda: room.tasks("queued") == 5)
        await room.bot.stop()
        assert (room.tasks("queued"), room.tasks("submitting")) == (5, 0)
        await room.bot.start()
        await room.pass_until(lambda: len(room.vidgo.accepted(SONG)) == 6)
        assert len(room.vidgo.submissions) == 6


async def test_whoever_was_told_of_the_line_is_told_too_when_the_next_process_sends_at_once(tmp_path: Path) -> None:
    async with open_room(tmp_path, VIDGO_REQUESTS_PER_SECOND="0.05") as room:
        room.vidgo.hold(SONG)
        ada = room.person("ada")
        messages: list[Message] = []
        while not messages or "has not taken" not in messages[-1].content:
            call = await ada.use("music generate", prompt=f"the sea, number {len(messages)}")
            messages.append(await call.reply())
            assert len(messages) < 50
        await room.bot.stop()
        room.bot.settings["VIDGO_REQUESTS_PER_SECOND"] = "200"
        await room.bot.start()
        await room.until(lambda: len(room.vidgo.accepted(SONG)) == len(messages))
        await room.until(lambda: all(message.content.startswith("Making") for message in messages))


async def test_a_wait_for_the_turn_does_not_count_into_the_usual_time(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await six_orders(room)
        _, passed = await room.pass_until(lambda: room.tasks("finished") == 13)
        assert passed > 90 + 45
        rows = room.rows("SELECT finished_at - submitted_at AS took FROM tasks WHERE model = ?", COVER)
        took = [row["took"] for row in rows]
        assert max(took) < 90 + 15, took


async def test_an_order_that_the_bot_was_off_for_is_sent_and_not_thrown_away(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        room.vidgo.fault("submit", "busy_plain")
        call = await ada.use("music generate", prompt="the sea")
        reply = await call.reply()
        await room.until(lambda: "has not taken" in reply.content)
        await room.bot.stop()
        assert room.task()["tries"] == 1
        room.advance(1800)
        await room.bot.start()
        await room.pass_until(lambda: room.tasks("finished"))
        await ada.result(call)
        assert len(room.vidgo.submissions) == 2


async def test_an_order_is_given_up_for_want_of_room_only_after_a_last_try(tmp_path: Path) -> None:
    """Tries are counted, and the last of them is made after the time is over, however long the bot was off."""
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        busy = room.vidgo.fault("submit", "busy_plain", times=None)
        call = await ada.use("music generate", prompt="the sea")
        await call.reply()
        await room.pass_until(lambda: busy.struck >= TRIES, stride=10)
        await room.settle()
        await room.bot.stop()
        room.advance(3600)
        room.vidgo.clear_faults()
        await room.bot.start()
        await room.pass_until(lambda: room.tasks("finished"))
        await ada.result(call)


async def test_an_order_is_given_up_when_vidgo_has_no_room_again_and_again(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        busy = room.vidgo.fault("submit", "busy_plain", times=None)
        call = await ada.use("music generate", prompt="the sea")
        await call.reply()
        _, passed = await room.pass_until(lambda: room.tasks("failed"), stride=10)
        assert passed >= 1800
        assert busy.struck > TRIES
        assert "VidGo did not take" in (await ada.ending(call)).content


async def test_who_is_first_in_line_goes_first(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        busy = room.vidgo.fault("submit", "busy_plain", times=None)
        asked: list[tuple[Person, Task, Call]] = []
        for name in ("ada", "bob", "eve", "joe"):
            person = room.person(name)
            song = await person.imports(f"Song of {name}", seconds=1, variants=1)
            asked.append((person, song, await person.cover()))
            await room.until(lambda: room.tasks("queued") == len(asked))
        await room.pass_until(lambda: busy.struck > 12)
        for place, (_, _, call) in zip(("next", "#2", "#3", "#4"), asked, strict=True):
            await room.until(lambda: f"it is {place} in line" in call.replies[0].content)  # noqa: B023 (awaited at once)
        room.vidgo.clear_faults()
        late = room.person("max")
        song = await late.imports("Song of max", seconds=1, variants=1)
        asked.append((late, song, await late.cover()))
        await room.pass_until(
            lambda: all(any(message.files for message in person.channel.messages) for person, _, _ in asked)
        )
        sent = [one.input["task_id"] for one in room.vidgo.accepted(COVER)]
        assert sent == [song.id for _, song, _ in asked]


async def test_what_may_not_be_sent_now_is_not_noted_as_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process whose lease has ended leaves an order in the queue, where nobody can take it for one in doubt."""
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        monkeypatch.setattr(SQLiteDatabase, "may_act", property(lambda _: False))
        call = await ada.use("music generate", prompt="the sea")
        assert "Making **the sea**" in (await call.reply()).content
        await room.settle()
        assert [row["status"] for row in room.rows("SELECT status FROM tasks")] == ["queued"]
        assert room.vidgo.submissions == []
        monkeypatch.undo()
        await room.pass_until(lambda: [message for message in ada.channel.messages if message.files])
        assert len(room.vidgo.submissions) == 1
