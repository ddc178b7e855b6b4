"""The programs under measurement, each in a process of its own, started as an owner would start it."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import aiohttp
import psutil

from sandbox.discord import DiscordStandIn
from sandbox.ports import reserved_port

T = TypeVar("T")

KEY = "benchmark-key"
NO_VIDGO = "http://127.0.0.1:9"
"""Where nothing answers: a bot that nobody uses never asks VidGo."""

START_SECONDS = 60.0
STOP_SECONDS = 15.0
TICK_SECONDS = 0.01


@dataclass(frozen=True)
class Memory:
    """What a process holds, in MB (2**20 bytes): all of it, and what no other process shares."""

    rss: float
    uss: float


class Program:
    """A running program; `started_at` is `time.monotonic()` seconds before its process existed."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, started_at: float, port: int) -> None:
        self.name = name
        self.port = port
        self.started_at = started_at
        self._process = process
        self._usage = psutil.Process(process.pid)

    async def ready(self) -> None:
        """Wait until the program itself says that it is ready: on stdout, or under `/readyz`.

        Raises RuntimeError when it has ended, TimeoutError when it takes more than `START_SECONDS`.
        """
        async with asyncio.timeout(START_SECONDS):
            if self._process.stdout is not None:
                said = await self._process.stdout.readline()
                if said.strip() != b"ready":
                    raise RuntimeError(f"{self.name} has ended")
                return
            async with aiohttp.ClientSession() as session:
                await self.or_end(self._answers_ready(session))

    async def or_end(self, event: Coroutine[None, None, T]) -> T:
        """Wait for something, but no longer than the program lives; raises RuntimeError when it has ended."""
        waiting, ended = asyncio.create_task(event), asyncio.create_task(self._process.wait())
        try:
            await asyncio.wait({waiting, ended}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                raise RuntimeError(f"{self.name} has ended with {ended.result()}")
            return waiting.result()
        finally:
            waiting.cancel()
            ended.cancel()

    async def _answers_ready(self, session: aiohttp.ClientSession) -> None:
        while True:
            with suppress(aiohttp.ClientConnectionError):
                async with session.get(f"http://127.0.0.1:{self.port}/readyz") as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(TICK_SECONDS)

    async def quiet(self, seconds: float) -> None:
        """Wait until the process has used no processor time for so long; raises TimeoutError after 30 s."""
        async with asyncio.timeout(30.0):
            used, since = self.used(), time.monotonic()
            while time.monotonic() - since < seconds:
                await asyncio.sleep(TICK_SECONDS)
                if (now := self.used()) != used:
                    used, since = now, time.monotonic()

    def used(self) -> float:
        """Return how many seconds of a processor the process has used so far."""
        times = self._usage.cpu_times()
        return times.user + times.system

    def used_exactly(self) -> float:
        """Return the same to the microsecond, from the clock that Linux keeps for each process."""
        return time.clock_gettime(~self._process.pid << 3 | 2)  # what `clock_getcpuclockid` returns

    def memory(self) -> Memory:
        """Return what the process holds at this moment."""
        held = self._usage.memory_full_info()
        return Memory(held.rss / 2**20, held.uss / 2**20)

    async def stop(self) -> None:
        """End the program, in order where it knows how."""
        if self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), STOP_SECONDS)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def floor(name: str, discord: DiscordStandIn, **settings: str) -> AsyncIterator[Program]:
    """Run one of the floor programs; those that keep what they promise take `DATABASE`, made by `keep`."""
    with reserved_port() as port:
        environment = _environment(discord, port) | settings
        async with _running(name, f"benchmarks.{name}", [], environment, port, speaks=True) as program:
            yield program


@asynccontextmanager
async def bot(
    discord: DiscordStandIn, database: Path, vidgo_url: str = NO_VIDGO, **settings: str
) -> AsyncIterator[Program]:
    """Run the bot on a database that is migrated already: the file, or what `settings` name instead.

    Its clock plans no look at a task within the run, so that each figure holds one thing; the limit of requests to
    VidGo is out of the way.
    """
    environment = {
        "VIDGO_API_KEY": KEY,
        "VIDGO_API_URL": vidgo_url,
        "VIDGO_REQUESTS_PER_SECOND": "1000",
        "DATABASE_URL": f"sqlite:///{database}",
        "ARCHIVE_DIR": str(database.with_suffix(".media")),
        "MEDIA_ALLOW_PRIVATE_HOSTS": "true",
        "POLL_MIN_SECONDS": "900",
        "POLL_MAX_SECONDS": "1800",
        "DAILY_COVERS_PER_USER": "-1",
        "DAILY_SONGS_PER_USER": "-1",
        "LOG_LEVEL": "WARNING",
    }
    with reserved_port() as port:
        environment |= {**_environment(discord, port), "PUBLIC_URL": f"http://127.0.0.1:{port}"} | settings
        async with _running("bot", "bot", ["run"], environment, port, speaks=False) as program:
            yield program


def _environment(discord: DiscordStandIn, port: int) -> dict[str, str]:
    # Nothing of the caller's own settings, and no measuring of coverage, may reach a program.
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {
        **kept,
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "DISCORD_TOKEN": discord.token,
        "DISCORD_API_URL": discord.api_url,
        "LISTEN_PORT": str(port),
    }


@asynccontextmanager
async def _running(
    name: str, module: str, arguments: list[str], environment: Mapping[str, str], port: int, *, speaks: bool
) -> AsyncIterator[Program]:
    started_at = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, env=environment, stdout=asyncio.subprocess.PIPE if speaks else None
    )
    program = Program(name, process, started_at, port)
    try:
        yield program
    finally:
        await program.stop()
