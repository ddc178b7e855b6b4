"""The real program in a process that can be told where to die, for the nursery to fork.

The program itself is unchanged but for what a `Launch` asks for, all of it from outside: a commit that is the process's
last act, a clock that is wrong, shorter patience with VidGo.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import bot.app
import bot.fetching.patience
import bot.media.files
from bot.__main__ import main
from bot.fetching.fetch import Fetcher
from bot.fetching.shared import Shared
from bot.vidgo import VidGo
from storage.database import Database, Transaction
from storage.postgresql.database import PostgreSQLDatabase
from storage.sqlite.database import SQLiteDatabase
from tests.faults.watching import let_time_pass, watch_workers, wrong_clock

ARMED = "crash-at"
"""The file in the working directory that names the commit at which to die."""

TRAIL = "commits"
"""The file in the working directory that every commit is noted in, where that is asked for."""

AT_HAND = "at-hand"
"""The file in the working directory that says how many files are under way or kept; small ones are in memory."""

Strike = Callable[[str], None]

ENTRY = "tests.faults.crashing:run"
"""What the nursery is to call."""

_NUMBERS = re.compile(r"\d{15,}|aW50ZXJhY3Rpb246[\w-]+|(?<=/files/)\w+")

KEEP_SECONDS = 1.0
"""How long a file that was fetched is kept for whoever wants it next: every audit waits for that."""


@dataclass(frozen=True)
class Launch:
    """How to start the program: where, and what is different about it.

    `control` is where it is told where to die, by default `directory`. `trail` notes every commit, `clock` lets the
    clock be set, and `passing` lets time pass at once, for everything that waits too. `patience` bounds requests to
    VidGo and `fetching` those to file hosts (both in seconds).
    """

    directory: str
    control: str | None = None
    trail: bool = False
    clock: bool = False
    passing: bool = False
    patience: float | None = None
    fetching: float | None = None


def place(function: str, number: int, phase: str) -> str:
    """Name a moment: the function that commits, its line, and whether it is before or after the commit."""
    return f"{function}:{number} {phase}"


def wire_place(wire: str, method: str, path: str, phase: str) -> str:
    """Name a moment on a wire, whoever it is about."""
    return f"{wire} {method} {_NUMBERS.sub('*', path)} {phase}"


def striker(launch: Launch) -> Strike:
    """Return what every moment that has a name asks whether it is the last one of its process."""
    control = Path(launch.control or launch.directory)
    armed = control / ARMED
    trail = os.open(control / TRAIL, os.O_WRONLY | os.O_CREAT | os.O_APPEND) if launch.trail else None

    def strike(point: str) -> None:
        if trail is not None:
            os.write(trail, f"{point}\n".encode())
        with suppress(FileNotFoundError):
            if armed.read_text() == point:
                armed.unlink()  # of several processes one dies
                os.kill(os.getpid(), signal.SIGKILL)

    return strike


def _commit_points(database: type[Database], strike: Strike) -> None:
    """Let everything that writes down what happened ask whether it is the last thing that happens."""
    write: Callable[..., AbstractAsyncContextManager[Transaction]] = database.write

    def caller(frame: FrameType | None) -> tuple[str, int]:
        while frame is not None and frame.f_globals["__name__"] == database.__module__:
            frame = frame.f_back
        assert frame is not None
        return f"{frame.f_globals['__name__']}.{frame.f_code.co_qualname}", frame.f_lineno

    @asynccontextmanager
    async def watched(
        transaction: AbstractAsyncContextManager[Transaction], function: str, number: int
    ) -> AsyncIterator[Transaction]:
        async with transaction as connection:
            yield connection
            strike(place(function, number, "before"))
        strike(place(function, number, "after"))

    def watched_write(self: Database, **how: Any) -> AbstractAsyncContextManager[Transaction]:
        return watched(write(self, **how), *caller(sys._getframe(1)))

    setattr(database, "write", watched_write)  # noqa: B010 (typed as a method)


def _show_at_hand(launch: Launch) -> None:
    shown = os.open(Path(launch.directory, AT_HAND), os.O_WRONLY | os.O_CREAT)
    begin, end = Shared.begin, Shared._end
    names: set[str] = set()

    def show() -> None:
        os.pwrite(shown, b"%8d" % len(names), 0)  # always of one length: the disk may be full by then

    def begun(self: Shared[Any], name: str, work: Callable[[], Coroutine[Any, Any, Any]], **how: Any) -> bool:
        has_room = begin(self, name, work, **how)
        names.update({name} if has_room else ())
        show()
        return has_room

    def ended(self: Shared[Any], name: str, job: Any) -> None:
        end(self, name, job)
        names.difference_update({name} - self._jobs.keys())
        show()

    show()
    patches: list[tuple[str, Callable[..., Any]]] = [("begin", begun), ("_end", ended)]
    for name, method in patches:
        setattr(Shared, name, method)


def run(options: dict[str, Any]) -> int:
    """Be the program as the fields of a `Launch` say, and return its exit code."""
    return be(Launch(**options))


def be(launch: Launch, begin: Callable[[], None] = lambda: None) -> int:
    """Be the program as asked for, and return its exit code; the last thing before it begins is `begin`."""
    directory = Path(launch.directory)
    clock = wrong_clock(directory) if launch.clock or launch.passing else time.time
    strike = striker(launch)
    for database in (SQLiteDatabase, PostgreSQLDatabase):
        _commit_points(database, strike)
    watch_workers(directory, clock)
    bot.media.files.ARCHIVED_SECONDS = bot.media.files.KEEP_SECONDS = KEEP_SECONDS
    bot.fetching.patience.UNDER_WAY_PAUSES = (0.2, KEEP_SECONDS / 2)
    _show_at_hand(launch)
    setattr(bot.app, "run", partial(bot.app.run, clock=clock))  # noqa: B010 (typed as a function)
    if launch.passing:
        let_time_pass(directory)
    if launch.patience is not None:
        setattr(bot.app, "VidGo", partial(VidGo, timeout=launch.patience))  # noqa: B010 (typed as a class)
    if launch.fetching is not None:
        slow = partial(Fetcher, total_timeout=launch.fetching, idle_timeout=launch.fetching)
        setattr(bot.app, "Fetcher", slow)  # noqa: B010 (typed as a class)
    begin()
    return main(["run"])
