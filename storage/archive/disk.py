"""The archive's files on disk, each under its hash."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import re
import shutil
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Literal, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

THREADS = 4
"""How many files are copied or read at once; a disk that hangs holds these threads and no others."""

_BLOCK = 64 * 1024
_PART = ".part"
_HASH = re.compile(r"[0-9a-f]{64}")


class Disk:
    """A directory of files under their hashes: the archive's `Store` of one process, or of several on one machine."""

    def __init__(self, directory: Path, *, is_shared: bool = False) -> None:
        self.is_shared: Final = is_shared
        self._directory = directory
        self._threads = ThreadPoolExecutor(THREADS, "archive")

    async def open(self) -> None:
        """Make the directory."""
        await self._run(self._directory.mkdir, parents=True, exist_ok=True)

    async def put(self, source: Path, sha256: str, kind: str) -> None:
        """Give a file its name, or a copy of it where it cannot have two."""
        await self._run(self._put, source, sha256)

    async def get(self, sha256: str, destination: Path) -> bool:
        """Link or copy a file to `destination`; False where it was looked at and is lost or damaged.

        Raises `OSError` for whatever is wrong with `destination` or with the whole directory.
        """
        return await self._run(self._get, sha256, destination)

    async def remove(self, sha256: str) -> None:
        """Remove a file, if it is there."""
        await self._run(self._path(sha256).unlink, missing_ok=True)

    async def names(self) -> AsyncIterator[list[str]]:
        """Yield the names of all files at once."""
        yield await self._run(self._names)

    async def sweep(self, older_than: float) -> None:
        """Remove what was begun and is not whole, and was not touched since `older_than` (Unix seconds)."""
        await self._run(self._sweep, older_than)

    async def address(self, sha256: str, method: Literal["GET", "HEAD"]) -> None:
        """Return None: nobody else can reach it."""

    async def close(self) -> None:
        """Wait for nothing more; what is being copied is left to be removed at the next start."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _put(self, source: Path, sha256: str) -> None:
        # Else the database's next durable commit would wait until these megabytes are on the disk. Where there is no
        # `fdatasync` (macOS), the time of the last change goes to the disk too.
        with source.open("rb") as file:
            getattr(os, "fdatasync", os.fsync)(file.fileno())
        target = self._path(sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{uuid.uuid4().hex}{_PART}")
        try:
            link_or_copy(source, part)
            part.replace(target)
        finally:  # a full disk shall not be filled by halves of files
            part.unlink(missing_ok=True)

    def _get(self, sha256: str, destination: Path) -> bool:
        path = self._path(sha256)
        if not path.is_file():
            if not any(self._directory.glob("[0-9a-f][0-9a-f]")):
                # One file may be lost. All of them at once are a disk that is not mounted.
                raise FileNotFoundError(errno.ENOENT, "the archive is empty; is its disk mounted?", self._directory)
            return False
        # Twice, for a read that went wrong says nothing about what lies there.
        if digest(path) != sha256 and digest(path) != sha256:
            return False
        destination.unlink(missing_ok=True)
        link_or_copy(path, destination)
        return True

    def _names(self) -> list[str]:
        # Nothing but what this class has put there: an owner may have named a directory with other things in it.
        found = self._directory.glob("[0-9a-f][0-9a-f]/*")
        return [path.name for path in found if _HASH.fullmatch(path.name) and path.is_file()]

    def free(self) -> int:
        """Return how many bytes are free there; raises `OSError`."""
        return shutil.disk_usage(self._directory).free

    def _sweep(self, older_than: float) -> None:
        for path in self._directory.glob(f"[0-9a-f][0-9a-f]/.*{_PART}"):
            if _changed_at(path) < older_than:
                path.unlink(missing_ok=True)

    def _path(self, sha256: str) -> Path:
        return self._directory / sha256[:2] / sha256

    async def _run(self, work: Callable[P, R], *arguments: P.args, **options: P.kwargs) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: work(*arguments, **options))


def digest(path: Path) -> str:
    """Return a file's SHA-256 in hex."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()


def link_or_copy(source: Path, destination: Path) -> None:
    """Give a file a second name, or a copy where that cannot be; raises `OSError`."""
    try:
        os.link(source, destination)
    except FileNotFoundError:
        raise
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, destination)


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_ctime
    except FileNotFoundError:
        return float("inf")
