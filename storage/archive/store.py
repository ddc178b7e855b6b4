"""What the archive asks of the place where its files are: a disk or an S3-compatible store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal, Protocol


class StoreError(OSError):
    """The store did not do what it was asked; the text says why, and holds no key and no address."""


class StoreRefused(StoreError):  # noqa: N818 (a word says what happened)
    """The store knows the key, the bucket or the address not, or does not permit what was asked."""


class Store(Protocol):
    """Files under their hashes. Whatever cannot be done now raises `OSError` and changes nothing.

    No file is ever seen there before it is whole.
    """

    @property
    def is_shared(self) -> bool:
        """Whether other processes use it too, so that what seems to be left over may be somebody's work."""

    async def open(self) -> None:
        """Get it ready; raises `StoreRefused` where it never will be."""

    async def put(self, source: Path, sha256: str, kind: str) -> None:
        """Put a file there, in place of what is there under its name."""

    async def get(self, sha256: str, destination: Path) -> bool:
        """Bring a file to `destination`; False where it was looked at and is certainly lost or damaged."""

    async def remove(self, sha256: str) -> None:
        """Remove a file, if it is there."""

    def names(self) -> AsyncIterator[list[str]]:
        """Yield the names of all files, some at a time."""

    async def sweep(self, older_than: float) -> None:
        """Remove what was begun and is not whole, and was not touched since `older_than` (Unix seconds)."""

    def free(self) -> int | None:
        """Return how many bytes are free there, None where nobody knows; waits."""

    async def address(self, sha256: str, method: Literal["GET", "HEAD"]) -> str | None:
        """Return an address under which a file that is there can be fetched for some minutes, None where none can."""

    async def close(self) -> None:
        """Wait for nothing more."""
