"""Whatever the machine does, nothing is lost."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import sqlite3
import subprocess
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.end_to_end.process import SHUTDOWN_SECONDS, Bot
from tests.faults.audit import assert_sound, audit
from tests.faults.crashing import Launch
from tests.faults.flows import POSTED
from tests.faults.harness import Stage, open_stage
from tests.faults.orders import COVER, SONG
from tests.patience import idle_seconds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.faults.program import Nursery

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOUR = 3600.0
LOCKED_SECONDS = 10.0
FREE = resource.RLIM_INFINITY


@pytest_asyncio.fixture(loop_scope="module")
async def stage(nursery: Nursery, tmp_path: Path) -> AsyncIterator[Stage]:
    """A program whose clock can be set, audited at the end."""
    patience = {"TASK_TIMEOUT_SECONDS": "1800", "TASK_GIVE_UP_SECONDS": "86400"}
    launch = Launch("", clock=True)
    async with open_stage(nursery, tmp_path, callbacks=False, launch=launch, settings=patience) as stage:
        yield stage
        await assert_sound(stage)


@contextmanager
def full_disk(stage: Stage) -> Iterator[None]:
    """Let no file of the program grow: every write beyond what is there fails, as on a full disk."""
    assert stage.program.pid is not None
    resource.prlimit(stage.program.pid, resource.RLIMIT_FSIZE, (0, FREE))
    try:
        yield
    finally:
        resource.prlimit(stage.program.pid, resource.RLIMIT_FSIZE, (FREE, FREE))


# The disk


async def test_the_disk_is_full_when_a_result_is_to_be_stored(stage: Stage) -> None:
    order = await stage.waiting_cover()
    with full_disk(stage):
        reads = len(stage.vidgo.requests)
        stage.vidgo.release(COVER)
        await stage.vidgo.wait_request(lambda one: "/detail/" in one.path and one.status == 200, after=reads)
        assert stage.posts(order) == []
    await stage.settle()
    assert "New artwork" in stage.posts(order)[0].content


async def test_the_disk_is_full_when_somebody_asks(stage: Stage) -> None:
    with full_disk(stage):
        order = await stage.generate()
        await stage.until(lambda: bool(order.sentences), "sentence")
    assert "Something went wrong on my side" in order.sentences[0].content
    assert order.sentences[0].content.endswith("No credits were used.")
    assert stage.vidgo.submissions == []
    again = await stage.generate()
    await stage.settle()
    assert "your song" in stage.posts(again)[0].content


async def test_the_disk_is_full_when_vidgo_answers_an_order(stage: Stage) -> None:
    # Paid, and nowhere to write it down: the program keeps in mind what VidGo said until there is room again.
    assert stage.program.pid is not None
    pid = stage.program.pid

    def fill(phase: str, method: str, _path: str) -> None:
        if (phase, method) == ("before", "POST"):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, FREE))

    forget = stage.vidgo.on_request(fill)
    order = await stage.generate()
    await stage.vidgo.wait_submission()
    forget()
    await asyncio.sleep(2)  # while the disk is full
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (FREE, FREE))
    await stage.settle()
    assert "your song" in stage.posts(order)[0].content


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[None]:
    """Mount a disk of a size, which only root may do."""
    path.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
    if os.geteuid() != 0 or subprocess.run(mounting, check=False, capture_output=True).returncode != 0:
        pytest.skip("this machine allows no mounts")
    try:
        yield
    finally:
        subprocess.run(["umount", path], check=True)


async def test_the_disk_of_the_archive_is_full(nursery: Nursery, tmp_path: Path) -> None:
    small = tmp_path / "small"
    with small_disk(small, "64k"):
        async with open_stage(nursery, tmp_path, settings={"ARCHIVE_DIR": str(small)}) as stage:
            order = await stage.cover(stage.song())
            await stage.settle()
            assert "New artwork" in stage.posts(order)[0].content
            await assert_sound(stage)
            await stage.program.stop()


# The database


async def test_another_process_holds_the_database_for_ten_seconds(stage: Stage) -> None:
    waiting = await stage.waiting_cover()
    with closing(sqlite3.connect(stage.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        stage.vidgo.release(COVER)
        asked = await stage.generate()
        assert await asked.call.acknowledged() < 3000
        await asyncio.sleep(LOCKED_SECONDS)
        other.execute("ROLLBACK")
    await stage.settle()
    assert "New artwork" in stage.posts(waiting)[0].content
    assert "your song" in stage.posts(asked)[0].content


@contextmanager
def read_only(path: Path) -> Iterator[None]:
    """Let nobody write a file; root, whom no mode stops, needs a mount for that."""
    if os.geteuid() != 0:
        path.chmod(0o444)
        yield
        path.chmod(0o644)
        return
    if subprocess.run(["mount", "--bind", path, path], check=False, capture_output=True).returncode != 0:
        pytest.skip("this machine allows no mounts")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", path], check=True)
        yield
    finally:
        subprocess.run(["umount", path], check=True)


async def test_a_database_that_cannot_be_written_is_refused_at_the_start(stage: Stage) -> None:
    order = await stage.waiting_cover()
    await stage.program.stop()
    with read_only(stage.database):
        before = len(stage.program.log)
        await stage.program.launch()
        assert await stage.program.ended() == 2
        log = stage.program.log[before:]
        assert "coverbot: DATABASE_URL" in log
        assert "Traceback" not in log
    stage.vidgo.release(COVER)
    await stage.recover()
    assert "New artwork" in stage.posts(order)[0].content


async def test_a_death_while_the_database_is_made_leaves_one_that_can_be_used(nursery: Nursery, tmp_path: Path) -> None:
    chance = random.Random(7)
    for number in range(8):
        directory = tmp_path / str(number)
        directory.mkdir()
        async with open_stage(nursery, directory, start=False) as stage:
            await stage.program.launch()
            await asyncio.sleep(chance.uniform(0, 0.3))  # the random moment itself
            stage.program.kill()
            await stage.died()
            await stage.recover()
            assert (await audit(stage)).damages == []


# The clock


@pytest.mark.parametrize("seconds", [HOUR, -HOUR])
async def test_the_clock_is_set_while_vidgo_works(stage: Stage, seconds: float) -> None:
    order = await stage.waiting_cover()
    stage.program.set_clock(seconds)
    later = await stage.generate()
    stage.vidgo.release(COVER)
    await stage.settle(70)
    assert "New artwork" in stage.posts(order)[0].content
    assert "your song" in stage.posts(later)[0].content


@pytest.mark.parametrize("seconds", [HOUR, -HOUR])
async def test_the_clock_is_set_between_a_death_and_the_restart(stage: Stage, seconds: float) -> None:
    stage.arm(POSTED)
    order = await stage.cover(stage.song())
    await stage.died()
    stage.program.set_clock(seconds)
    stage.discord.advance(600)  # it has forgotten the nonce
    await stage.recover()
    assert len(stage.posts(order)) == 1


# Signals


async def test_sigterm_with_work_in_flight_loses_nothing(nursery: Nursery, tmp_path: Path) -> None:
    async with open_stage(nursery, tmp_path, start=False, channels=10) as stage:
        program = Bot(tmp_path, stage.program.settings, stage.discord)
        await program.start()
        stage.program.lives += 1
        await asyncio.gather(*(stage.generate() for _ in range(6)), *(stage.cover(stage.song()) for _ in range(6)))
        await stage.until(lambda: len(stage.vidgo.submissions) > 3, "submissions")
        assert await idle_seconds(program.stop()) < SHUTDOWN_SECONDS
        await stage.recover()
        verdict = await assert_sound(stage)
        assert verdict.unconfirmed == 0
        assert verdict.repeated == 0


async def test_sigterm_ends_in_time_when_nobody_answers(nursery: Nursery, tmp_path: Path) -> None:
    async with open_stage(nursery, tmp_path, start=False, callbacks=False) as stage:
        program = Bot(tmp_path, stage.program.settings, stage.discord)
        await program.start()
        stage.program.lives += 1
        stage.vidgo.fault("submit", "hang", model=SONG)
        stage.vidgo.fault("files", "hang", times=None)
        orders = [await stage.generate()]
        await stage.vidgo.wait_submission(lambda one: one.model == SONG)
        hanging = stage.discord.hang("POST", r"^/interactions/", 30, when="after")
        orders.append(await stage.cover(stage.song()))
        await hanging.used_up()
        assert await idle_seconds(program.stop()) < SHUTDOWN_SECONDS
        stage.vidgo.clear_faults()
        stage.discord.faults.clear()
        await stage.recover()
        await assert_sound(stage)
        assert stage.posts(orders[0]) == []
        assert "never confirmed" in orders[0].sentences[0].content
        assert "New artwork" in stage.posts(orders[1])[0].content


async def test_a_second_sigterm_changes_nothing(nursery: Nursery, tmp_path: Path) -> None:
    async with open_stage(nursery, tmp_path, start=False) as stage:
        program = Bot(tmp_path, stage.program.settings, stage.discord)
        await program.start()
        stage.program.lives += 1
        stage.vidgo.fault("files", "hang", times=2)
        await stage.cover(stage.song())
        await stage.until(lambda: any("/files/" in point.name for point in stage.wire_trail), "file that is asked for")
        ending = asyncio.create_task(program.stop())
        await program.wait_log("shutting down")
        assert await idle_seconds(asyncio.gather(ending, program.stop())) < SHUTDOWN_SECONDS
        await stage.recover()
        await assert_sound(stage)
