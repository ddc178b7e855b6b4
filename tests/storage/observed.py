"""What can be observed about the database from below: the driver's statements and threads, and the disk."""

from __future__ import annotations

import asyncio
import math
import os
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

from storage.database import Database
from storage.sqlite.connection import _connect
from storage.wakeups import Queue


class Driver:
    """Knows which thread has begun which statement, and can hold one up in the thread."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, int]] = []
        self.held = threading.Event()
        self.go_on = threading.Event()
        self._held_at: str | None = None

    def connect(self, path: Path) -> sqlite3.Connection:
        raw = _connect(path)
        raw.set_trace_callback(self._note)
        return raw

    def hold_at(self, statement: str) -> None:
        """Hold up the next statement that begins like this."""
        self._held_at = statement
        self.held.clear()
        self.go_on.clear()

    def threads(self, statement: str) -> set[int]:
        """Return which threads have run statements that begin like this."""
        return {thread for text, thread in self.ran if text.startswith(statement)}

    def count(self, statement: str) -> int:
        return sum(text.startswith(statement) for text, _ in self.ran)

    def _note(self, statement: str) -> None:
        self.ran.append((statement, threading.get_ident()))
        if self._held_at is not None and statement.startswith(self._held_at):
            self._held_at = None
            self.held.set()
            assert self.go_on.wait(60)


_fdatasync = os.fdatasync


class Disk:
    """Sees each `fdatasync` of the process, and can make it last or fail."""

    def __init__(self) -> None:
        self.synced: list[Path] = []
        self.began = threading.Semaphore(0)
        self.may_end = threading.Event()
        self.may_end.set()
        self.errors: list[OSError] = []

    def sync(self, file: int) -> None:
        self.began.release()
        assert self.may_end.wait(60)
        if self.errors:
            raise self.errors.pop()
        _fdatasync(file)
        self.synced.append(Path(f"/proc/self/fd/{file}").readlink())


async def heard(database: Database) -> None:
    """Return when other processes can be heard, and nobody is going to be woken for having begun to listen."""

    async def is_so() -> bool:
        return database.wakeups.longest == math.inf

    await until(is_so)
    for queue in Queue:
        await database.wakeups.wait(queue, 0)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return when something has come about that nobody tells."""
    async with asyncio.timeout(60):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.001)
