"""Bringing commits onto the disk, many with one wait."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

CHECKPOINT_BYTES = 4 * 1024 * 1024
"""How long the write-ahead log grows before it is moved into the database; SQLite's default, 1000 pages."""


class Disk:
    """Waits for the disk on behalf of everybody who has committed; `checkpoint` moves the log into the database."""

    def __init__(self, database: Path, checkpoint: Callable[[], Awaitable[None]]) -> None:
        self._log = database.with_name(f"{database.name}-wal")
        self._checkpoint = checkpoint
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._synced = 0

    async def sync(self) -> None:
        """Return when everything that was committed before this call survives a power cut; raises `OSError`."""
        self._waiting += 1
        ticket = self._waiting
        async with self._turn:
            if self._synced >= ticket:  # the one before has waited for this commit too
                return
            covers = self._waiting
            size = await asyncio.to_thread(_sync, self._log)
            self._synced = covers
            if size > CHECKPOINT_BYTES:
                await self._checkpoint()


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
