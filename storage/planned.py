"""The two questions of every worker: what is due, and when will the next be?"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    Integer,
    Select,
    String,
    TextClause,
    Update,
    bindparam,
    exists,
    func,
    or_,
    select,
    update,
)

from storage.quick import quick
from storage.schema import processes

Open = ColumnElement[bool] | TextClause

SKIPPED: BindParameter[Any] = bindparam("skip", expanding=True)
MOST: BindParameter[Any] = bindparam("most", type_=Integer)
ME: BindParameter[Any] = bindparam("me", type_=String)
"""The process that acts; nobody where it is the only one."""


@dataclass(frozen=True, slots=True)
class Due:
    """Something whose time has come: its id, and the time that was planned."""

    id: str
    at: float


class Gone(Exception):  # noqa: N818 (a word says what happened)
    """A row is not, or not any more, in the state from which it was to change: somebody else was there first."""


@dataclass(frozen=True, slots=True)
class Claim:
    """How what is due is taken: where nobody else lives it is looked at, and else a holder is written into its rows."""

    look: Select[Any]
    take: Update
    release: Update
    """Of what is still held, for rows by the names `of_…` of their keys."""


def claim(look: Select[Any], holder: Column[Any], *only: ColumnElement[bool]) -> Claim:
    """Build a claim from the question of what is due; with `only` where there are others too."""
    table = holder.table
    keys = list(table.primary_key)
    # Who was thought dead meanwhile takes nothing: the row would be nobody's until somebody looks for such.
    lives = or_(ME.is_(None), exists().where(processes.c.id == ME))
    free = look.where(mine(holder), lives, *only).with_only_columns(*keys).with_for_update(skip_locked=True)
    chosen = free.cte("chosen")
    of_row = [column == bindparam(f"of_{column.name}") for column in keys]
    return Claim(
        look,
        update(table)
        .where(*(column == chosen.c[column.name] for column in keys))
        .values({holder: ME})
        .returning(*look.selected_columns),
        update(table).where(*of_row, holder == ME).values({holder: None}),
    )


def mine(holder: Column[Any]) -> ColumnElement[bool]:
    """Tell that nobody else holds a row."""
    return or_(holder.is_(None), holder == ME)


def due(name: ColumnElement[Any], at: ColumnElement[Any], is_open: Open) -> Select[Any]:
    """Ask for at most `most` names whose time has come at `now`, except those to `skip`, the longest waiting first.

    A time beyond `horizon` has come too: nothing is ever planned that far, so the clock was set back.
    """
    has_come = or_(at <= bindparam("now"), at > bindparam("horizon"))
    return quick(select(name, at).where(is_open, has_come, name.not_in(SKIPPED)).order_by(at).limit(MOST))


def next_due(name: ColumnElement[Any], at: ColumnElement[Any], is_open: Open) -> Select[Any]:
    """Ask when the next one is due, except those to `skip`."""
    return quick(select(func.min(at)).where(is_open, name.not_in(SKIPPED)))


def asked(now: float, horizon: float, skip: Collection[str], limit: int) -> dict[str, Any]:
    """Return the values of `due`."""
    return {"now": now, "horizon": horizon, "skip": list(skip), "most": limit}
