"""Queries about members' songs: who may use which one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Float, Integer, Select, String, and_, bindparam, func, or_, select

from storage.database import Snapshot, Transaction
from storage.quick import quick, unless_there
from storage.schema import files, library, tasks
from storage.songs.files import File

_ESCAPED = re.compile(r"([/%_])")


@dataclass(frozen=True, slots=True)
class Song:
    """One variant of a song in a member's library. `model` says what made it, `vidgo_id` is VidGo's id of its task.

    `made_at` is when VidGo had made it, None for what was made elsewhere.
    """

    task_id: str
    position: int
    vidgo_id: str | None
    model: str
    kind: str
    title: str
    tags: str
    duration: float | None
    added_at: float
    made_at: float | None = None

    @property
    def key(self) -> Key:
        """Return its place in the library."""
        return Key(self.added_at, self.task_id, self.position)


@dataclass(frozen=True, slots=True)
class Key:
    """A place in a library, by which its pages hold whatever comes and goes: the newest first."""

    added_at: float
    task_id: str
    position: int


_NEWEST = (library.c.added_at.desc(), library.c.task_id.desc(), library.c.position)
_OLDEST = (library.c.added_at, library.c.task_id, library.c.position.desc())
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
            tasks.c.finished_at.label("made_at"),
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


_TEXT = library.c.folded_title.contains(bindparam("text"), autoescape=False, escape="/")
_AT, _TASK = bindparam("at", type_=Float), bindparam("at_task", type_=String)
_POSITION = bindparam("at_position", type_=Integer)
# With the first condition the index begins at the place.
_FROM = and_(
    library.c.added_at <= _AT,
    or_(
        library.c.added_at < _AT,
        library.c.task_id < _TASK,
        and_(library.c.task_id == _TASK, library.c.position >= _POSITION),
    ),
)
_BEFORE = and_(
    library.c.added_at >= _AT,
    or_(
        library.c.added_at > _AT,
        library.c.task_id > _TASK,
        and_(library.c.task_id == _TASK, library.c.position < _POSITION),
    ),
)


def _search(*, of_kind: bool, with_text: bool) -> Select[Any]:
    chosen = _KEYS.where(_OF_USER).order_by(*_NEWEST).limit(bindparam("most", type_=Integer))
    if of_kind:
        chosen = chosen.where(library.c.kind == bindparam("kind"))
    return _songs(chosen.where(_TEXT) if with_text else chosen)


def _page(place: ColumnElement[bool], *, with_text: bool) -> Select[Any]:
    order = _OLDEST if place is _BEFORE else _NEWEST
    chosen = _KEYS.where(_OF_USER, place).order_by(*order).limit(bindparam("most", type_=Integer))
    return _songs(chosen.where(_TEXT) if with_text else chosen)


def _count(*places: ColumnElement[bool], with_text: bool) -> Select[Any]:
    counted = select(func.count()).select_from(library).where(_OF_USER, *places)
    return quick(counted.where(_TEXT) if with_text else counted)


_BOTH = (False, True)
_SEARCHES = {
    (of_kind, with_text): _search(of_kind=of_kind, with_text=with_text) for of_kind in _BOTH for with_text in _BOTH
}
_TITLED = _songs(
    _KEYS.where(
        _OF_USER, library.c.kind == bindparam("kind"), library.c.folded_title == bindparam("title", type_=String)
    )
    .order_by(*_NEWEST)
    .limit(bindparam("most", type_=Integer))
)
_PAGES_FROM = {with_text: _page(_FROM, with_text=with_text) for with_text in _BOTH}
_PAGES_BEFORE = {with_text: _page(_BEFORE, with_text=with_text) for with_text in _BOTH}
_ALL = {with_text: _count(with_text=with_text) for with_text in _BOTH}
_ALL_BEFORE = {with_text: _count(_BEFORE, with_text=with_text) for with_text in _BOTH}


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


async def search(snapshot: Snapshot, user_id: int, text: str, limit: int, *, kind: str | None = "song") -> list[Song]:
    """Return a member's newest songs whose title contains `text`, whatever its case; `kind` None adds the covers."""
    values = _values(user_id, text) | {"most": limit}
    if kind is not None:
        values["kind"] = kind
    return [Song(**row._mapping) for row in await snapshot.execute(_SEARCHES[kind is not None, bool(text)], values)]


async def titled(snapshot: Snapshot, user_id: int, title: str, limit: int, *, kind: str = "song") -> list[Song]:
    """Return a member's newest songs of just that title, whatever its case and however many have it within theirs."""
    values = {"user_id": user_id, "title": title.casefold(), "kind": kind, "most": limit}
    return [Song(**row._mapping) for row in await snapshot.execute(_TITLED, values)]


async def page(snapshot: Snapshot, user_id: int, text: str, limit: int, place: Key, *, before: bool) -> list[Song]:
    """Return songs and covers from a place on, or the last ones before it; whether a song stands there is all one."""
    pages = _PAGES_BEFORE if before else _PAGES_FROM
    values = _values(user_id, text) | _place(place) | {"most": limit}
    return [Song(**row._mapping) for row in await snapshot.execute(pages[bool(text)], values)]


async def count(snapshot: Snapshot, user_id: int, text: str, before: Key | None = None) -> int:
    """Return how many songs and covers a member has whose title contains `text`, in all or before a place."""
    values = _values(user_id, text)
    if before is None:
        return int((await snapshot.execute(_ALL[bool(text)], values)).scalar_one())
    return int((await snapshot.execute(_ALL_BEFORE[bool(text)], values | _place(before))).scalar_one())


def _values(user_id: int, text: str) -> dict[str, Any]:
    return {"user_id": user_id} | ({"text": _ESCAPED.sub(r"/\1", text.casefold())} if text else {})


def _place(place: Key) -> dict[str, Any]:
    return {"at": place.added_at, "at_task": place.task_id, "at_position": place.position}
