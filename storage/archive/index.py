"""What the archive knows: the rows of `media`, and of each song's files what is archived and when to try again.

These are the only statements that name those columns. A reference and the row that it leads to are written in one
transaction, so that nobody ever sees one without the other. Only what is `kept` is referred to, and each change of a
row's state names the state it may start from. A file that comes is known by the time at which it began to.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import BindParameter, String, and_, bindparam, cast, delete, exists, func, insert, or_, select, update

from storage import planned
from storage.database import Snapshot, Transaction
from storage.planned import Due, Gone
from storage.quick import quick
from storage.schema import IS_CHANGING, MediaState, files, media
from storage.songs.files import File
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
    state: str = MediaState.KEPT


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
_IS_FILE = quick(select(files.c.task_id).where(_IS))
_NAMED = media.c.sha256 == bindparam("hash")
_IS_KEPT = media.c.state == MediaState.KEPT
_IS_GOING = media.c.state == MediaState.GOING
_IS_MINE = and_(media.c.state == MediaState.COMING, media.c.used_at == bindparam("since"))
_GET = quick(select(media).where(_NAMED))
_ADD = quick(insert(media))
_COMES_ANEW = quick(update(media).where(_NAMED, media.c.state == MediaState.COMING).values(used_at=bindparam("since")))
_HAS_COME = quick(
    update(media)
    .where(_NAMED, or_(_IS_KEPT, _IS_MINE))
    .values(state=MediaState.KEPT, kind=bindparam("of_kind"), used_at=bindparam("now"))
)
_NEVER_CAME = quick(delete(media).where(_NAMED, _IS_MINE))
_NOT_WANTED = quick(update(media).where(_NAMED, _IS_MINE).values(state=MediaState.GOING))
_EVICT = quick(update(media).where(_NAMED, _IS_KEPT).values(state=MediaState.GOING, used_at=bindparam("now")))
_LOSE = quick(
    update(media)
    .where(_NAMED, _IS_KEPT, media.c.used_at == bindparam("seen_at"))
    .values(state=MediaState.GOING, used_at=bindparam("now"))
)
_USED = quick(update(media).where(_NAMED, _IS_KEPT).values(used_at=bindparam("now")))
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
_OLDEST = (
    select(media).where(media.c.sha256 != bindparam("but"), _IS_KEPT).order_by(media.c.used_at).limit(planned.MOST)
)
_PAGE = select(media.c.sha256).where(media.c.sha256 > bindparam("after")).order_by(media.c.sha256).limit(planned.MOST)
_HASHES: BindParameter[Any] = bindparam("hashes", expanding=True)
_IS_REFERRED_TO = or_(
    exists().where(files.c.audio_sha256 == media.c.sha256), exists().where(files.c.image_sha256 == media.c.sha256)
)
_UNUSED = select(media.c.sha256).where(media.c.sha256.in_(_HASHES), _IS_KEPT, ~_IS_REFERRED_TO)
_COLLECT = (
    update(media)
    .where(media.c.sha256.in_(_HASHES), _IS_KEPT, ~_IS_REFERRED_TO)
    .values(state=MediaState.GOING, used_at=bindparam("now"))
)
_SPARE = (
    update(media)
    .where(media.c.sha256.in_(_HASHES), _IS_GOING, media.c.used_at == bindparam("now"), _IS_REFERRED_TO)
    .values(state=MediaState.KEPT)
)
_COLLECTED = select(media.c.sha256).where(media.c.sha256.in_(_HASHES), _IS_GOING, media.c.used_at == bindparam("now"))
_GOES_STILL = quick(
    update(media).where(_NAMED, _IS_GOING, media.c.used_at == bindparam("seen_at")).values(used_at=bindparam("now"))
)
_GONE = delete(media).where(media.c.sha256.in_(_HASHES), _IS_GOING)
_CHANGING = (
    select(media)
    .where(IS_CHANGING, media.c.state == bindparam("of_state"), media.c.used_at <= bindparam("before"))
    .order_by(media.c.used_at)
    .limit(planned.MOST)
)
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


# What comes and is kept


async def get(snapshot: Snapshot, sha256: str) -> Media | None:
    """Return what is known of a file, whatever its state."""
    row = (await snapshot.execute(_GET, {"hash": sha256})).first()
    return None if row is None else Media(**row._mapping)


async def announce(transaction: Transaction, coming: Media) -> None:
    """Note that a file comes, unless it is kept already; who else brings it has to give way.

    Raises `Gone` while a file of its name is being removed.
    """
    known = await get(transaction, coming.sha256)
    if known is None:
        await transaction.execute(_ADD, {**asdict(coming), "state": MediaState.COMING})
    elif known.state == MediaState.GOING:
        raise Gone
    elif known.state == MediaState.COMING:
        await transaction.execute(_COMES_ANEW, {"hash": coming.sha256, "since": coming.used_at})


async def archived(transaction: Transaction, file: File, what: What, coming: Media, now: float) -> bool:
    """Note that an announced file has come, and is a song's; False where the song has been forgotten meanwhile.

    Raises `Gone` where the file was removed, or came from somebody else, since it was announced.
    """
    if (await transaction.execute(_IS_FILE, _key(file))).first() is None:
        return False
    values = {"hash": coming.sha256, "since": coming.used_at, "of_kind": coming.kind, "now": now}
    if (await transaction.execute(_HAS_COME, values)).rowcount != 1:
        raise Gone
    referred = await transaction.execute(_REFER[what], {**_key(file), "hash": coming.sha256})
    return referred.rowcount == 1


async def never_came(transaction: Transaction, coming: Media) -> None:
    """Take an announcement back. If the file is there after all, it is a stray."""
    await transaction.execute(_NEVER_CAME, {"hash": coming.sha256, "since": coming.used_at})


async def not_wanted(transaction: Transaction, coming: Media) -> bool:
    """Note that an announced file has come for nobody; tell whether it has to be removed now."""
    values = {"hash": coming.sha256, "since": coming.used_at}
    return (await transaction.execute(_NOT_WANTED, values)).rowcount == 1


async def used(transaction: Transaction, sha256: str, now: float) -> None:
    """Note that a kept file was used."""
    await transaction.execute(_USED, {"hash": sha256, "now": now})


async def lost(transaction: Transaction, kept: Media, now: float) -> bool:
    """Note that a kept file is no longer what it was, and have it got again; tell whether it was not used since."""
    values = {"hash": kept.sha256, "seen_at": kept.used_at, "now": now}
    if (await transaction.execute(_LOSE, values)).rowcount != 1:
        return False
    for statement in _GET_AGAIN:
        await transaction.execute(statement, {"hash": kept.sha256, "at": now})
    transaction.wakes(Queue.ARCHIVER)
    return True


# What goes


async def total(snapshot: Snapshot, but: str) -> int:
    """Return how many bytes are kept, come or go, without one file."""
    return int((await snapshot.execute(_TOTAL, {"but": but})).scalar_one())


async def oldest(snapshot: Snapshot, limit: int, but: str) -> list[Media]:
    """Return the least recently used files, without one."""
    return [Media(**row._mapping) for row in await snapshot.execute(_OLDEST, {"but": but, "most": limit})]


async def evict(transaction: Transaction, sha256: str, now: float) -> bool:
    """Note that a kept file makes room; tell whether it was there still. Only who wants it has it got again."""
    if (await transaction.execute(_EVICT, {"hash": sha256, "now": now})).rowcount != 1:
        return False
    for statement in _RELEASE:
        await transaction.execute(statement, {"hash": sha256})
    return True


async def page(snapshot: Snapshot, after: str) -> list[str]:
    """Return the hashes of the next `PAGE` files, in order."""
    return list((await snapshot.execute(_PAGE, {"after": after, "most": PAGE})).scalars())


async def unused(snapshot: Snapshot, hashes: Collection[str]) -> list[str]:
    """Return which of these kept files no song refers to."""
    return list((await snapshot.execute(_UNUSED, {"hashes": list(hashes)})).scalars())


async def collect(transaction: Transaction, hashes: Collection[str], now: float) -> list[str]:
    """Note that those of these kept files go that no song refers to, and return which they are."""
    values = {"hashes": list(hashes), "now": now}
    await transaction.execute(_COLLECT, values)
    # Whoever referred to one a moment ago is seen only now that its row is ours.
    await transaction.execute(_SPARE, values)
    return list((await transaction.execute(_COLLECTED, values)).scalars())


async def strays_go(transaction: Transaction, hashes: Collection[str], now: float) -> list[str]:
    """Note that those of these files go that nobody knows, and return which they are."""
    strays = sorted(set(hashes) - await known(transaction, hashes))
    if strays:
        rows = [asdict(Media(sha256, "", 0, now, MediaState.GOING)) for sha256 in strays]
        await transaction.execute(_ADD, rows)
    return strays


async def goes_still(transaction: Transaction, going: Media, now: float) -> bool:
    """Take over the removal of a file; False where somebody else was first."""
    values = {"hash": going.sha256, "seen_at": going.used_at, "now": now}
    return (await transaction.execute(_GOES_STILL, values)).rowcount == 1


async def gone(transaction: Transaction, hashes: Collection[str]) -> None:
    """Note that files have gone."""
    await transaction.execute(_GONE, {"hashes": list(hashes)})


async def changing(snapshot: Snapshot, state: MediaState, before: float) -> list[Media]:
    """Return some of those that come or go, and have begun to at `before` at the latest."""
    values = {"of_state": state, "before": before, "most": PAGE}
    return [Media(**row._mapping) for row in await snapshot.execute(_CHANGING, values)]


async def known(snapshot: Snapshot, hashes: Collection[str]) -> set[str]:
    """Return which of these files have a row."""
    return set((await snapshot.execute(_KNOWN, {"hashes": list(hashes)})).scalars())


def _key(file: File) -> dict[str, Any]:
    return {"of_task": file.task_id, "of_position": file.position}
