"""The files of a finished task: what VidGo named, one row for each version."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import String, bindparam, cast, insert, select, update

from storage import planned
from storage.database import Snapshot, Transaction
from storage.planned import Due
from storage.quick import quick
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


_ADD = quick(insert(files).prefix_with("OR IGNORE"))
_ONE = quick(select(files).where(files.c.task_id == bindparam("task_id"), files.c.position == bindparam("position")))
_OF = quick(select(files).where(files.c.task_id == bindparam("task_id")).order_by(files.c.position))
_NAME = files.c.task_id + "." + cast(files.c.position, String)
_DUE = planned.due(_NAME, files.c.archive_at, files.c.archive_at.is_not(None))
_NEXT_DUE = planned.next_due(_NAME, files.c.archive_at, files.c.archive_at.is_not(None))
_OF_FILE = (files.c.task_id == bindparam("of_task"), files.c.position == bindparam("of_position"))
_AUDIO_KEPT = quick(update(files).where(*_OF_FILE).values(audio_sha256=bindparam("sha256")))
_IMAGE_KEPT = quick(update(files).where(*_OF_FILE).values(image_sha256=bindparam("sha256")))
_ARCHIVE_AT = quick(update(files).where(*_OF_FILE).values(archive_at=bindparam("at"), archive_tries=bindparam("tries")))


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


async def kept(transaction: Transaction, file: File, *, audio: str | None = None, image: str | None = None) -> None:
    """Note under which hash the archive keeps a file's audio or artwork."""
    for statement, sha256 in ((_AUDIO_KEPT, audio), (_IMAGE_KEPT, image)):
        if sha256 is not None:
            values = {"of_task": file.task_id, "of_position": file.position, "sha256": sha256}
            await transaction.execute(statement, values)


async def archive_at(transaction: Transaction, file: File, at: float | None, tries: int) -> None:
    """Plan when the archive tries to get what it lacks of a file, or never again."""
    values = {"of_task": file.task_id, "of_position": file.position, "at": at, "tries": tries}
    await transaction.execute(_ARCHIVE_AT, values)


async def claim(snapshot: Snapshot, now: float, horizon: float, skip: Collection[str], limit: int) -> list[Due]:
    """Return which files the archive should try to get now, as `task_id.position`."""
    found = await snapshot.execute(_DUE, planned.asked(now, horizon, skip, limit))
    return [Due(*row) for row in found]


async def next_due(snapshot: Snapshot, skip: Collection[str]) -> float | None:
    """Return when the archive should try the next file."""
    found: float | None = (await snapshot.execute(_NEXT_DUE, {"skip": list(skip)})).scalar_one()
    return found
