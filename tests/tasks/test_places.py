"""Nothing that waits holds a place that others could use; what must not be repeated goes over a fresh line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import bot.replies.delivery
from bot.worker import FULL_SECONDS
from sandbox.discord.rest.faults import POSTS
from tests.end_to_end.world import COVER, SONG
from tests.tasks.room import open_room

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.discord import Message
    from tests.end_to_end.world import Person
    from tests.tasks.room import Room


def posts(person: Person) -> list[Message]:
    return [message for message in person.channel.messages if message.files]


async def many_orders(room: Room, person: Person, count: int) -> None:
    """Let somebody order so many new songs, which VidGo holds."""
    room.vidgo.hold(SONG)
    calls = [await person.use("music generate", prompt=f"the sea, number {number}") for number in range(count)]
    for call in calls:
        await call.reply()
    # Of others something else may wait too.
    waiting = "SELECT 1 FROM tasks WHERE status = 'waiting' AND model = ?"
    await room.until(lambda: len(room.rows(waiting, SONG)) == count)


async def finishes_at_once(room: Room, person: Person) -> None:
    """Let VidGo finish a cover, and see it posted while no time passes for anybody."""
    before = room.now()
    known_as = await room.until(lambda: room.task("model = ?", COVER)["vidgo_id"], "the order")
    room.vidgo.finish(room.vidgo.tasks[known_as])
    await room.until(lambda: posts(person), "the cover")
    assert room.now() - before < 15, "real seconds, on a busy machine"


async def test_reads_that_hang_hold_nobody_up(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        room.vidgo.hold(COVER)
        ada, eve = room.person("ada"), room.person("eve")
        await eve.imports("Sea")
        await many_orders(room, ada, 40)
        hanging = room.vidgo.fault("detail", "hang", times=40)
        for task in [one for one in room.vidgo.tasks.values() if one.model == SONG and not one.final]:
            assert await room.vidgo.send_callback(task, {"task_id": task.id, "status": "finished"}) == 200
        await room.until(lambda: hanging.struck == 40)
        await (await eve.cover()).reply()
        await finishes_at_once(room, eve)


async def test_a_channel_whose_posts_are_slow_holds_nobody_up(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        room.vidgo.hold(COVER)
        ada, eve = room.person("ada"), room.person("eve")
        await eve.imports("Sea")
        await (await eve.cover()).reply()
        await many_orders(room, ada, 12)
        slow = room.discord.slow_posts(ada.channel.id, 4)
        for task in [one for one in room.vidgo.tasks.values() if one.model == SONG]:
            room.vidgo.finish(task)
        await slow.strikes(1)
        await room.until(lambda: room.tasks("finished") == 13)
        await finishes_at_once(room, eve)
        assert len(posts(ada)) <= 1
        await room.pass_until(lambda: len(posts(ada)) == 12, stride=4)


async def test_files_that_trickle_hold_nobody_up(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        room.vidgo.hold(COVER)
        ada, eve = room.person("ada"), room.person("eve")
        await eve.imports("Sea")
        await (await eve.cover()).reply()
        await many_orders(room, ada, 16)
        room.vidgo.set_song_files("trickle", model=SONG, rate=1_000)
        for task in [one for one in room.vidgo.tasks.values() if one.model == SONG]:
            room.vidgo.finish(task)
        await room.until(lambda: room.tasks("finished") == 17)
        await finishes_at_once(room, eve)
        assert not posts(ada)


async def test_a_pool_that_is_full_for_a_minute_is_not_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot.replies.delivery, "PLACES", 2)
    async with open_room(tmp_path) as room:
        await room.until(lambda: room.bot.parts.client.is_ready() or None)
        room.vidgo.hold(SONG)
        people = [room.person("ada"), room.person("eve")]
        for person in people:
            await (await person.use("music generate", prompt="the sea")).reply()
        await room.until(lambda: room.tasks("waiting") == 2)
        hanging = room.discord.hang("POST", POSTS, 3 * FULL_SECONDS, times=2)
        for task in list(room.vidgo.tasks.values()):
            room.vidgo.finish(task)
        await hanging.strikes(2)
        assert (await room.get("/readyz"))[0] == 200
        room.advance(FULL_SECONDS + 1)
        status, body = await room.get("/readyz")
        assert status == 503
        assert "all 2 places are taken" in json.loads(body)["reasons"]["delivery"]
        room.advance(2 * FULL_SECONDS)
        await room.until(lambda: all(posts(person) for person in people))
        await room.settle()
        assert (await room.get("/readyz"))[0] == 200


async def test_an_answer_with_a_long_header_is_heard(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        fault = room.vidgo.fault("submit", "large_headers", size=9_000)
        await (await ada.use("music generate", prompt="the sea")).reply()
        await room.until(lambda: room.tasks("waiting"))
        assert fault.struck == 1
        assert room.task()["tries"] == 0
        await room.pass_until(lambda: posts(ada))


async def test_an_order_goes_over_no_connection_that_may_be_dead(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        room.vidgo.fault("submit", "stale_connection", times=None)
        for number in range(3):
            await ada.imports(f"Song {number}")
            await (await ada.use("music generate", prompt=f"the sea, number {number}")).reply()
        await room.until(lambda: room.tasks("waiting") == 3)
        assert [row["tries"] for row in room.rows("SELECT tries FROM tasks WHERE model = ?", SONG)] == [0, 0, 0]
        assert len(room.vidgo.accepted(SONG)) == 3


async def test_a_read_over_a_connection_that_is_dead_is_made_again(tmp_path: Path) -> None:
    async with open_room(tmp_path, callbacks=False) as room:
        ada = room.person("ada")
        room.vidgo.fault("detail", "stale_connection", times=3)
        await (await ada.use("music generate", prompt="the sea")).reply()
        await room.pass_until(lambda: posts(ada))
