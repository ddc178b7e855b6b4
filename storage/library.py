"""Queries about members' songs: who may use which one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.schema import files, library, tasks
from storage.tasks import File


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
_ADD = insert(library).prefix_with("OR IGNORE")


def _songs(chosen: Select[Any]) -> Select[Any]:
    """Return the whole songs for rows of the library that were chosen by key alone.

    The choice reads nothing but an index, however many of a member's rows it looks at or skips.
    """
    keys = chosen.subquery()
    return (
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


def _keys(user_id: int) -> Select[Any]:
    return select(library.c.user_id, library.c.task_id, library.c.position).where(library.c.user_id == user_id)


async def add(
    connection: AsyncConnection,
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
        await connection.execute(_ADD, entries)


async def find(connection: AsyncConnection, user_id: int, task_id: str, position: int) -> Song | None:
    """Return one variant of a task from a member's library."""
    chosen = _keys(user_id).where(library.c.task_id == task_id, library.c.position == position)
    row = (await connection.execute(_songs(chosen))).first()
    return None if row is None else Song(**row._mapping)


async def search(
    connection: AsyncConnection, user_id: int, text: str, limit: int, *, kind: str | None = "song", offset: int = 0
) -> list[Song]:
    """Return a member's newest songs whose title contains `text`, whatever its case; `kind` None adds the covers."""
    chosen = _keys(user_id).order_by(*_NEWEST).limit(limit).offset(offset)
    if kind is not None:
        chosen = chosen.where(library.c.kind == kind)
    if text:
        chosen = chosen.where(library.c.folded_title.contains(text.casefold(), autoescape=True))
    return [Song(**row._mapping) for row in await connection.execute(_songs(chosen))]


async def remove(connection: AsyncConnection, user_id: int, task_id: str, position: int) -> None:
    """Take one variant of a task out of a member's library."""
    await connection.execute(
        delete(library).where(
            library.c.user_id == user_id, library.c.task_id == task_id, library.c.position == position
        )
    )
