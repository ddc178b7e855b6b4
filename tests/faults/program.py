"""The program as the harness sees it: a process to start, to kill and to listen to."""

from __future__ import annotations

import asyncio
import signal
import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import psutil

from sandbox.discord.clock import Signal
from tests.end_to_end.process import SHUTDOWN_SECONDS, environment
from tests.faults.crashing import ARMED, AT_HAND, ENTRY, TRAIL, Launch
from tests.faults.watching import CLOCK, PASSED, ROUNDS, WORKED, seconds_in
from tests.nursery import Nursery, open_nursery
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sandbox.discord import DiscordStandIn
    from sandbox.vidgo import VidGoStandIn
    from tests.faults.passing import Time
    from tests.nursery import Forked

__all__ = ["KEY", "TOKEN", "Nursery", "Program", "open_nursery", "settings_of"]

TOKEN = "MTA5OTUxMTYyNzc3Ng.GwY2aK.a-token-that-survives-every-fault"
KEY = "vg-fault-injection-key-77c1"

START_SECONDS = 20.0


def settings_of(discord: DiscordStandIn, vidgo: VidGoStandIn, port: int, *, callbacks: bool) -> dict[str, str]:
    """Return what a program is told that lives between the stand-ins, but for where it keeps what it knows."""
    return {
        "DISCORD_TOKEN": TOKEN,
        "DISCORD_API_URL": discord.api_url,
        "VIDGO_API_KEY": KEY,
        "VIDGO_API_URL": vidgo.api_url,
        "VIDGO_REQUESTS_PER_SECOND": "500",
        "DAILY_COVERS_PER_USER": "-1",
        "DAILY_SONGS_PER_USER": "-1",
        "LISTEN_PORT": str(port),
        "PUBLIC_URL": f"http://127.0.0.1:{port}" if callbacks else "",
        "POLL_MIN_SECONDS": "0.2",
        "POLL_MAX_SECONDS": "1",
        "TASK_TIMEOUT_SECONDS": "6",
        "TASK_GIVE_UP_SECONDS": "60",
        "MEDIA_ALLOW_PRIVATE_HOSTS": "true",
    }


class Program:
    """`coverbot run` in a directory, over any number of lives."""

    entry = ENTRY

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
        self.changed = Signal()
        """Notified when a life has ended."""
        self._nursery = nursery
        self._discord = discord
        self._launch = launch
        self.outages: list[float] = []
        """When the database was away, which it is where it is a server."""
        self.ends: list[float] = []
        """When each life ended, by the true time."""
        self.was_wrong = False
        """Whether the program's clock ever differed from the true time."""
        self._time = time_
        self._wrong_by = 0.0
        self._process: Forked | None = None

    @property
    def alive(self) -> bool:
        """Return whether the process lives."""
        return self._process is not None and self._process.returncode is None

    @property
    def is_whole(self) -> bool:
        """Return whether nothing of the program is dead."""
        return self.alive

    def has_died_since(self, life: int) -> bool:
        """Tell whether nobody is there any more who heard what was said to the program in that life."""
        return life < self.lives or not self.alive

    @property
    def pid(self) -> int | None:
        """Return the process id, None when there is no process."""
        return self._process.pid if self._process is not None and self.alive else None

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

    @property
    def rounds(self) -> int:
        """Return a number that grows as the program's loop goes round, where time can pass at once."""
        return int(seconds_in(self.directory / ROUNDS))

    @property
    def is_decoding(self) -> bool:
        """Return whether a process of the program's own has something to do."""
        try:
            return bool(psutil.Process(self.pid).children()) if self.alive else False
        except psutil.NoSuchProcess:
            return False

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
            **different,  # type: ignore[arg-type]  # whatever a test names
        )
        self.lives += 1
        with (self.directory / "bot.log").open("ab") as log:
            self._process = await self._nursery.fork(
                asdict(launch),
                entry=self.entry,
                measured=False,  # it would have to be written by processes that are killed
                directory=self.directory,
                environment=environment(self.settings),
                stdout=log.fileno(),
                stderr=log.fileno(),
            )
        self._process.code.add_done_callback(self._end)

    async def start(self, **different: object) -> bool:
        """Start the process and wait until people can use it; return False where it died before."""
        before = self._discord.identified
        await self.launch(**different)
        assert self._process is not None
        ready = asyncio.create_task(self._discord.wait_ready(START_SECONDS, newer_than=before))
        ends: set[asyncio.Future[Any]] = {ready, self._process.code}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            return False
        await ready
        return True

    def kill(self) -> None:
        """End the process as a power cut would; returns at once."""
        if self._process is not None:
            self._process.kill()

    def terminate(self) -> None:
        """Ask the process to end."""
        assert self._process is not None
        assert self.alive
        self._process.send_signal(signal.SIGTERM)

    async def dies_within(self, seconds: float) -> bool:
        """Tell whether the process is dead, at the latest after so many seconds."""
        assert self._process is not None
        await asyncio.wait({self._process.code}, timeout=seconds)
        return not self.alive

    async def ended(self, seconds: float = SHUTDOWN_SECONDS) -> int:
        """Wait for the process's end and return its exit code, negative for a signal; raises TimeoutError."""
        assert self._process is not None
        return await asyncio.wait_for(self._process.wait(), patient(seconds))

    async def stop(self) -> float:
        """Ask the process to end and return how many seconds that took; it must end well."""
        started = time.monotonic()
        self.terminate()
        code = await self.ended()
        assert code == 0, f"exit code {code}\n{self.log}"
        return time.monotonic() - started

    def _end(self, _code: object) -> None:
        self.ends.append(self._time.now())
        self.changed.notify()
