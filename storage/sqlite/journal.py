"""A file in which rows are noted that the database has not got yet.

Discord wants its first answer sooner than a database under load can commit. A line in this file costs some microseconds
and survives the death of the process, so that whoever starts next finds what nobody has answered.
"""

from __future__ import annotations

import errno
import json
import logging
import os
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)


class Journal:
    """Notes rows by their id until they are done."""

    def __init__(self, path: Path) -> None:
        # Only the owner may read it: rows hold interaction tokens.
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._open: set[str] = set()

    def unfinished(self) -> list[dict[str, Any]]:
        """Return the rows that an earlier process noted and did not finish; a line cut off by its death is none."""
        rows: dict[str, dict[str, Any]] = {}
        os.lseek(self._file, 0, os.SEEK_SET)
        with os.fdopen(os.dup(self._file), "rb") as file:
            for line in file:
                try:
                    entry = json.loads(line)
                    key = str(entry["id"])
                    if "row" in entry:
                        rows[key] = dict(entry["row"])
                    else:
                        rows.pop(key, None)
                except (ValueError, KeyError, TypeError):
                    log.warning("a line of the journal is cut off")
        return list(rows.values())

    def clear(self) -> None:
        """Forget every row."""
        self._open.clear()
        os.ftruncate(self._file, 0)

    def note(self, row_id: str, row: dict[str, Any]) -> None:
        """Note a row; raises `OSError` where the disk is full."""
        self._open.add(row_id)
        self._write({"id": row_id, "row": row})

    def done(self, row_id: str) -> None:
        """Note that the database has a row, or that nobody needs it any more."""
        if row_id not in self._open:
            return
        self._open.discard(row_id)
        if not self._open:  # at once, for what is noted here names members
            os.ftruncate(self._file, 0)
        else:
            self._write({"id": row_id})

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _write(self, entry: dict[str, Any]) -> None:
        line = json.dumps(entry).encode() + b"\n"
        written = os.write(self._file, line)
        if written < len(line):  # the disk is full, and half a line would spoil the next one
            os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
