"""A database file as the program makes it at its first start, made once for all tests of a process."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from storage.sqlite.opening import OWNER_ONLY, prepare


def lay_database(path: Path) -> None:
    """Put a new database where none is; the program would take a twentieth of a second to make the same."""
    if not path.exists():
        made = _made()
        path.touch(OWNER_ONLY)
        path.write_bytes(made)


@cache
def _made() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "made.db")
        prepare(path)
        return path.read_bytes()
