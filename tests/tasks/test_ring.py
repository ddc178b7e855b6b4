"""A callback that arrives at the very moment at which the answer to the submission is recorded."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from bot.metrics import Metrics
from bot.settings import Settings
from bot.tasks.ending import Ending
from bot.tasks.reading import Reading
from bot.tasks.schedule import LAGS, Schedule
from bot.tasks.submission import Submission
from bot.vidgo import Busy, VidGo
from storage import tasks as rows
from storage.database import Database
from storage.planned import Gone
from storage.schema import TaskStatus
from storage.tasks import Task
from storage.wakeups import Queue
from tests.storage.rows import NOW, a_task

FAR = NOW + 900


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(f"sqlite:///{tmp_path / 'bot.db'}")
    yield opened
    await opened.close()


@pytest.fixture
async def reading(database: Database) -> AsyncIterator[Reading]:
    settings = Settings(_env_file=None, discord_token="a.b.c", vidgo_api_key="key")

    def clock() -> float:
        return NOW

    async with aiohttp.ClientSession() as session:
        vidgo = VidGo(session, "http://127.0.0.1:9", "key", requests_per_second=5)
        schedule = Schedule(database, settings, clock=clock, rng=random.Random(1))
        metrics = Metrics()
        ending = Ending(database, clock=clock, metrics=metrics)
        submission = Submission(database, vidgo, ending, schedule, settings, clock=clock, metrics=metrics)
        yield Reading(database, vidgo, submission, ending, schedule, settings, clock=clock, metrics=metrics)


async def submitting(database: Database) -> Task:
    task = a_task()
    async with database.write() as transaction:
        await rows.add(transaction, task)
        return await rows.submit(transaction, task.id, NOW, FAR)


async def get(database: Database, task_id: str) -> Task:
    async with database.read() as snapshot:
        task = await rows.get(snapshot, task_id)
    assert task is not None
    return task


async def test_a_callback_in_the_moment_of_the_answer_makes_the_task_due(database: Database, reading: Reading) -> None:
    task = await submitting(database)
    async with database.write() as transaction:
        await rows.accept(transaction, task.id, "VG1", NOW, FAR)
        ringing = asyncio.create_task(reading.ring(task.id, "VG1", finished=True))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not ringing.done()
    assert await ringing
    rung = await get(database, task.id)
    assert (rung.status, rung.vidgo_id, rung.poll_at, rung.rereads) == (TaskStatus.WAITING, "VG1", NOW, len(LAGS))


@pytest.mark.parametrize("is_answering", [True, False])
async def test_a_callback_that_overtakes_the_answer_makes_the_task_due(database: Database, is_answering: bool) -> None:
    task = await submitting(database)
    async with database.write() as transaction:
        rung = await rows.ring(transaction, task.id, "VG1", NOW, 3, is_finished=True, is_answering=is_answering)
        assert rung.status is (TaskStatus.SUBMITTING if is_answering else TaskStatus.WAITING)
    await asyncio.wait_for(database.wakeups.wait(Queue.POLLER, 60), 30)
    async with database.write() as transaction:
        if is_answering:
            await rows.accept(transaction, task.id, "VG1", NOW, FAR)
        else:  # there is nothing left to record
            with pytest.raises(Gone):
                await rows.accept(transaction, task.id, "VG1", NOW, FAR)
    rung = await get(database, task.id)
    assert (rung.status, rung.vidgo_id, rung.poll_at, rung.rereads) == (TaskStatus.WAITING, "VG1", NOW, 3)


async def test_an_answer_wins_over_a_callback_with_another_id(database: Database) -> None:
    task = await submitting(database)
    async with database.write() as transaction:
        await rows.ring(transaction, task.id, "VG2", NOW, 3, is_finished=True, is_answering=True)
    async with database.write() as transaction:
        await rows.accept(transaction, task.id, "VG1", NOW, FAR)
    rung = await get(database, task.id)
    assert (rung.status, rung.vidgo_id, rung.poll_at) == (TaskStatus.WAITING, "VG1", NOW)


async def test_a_callback_with_an_id_that_is_not_the_tasks_is_refused(database: Database, reading: Reading) -> None:
    task, other = await submitting(database), await submitting(database)
    async with database.write() as transaction:
        await rows.accept(transaction, task.id, "VG1", NOW, FAR)
    assert not await reading.ring(task.id, "VG2", finished=True)
    assert not await reading.ring(other.id, "VG1", finished=True)
    assert not await reading.ring("0" * 24, "VG3", finished=True)
    assert (await get(database, task.id)).rereads == 0
    assert await get(database, other.id) == other


async def test_a_callback_for_an_ended_task_is_taken_and_changes_nothing_unless_it_brings_a_result(
    database: Database, reading: Reading
) -> None:
    task = await submitting(database)
    async with database.write() as transaction:
        accepted = await rows.accept(transaction, task.id, "VG1", NOW, FAR)
        failed = await rows.fail(transaction, accepted, "invalid", None, NOW)
    assert await reading.ring(task.id, "VG1", finished=False)
    assert await get(database, task.id) == failed
    assert await reading.ring(task.id, "VG1", finished=True)
    assert (await get(database, task.id)).status is TaskStatus.WAITING


async def test_what_nobody_wants_any_more_when_vidgo_has_no_room_for_it_is_not_sent_again(
    database: Database, reading: Reading
) -> None:
    """Whoever asked for it stopped it while it was out; VidGo has not taken it, so it costs nothing."""
    task = await submitting(database)
    await reading._submission._refused(task, Busy("slow down"), again=False)
    dropped = await get(database, task.id)
    assert (dropped.status, dropped.error_kind) == (TaskStatus.FAILED, "cancelled")
