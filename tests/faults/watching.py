"""What the harness sees of the program from inside its process: what its workers do, and how time passes for it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import uvloop

from bot.worker import Worker
from storage.planned import Due

CLOCK = "clock"
"""The file in the working directory that says by how many seconds the program's clock differs from the machine's."""

PASSED = "passed"
"""The file in the working directory that says how many seconds have passed at once, for all that waits."""

WORKED = "worked"
"""The file in the working directory that names each piece of a worker's work, with the time at which it began."""

ROUNDS = "rounds"
"""The file in the working directory that counts, over all lives, how often such a loop has looked for that."""

LOOK_SECONDS = 0.02
"""How often a loop whose time can pass at once looks whether it did."""


def seconds_in(path: Path) -> float:
    """Return the seconds that a file names, 0 where there is none."""
    try:
        return float(path.read_text())
    except (FileNotFoundError, ValueError):
        return 0.0


def wrong_clock(directory: Path) -> Callable[[], float]:
    """Return a clock that is wrong by as much as is asked for."""
    path = directory / CLOCK
    return lambda: time.time() + seconds_in(path)


def watch_workers(directory: Path, clock: Callable[[], float]) -> None:
    """Note what every worker works on from now on."""
    noted = os.open(directory / WORKED, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    do = Worker._do

    async def watched(self: Worker, due: Due) -> None:
        with suppress(OSError):  # the disk may be full
            os.write(noted, f"{clock():.3f} {self.name} {due.id}\n".encode())
        await do(self, due)

    setattr(Worker, "_do", watched)  # noqa: B010 (typed as a method)


class _PassingLoop(asyncio.SelectorEventLoop):
    """A loop for which time passes at once by as much as a file says: what waits for less than that goes on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._passed = 0.0
        rounds = path.with_name(ROUNDS)
        self._rounds = int(seconds_in(rounds))
        self._counted = os.open(rounds, os.O_WRONLY | os.O_CREAT)
        super().__init__()
        self._look()

    def time(self) -> float:
        return super().time() + self._passed

    def _look(self) -> None:
        self._passed = seconds_in(self._path)
        self._rounds += 1
        with suppress(OSError):  # the disk may be full
            os.pwrite(self._counted, b"%12d" % self._rounds, 0)  # always of one length
        self.call_later(LOOK_SECONDS, self._look)


def let_time_pass(directory: Path) -> None:
    """Give the program a loop for which time can pass at once."""
    path = directory / PASSED
    setattr(uvloop, "new_event_loop", lambda: _PassingLoop(path))  # noqa: B010 (typed as a function)
