"""Many tasks that VidGo works on: how often it is asked for them, how late their ends are seen, and a start."""

from __future__ import annotations

import asyncio
import heapq
import random
import time
from dataclasses import asdict, dataclass, replace
from statistics import mean
from typing import TYPE_CHECKING

from sqlalchemy import insert

from benchmarks import programs
from benchmarks.figures import Figure
from benchmarks.programs import KEY
from bot.tasks.new import new_task
from bot.vidgo import GenerateMusic
from sandbox.discord import DiscordStandIn
from sandbox.vidgo import VidGoStandIn
from storage import schema
from storage.database import Database
from storage.schema import TaskStatus

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgresql import PostgreSQL

START_TARGET = 3.0
SHARE_TARGET = 1 / 3
USUAL, SPREAD = 90.0, 20.0
"""How many seconds a task takes, and how much that varies."""

FIXED_SECONDS = 5.0
READY_SECONDS = 120.0
KNOWN = 50
"""How many tasks have ended before, from which the usual time is known."""


@dataclass(frozen=True)
class Load:
    """How many tasks wait, and for how many seconds they are watched."""

    tasks: int
    seconds: float


@dataclass(frozen=True)
class _Watched:
    """What was seen: seconds until somebody was answered, requests, and how late each end was seen."""

    start: float
    requests: int
    live_seconds: float
    delays: list[float]


async def waiting_tasks(directory: Path, server: PostgreSQL, load: Load) -> list[Figure]:
    """Measure a start with so many unfinished tasks, and the requests that follow.

    Fixed polling that sees an end as late as the bot does asks each task that waits once in twice that time.
    """
    url = await server.new_database()
    seen = await _watch(directory, url, load)
    await server.drop(url)
    minutes = load.seconds / 60
    late = mean(seen.delays) if seen.delays else FIXED_SECONDS / 2
    equal = seen.live_seconds / (2 * late)
    title = f"{load.tasks:,} waiting tasks"
    return [
        Figure(
            "waiting_start", f"Start with {load.tasks:,} unfinished tasks", "s", START_TARGET, seen.start, "absolute",
            START_TARGET, 1,
        ),
        Figure(
            "waiting_requests", f"{title}, requests against every 5 s", "/min",
            seen.live_seconds / FIXED_SECONDS / minutes, seen.requests / minutes, "ratio", SHARE_TARGET, seen.requests,
        ),
        Figure(
            "waiting_equal", f"{title}, requests at equal delay", "/min", equal / minutes, seen.requests / minutes,
            "ratio", None, seen.requests,
        ),
        Figure(
            "waiting_delay", f"{title}, an end is seen after", "s", FIXED_SECONDS / 2, late, "absolute", None,
            max(len(seen.delays), 1),
        ),
    ]  # fmt: skip


async def _watch(directory: Path, url: str, load: Load) -> _Watched:
    async with (
        DiscordStandIn(openapi=None, rate_limits=False) as discord,
        VidGoStandIn(key=KEY, credits=1e9, seconds=3600.0) as vidgo,
    ):
        vidgo.callbacks = "off"
        guild = discord.add_guild("Benchmark")
        channel, member = guild.add_channel("music"), guild.add_member("ada")
        ends = await _fill(url, vidgo, load.tasks)
        settings = {"DATABASE_URL": url, "PUBLIC_URL": "", "POLL_MIN_SECONDS": "5", "POLL_MAX_SECONDS": "60"}
        async with programs.bot(discord, directory / "waiting.db", vidgo.api_url, **settings) as bot:
            await bot.or_end(discord.wait_ready(READY_SECONDS))
            call = await discord.slash(member, channel, "cover")
            await call.acknowledged(READY_SECONDS)
            start = time.monotonic() - bot.started_at
            return await _until(vidgo, ends, load.seconds, start)


async def _until(vidgo: VidGoStandIn, ends: list[tuple[float, str]], seconds: float, start: float) -> _Watched:
    """End tasks at their times, and look at what was asked meanwhile."""
    first, began, live_seconds = len(vidgo.requests), time.time(), 0.0
    ended: dict[str, float] = {}
    while (now := time.time()) < began + seconds:
        while ends and ends[0][0] <= now:
            _, task_id = heapq.heappop(ends)
            ended[task_id] = now
            live_seconds += max(now - began, 0.0)
            vidgo.finish(vidgo.tasks[task_id])
        await asyncio.sleep(0.02)
    live_seconds += len(ends) * seconds
    requests = [one for one in vidgo.requests[first:] if "/detail/" in one.path]
    delays: dict[str, float] = {}
    for one in requests:
        task_id = one.query.rpartition("=")[2]
        if task_id in ended and one.at >= ended[task_id] and task_id not in delays:
            delays[task_id] = one.at - ended[task_id]
    return _Watched(start, len(requests), live_seconds, list(delays.values()))


async def _fill(url: str, vidgo: VidGoStandIn, tasks: int) -> list[tuple[float, str]]:
    """Let tasks be under way for some time each, and some be over; return when which of them is going to end."""
    database, chance, now = await Database.open(url), random.Random(1), time.time()
    ends: list[tuple[float, str]] = []
    rows = []
    for number in range(tasks + KNOWN):
        takes = max(chance.gauss(USUAL, SPREAD), 5.0)
        is_over = number < KNOWN
        sent = now - takes - 600 if is_over else now - chance.uniform(0, takes)
        look = sent + USUAL * chance.uniform(0.85, 1.15)  # as the bot would have planned it
        made = vidgo.add_song(f"Song {number}", seconds=1, variants=1, status="finished" if is_over else "running")
        draft = new_task(GenerateMusic(prompt=f"{number}"), now=sent, user_id=1, guild_id=None, title=f"{number}")
        row = replace(
            draft,
            vidgo_id=made.id,
            status=TaskStatus.FINISHED if is_over else TaskStatus.WAITING,
            submitted_at=sent,
            finished_at=sent + takes if is_over else None,
            polls=0 if is_over or now < look else 1,
            poll_at=None if is_over else max(look, now + chance.uniform(0, FIXED_SECONDS)),
        )
        rows.append(asdict(row))
        if not is_over:
            ends.append((sent + takes, made.id))
    async with database.write() as transaction:
        await transaction.execute(insert(schema.tasks), rows)
    await database.close()
    heapq.heapify(ends)
    return ends
