"""What is measured at a scrape: how often, how cheaply, and what is shown where something is not known."""

from __future__ import annotations

import asyncio
import threading
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bot.web import figures
from storage import figures as statements
from storage.database import Database, Snapshot
from storage.figures import Live
from storage.sqlite.database import CONNECTIONS, SQLiteDatabase
from tests.tasks.room import Room, open_room

if TYPE_CHECKING:
    from pathlib import Path


async def scraped(room: Room) -> dict[str, float]:
    """Return the samples of a scrape, as they stand there."""
    status, text = await room.get("/metrics")
    assert status == 200
    return {
        " ".join([sample.name, *(sample.labels[label] for label in sorted(sample.labels))]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def scraped_later(room: Room) -> dict[str, float]:
    """Return the samples of a scrape that measures anew, however long that takes."""
    room.advance(figures.FRESH_SECONDS + 1)
    asking = asyncio.create_task(scraped(room))
    while not asking.done():
        await asyncio.sleep(0.02)
        room.advance(1)
    return await asking


def database_of(room: Room) -> Database:
    found: Database = room.bot.parts.client.use_cases.database
    return found


async def test_the_database_is_asked_once_in_a_while_however_many_scrape(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0
    live = statements.live

    async def counted(snapshot: Snapshot) -> list[Live]:
        nonlocal asked
        asked += 1
        return await live(snapshot)

    monkeypatch.setattr(statements, "live", counted)
    async with open_room(tmp_path) as room:
        assert asked == 0
        loop = asyncio.get_running_loop()
        started = loop.time()
        await asyncio.gather(*(scraped(room) for _ in range(20)))
        assert 1 <= asked <= 1 + (loop.time() - started) / figures.FRESH_SECONDS
        room.advance(figures.FRESH_SECONDS + 1)
        before = asked
        await scraped(room)
        await scraped(room)
        assert before < asked <= 1 + (loop.time() - started) / figures.FRESH_SECONDS


async def test_credits_are_shown_when_vidgo_has_told_them_and_not_before(tmp_path: Path) -> None:
    async with open_room(tmp_path, start=False) as room:
        silence = room.vidgo.fault("balance", "status", status=500, times=None)
        await room.bot.start()
        await room.until(lambda: silence.struck)
        assert "coverbot_vidgo_credits" not in await scraped(room)
        room.vidgo.clear_faults()
        balance = await room.bot.parts.vidgo.balance()
        found = await scraped(room)
        assert found["coverbot_vidgo_credits"] == balance
        assert found["coverbot_vidgo_requests_total ok balance"] == 1


async def test_what_is_due_and_not_done_is_seen_to_be_late(tmp_path: Path) -> None:
    async with open_room(tmp_path, vidgo_seconds=10_000) as room:
        ada = room.person("ada")
        await ada.imports("Harbour Lights")
        await (await ada.cover()).reply()
        await room.settle()
        found = await scraped(room)
        assert found["coverbot_queue_lag_seconds poller"] == 0
        task = room.task("status = 'waiting'")
        # Whoever should look at it has died.
        [poller] = [worker for worker in room.bot.parts.workers if worker.name == "poller"]
        await poller.stop(0)
        room.advance(task["poll_at"] - room.now() + 600)
        found = await scraped(room)
        assert found["coverbot_queue_due poller"] == 1
        assert found["coverbot_queue_lag_seconds poller"] == pytest.approx(600, abs=30)
        assert found["coverbot_oldest_task_seconds"] == pytest.approx(room.now() - task["created_at"], abs=30)
        assert found["coverbot_ready"] == 0
        room.vidgo.release()
        await room.bot.stop()


async def test_a_database_that_does_not_answer_is_left_out_and_the_rest_is_shown(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await room.until(room.bot.parts.client.is_ready)
        assert (await scraped(room))["coverbot_ready"] == 1
        async with AsyncExitStack() as stack:
            for _ in range(CONNECTIONS):
                await stack.enter_async_context(database_of(room).read())
            found = await scraped_later(room)
        assert found["coverbot_ready"] == 0
        assert found["coverbot_pool_taken database"] == CONNECTIONS
        assert [name for name in found if name.startswith("coverbot_queue_")] == []
        assert "some metrics are left out" in room.bot.log
        room.advance(figures.FRESH_SECONDS + 1)
        assert (await scraped(room))["coverbot_ready"] == 1


async def test_a_disk_that_hangs_holds_one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on, asked = threading.Event(), 0
    size = SQLiteDatabase._size

    def hangs(database: SQLiteDatabase) -> tuple[int, int]:
        nonlocal asked
        asked += 1
        goes_on.wait()
        return size(database)

    monkeypatch.setattr(SQLiteDatabase, "_size", hangs)
    async with open_room(tmp_path) as room:
        try:
            for _ in range(3):
                assert "coverbot_database_bytes" not in await scraped_later(room)
            assert asked == 1
        finally:
            goes_on.set()
        found = await scraped_later(room)
        assert found["coverbot_database_bytes"] > 0
        assert found["coverbot_disk_free_bytes archive"] > 0


async def test_an_event_loop_that_was_held_up_is_seen(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        found = await scraped(room)
        late, seen = "coverbot_event_loop_lag_seconds_sum", "coverbot_event_loop_lag_seconds_count"
        assert found[seen] == 0
        # To the loop it is the same: the time has gone on, and nothing was done meanwhile.
        room.advance(figures._BEAT_SECONDS + 0.3)
        await asyncio.sleep(0.05)
        found = await scraped(room)
        assert found[seen] >= 1
        assert found[late] > 0.2
        # Nobody is woken for it where nobody looks.
        room.advance(figures.WATCHED_SECONDS + 10)
        await asyncio.sleep(0.05)
        assert all(handle.cancelled() or "_watch" not in repr(handle) for handle in room.bot.loop._scheduled)
