"""A callback that arrives at the very moment at which the answer to the submission is recorded."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from bot.tasks.life import Tasks, new_task
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.metrics import Metrics
from bot.settings import Settings
from bot.tasks.schedule import Schedule
from bot.vidgo import GenerateMusic, VidGo
from storage import tasks as rows
from storage.database import Database
from storage.schema import TaskStatus

NOW = 1_790_000_000.0
FAR = NOW + 900


class AnsweredMeanwhile(Database):
    """Records the answer to a submission right after the first thing that a callback tries."""

    task_id = ""

    @asynccontextmanager
    async def once(self) -> AsyncIterator[AsyncConnection]:
        async with super().once() as connection:
            yield connection
        async with self.write() as connection:
            await rows.change(connection, self.task_id, status=TaskStatus.WAITING, vidgo_id="VG1", poll_at=FAR)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[AnsweredMeanwhile]:
    opened = await AnsweredMeanwhile.open(f"sqlite:///{tmp_path / 'bot.db'}")
    assert isinstance(opened, AnsweredMeanwhile)
    yield opened
    await opened.close()


async def test_a_bell_in_the_moment_of_the_answer_is_heard(database: AnsweredMeanwhile) -> None:
    settings = Settings(discord_token="a.b.c", vidgo_api_key="key")

    def clock() -> float:
        return NOW

    async with aiohttp.ClientSession() as session:
        vidgo = VidGo(session, "http://127.0.0.1:9", "key", requests_per_second=5)
        schedule = Schedule(database, settings, clock=clock, rng=random.Random(1))
        tasks = Tasks(database, vidgo, settings, schedule, clock=clock, metrics=Metrics())
        task = new_task(GenerateMusic(prompt="sea"), now=NOW, user_id=1, guild_id=None, title="Sea")
        async with database.write() as connection:
            await rows.add(connection, task)
            await rows.change(connection, task.id, status=TaskStatus.SUBMITTING)
        database.task_id = task.id

        assert await tasks.ring(task.id, "VG1")

    async with database.read() as connection:
        rung = await rows.get(connection, task.id)
    assert rung is not None
    assert (rung.vidgo_id, rung.poll_at) == ("VG1", NOW)
    assert rung.bells > 0
