"""Several processes as the harness sees one program."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import aiohttp

from tests.faults.crashing import ARMED, TRAIL
from tests.faults.processes.entry import EFFECTS, ENTRY
from tests.faults.program import START_SECONDS, Program
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

LOOK_SECONDS = 0.05


class Member(Program):
    """One of the processes."""

    entry = ENTRY
    is_suspended = False

    @property
    def name(self) -> str:
        """Return the name by which the others know it."""
        return self.settings["PROCESS_NAME"]

    async def start(self, **different: object) -> bool:
        """Start the process and wait until it is ready; return False where it died before."""
        await self.launch(**different)
        async with asyncio.timeout(patient(START_SECONDS)), aiohttp.ClientSession() as session:
            while True:
                if not self.alive or await self._is_ready(session):
                    return self.alive
                await asyncio.sleep(LOOK_SECONDS)

    async def _is_ready(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with session.get(f"http://127.0.0.1:{self.settings['LISTEN_PORT']}/readyz") as response:
                return response.status == 200
        except (aiohttp.ClientError, OSError):
            return False

    def kill(self) -> None:
        """End the process as a power cut would; returns at once."""
        self.is_suspended = False
        super().kill()

    def suspend(self) -> None:
        """Let the process do nothing, as on a host that swaps; for the others it is dead."""
        if self._process is not None and self.alive:
            self._process.send_signal(signal.SIGSTOP)
            self.is_suspended = True
            self.ends.append(self._time.now())
            self.lives += 1

    def resume(self) -> None:
        """Let the process go on."""
        if self._process is not None and self.is_suspended:
            self.is_suspended = False
            self._process.send_signal(signal.SIGCONT)

    @property
    def effects(self) -> str:
        """Return the lines in which the process has noted what left it."""
        path = self.directory / EFFECTS
        return path.read_text() if path.is_file() else ""


class Processes:
    """All of them, with the face of one `Program`; what dies is one of them."""

    was_wrong = False

    def __init__(self, directory: Path, members: Sequence[Member]) -> None:
        self.directory = directory
        self.members = list(members)
        self.outages: list[float] = []
        """When the server was gone, so that nobody could write down anything."""

    @property
    def settings(self) -> Mapping[str, str]:
        """Return what all of them are told."""
        return self.members[0].settings

    @property
    def alive(self) -> bool:
        """Return whether any of them lives."""
        return any(one.alive for one in self.members)

    @property
    def is_whole(self) -> bool:
        """Return whether all of them live."""
        return all(one.alive for one in self.members)

    @property
    def dead(self) -> list[Member]:
        """Return those that have died."""
        return [one for one in self.members if not one.alive]

    def has_died_since(self, _life: int) -> bool:
        """Tell whether nobody is there any more: what was said to one was said to all."""
        return not self.alive

    @property
    def lives(self) -> int:
        """Return how many lives there were."""
        return sum(one.lives for one in self.members)

    @property
    def ends(self) -> list[float]:
        """Return when lives ended, or could not write down anything."""
        return sorted([*self.outages, *(end for one in self.members for end in one.ends)])

    @property
    def clock(self) -> float:
        """Return the time, which is the server's for all of them."""
        return self.members[0].clock

    @property
    def log(self) -> str:
        """Return the ends of everybody's logs."""
        return "\n".join(f"--- {one.name}\n{one.log[-4000:]}" for one in self.members)

    @property
    def work(self) -> int:
        """Return a number that grows whenever a worker begins some work."""
        return sum(one.work for one in self.members)

    def worked(self) -> list[tuple[str, float]]:
        """Return what whose workers worked on, and when."""
        return [(f"{one.name}: {what}", at) for one in self.members for what, at in one.worked()]

    @property
    def at_hand(self) -> int:
        """Return how many files the living have got and not yet brought into the archive."""
        return sum(one.at_hand for one in self.members if one.alive)

    def arm(self, point: str | None) -> None:
        """Let the first that comes past a point die there, or nobody with None."""
        armed = self.directory / ARMED
        armed.unlink(missing_ok=True)
        if point is not None:
            part = armed.with_suffix(".part")
            part.write_text(point)
            part.rename(armed)

    def trail(self) -> list[str]:
        """Return every moment so far, if they are noted."""
        path = self.directory / TRAIL
        return path.read_text().splitlines() if path.is_file() else []

    async def start(self) -> bool:
        """Start whoever is dead and wait until they are ready; return False where one died before."""
        return all(await asyncio.gather(*(one.start() for one in self.dead)))

    def kill(self) -> None:
        """End all of them as a power cut would; returns at once."""
        for one in self.members:
            one.kill()

    async def dies_within(self, seconds: float) -> bool:
        """Tell whether one of them is dead, at the latest after so many seconds."""
        codes = [one._process.code for one in self.members if one._process is not None]
        await asyncio.wait(codes, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return not self.is_whole

    async def ended(self, seconds: float = 10.0) -> int:
        """Wait for the end of those that are not to live, and return the worst of their exit codes."""
        codes = [await one.ended(seconds) for one in self.members if one._process is not None and not one.alive]
        return next((code for code in codes if code != -signal.SIGKILL), -signal.SIGKILL)
