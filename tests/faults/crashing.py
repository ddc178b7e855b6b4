"""The real program in a process that can be told where to die, for the nursery to fork.

The program itself is unchanged but for what a `Launch` asks for, all of it from outside: a commit that is the process's
last act, a clock that is wrong, shorter patience with VidGo.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

import bot.app
import bot.media.files
from bot.__main__ import main
from bot.media.fetch import Fetcher
from bot.media.fetched import Fetched
from bot.media.files import Files
from bot.vidgo import VidGo
from storage.database import Database
from storage.sqlite.journal import Journal
from storage.tasks import File

ARMED = "crash-at"
"""The file in the working directory that names the commit at which to die."""

TRAIL = "commits"
"""The file in the working directory that every commit is noted in, where that is asked for."""

CLOCK = "clock"
"""The file in the working directory that says by how many seconds the program's clock is wrong."""

AT_HAND = "at-hand"
"""The file in the working directory that says how many files wait for the archive; small ones wait in memory."""

ENTRY = "tests.faults.crashing:run"
"""What the nursery is to call."""

SETTLE_SECONDS = 0.1
"""How long a file that has arrived waits for the archive: every audit waits for that."""


@dataclass(frozen=True)
class Launch:
    """How to start the program: where, and what is different about it.

    `trail` notes every commit, `clock` lets the clock be set, `patience` bounds requests to VidGo and `fetching` those
    to file hosts (both in seconds).
    """

    directory: str
    trail: bool = False
    clock: bool = False
    patience: float | None = None
    fetching: float | None = None


def place(function: str, number: int, phase: str) -> str:
    """Name a moment: the function that commits, its line, and whether it is before or after the commit."""
    return f"{function}:{number} {phase}"


def _commit_points(launch: Launch) -> None:
    """Let everything that writes down what happened ask whether it is the last thing that happens."""
    write: Callable[..., AbstractAsyncContextManager[AsyncConnection]] = Database.write
    once: Callable[..., AbstractAsyncContextManager[AsyncConnection]] = Database.once
    armed = Path(launch.directory, ARMED)
    trail = os.open(Path(launch.directory, TRAIL), os.O_WRONLY | os.O_CREAT | os.O_APPEND) if launch.trail else None

    def strike(point: str) -> None:
        if trail is not None:
            os.write(trail, f"{point}\n".encode())
        if armed.is_file() and armed.read_text() == point:
            os.kill(os.getpid(), signal.SIGKILL)

    def caller(frame: FrameType) -> tuple[str, int]:
        return f"{frame.f_globals['__name__']}.{frame.f_code.co_qualname}", frame.f_lineno

    @asynccontextmanager
    async def watched(
        transaction: AbstractAsyncContextManager[AsyncConnection], function: str, number: int
    ) -> AsyncIterator[AsyncConnection]:
        async with transaction as connection:
            yield connection
            strike(place(function, number, "before"))
        strike(place(function, number, "after"))

    def noted(method: Callable[..., None]) -> Callable[..., None]:
        def note(self: Journal, *arguments: Any) -> None:
            function, number = caller(sys._getframe(1))
            strike(place(function, number, "before"))
            method(self, *arguments)
            strike(place(function, number, "after"))

        return note

    patches: list[tuple[type, str, Callable[..., Any]]] = [
        (Database, "write", lambda self, **how: watched(write(self, **how), *caller(sys._getframe(1)))),
        (Database, "once", lambda self: watched(once(self), *caller(sys._getframe(1)))),
        *((Journal, name, noted(getattr(Journal, name))) for name in ("note", "done", "clear")),
    ]
    for patched, name, method in patches:
        setattr(patched, name, method)


def _show_at_hand(launch: Launch) -> None:
    shown = os.open(Path(launch.directory, AT_HAND), os.O_WRONLY | os.O_CREAT)
    arrive, settle = Files._arrive, Files._settle

    def show(count: int) -> None:
        os.pwrite(shown, b"%8d" % count, 0)  # always of one length: the disk may be full by then

    show(0)

    def arrived(self: Files, file: File, what: str, fetched: Fetched) -> None:
        arrive(self, file, what, fetched)
        show(len(self._arrived))

    async def settled(self: Files, name: str) -> None:
        await settle(self, name)
        show(len(self._arrived))

    patches: list[tuple[str, Callable[..., Any]]] = [("_arrive", arrived), ("_settle", settled)]
    for name, method in patches:
        setattr(Files, name, method)


def _wrong_clock(launch: Launch) -> None:
    path = Path(launch.directory, CLOCK)

    def clock() -> float:
        try:
            return time.time() + float(path.read_text())
        except (FileNotFoundError, ValueError):
            return time.time()

    setattr(bot.app, "run", partial(bot.app.run, clock=clock))  # noqa: B010 (typed as a function)


def run(options: dict[str, Any]) -> int:
    """Be the program as the fields of a `Launch` say, and return its exit code."""
    launch = Launch(**options)
    _commit_points(launch)
    bot.media.files.SETTLE_SECONDS = SETTLE_SECONDS
    _show_at_hand(launch)
    if launch.clock:
        _wrong_clock(launch)
    if launch.patience is not None:
        setattr(bot.app, "VidGo", partial(VidGo, timeout=launch.patience))  # noqa: B010 (typed as a class)
    if launch.fetching is not None:
        slow = partial(Fetcher, total_timeout=launch.fetching, idle_timeout=launch.fetching)
        setattr(bot.app, "Fetcher", slow)  # noqa: B010 (typed as a class)
    return main(["run"])
