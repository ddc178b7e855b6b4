"""The process that forks the program: `python -m tests.forking DESCRIPTOR`, started by `tests.nursery`.

It imports the program once. Each message on its control socket brings four descriptors: of a line to the sender, and of
the new process's stdin, stdout and stderr. The line says what to run, and hears the process id and then the exit code.
Whoever hangs up has their process killed; when the control socket ends, all are.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from importlib import import_module
from typing import Any

from tests.compiled import compile_all, compile_once
from tests.measured import coverage

PRELOADED = (
    "bot.__main__",
    "bot.app",
    "bot.cli.backup",
    "bot.cli.check",
    "bot.cli.commands",
    "bot.cli.export",
    "bot.cli.setup",
    "bot.logs",
    "cogs.cover",
    "cogs.coverbot",
    "cogs.music",
    "storage.sqlite.database",
)
"""What nearly each process would import by itself."""

FAILED = 1


def _run(order: dict[str, Any]) -> int:
    os.chdir(order["directory"])
    os.environ.clear()
    os.environ.update(order["environment"])
    module, _, name = order["entry"].partition(":")
    return int(getattr(import_module(module), name)(*order["arguments"]))


def _be(order: dict[str, Any], descriptors: list[int]) -> None:
    """Be the program; never returns."""
    code = FAILED
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for target, descriptor in enumerate(descriptors):
            os.dup2(descriptor, target)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        code = _run(order)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else FAILED
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        if coverage is not None and order["measured"]:
            coverage.leave_what_ran()
        os._exit(code)


class _Nursery:
    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._lines: dict[int, socket.socket] = {}
        """Who waits for the exit code, by process id."""
        self._woken, waker = os.pipe()
        os.set_blocking(waker, False)
        os.set_blocking(self._woken, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waker)

    def serve(self) -> None:
        """Serve until the control socket ends, and take the children along."""
        try:
            while True:
                lines = {line: pid for pid, line in self._lines.items()}
                watched: list[Any] = [self._control, self._woken, *lines]
                ready, _, _ = select.select(watched, [], [])
                if self._woken in ready:
                    os.read(self._woken, 4096)
                    self._reap()
                for line in ready:
                    if line in lines and lines[line] in self._lines:
                        os.kill(lines[line], signal.SIGKILL)
                        self._lines.pop(lines[line]).close()
                if self._control in ready:
                    said, descriptors, _, _ = socket.recv_fds(self._control, 1, 4)
                    if not said:
                        return
                    self._fork(descriptors)
        finally:
            for pid in self._lines:
                os.kill(pid, signal.SIGKILL)

    def _fork(self, descriptors: list[int]) -> None:
        line = socket.socket(fileno=descriptors[0])
        with line.makefile("rb") as said:
            order = json.loads(said.readline())
        pid = os.fork()
        if pid == 0:
            _be(order, descriptors[1:])
        for descriptor in descriptors[1:]:
            os.close(descriptor)
        self._lines[pid] = line
        self._tell(line, pid)

    def _reap(self) -> None:
        with suppress(ChildProcessError):  # there is none left
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                if (line := self._lines.pop(pid, None)) is not None:
                    self._tell(line, os.waitstatus_to_exitcode(status))
                    line.close()

    @staticmethod
    def _tell(line: socket.socket, number: int) -> None:
        with suppress(OSError):  # nobody listens any more
            line.sendall(b"%d\n" % number)


if __name__ == "__main__":
    for preloaded in PRELOADED:
        import_module(preloaded)
    compile_once()
    compile_all()
    asyncio.set_event_loop(None)
    gc.collect()
    gc.freeze()  # so that the children share what they only read
    _Nursery(socket.socket(fileno=int(sys.argv[1]))).serve()
    if coverage is not None:
        coverage.leave_what_ran()
