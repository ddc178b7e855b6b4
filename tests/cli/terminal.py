"""The program at a terminal, and somebody who reads and types there."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import sys
import termios
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from tests.end_to_end.process import environment
from tests.patience import patient

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

PROGRAM = """
import os, sys
os.login_tty(int(sys.argv.pop(1)))
from bot.__main__ import main
sys.exit(main())
"""
CTRL_C = "\x03"


class Terminal:
    """What stands on the terminal's screen, and its keyboard."""

    def __init__(self, master: int) -> None:
        self.screen = ""
        self._master = master
        self._seen = 0
        self._is_left = False
        self._changed = asyncio.Event()
        asyncio.get_running_loop().add_reader(master, self._read)

    async def reads(self, pattern: str) -> str:
        """Wait for words after those that were waited for before, and return them."""
        async with asyncio.timeout(patient(30)):
            while (found := re.search(pattern, self.screen[self._seen :])) is None:
                assert not self._is_left, f"{pattern} is not on the screen:\n{self.screen}"
                self._changed.clear()
                await self._changed.wait()
        self._seen += found.end()
        return found[0]

    def types(self, text: str) -> None:
        os.write(self._master, text.encode())

    @property
    def echoes(self) -> bool:
        """Whether what is typed is shown."""
        return bool(termios.tcgetattr(self._master)[3] & termios.ECHO)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._master)

    def _read(self) -> None:
        try:
            self.screen += os.read(self._master, 65536).decode()
        except OSError:  # the last process has left the terminal
            self._is_left = True
            self.close()
        self._changed.set()


@asynccontextmanager
async def at_terminal(
    folder: Path, settings: Mapping[str, str], *arguments: str
) -> AsyncIterator[tuple[Terminal, Process]]:
    """Run a command of the program at a terminal of its own; it is killed if it is still there at the end."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (50, 1000))  # so that no question is broken into lines
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM, str(slave), *arguments),
        cwd=folder,
        env=environment(settings),
        pass_fds=[slave],
    )
    os.close(slave)
    terminal = Terminal(master)
    try:
        yield terminal, process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        terminal.close()
        os.close(master)


async def ended(process: Process) -> int:
    """Wait for the end and return the exit code."""
    async with asyncio.timeout(patient(30)):
        return await process.wait()
