"""Bad words about a task are believed only when VidGo itself has repeated them for a while, and somebody looked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.tasks.reading import BELIEF_SECONDS, SILENCE_SECONDS
from sandbox.vidgo.faults import FaultKind
from tests.end_to_end.world import SONG
from tests.tasks.room import open_room

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.discord import Call, Message
    from tests.end_to_end.world import Person
    from tests.tasks.room import Room

DAY = 86_400.0


def believed_after(room: Room) -> float:
    """Return for how many seconds, by the bot's own clock, a bad word was repeated before it was believed."""
    task = room.task()
    return float(task["finished_at"] - task["doubt_since"])


async def an_order(room: Room) -> tuple[Person, Call]:
    """Let somebody order a new song, and wait until VidGo has it."""
    ada = room.person("ada")
    call = await ada.use("music generate", prompt="the sea")
    await call.reply()
    await room.until(lambda: room.tasks("waiting"))
    return ada, call


def posts(person: Person) -> list[Message]:
    return [message for message in person.channel.messages if message.files]


async def delivered(room: Room, ada: Person) -> None:
    """Let time pass until the result is there, and nothing else."""
    await room.pass_until(lambda: posts(ada))
    assert len(ada.channel.messages) == 2


# A word of somebody else's, or one alone


@pytest.mark.parametrize("callbacks", [True, False])
@pytest.mark.parametrize("kind", ["no_route", "html", "error_in_200", "status", "broken_json", "unknown_status"])
async def test_one_stray_answer_is_not_final(tmp_path: Path, kind: FaultKind, callbacks: bool) -> None:
    async with open_room(tmp_path, callbacks=callbacks) as room:
        ada, _ = await an_order(room)
        fault = room.vidgo.fault("detail", kind, times=2)
        await room.pass_until(lambda: fault.struck == 2)
        assert not room.tasks("failed")
        await delivered(room, ada)


@pytest.mark.parametrize("status", ["error", "failed", "expired", "timeout"])
async def test_a_gateway_that_fails_in_vidgos_words_is_not_vidgo(tmp_path: Path, status: str) -> None:
    async with open_room(tmp_path, callbacks=False) as room:
        ada, _ = await an_order(room)
        body = {"status": status, "message": "the upstream is not available"}
        fault = room.vidgo.fault("detail", "error_in_200", body=body, times=5)
        await room.pass_until(lambda: fault.struck == 5)
        assert not room.tasks("failed")
        await delivered(room, ada)


