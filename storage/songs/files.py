"""The files of a finished task: what VidGo named, one row for each version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import bindparam, delete, select

from storage.database import Snapshot, Transaction
from storage.quick import quick, unless_there
from storage.schema import files
from storage.wakeups import Queue


@dataclass(frozen=True, slots=True)
class File:
    """A row of `files`: one variant of a result."""

    task_id: str
    position: int
    audio_url: str | None
    image_urls: list[str]
    title: str
    tags: str
    duration: float | None
    audio_id: str | None
    audio_sha256: str | None = None
    image_sha256: str | None = None
    archive_at: float | None = None
    archive_tries: int = 0
    holder: str | None = None


RECORDING = 1000
"""In the place of a variant's number: the member's own recording that a task is made from, for as long as it lives."""

_ADD = quick(unless_there(files))
_ONE = quick(select(files).where(files.c.task_id == bindparam("task_id"), files.c.position == bindparam("position")))
_OF = quick(
    select(files)
    .where(files.c.task_id == bindparam("task_id"), files.c.position != RECORDING)
    .order_by(files.c.position)
)
_DROP_RECORDING = quick(delete(files).where(files.c.task_id == bindparam("of_task"), files.c.position == RECORDING))


def _file(row: Any) -> File:
    return File(**row._mapping)


async def add(transaction: Transaction, rows: Sequence[File]) -> None:
    """Insert the files of a task, unless they stand there already."""
    if rows:
        await transaction.execute(_ADD, [asdict(row) for row in rows])
        transaction.wakes(Queue.ARCHIVER)


async def one(snapshot: Snapshot, task_id: str, position: int) -> File | None:
    """Return one file of a task."""
    row = (await snapshot.execute(_ONE, {"task_id": task_id, "position": position})).first()
    return None if row is None else _file(row)


async def of(snapshot: Snapshot, task_id: str) -> list[File]:
    """Return the files of a task in VidGo's order."""
    return [_file(row) for row in await snapshot.execute(_OF, {"task_id": task_id})]


async def drop_recording(transaction: Transaction, task_id: str) -> None:
    """Forget the recording that a task was to be made from; the archive removes it when it tidies up."""
    await transaction.execute(_DROP_RECORDING, {"of_task": task_id})
