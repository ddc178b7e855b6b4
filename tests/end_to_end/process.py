"""The real program as a process of its own: started, watched, stopped, killed."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bot.settings import Settings
from sandbox.discord.clock import Signal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.discord import DiscordStandIn

ROOT = Path(__file__).parents[2]
SHUTDOWN_SECONDS = 10.0
"""How long the contract gives a shutdown."""


@dataclass(frozen=True)
class Ended:
    """What a finished command left: its exit code and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """Return the lines on stderr."""
        return self.err.splitlines()


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with exactly `settings` for the program."""
    known = {name.upper() for name in Settings.model_fields}
    kept = {name: value for name, value in os.environ.items() if name.upper() not in known}
    return {**kept, "PYTHONPATH": str(ROOT), **settings}


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


async def run_program(directory: Path, settings: Mapping[str, str], *arguments: str, seconds: float = 30) -> Ended:
    """Run a command to its end in `directory`; raises TimeoutError, after killing it, when it takes longer."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "bot", *arguments),
        cwd=directory,
        env=environment(settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), seconds)
    except TimeoutError:
        process.kill()
        await process.communicate()
        raise
    return Ended(process.returncode or 0, out.decode(), err.decode())


class Bot:
    """`coverbot run` in `directory`, where its log is kept as `bot.log` over all restarts."""

    def __init__(self, directory: Path, settings: Mapping[str, str], discord: DiscordStandIn) -> None:
        self.directory = directory
        self.settings = dict(settings)
        self.module = "bot"
        """What is run; another one may patch the program first."""
        self.log_lines: list[str] = []
        self._discord = discord
        self._changed = Signal()
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    @property
    def log(self) -> str:
        """Return everything the process has written to stderr, all starts together."""
        return "\n".join(self.log_lines)

    @property
    def running(self) -> bool:
        """Return whether the process lives."""
        return self._process is not None and self._process.returncode is None

    async def launch(self) -> None:
        """Start the process and return at once."""
        assert not self.running
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", self.module, "run"),
            cwd=self.directory,
            env=environment(self.settings),
            stdin=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        assert self._process.stderr is not None
        self._reader = asyncio.create_task(self._read(self._process.stderr))

    async def start(self) -> None:
        """Start the process and wait until people can use it."""
        before = self._discord.identified
        await self.launch()
        assert self._reader is not None
        ready = asyncio.create_task(self._discord.wait_ready(newer_than=before))
        await asyncio.wait({ready, self._reader}, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            raise AssertionError(f"the program ended with exit code {await self.ended()}:\n{self.log}")
        await ready

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> float:
        """Ask the process to end, and return how many seconds the orderly end with exit code 0 took."""
        process = self._living()
        started = time.monotonic()
        process.send_signal(number)
        code = await self._end(SHUTDOWN_SECONDS)
        assert code == 0, f"exit code {code}"
        return time.monotonic() - started

    async def kill(self) -> None:
        """End the process as a power cut would."""
        if self.running:
            self._living().kill()
            await self._end(SHUTDOWN_SECONDS)

    async def ended(self, seconds: float = 20) -> int:
        """Wait for the process to end by itself, and return its exit code."""
        return await self._end(seconds)

    async def wait_log(self, *words: str, after: int = 0, timeout: float = 15) -> str:
        """Return the first line of the log, of those `after` the first so many, that holds all `words`."""

        def find() -> str | None:
            return next((line for line in self.log_lines[after:] if all(word in line for word in words)), None)

        return await self._changed.wait_for(find, timeout, f"line with {words} in the log")

    def errors(self, after: int = 0) -> list[str]:
        """Return the log's lines of level ERROR, of those `after` the first so many."""
        return [line for line in self.log_lines[after:] if " ERROR " in line or " CRITICAL " in line]

    def _living(self) -> asyncio.subprocess.Process:
        assert self._process is not None
        assert self._process.returncode is None, f"ended by itself with {self._process.returncode}:\n{self.log}"
        return self._process

    async def _end(self, seconds: float) -> int:
        assert self._process is not None
        assert self._reader is not None
        try:
            code = await asyncio.wait_for(self._process.wait(), seconds)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
            raise TimeoutError(f"the program was still there after {seconds:g} s") from None
        finally:
            await self._reader
        return code

    async def _read(self, stream: asyncio.StreamReader) -> None:
        with (self.directory / "bot.log").open("a", encoding="utf-8") as file:
            async for raw in stream:
                line = raw.decode(errors="replace").rstrip("\n")
                file.write(line + "\n")
                self.log_lines.append(line)
                self._changed.notify()
