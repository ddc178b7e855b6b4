"""What the archive knows: the rows of `media`, and of each song's files what is archived and when to try again.

These are the only statements that name those columns. A reference and the row that it leads to are written in one
transaction, so that nobody ever sees one without the other.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import BindParameter, String, and_, bindparam, cast, delete, exists, func, insert, or_, select, update

from storage import planned
from storage.database import Snapshot, Transaction
from storage.files import File
from storage.planned import Due
from storage.quick import quick
from storage.schema import files, media
from storage.wakeups import Queue

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


_IS = and_(files.c.task_id == bindparam("of_task"), files.c.position == bindparam("of_position"))
_FILE_NAME = files.c.task_id + "." + cast(files.c.position, String)
_IS_DUE = files.c.archive_at.is_not(None)
_DUE = planned.due(_FILE_NAME, files.c.archive_at, _IS_DUE)
_CLAIM = planned.claim(_DUE, files.c.holder)
_NEXT_DUE = planned.next_due(_FILE_NAME, files.c.archive_at, _IS_DUE).where(planned.mine(files.c.holder))
_PLAN = quick(
    update(files).where(_IS, files.c.archive_at.is_(None)).values(archive_at=bindparam("at"), archive_tries=0)
)
_TRIED = quick(
    update(files)
    .where(_IS, files.c.archive_at == bindparam("planned_at"))
    .values(archive_at=bindparam("at"), archive_tries=bindparam("tries"), holder=None)
)
_REFER = {
    AUDIO: quick(update(files).where(_IS).values(audio_sha256=bindparam("hash"))),
    PICTURE: quick(update(files).where(_IS).values(image_sha256=bindparam("hash"))),
}
_GET = quick(select(media).where(media.c.sha256 == bindparam("hash")))
_ADD = quick(insert(media))
_DELETE = quick(delete(media).where(media.c.sha256 == bindparam("hash")))
_DELETE_UNUSED_SINCE = quick(
    delete(media).where(media.c.sha256 == bindparam("hash"), media.c.used_at == bindparam("seen_at"))
)
_USED = quick(update(media).where(media.c.sha256 == bindparam("hash")).values(used_at=bindparam("now")))
_RELEASE = [
    quick(update(files).where(column == bindparam("hash")).values({column.name: None}))
    for column in (files.c.audio_sha256, files.c.image_sha256)
]
_GET_AGAIN = [
    quick(
        update(files)
        .where(column == bindparam("hash"))
        .values({column.name: None, "archive_at": bindparam("at"), "archive_tries": 0})
    )
    for column in (files.c.audio_sha256, files.c.image_sha256)
]
_TOTAL = select(func.coalesce(func.sum(media.c.size), 0)).where(media.c.sha256 != bindparam("but"))
_OLDEST = select(media).where(media.c.sha256 != bindparam("but")).order_by(media.c.used_at).limit(planned.MOST)
_PAGE = select(media.c.sha256).where(media.c.sha256 > bindparam("after")).order_by(media.c.sha256).limit(planned.MOST)
_HASHES: BindParameter[Any] = bindparam("hashes", expanding=True)
_IS_REFERRED_TO = or_(
    exists().where(files.c.audio_sha256 == media.c.sha256), exists().where(files.c.image_sha256 == media.c.sha256)
)
_UNUSED = select(media.c.sha256).where(media.c.sha256.in_(_HASHES), ~_IS_REFERRED_TO)
_COLLECT = delete(media).where(media.c.sha256.in_(_HASHES), ~_IS_REFERRED_TO).returning(media.c.sha256)
_KNOWN = select(media.c.sha256).where(media.c.sha256.in_(_HASHES))


# What is due


async def claim(snapshot: Snapshot, now: float, horizon: float, skip: Collection[str], limit: int) -> list[Due]:
    """Take files which the archive should try to get now, as `task_id.position`.

    A time beyond `horizon` is due too: nothing is ever planned that far, so the clock was set back.
    """
    return [Due(*row) for row in await snapshot.claim(_CLAIM, planned.asked(now, horizon, skip, limit))]


async def release(transaction: Transaction, names: Collection[str]) -> None:
    """Let others claim files that this process has claimed."""
    keys = [name.partition(".") for name in names]
    await transaction.release(
        _CLAIM, [{"of_task_id": task_id, "of_position": int(position)} for task_id, _, position in keys]
    )


async def next_due(snapshot: Snapshot, skip: Collection[str]) -> float | None:
    """Return when the archive should try the next file."""
    found: float | None = (await snapshot.execute(_NEXT_DUE, {"skip": list(skip), "me": snapshot.me})).scalar_one()
    return found


async def plan(transaction: Transaction, file: File, at: float) -> None:
    """Have the archive try a file at `at`, as often as a new one, unless it will do so anyway."""
    await transaction.execute(_PLAN, {**_key(file), "at": at})
    transaction.wakes(Queue.ARCHIVER)


async def tried(transaction: Transaction, file: File, again_at: float | None, tries: int) -> None:
    """Note that the archive has tried a file, and when it tries again, unless that was planned anew meanwhile."""
    values = {"planned_at": file.archive_at, "at": again_at, "tries": tries}
    await transaction.execute(_TRIED, {**_key(file), **values})


# What is kept


async def get(snapshot: Snapshot, sha256: str) -> Media | None:
    """Return what is known of a kept file."""
    row = (await snapshot.execute(_GET, {"hash": sha256})).first()
    return None if row is None else Media(**row._mapping)


async def hold_still(transaction: Transaction) -> None:
    """Let nobody else publish or remove a file until the transaction ends."""
    await transaction.alone("archive")


async def archived(transaction: Transaction, file: File, what: What, kept: Media) -> bool:
    """Note that a song's file is kept; False where the song has been forgotten meanwhile."""
    await hold_still(transaction)
    referred = await transaction.execute(_REFER[what], {**_key(file), "hash": kept.sha256})
    if referred.rowcount != 1:
        return False
    await transaction.execute(_DELETE, {"hash": kept.sha256})
    await transaction.execute(_ADD, asdict(kept))
    return True


