"""The real program in a process that can be told where to die: `python -m tests.faults.crashing`.

It imports the program once and forks a fresh process of it for each line of JSON on stdin, which makes a start cost a
tenth of a second. The program itself is unchanged but for what a `Launch` asks for, all of it from outside: a commit
that is the process's last act, a clock that is wrong, shorter patience with VidGo.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import bot.app
import bot.media.files
import bot.media.patience
from bot.__main__ import main
from bot.media.fetch import Fetcher
from bot.media.shared import Shared
from bot.vidgo import VidGo
from storage.database import Database, Transaction
from tests.faults.watching import let_time_pass, watch_workers, wrong_clock

ARMED = "crash-at"
"""The file in the working directory that names the commit at which to die."""

TRAIL = "commits"
"""The file in the working directory that every commit is noted in, where that is asked for."""

AT_HAND = "at-hand"
"""The file in the working directory that says how many files are under way or kept; small ones are in memory."""

FAILED = 1

KEEP_SECONDS = 1.0
"""How long a file that was fetched is kept for whoever wants it next: every audit waits for that."""


@dataclass(frozen=True)
class Launch:
    """How to start the program: where, with which environment, and what is different about it.

    `trail` notes every commit, `clock` lets the clock be set, and `passing` lets time pass at once, for everything that
    waits too. `patience` bounds requests to VidGo and `fetching` those to file hosts (both in seconds).
    """

    directory: str
    environment: dict[str, str] = field(default_factory=dict)
    trail: bool = False
    clock: bool = False
    passing: bool = False
    patience: float | None = None
    fetching: float | None = None

    def dump(self) -> str:
        """Return one line of JSON."""
        return json.dumps(asdict(self)) + "\n"


def place(function: str, number: int, phase: str) -> str:
    """Name a moment: the function that commits, its line, and whether it is before or after the commit."""
    return f"{function}:{number} {phase}"


def _commit_points(launch: Launch) -> None:
    """Let everything that writes down what happened ask whether it is the last thing that happens."""
    write: Callable[..., AbstractAsyncContextManager[Transaction]] = Database.write
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
        transaction: AbstractAsyncContextManager[Transaction], function: str, number: int
    ) -> AsyncIterator[Transaction]:
        async with transaction as connection:
            yield connection
            strike(place(function, number, "before"))
        strike(place(function, number, "after"))

    def watched_write(self: Database, **how: Any) -> AbstractAsyncContextManager[Transaction]:
        return watched(write(self, **how), *caller(sys._getframe(1)))

    setattr(Database, "write", watched_write)  # noqa: B010 (typed as a method)


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


def _program(launch: Launch) -> int:
    os.chdir(launch.directory)
    os.environ.clear()
    os.environ.update(launch.environment)
    directory = Path(launch.directory)
    clock = wrong_clock(directory) if launch.clock or launch.passing else time.time
    _commit_points(launch)
    watch_workers(directory, clock)
    bot.media.files.ARCHIVED_SECONDS = bot.media.files.KEEP_SECONDS = KEEP_SECONDS
    setattr(bot.media.patience, "UNDER_WAY_PAUSES", (0.2, KEEP_SECONDS / 2))  # noqa: B010 (typed as final)
    _show_at_hand(launch)
    setattr(bot.app, "run", partial(bot.app.run, clock=clock))  # noqa: B010 (typed as a function)
    if launch.passing:
        let_time_pass(directory)
    if launch.patience is not None:
        setattr(bot.app, "VidGo", partial(VidGo, timeout=launch.patience))  # noqa: B010 (typed as a class)
    if launch.fetching is not None:
        slow = partial(Fetcher, total_timeout=launch.fetching, idle_timeout=launch.fetching)
        setattr(bot.app, "Fetcher", slow)  # noqa: B010 (typed as a class)
    return main(["run"])


def _child(launch: Launch) -> None:
    """Be the program; never returns."""
    code = FAILED
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        log = os.open(Path(launch.directory, "bot.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for descriptor, target in ((os.open(os.devnull, os.O_RDONLY), 0), (log, 1), (log, 2)):
            os.dup2(descriptor, target)
        code = _program(launch)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else FAILED
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


class _Nursery:
    """Forks one process for each line that it is given, and tells when each has ended."""

    def __init__(self) -> None:
        self._children: set[int] = set()
        self._woken, waker = os.pipe()
        os.set_blocking(waker, False)
        os.set_blocking(self._woken, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waker)

    def serve(self) -> None:
        """Serve until stdin ends, and take the children along."""
        rest = b""
        try:
            while True:
                ready, _, _ = select.select([0, self._woken], [], [])
                if self._woken in ready:
                    os.read(self._woken, 4096)
                    self._reap()
                if 0 in ready:
                    read = os.read(0, 1 << 16)
                    if not read:
                        return
                    *lines, rest = (rest + read).split(b"\n")
                    for line in lines:
                        self._fork(Launch(**json.loads(line)))
        finally:
            for pid in self._children:
                os.kill(pid, signal.SIGKILL)

    def _fork(self, launch: Launch) -> None:
        pid = os.fork()
        if pid == 0:
            _child(launch)
        self._children.add(pid)
        self._tell(pid=pid)

    def _reap(self) -> None:
        for pid in list(self._children):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                self._children.discard(pid)
                self._tell(pid=pid, code=os.waitstatus_to_exitcode(status))

    def _tell(self, **words: int) -> None:
        os.write(1, json.dumps(words).encode() + b"\n")


if __name__ == "__main__":
    asyncio.set_event_loop(None)
    _Nursery().serve()
