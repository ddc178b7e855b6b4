"""A downloaded file, on disk or, while it is small and about to be sent, in memory."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Final

from bot.formats.kinds import MediaKind

IN_MEMORY_BYTES: Final = 4 * 1024 * 1024
"""Up to which size a file may be held in memory."""

PART_SUFFIX: Final = ".part"
"""Ending of the hidden files that what is not whole yet is written to, beside its destination."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A downloaded file: where it is, its size in bytes, and what its first bytes say it is.

    With `data` it is in memory, and at its place only after `store`. `seconds` is how long it plays, where it is audio
    in frames that can be read and somebody has looked.
    """

    path: Path
    size: int
    kind: MediaKind
    data: bytes | None = field(default=None, repr=False, compare=False)
    seconds: float | None = field(default=None, compare=False)

    def open(self) -> BufferedReader | BytesIO:
        """Open it for reading; raises `OSError`."""
        return self.path.open("rb") if self.data is None else Bytes(self.data)

    def open_to_send(self) -> BufferedReader | BytesIO:
        """Open it for sending: aiohttp reads a file through a thread 64 KiB at a time, so a small one goes from memory.

        Raises `OSError`.
        """
        if self.data is None and self.size <= IN_MEMORY_BYTES:
            return Bytes(self.path.read_bytes())
        return self.open()

    def store(self) -> Path:
        """Bring what is in memory to its place, whatever was there before, and return that; raises `OSError`."""
        if self.data is not None:
            part = part_of(self.path)
            try:
                part.write_bytes(self.data)
                part.replace(self.path)
            except OSError:
                part.unlink(missing_ok=True)
                raise
        return self.path


class Bytes(BytesIO):
    """Bytes to read. A plain `BytesIO` makes a copy when aiohttp asks for its buffer, to learn its size."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._data = data

    def getbuffer(self) -> memoryview:
        """Return the bytes themselves."""
        return memoryview(self._data)


def part_of(destination: Path) -> Path:
    """Return a new name for what is not whole yet, hidden and beside its destination."""
    return destination.with_name(f".{uuid.uuid4().hex}{PART_SUFFIX}")
