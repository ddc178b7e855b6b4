"""What the archive knows: the rows of `media`, and of each song's files what is archived and when to try again.

These are the only statements that name those columns. A reference and the row that it leads to are written in one
transaction, so that nobody ever sees one without the other.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, String, and_, bindparam, cast, delete, exists, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import planned
from storage.schema import files, media
from storage.tasks import File

PAGE = 200
"""How many rows are looked at in one go by what tidies up."""


class What(StrEnum):
    """Which part of a song's file."""

    AUDIO = "audio"
    PICTURE = "picture"


AUDIO, PICTURE = What.AUDIO, What.PICTURE


@dataclass(frozen=True, slots=True)
class Media:
    """A row of `media`. `kind` is the value it was kept with, `used_at` Unix seconds."""

    sha256: str
    kind: str
    size: int
    used_at: float


_REFERENCE = {AUDIO: files.c.audio_sha256, PICTURE: files.c.image_sha256}
_FILE_NAME = files.c.task_id + "." + cast(files.c.position, String)
_DUE = planned.due(_FILE_NAME, files.c.archive_at, files.c.archive_at.is_not(None))
_NEXT_DUE = planned.next_due(_FILE_NAME, files.c.archive_at, files.c.archive_at.is_not(None))
_GET = select(media).where(media.c.sha256 == bindparam("sha256"))
_IS_REFERRED_TO = or_(
    exists().where(files.c.audio_sha256 == media.c.sha256), exists().where(files.c.image_sha256 == media.c.sha256)
)


# What is due


async def due(connection: AsyncConnection, now: float, horizon: float, skip: Collection[str], limit: int) -> list[str]:
    """Return which files the archive should try to get now, as `task_id.position`.

    A time beyond `horizon` is due too: nothing is ever planned that far, so the clock was set back.
    """
    values = {"now": now, "horizon": horizon, "skip": list(skip), "most": limit}
    return list((await connection.execute(_DUE, values)).scalars())


async def next_due(connection: AsyncConnection, skip: Collection[str]) -> float | None:
    """Return when the archive should try the next file."""
    found: float | None = (await connection.execute(_NEXT_DUE, {"skip": list(skip)})).scalar_one()
    return found


async def plan(connection: AsyncConnection, file: File, at: float) -> None:
    """Have the archive try a file at `at`, as often as a new one, unless it will do so anyway."""
    await connection.execute(
        update(files).where(_is(file), files.c.archive_at.is_(None)).values(archive_at=at, archive_tries=0)
    )


async def tried(connection: AsyncConnection, file: File, again_at: float | None, tries: int) -> None:
    """Note that the archive has tried a file, and when it tries again, unless that was planned anew meanwhile."""
    await connection.execute(
        update(files)
        .where(_is(file), files.c.archive_at == file.archive_at)
        .values(archive_at=again_at, archive_tries=tries)
    )


# What is kept


async def get(connection: AsyncConnection, sha256: str) -> Media | None:
    """Return what is known of a kept file."""
    row = (await connection.execute(_GET, {"sha256": sha256})).first()
    return None if row is None else Media(**row._mapping)


async def archived(connection: AsyncConnection, file: File, what: What, kept: Media) -> bool:
    """Note that a song's file is kept; False where the song has been forgotten meanwhile."""
    referred = await connection.execute(update(files).where(_is(file)).values({_REFERENCE[what].name: kept.sha256}))
    if referred.rowcount != 1:
        return False
    row = asdict(kept)
    if (await connection.execute(update(media).where(media.c.sha256 == kept.sha256).values(row))).rowcount == 0:
        await connection.execute(insert(media).values(row))
    return True


async def used(connection: AsyncConnection, sha256: str, now: float) -> None:
    """Note that a kept file was used."""
    await connection.execute(update(media).where(media.c.sha256 == sha256).values(used_at=now))


async def lost(connection: AsyncConnection, kept: Media, again_at: float) -> bool:
    """Note that a kept file is no longer what it was, and have it got again; tell whether it was not used since."""
    gone = await connection.execute(delete(media).where(media.c.sha256 == kept.sha256, media.c.used_at == kept.used_at))
    if gone.rowcount == 1:
        await _release(connection, kept.sha256, archive_at=again_at, archive_tries=0)
    return gone.rowcount == 1


# What is kept no longer


async def total(connection: AsyncConnection, but: str) -> int:
    """Return how many bytes are kept, without one file."""
    query = select(func.coalesce(func.sum(media.c.size), 0)).where(media.c.sha256 != but)
    size: int = (await connection.execute(query)).scalar_one()
    return size


async def oldest(connection: AsyncConnection, limit: int, but: str) -> list[Media]:
    """Return the least recently used files, without one."""
    query = select(media).where(media.c.sha256 != but).order_by(media.c.used_at).limit(limit)
    return [Media(**row._mapping) for row in await connection.execute(query)]


async def evict(connection: AsyncConnection, sha256: str) -> None:
    """Note that a file has made room; it is worth another try only once somebody wants it."""
    await connection.execute(delete(media).where(media.c.sha256 == sha256))
    await _release(connection, sha256)


async def page(connection: AsyncConnection, after: str) -> list[str]:
    """Return the hashes of the next `PAGE` kept files, in order."""
    query = select(media.c.sha256).where(media.c.sha256 > after).order_by(media.c.sha256).limit(PAGE)
    return list((await connection.execute(query)).scalars())


async def unused(connection: AsyncConnection, hashes: Collection[str]) -> list[str]:
    """Return which of these kept files no song refers to."""
    query = select(media.c.sha256).where(media.c.sha256.in_(hashes), ~_IS_REFERRED_TO)
    return list((await connection.execute(query)).scalars())


async def collect(connection: AsyncConnection, hashes: Collection[str]) -> list[str]:
    """Remove the rows of those kept files that no song refers to, and return which they were."""
    query = delete(media).where(media.c.sha256.in_(hashes), ~_IS_REFERRED_TO).returning(media.c.sha256)
    return list((await connection.execute(query)).scalars())


async def known(connection: AsyncConnection, hashes: Collection[str]) -> set[str]:
    """Return which of these files are kept."""
    return set((await connection.execute(select(media.c.sha256).where(media.c.sha256.in_(hashes)))).scalars())


def _is(file: File) -> ColumnElement[bool]:
    return and_(files.c.task_id == file.task_id, files.c.position == file.position)


async def _release(connection: AsyncConnection, sha256: str, **planned_again: Any) -> None:
    for column in _REFERENCE.values():
        await connection.execute(update(files).where(column == sha256).values({column.name: None, **planned_again}))
