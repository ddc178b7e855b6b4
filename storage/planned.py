"""The two questions of every worker: what is due, and when will the next be?"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Integer, Select, TextClause, bindparam, func, or_, select

from storage.quick import quick

Open = ColumnElement[bool] | TextClause

SKIPPED: BindParameter[Any] = bindparam("skip", expanding=True)
MOST: BindParameter[Any] = bindparam("most", type_=Integer)


@dataclass(frozen=True, slots=True)
class Due:
    """Something whose time has come: its id, and the time that was planned."""

    id: str
    at: float


class Gone(Exception):  # noqa: N818 (a word says what happened)
    """A row is not, or not any more, in the state from which it was to change: somebody else was there first."""


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
