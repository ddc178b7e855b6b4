"""Bringing commits onto the disk, many with one wait.

What `PRAGMA synchronous = FULL` does at each commit is done here for many: `fdatasync` of the write-ahead log, which is
the file's and not the descriptor's (POSIX). The rest SQLite does itself with `synchronous = NORMAL`: it syncs the first
page of a log together with the log's name in its directory, and log and database around a checkpoint.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

log = logging.getLogger(__name__)

CHECKPOINT_BYTES = 4 * 1024 * 1024
"""How long the write-ahead log grows before it is moved into the database; SQLite's default, 1000 pages."""


class Disk:
    """Waits for the disk on behalf of everybody who has committed.

    `checkpoint` moves the log into the database, and tells whether it could be moved as a whole.
    """

    def __init__(self, database: Path, checkpoint: Callable[[], Awaitable[bool]]) -> None:
        self._log = database.with_name(f"{database.name}-wal")
        self._checkpoint = checkpoint
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._synced = 0
        self._has_failed = False

    async def sync(self) -> None:
        """Return when everything that was committed before this call survives a power cut; raises `OSError`."""
        self._waiting += 1
        ticket = self._waiting
        async with self._turn:
            if self._synced >= ticket:  # the one before has waited for this commit too
                return
            covers = self._waiting
            try:
                size = await asyncio.to_thread(_sync, self._log)
            except OSError:
                self._has_failed = True
                raise
            if self._has_failed:
                # What it could not write the system may have dropped, and it says so only once: write it elsewhere.
                if not await self._move():
                    raise OSError(errno.EIO, "its log cannot be moved into the database yet")
                self._has_failed = False
            self._synced = covers
            if size > CHECKPOINT_BYTES:
                await self._move()

    async def _move(self) -> bool:
        try:
            return await self._checkpoint()
        except sqlite3.Error as error:  # what was committed stays in the log
            log.warning("the log of the database cannot be moved into it: %s", error)
            return False


def _sync(path: Path) -> int:
    """Bring a file onto the disk and return its size in bytes."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:  # nothing was written since it was moved into the database
        return 0
    try:
        # macOS has no fdatasync.
        getattr(os, "fdatasync", os.fsync)(file)
        return os.fstat(file).st_size
    finally:
        os.close(file)
