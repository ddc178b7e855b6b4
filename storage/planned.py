"""The two questions of every worker: what is due, and when will the next be?"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Integer, Select, TextClause, bindparam, func, or_, select

Open = ColumnElement[bool] | TextClause

SKIPPED: BindParameter[Any] = bindparam("skip", expanding=True)
MOST: BindParameter[Any] = bindparam("most", type_=Integer)


def due(name: ColumnElement[str], at: ColumnElement[Any], is_open: Open) -> Select[Any]:
    """Ask for at most `most` names whose time has come at `now`, except those to `skip`, the longest waiting first.

    A time beyond `horizon` has come too: nothing is ever planned that far, so the clock was set back. Built once, a
    statement costs a fraction of one that is built each time.
    """
    has_come = or_(at <= bindparam("now"), at > bindparam("horizon"))
    return select(name).where(is_open, has_come, name.not_in(SKIPPED)).order_by(at).limit(MOST)


def next_due(name: ColumnElement[str], at: ColumnElement[Any], is_open: Open) -> Select[Any]:
    """Ask when the next one is due, except those to `skip`."""
    return select(func.min(at)).where(is_open, name.not_in(SKIPPED))
