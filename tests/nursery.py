"""Fresh processes of the program within a tenth of a second each, forked from one that has imported it already."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[1]
MAIN = "bot.__main__:main"
FORK_SECONDS = 20.0
"""How long the first fork may take, which waits for the import of the program."""


class Forked:
    """A process of the program; `code` is the future of its exit code, negative for a signal."""

    def __init__(self, pid: int, code: asyncio.Future[int]) -> None:
        self.pid = pid
        self.code = code

    @property
    def returncode(self) -> int | None:
        """Return the exit code, None while the process lives."""
        return self.code.result() if self.code.done() else None

    async def wait(self) -> int:
        """Wait for the end and return the exit code."""
        return await asyncio.shield(self.code)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal; harmless once the process has ended."""
        if not self.code.done():
            with suppress(ProcessLookupError):  # dead already, and not heard of yet
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End the process as a power cut would; returns at once."""
        self.send_signal(signal.SIGKILL)


class Nursery:
    """The process that forks the program; serves any number of programs and of event loops."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.forking", str(theirs.fileno())], cwd=ROOT, pass_fds=[theirs.fileno()]
            )

    async def fork(
        self,
        *arguments: Any,
        directory: Path,
        environment: Mapping[str, str],
        stdout: int | None = None,
        stderr: int | None = None,
        entry: str = MAIN,
        measured: bool = True,
    ) -> Forked:
        """Start a process that calls `entry` with `arguments` and ends with what it returns.

        `stdout` and `stderr` are descriptors, by default of /dev/null, and stay the caller's. What is not `measured`
        leaves nothing for the sum of what has run, which takes a moment at its end.
        """
        order = {
            "entry": entry,
            "arguments": arguments,
            "directory": str(directory),
            "environment": dict(environment),
            "measured": measured,
        }
        ours, theirs = socket.socketpair()
        null = os.open(os.devnull, os.O_RDWR)
        streams = [null, null if stdout is None else stdout, null if stderr is None else stderr]
        try:
            with theirs:
                socket.send_fds(self._control, [b"\n"], [theirs.fileno(), *streams])
        finally:
            os.close(null)
        reader, writer = await asyncio.open_connection(sock=ours)
        writer.write(json.dumps(order).encode() + b"\n")
        async with asyncio.timeout(patient(FORK_SECONDS)):
            pid = int(await reader.readline())
        return Forked(pid, asyncio.create_task(self._listen(reader, writer)))

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        try:
            return int(await reader.readline())
        finally:
            writer.transport.abort()

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    def close(self) -> None:
        """End the process, and everything that it forked with it."""
        self._control.close()
        self._process.wait()


@contextmanager
def open_nursery() -> Iterator[Nursery]:
    """Start a nursery, and end it with everything that it forked."""
    nursery = Nursery()
    try:
        yield nursery
    finally:
        nursery.close()


@cache
def shared() -> Nursery:
    """Return the one nursery of this process, which the end of the test run closes."""
    return Nursery()


lasting: set[int] = set()
"""The ids of processes that serve many tests, and stay until the end."""


def other_children() -> list[psutil.Process]:
    """Return the processes that this one has started, but for those that serve many tests."""
    nursery = {shared().pid} if shared.cache_info().currsize else set()
    return [child for child in psutil.Process().children() if child.pid not in nursery | lasting]
