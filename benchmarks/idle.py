"""What a program takes that nobody uses: the time until it is there, and its memory in few and in many servers."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks import programs
from benchmarks.figures import Comparison, Figure, Unit
from benchmarks.programs import Memory, Program
from sandbox.discord import DiscordStandIn
from storage.database import Database

MEMORY_TARGET = 45.0
GROWTH_TARGET = 1.0
"""Python asks the system for memory in arenas of 1 MiB (CPython, Objects/obmalloc.c), so that less than one is not a
difference between programs but where each happened to stand in its last one."""

CHANNELS = 5
QUIET_SECONDS = 0.3
WAIT_SECONDS = 60.0


@dataclass(frozen=True)
class Load:
    """How often each program is started, and in how many servers: few for the time, many for the growth."""

    starts_in_few: int
    starts_in_many: int
    few: int
    many: int


@dataclass(frozen=True)
class Start:
    """One start: seconds until it served, and its memory once quiet."""

    seconds: float
    memory: Memory


Run = Callable[[DiscordStandIn], AbstractAsyncContextManager[Program]]


async def starts_and_memory(directory: Path, load: Load) -> list[Figure]:
    """Start both programs in turns, and compare."""
    migrated = directory / "empty.db"
    await (await Database.open(f"sqlite:///{migrated}")).close()

    def run_bot(discord: DiscordStandIn) -> AbstractAsyncContextManager[Program]:
        return programs.bot(discord, Path(shutil.copy(migrated, directory / "idle.db")))

    def run_floor(discord: DiscordStandIn) -> AbstractAsyncContextManager[Program]:
        return programs.floor("floor_ack", discord)

    found: dict[tuple[str, int], list[Start]] = {}
    for guilds, times in ((load.few, load.starts_in_few), (load.many, load.starts_in_many)):
        for _ in range(times):
            for name, run in (("floor", run_floor), ("bot", run_bot)):
                found.setdefault((name, guilds), []).append(await _start(run, guilds))
    return _figures(found, load)


async def _start(run: Run, guilds: int) -> Start:
    """Start a program and let a member use a command at the first moment: events are handled in order, so its answer
    shows that the program has taken in every server.
    """
    async with DiscordStandIn(openapi=None, rate_limits=False) as discord:
        for number in range(guilds):
            guild = discord.add_guild(f"Server {number}")
            channels = [guild.add_channel(f"channel-{position}") for position in range(CHANNELS)]
        member = guild.add_member("ada")
        async with run(discord) as program:
            await program.or_end(discord.wait_ready(WAIT_SECONDS))
            call = await discord.slash(member, channels[0], "cover")
            await call.acknowledged(WAIT_SECONDS)
            seconds = time.monotonic() - program.started_at
            # discord.py waits for two more seconds whether another server comes before it calls itself ready.
            await program.ready()
            await program.quiet(QUIET_SECONDS)
            return Start(seconds, program.memory())


def _figures(found: dict[tuple[str, int], list[Start]], load: Load) -> list[Figure]:
    def compare(key: str, title: str, unit: Unit, of: Callable[[Start], float], target: float | None) -> list[Figure]:
        how: Comparison = "ratio" if unit == "s" else "difference"
        return [
            Figure(f"{key}_{size}", f"{title}, {_servers(guilds)}", unit, *typical(guilds, of), how, target, starts)
            for size, guilds, starts in sizes
        ]

    def typical(guilds: int, of: Callable[[Start], float]) -> tuple[float, float]:
        floor, bot = (median(of(start) for start in found[name, guilds]) for name in ("floor", "bot"))
        return floor, bot

    sizes = [("few", load.few, load.starts_in_few), ("many", load.many, load.starts_in_many)]
    floor, bot = (many - few for few, many in zip(typical(load.few, _uss), typical(load.many, _uss), strict=True))
    title = f"Growth from {load.few} to {_servers(load.many)}"
    return [
        *compare("start", "Start to ready", "s", _seconds, None),
        *compare("rss", "Memory", "MB", _rss, MEMORY_TARGET),
        *compare("uss", "Private memory", "MB", _uss, None),
        Figure("growth", title, "MB", floor, bot, "difference", GROWTH_TARGET, load.starts_in_many),
    ]


def _servers(number: int) -> str:
    return f"{number:,} server{'s' if number > 1 else ''}"


def _seconds(start: Start) -> float:
    return start.seconds


def _rss(start: Start) -> float:
    return start.memory.rss


def _uss(start: Start) -> float:
    return start.memory.uss