async def used(transaction: Transaction, sha256: str, now: float) -> None:
    """Note that a kept file was used."""
    await transaction.execute(_USED, {"hash": sha256, "now": now})


async def lost(transaction: Transaction, kept: Media, again_at: float) -> bool:
    """Note that a kept file is no longer what it was, and have it got again; tell whether it was not used since."""
    await hold_still(transaction)
    values = {"hash": kept.sha256, "seen_at": kept.used_at}
    if (await transaction.execute(_DELETE_UNUSED_SINCE, values)).rowcount != 1:
        return False
    for statement in _GET_AGAIN:
        await transaction.execute(statement, {"hash": kept.sha256, "at": again_at})
    transaction.wakes(Queue.ARCHIVER)
    return True


# What is kept no longer


async def total(snapshot: Snapshot, but: str) -> int:
    """Return how many bytes are kept, without one file."""
    return int((await snapshot.execute(_TOTAL, {"but": but})).scalar_one())


async def oldest(snapshot: Snapshot, limit: int, but: str) -> list[Media]:
    """Return the least recently used files, without one."""
    return [Media(**row._mapping) for row in await snapshot.execute(_OLDEST, {"but": but, "most": limit})]


async def evict(transaction: Transaction, sha256: str) -> None:
    """Note that a file has made room; it is worth another try only once somebody wants it."""
    await hold_still(transaction)
    for statement in (_DELETE, *_RELEASE):
        await transaction.execute(statement, {"hash": sha256})


async def page(snapshot: Snapshot, after: str) -> list[str]:
    """Return the hashes of the next `PAGE` kept files, in order."""
    return list((await snapshot.execute(_PAGE, {"after": after, "most": PAGE})).scalars())


async def unused(snapshot: Snapshot, hashes: Collection[str]) -> list[str]:
    """Return which of these kept files no song refers to."""
    return list((await snapshot.execute(_UNUSED, {"hashes": list(hashes)})).scalars())


async def collect(transaction: Transaction, hashes: Collection[str]) -> list[str]:
    """Remove the rows of those kept files that no song refers to, and return which they were."""
    await hold_still(transaction)
    return list((await transaction.execute(_COLLECT, {"hashes": list(hashes)})).scalars())


async def known(snapshot: Snapshot, hashes: Collection[str]) -> set[str]:
    """Return which of these files are kept."""
    return set((await snapshot.execute(_KNOWN, {"hashes": list(hashes)})).scalars())


def _key(file: File) -> dict[str, Any]:
    return {"of_task": file.task_id, "of_position": file.position}
