"""Queries about members' songs: who may use which one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Integer, Select, and_, bindparam, delete, select

from storage.database import Snapshot, Transaction
from storage.files import File
from storage.quick import quick, unless_there
from storage.schema import files, library, tasks

_ESCAPED = re.compile(r"([/%_])")


@dataclass(frozen=True, slots=True)
class Song:
    """One variant of a song in a member's library. `model` says what made it, `vidgo_id` is VidGo's id of its task."""

    task_id: str
    position: int
    vidgo_id: str | None
    model: str
    kind: str
    title: str
    tags: str
    duration: float | None
    added_at: float


_NEWEST = (library.c.added_at.desc(), library.c.task_id.desc(), library.c.position)
_ADD = quick(unless_there(library))


def _songs(chosen: Select[Any]) -> Select[Any]:
    """Return the whole songs for rows of the library that were chosen by key alone.

    The choice reads nothing but an index, however many of a member's rows it looks at or skips.
    """
    keys = chosen.subquery()
    return quick(
        select(
            library.c.task_id,
            library.c.position,
            tasks.c.vidgo_id,
            tasks.c.model,
            library.c.kind,
            library.c.title,
            files.c.tags,
            files.c.duration,
            library.c.added_at,
        )
        .select_from(keys)
        .join(
            library,
            (library.c.user_id == keys.c.user_id)
            & (library.c.task_id == keys.c.task_id)
            & (library.c.position == keys.c.position),
        )
        .join(tasks, tasks.c.id == keys.c.task_id)
        .join(files, (files.c.task_id == keys.c.task_id) & (files.c.position == keys.c.position))
        .order_by(*_NEWEST)
    )


_OF_USER = library.c.user_id == bindparam("user_id")
_THE_ONE = and_(_OF_USER, library.c.task_id == bindparam("task_id"), library.c.position == bindparam("position"))
_KEYS = select(library.c.user_id, library.c.task_id, library.c.position)
_FIND = _songs(_KEYS.where(_THE_ONE))
_REMOVE = quick(delete(library).where(_THE_ONE))


def _search(*, of_kind: bool, with_text: bool) -> Select[Any]:
    chosen = _KEYS.where(_OF_USER).order_by(*_NEWEST).limit(bindparam("most", type_=Integer))
    chosen = chosen.offset(bindparam("first", type_=Integer))
    if of_kind:
        chosen = chosen.where(library.c.kind == bindparam("kind"))
    if with_text:
        chosen = chosen.where(library.c.folded_title.contains(bindparam("text"), autoescape=False, escape="/"))
    return _songs(chosen)


_SEARCHES = {
    (of_kind, with_text): _search(of_kind=of_kind, with_text=with_text)
    for of_kind in (False, True)
    for with_text in (False, True)
}


async def add(
    transaction: Transaction,
    user_ids: Iterable[int],
    rows: Iterable[File],
    kind: str,
    now: float,
) -> None:
    """Put every variant of a task into members' libraries, unless it stands there already."""
    found = list(rows)
    # Pictures of one cover are no choices of their own; variants of its music are.
    variants = [row for row in found if row.audio_url] or (found[:1] if kind == "cover" else [])
    entries = [
        {
            "user_id": user_id,
            "task_id": row.task_id,
            "position": row.position,
            "kind": kind,
            "title": row.title,
            "folded_title": row.title.casefold(),
            "added_at": now,
        }
        for user_id in sorted(set(user_ids))
        for row in variants
    ]
    if entries:
        await transaction.execute(_ADD, entries)


async def find(snapshot: Snapshot, user_id: int, task_id: str, position: int) -> Song | None:
    """Return one variant of a task from a member's library."""
    values = {"user_id": user_id, "task_id": task_id, "position": position}
    row = (await snapshot.execute(_FIND, values)).first()
    return None if row is None else Song(**row._mapping)


async def search(
    snapshot: Snapshot, user_id: int, text: str, limit: int, *, kind: str | None = "song", offset: int = 0
) -> list[Song]:
    """Return a member's newest songs whose title contains `text`, whatever its case; `kind` None adds the covers."""
    values: dict[str, Any] = {"user_id": user_id, "most": limit, "first": offset}
    if kind is not None:
        values["kind"] = kind
    if text:
        values["text"] = _ESCAPED.sub(r"/\1", text.casefold())
    return [Song(**row._mapping) for row in await snapshot.execute(_SEARCHES[kind is not None, bool(text)], values)]


async def remove(transaction: Transaction, user_id: int, task_id: str, position: int) -> None:
    """Take one variant of a task out of a member's library."""
    await transaction.execute(_REMOVE, {"user_id": user_id, "task_id": task_id, "position": position})
