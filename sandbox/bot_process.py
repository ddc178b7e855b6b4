"""The real bot as a child process: started, watched, stopped, killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

T = TypeVar("T")

PACKAGES = Path(__file__).resolve().parents[1]
STOP_SECONDS = 60.0
"""For a hang: the bot promises to shut down within 10 s, on a machine that has time for it."""

# What a process needs to run at all. Everything else is left out, above all the settings of a real bot.
_INHERITED = {"HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "TZ"}
_INHERITED_PREFIXES = ("LC_", "PYTHON", "COVERAGE")


class BotEndedError(Exception):
    """The bot ended although nobody had asked it to, or not as it was asked to."""


class BotProcess:
    """Run `python -m bot run` in a directory of its own, so that no `.env` of the user is read.

    What the bot logs, over all its starts, is kept in `bot.log` in that `directory`.
    """

    def __init__(self, directory: Path) -> None:
        self.exit_codes: list[int] = []
        self.directory = directory
        self._log = directory / "bot.log"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, settings: Mapping[str, str]) -> None:
        """Start the bot with these settings and no others."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name in _INHERITED or name.startswith(_INHERITED_PREFIXES)
        }
        path = os.pathsep.join(filter(None, [str(PACKAGES), inherited.get("PYTHONPATH")]))
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "bot", "run"),
                cwd=self.directory,
                env={**inherited, **settings, "PYTHONPATH": path},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def during(self, event: Awaitable[T]) -> T:
        """Wait for something that only a living bot can bring about; raises `BotEndedError` when it dies instead."""
        waiting = asyncio.ensure_future(event)
        ended = asyncio.ensure_future(self._running().wait())
        try:
            await asyncio.wait({waiting, ended}, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                return waiting.result()
            raise BotEndedError(f"the bot ended by itself: {describe_exit(ended.result())}")
        finally:
            waiting.cancel()
            ended.cancel()
            await asyncio.gather(waiting, ended, return_exceptions=True)

    async def ended(self) -> int:
        """Wait until the bot that was started last has ended, and return its exit code."""
        return await self._running().wait()

    async def stop(self) -> None:
        """Ask the bot to shut down; raises `BotEndedError` unless it ends in order."""
        process = self._running()
        if process.returncode is None:
            process.terminate()
        try:
            code = await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            await self.kill()
            raise BotEndedError(f"the bot did not shut down within {STOP_SECONDS:.0f} s") from None
        self._process = None
        self.exit_codes.append(code)
        if code:
            raise BotEndedError(f"the bot did not shut down in order: {describe_exit(code)}")

    async def kill(self) -> None:
        """End the bot at once, as a power cut would; harmless when it is not running."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.kill()
        await process.wait()

    def log_tail(self, lines: int) -> list[str]:
        """Return the last lines that the bot logged."""
        try:
            text = self._log.read_text("utf-8", errors="replace")
        except FileNotFoundError:
            return []
        return text.splitlines()[-lines:]

    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise RuntimeError("the bot has not been started")
        return self._process


def describe_exit(code: int) -> str:
    """Put an exit code into words; negative ones are signals."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"ended by signal {-code}"
