"""The program as the harness sees it: a process to start, to kill and to listen to."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.discord.clock import Signal
from tests.end_to_end.process import ROOT, SHUTDOWN_SECONDS, environment
from tests.faults.crashing import ARMED, AT_HAND, TRAIL, Launch
from tests.faults.watching import CLOCK, PASSED, WORKED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from sandbox.discord import DiscordStandIn
    from tests.faults.passing import Time

START_SECONDS = 20.0
NEWS_SECONDS = 0.1


class Nursery:
    """The process that forks the program; serves any number of programs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._started: list[asyncio.Future[int]] = []
        self._codes: dict[int, asyncio.Future[int]] = {}

    async def launch(self, launch: Launch) -> tuple[int, asyncio.Future[int]]:
        """Start the program; return its process id and the future of its exit code, negative for a signal."""
        assert self._process.stdin is not None
        started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._started.append(started)
        self._process.stdin.write(launch.dump().encode())
        pid = await asyncio.wait_for(started, START_SECONDS)
        return pid, self._codes[pid]

    async def listen(self) -> None:
        """Take in what the nursery says, until it ends."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            words = json.loads(line)
            if "code" in words:
                self._codes.pop(words["pid"]).set_result(words["code"])
            else:
                self._codes[words["pid"]] = asyncio.get_running_loop().create_future()
                self._started.pop(0).set_result(words["pid"])


@asynccontextmanager
async def open_nursery() -> AsyncIterator[Nursery]:
    """Start the process that forks the program; at the end everything that it forked dies with it."""
    # Coverage would have to be written by processes that are killed.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.faults.crashing"),
        cwd=ROOT,
        env=kept,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    nursery = Nursery(process)
    listening = asyncio.create_task(nursery.listen())
    try:
        yield nursery
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()
        await listening


class Program:
    """`coverbot run` in a directory, over any number of lives."""

    def __init__(
        self,
        nursery: Nursery,
        directory: Path,
        settings: Mapping[str, str],
        discord: DiscordStandIn,
        launch: Launch,
        time_: Time,
    ) -> None:
        self.directory = directory
        self.settings = dict(settings)
        self.lives = 0
        self.pid: int | None = None
        self.changed = Signal()
        """Notified when a life has ended."""
        self._nursery = nursery
        self._discord = discord
        self._launch = launch
        self.ends: list[float] = []
        """When each life ended, by the true time."""
        self.was_wrong = False
        """Whether the program's clock ever differed from the true time."""
        self._time = time_
        self._wrong_by = 0.0
        self._code: asyncio.Future[int] | None = None

    @property
    def alive(self) -> bool:
        """Return whether the process lives."""
        return self._code is not None and not self._code.done()

    @property
    def log(self) -> str:
        """Return everything that was logged, all lives together."""
        path = self.directory / "bot.log"
        return path.read_text(errors="replace") if path.is_file() else ""

    def arm(self, point: str | None) -> None:
        """Let the commit that `point` names be the last act of the process, or none with None."""
        path = self.directory / ARMED
        path.unlink(missing_ok=True)
        if point is not None:
            path.write_text(point)

    @property
    def clock(self) -> float:
        """Return the time as the program sees it."""
        return self._time.now() + self._wrong_by

    def set_clock(self, seconds: float) -> None:
        """Let the program's clock be wrong by so many seconds from now on."""
        self._wrong_by, self.was_wrong = seconds, True
        self._write(CLOCK, self._time.passed + seconds)

    def pass_time(self) -> None:
        """Let the program live through what has passed of the stage's time; its waits are shorter by that."""
        self._write(CLOCK, self._time.passed + self._wrong_by)
        self._write(PASSED, self._time.passed)

    def _write(self, name: str, seconds: float) -> None:
        part = self.directory / f"{name}.part"
        part.write_text(str(seconds))
        part.replace(self.directory / name)

    @property
    def work(self) -> int:
        """Return a number that grows whenever a worker begins some work."""
        path = self.directory / WORKED
        return path.stat().st_size if path.is_file() else 0

    def worked(self) -> list[tuple[str, float]]:
        """Return what the workers worked on, with the time by the program's clock at which they began."""
        path = self.directory / WORKED
        lines = path.read_text().splitlines() if path.is_file() else []
        return [(what, float(at)) for at, _, what in (line.partition(" ") for line in lines)]

    @property
    def at_hand(self) -> int:
        """Return how many files the program has got and not yet brought into the archive."""
        path = self.directory / AT_HAND
        return int(path.read_text() or 0) if path.is_file() else 0

    def trail(self) -> list[str]:
        """Return every commit so far, if they are noted."""
        path = self.directory / TRAIL
        return path.read_text().splitlines() if path.is_file() else []

    async def launch(self, **different: object) -> None:
        """Start the process and return at once; `different` are fields of `Launch`."""
        assert not self.alive
        launch = replace(
            self._launch,
            directory=str(self.directory),
            environment=environment(self.settings),
            **different,  # type: ignore[arg-type]
        )
        self.lives += 1
        self.pid, self._code = await self._nursery.launch(launch)
        self._code.add_done_callback(self._end)

    async def start(self, **different: object) -> bool:
        """Start the process and wait until people can use it; return False where it died before."""
        before = self._discord.identified
        await self.launch(**different)
        assert self._code is not None
        ready = asyncio.create_task(self._discord.wait_ready(START_SECONDS, newer_than=before))
        ends: set[asyncio.Future[Any]] = {ready, self._code}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            return False
        await ready
        return True

    def kill(self) -> None:
        """End the process as a power cut would; returns at once."""
        if self.alive and self.pid is not None:
            with suppress(ProcessLookupError):  # dead already, and not heard of yet
                os.kill(self.pid, signal.SIGKILL)

    def terminate(self) -> None:
        """Ask the process to end."""
        assert self.alive
        assert self.pid is not None
        os.kill(self.pid, signal.SIGTERM)

    async def has_died(self) -> bool:
        """Tell whether the process is dead, with the moment that such news takes."""
        assert self._code is not None
        await asyncio.wait({self._code}, timeout=NEWS_SECONDS)
        return not self.alive

    async def ended(self, seconds: float = SHUTDOWN_SECONDS) -> int:
        """Wait for the process's end and return its exit code, negative for a signal; raises TimeoutError."""
        assert self._code is not None
        return await asyncio.wait_for(asyncio.shield(self._code), seconds)

    async def stop(self) -> float:
        """Ask the process to end and return how many seconds that took; it must end well."""
        started = time.monotonic()
        self.terminate()
        code = await self.ended()
        assert code == 0, f"exit code {code}\n{self.log}"
        return time.monotonic() - started

    def _end(self, _code: object) -> None:
        self.pid = None
        self.ends.append(self._time.now())
        self.changed.notify()
