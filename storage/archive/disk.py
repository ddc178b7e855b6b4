"""The archive's files on disk, each under its hash. Everything here blocks."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import uuid
from pathlib import Path

_BLOCK = 64 * 1024
_PART = ".part"
_HASH = re.compile(r"[0-9a-f]{64}")


class Disk:
    """A directory of files under their hashes; its methods raise `OSError`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def open(self) -> None:
        """Make the directory."""
        self._directory.mkdir(parents=True, exist_ok=True)

    def stage(self, source: Path, sha256: str) -> Path:
        """Give a file a second name, or copy it, beside where it will be published."""
        # Else the database's next durable commit would wait until these megabytes are on the disk. Where there is no
        # `fdatasync` (macOS), the time of the last change goes to the disk too.
        with source.open("rb") as file:
            getattr(os, "fdatasync", os.fsync)(file.fileno())
        target = self._path(sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{uuid.uuid4().hex}{_PART}")
        try:
            link_or_copy(source, part)
        except OSError:  # a full disk shall not be filled by halves of files
            part.unlink(missing_ok=True)
            raise
        return part

    def publish(self, part: Path, sha256: str) -> None:
        """Give a staged file its name."""
        part.replace(self._path(sha256))

    def remove(self, *hashes: str) -> None:
        """Remove files, if they are there."""
        for sha256 in hashes:
            self._path(sha256).unlink(missing_ok=True)

    def read(self, sha256: str, destination: Path) -> bool:
        """Link or copy a file to `destination`; False where it was looked at and is lost or damaged.

        Raises `OSError` for whatever is wrong with `destination` or with the whole directory.
        """
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

    def leftovers(self, older_than: float) -> list[Path]:
        """Return what was begun and never published, and not touched since `older_than` (Unix seconds)."""
        found = self._directory.glob(f"[0-9a-f][0-9a-f]/.*{_PART}")
        return [path for path in found if _changed_at(path) < older_than]

    def names(self) -> list[str]:
        """Return the names of all published files."""
        # Nothing but what this class has put there: an owner may have named a directory with other things in it.
        found = self._directory.glob("[0-9a-f][0-9a-f]/*")
        return [path.name for path in found if _HASH.fullmatch(path.name) and path.is_file()]

    def free(self) -> int:
        """Return how many bytes are free there; raises `OSError`."""
        return shutil.disk_usage(self._directory).free

    def _path(self, sha256: str) -> Path:
        return self._directory / sha256[:2] / sha256


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