async def test_a_gateway_that_has_lost_its_routes_for_an_hour_is_not_final(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada, _ = await an_order(room)
        room.vidgo.fault("detail", "no_route", lasting=3600)
        await room.pass_until(lambda: posts(ada), stride=20)
        assert room.task()["error_kind"] is None


@pytest.mark.parametrize("callbacks", [True, False])
async def test_one_404_of_vidgos_is_not_final(tmp_path: Path, callbacks: bool) -> None:
    async with open_room(tmp_path, callbacks=callbacks) as room:
        ada, _ = await an_order(room)
        fault = room.vidgo.fault("detail", "status", status=404)
        await room.pass_until(lambda: fault.struck)
        await delivered(room, ada)


async def test_404s_of_vidgos_for_a_minute_after_the_order_are_not_final(tmp_path: Path) -> None:
    async with open_room(tmp_path, callbacks=False) as room:
        room.vidgo.detail_unknown_for = 60
        ada, _ = await an_order(room)
        await delivered(room, ada)


async def test_404s_of_vidgos_that_stay_are_final(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada, call = await an_order(room)
        unknown = room.vidgo.fault("detail", "status", status=404, times=None)
        await room.pass_until(lambda: unknown.struck)
        await room.pass_until(lambda: room.tasks("failed"))
        assert BELIEF_SECONDS <= believed_after(room) < BELIEF_SECONDS + 90
        assert unknown.struck >= 3
        assert "no longer knows anything of" in (await ada.ending(call)).content


async def test_404s_between_which_nobody_looked_are_counted_anew(tmp_path: Path) -> None:
    async with open_room(tmp_path, vidgo_seconds=4000) as room:
        ada, _ = await an_order(room)
        unknown = room.vidgo.fault("detail", "status", status=404, times=None)
        await room.pass_until(lambda: unknown.struck == 2)
        await room.settle()
        await room.bot.stop()
        room.advance(3600)
        await room.bot.start()
        await room.until(lambda: unknown.struck > 2)
        await room.settle()
        assert not room.tasks("failed")
        room.vidgo.clear_faults()
        await delivered(room, ada)


async def test_a_404_after_which_vidgo_knows_the_task_again_is_forgotten(tmp_path: Path) -> None:
    async with open_room(tmp_path, callbacks=False, vidgo_seconds=600) as room:
        await an_order(room)
        unknown = room.vidgo.fault("detail", "status", status=404, times=2)
        await room.pass_until(lambda: unknown.struck == 2)
        assert room.task()["doubts"]
        await room.pass_until(lambda: not room.task()["doubts"])
        assert room.task()["doubt"] is None


# Deadlines that pass while nobody looks


@pytest.mark.parametrize("kind", ["status", "hang", "no_route", "busy_plain"])
async def test_the_first_answers_after_a_long_pause_are_not_final(tmp_path: Path, kind: FaultKind) -> None:
    async with open_room(tmp_path) as room:
        ada, _ = await an_order(room)
        await room.bot.stop()
        room.advance(2 * DAY)
        fault = room.vidgo.fault("detail", kind, status=500, times=3)
        await room.bot.start()
        await room.pass_until(lambda: fault.struck == 3)
        assert not room.tasks("given_up")
        await delivered(room, ada)


async def test_what_is_still_running_after_a_long_pause_is_asked_about_again(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        room.vidgo.hold(SONG)
        ada, _ = await an_order(room)
        await room.bot.stop()
        room.advance(2 * DAY)
        await room.bot.start()
        reads = room.reads()
        await room.pass_until(lambda: room.reads() >= reads + 2)
        assert not room.tasks("given_up")
        room.vidgo.release()
        await delivered(room, ada)


@pytest.mark.parametrize("kind", [None, "busy_plain", "status"])
async def test_a_task_is_given_up_when_its_time_is_over_and_nothing_changes(
    tmp_path: Path, kind: FaultKind | None
) -> None:
    """Running for ever, refused for want of room for ever, or without an answer for ever: somebody is told."""
    async with open_room(tmp_path, TASK_GIVE_UP_SECONDS="3600") as room:
        room.vidgo.hold(SONG)
        ada, call = await an_order(room)
        if kind is not None:
            room.vidgo.fault("detail", kind, status=500, times=None)
        _, passed = await room.pass_until(lambda: room.tasks("given_up"), stride=20)
        assert 3600 + (BELIEF_SECONDS if kind is None else SILENCE_SECONDS) <= passed
        assert "stopped waiting for it" in (await ada.ending(call)).content
        assert any("needs longer than most" in words for words in call.replies[0].edits)


async def test_a_key_that_is_refused_for_a_while_ends_nothing(tmp_path: Path) -> None:
    async with open_room(tmp_path, callbacks=False) as room:
        ada, _ = await an_order(room)
        refused = room.vidgo.fault("detail", "status", status=401, lasting=1800)
        await room.pass_until(lambda: refused.struck)
        await room.pass_until(lambda: posts(ada), stride=10)
        assert [line for line in room.bot.log_lines if "refuses VIDGO_API_KEY" in line][1:] == []


# Finished, and its files come later


@pytest.mark.parametrize("callbacks", [True, False])
async def test_files_that_come_some_seconds_after_the_end_are_waited_for(tmp_path: Path, callbacks: bool) -> None:
    async with open_room(tmp_path, callbacks=callbacks) as room:
        room.vidgo.files_lag = 20
        ada, _ = await an_order(room)
        await delivered(room, ada)
        assert room.task()["error_kind"] is None


@pytest.mark.parametrize("callbacks", [True, False])
@pytest.mark.parametrize(
    "shape",
    ["no_files", "null_files", "missing_files", "generate_cover_empty", "generate_cover_broken", "lyrics"],
)
async def test_files_that_never_come_are_a_failure_after_two_minutes_and_no_sooner(
    tmp_path: Path, shape: str, callbacks: bool
) -> None:
    async with open_room(tmp_path, callbacks=callbacks) as room:
        room.vidgo.set_result(SONG, shape)
        ada, call = await an_order(room)
        await room.pass_until(lambda: room.task()["doubt"])
        await room.pass_until(lambda: room.tasks("failed"))
        assert BELIEF_SECONDS <= believed_after(room) < BELIEF_SECONDS + 60
        assert "delivered no file" in (await ada.ending(call)).content


# An answer about another task


@pytest.mark.parametrize("status", ["finished", "failed"])
async def test_what_is_said_of_another_task_of_ours_is_nothing_about_this_one(tmp_path: Path, status: str) -> None:
    async with open_room(tmp_path) as room:
        ada, _ = await an_order(room)
        other = await room.person("eve").imports("Not Ada's", seconds=1, variants=1)
        files = [{"audio_url": "https://cdn.example.net/not-adas.mp3"}] if status == "finished" else []
        about_other = {"code": 200, "data": {"task_id": other.id, "status": status, "files": files}}
        fault = room.vidgo.fault("detail", "status", status=200, body=about_other, times=3)
        await room.pass_until(lambda: fault.struck == 3)
        assert not room.tasks("failed")
        await delivered(room, ada)
