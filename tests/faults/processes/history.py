"""Checks a history of who held what, and when: one holder at a time, no effect of anybody else, nothing lost.

A history is a list of events in the order in which the database had them; what left a process, and what an outsider was
promised, stands where its time puts it. It is checked on its own, whoever has written it down.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

TASK_STATES = {
    None: {"queued", "finished"},  # what is brought in from elsewhere begins as finished
    "queued": {"submitting", "failed", "given_up"},
    "submitting": {"queued", "waiting", "running", "finished", "failed", "given_up"},
    "waiting": {"running", "finished", "failed", "given_up"},
    "running": {"finished", "failed", "given_up"},
    "failed": {"finished"},
    "given_up": {"finished"},
    "finished": set(),
}
NOTIFICATION_STATES = {
    None: {"asked"},
    "asked": {"answered", "waiting", "due", "cancelled"},
    "waiting": {"due", "cancelled"},
    "due": {"sending", "waiting", "delivered", "undeliverable", "cancelled"},
    "sending": {"due", "delivered", "undeliverable", "cancelled"},
    "delivered": {"due", "cancelled"},  # told otherwise before, and finished after all
    "undeliverable": {"due"},
    "answered": set(),
    "cancelled": set(),
}
STATES = {"task": TASK_STATES, "notification": NOTIFICATION_STATES}
OVER = {
    "task": {"finished", "failed", "given_up"},
    "notification": {"answered", "delivered", "undeliverable", "cancelled"},
}
"""In which states a row may be at the end of a history."""

STATEMENT_SECONDS = 0.5
"""How long a busy machine may take for a statement, which sees who lived when it began, or until a request leaves."""

SAME_MOMENT_SECONDS = 0.05
"""By how much two clocks of one machine, and the moments at which they are read, may differ."""


@dataclass(frozen=True)
class Lived:
    """A process began to live, or renewed its lease until some time."""

    at: float
    process: str
    until: float


@dataclass(frozen=True)
class Died:
    """The lease of a process was taken out: by itself, or by who found that it had ended."""

    at: float
    process: str
    by_itself: bool = False


@dataclass(frozen=True)
class Changed:
    """A process changed the holder or the state of a row; None stands for nobody, and for no row."""

    at: float
    by: str
    row: str
    was_holder: str | None
    holder: str | None
    was_state: str | None
    state: str | None


@dataclass(frozen=True)
class Acted:
    """Something left a process for a row: an order, a post."""

    at: float
    row: str
    process: str


@dataclass(frozen=True)
class Promised:
    """Somebody outside was told that a row is safe."""

    at: float
    row: str


Event = Lived | Died | Changed | Acted | Promised


@dataclass
class _Rows:
    """What the events so far have come to."""

    until: dict[str, float] = field(default_factory=dict)
    """The lease of each process that lives."""
    holder: dict[str, str | None] = field(default_factory=dict)
    state: dict[str, str | None] = field(default_factory=dict)
    died_at: dict[str, float] = field(default_factory=dict)
    promised: set[str] = field(default_factory=set)
    found: list[str] = field(default_factory=list)

    def refuse(self, event: Event, why: str) -> None:
        self.found.append(f"{why}: {event}")


def check(events: Iterable[Event], *, is_over: bool = True) -> list[str]:
    """Return what is wrong with a history; at the end nothing is under way where it `is_over`."""
    rows = _Rows()
    for event in events:
        match event:
            case Lived():
                rows.until[event.process] = event.until
            case Died():
                _check_death(rows, event)
            case Changed():
                _check_holder(rows, event)
                _check_state(rows, event)
                rows.holder[event.row], rows.state[event.row] = event.holder, event.state
            case Acted():
                _check_act(rows, event)
            case Promised():
                rows.promised.add(event.row)
                if rows.state.get(event.row) is None:
                    rows.refuse(event, "promised, and not written down")
    if is_over:
        _check_end(rows)
    return rows.found


def _check_death(rows: _Rows, event: Died) -> None:
    until = rows.until.pop(event.process, None)
    rows.died_at[event.process] = event.at
    if until is None:
        rows.refuse(event, "it did not live")
    elif not event.by_itself and event.at < until - SAME_MOMENT_SECONDS:
        rows.refuse(event, "buried alive")


def _check_holder(rows: _Rows, event: Changed) -> None:
    held_by = rows.holder.get(event.row)
    if event.was_holder != held_by:
        rows.refuse(event, f"held by {held_by} before")
    if held_by is None or held_by == event.holder or held_by not in rows.until:
        if event.holder is not None and event.holder not in rows.until:
            _check_dead_holder(rows, event)
    elif event.holder is not None:
        rows.refuse(event, f"{held_by} holds it and lives")
    elif event.by != held_by and event.state == event.was_state:
        # What ends a row ends who holds it too, as a button does that somebody presses elsewhere.
        rows.refuse(event, f"taken away from {held_by}, who lives")


def _check_dead_holder(rows: _Rows, event: Changed) -> None:
    """Let one that does not know yet that it was thought dead go a step on with a row; it claims none."""
    has_just_died = event.at < rows.died_at.get(event.holder or "", 0.0) + STATEMENT_SECONDS
    goes_on = event.by == event.holder and event.state != event.was_state
    if not has_just_died and not goes_on:
        rows.refuse(event, "the dead hold nothing")


def _check_state(rows: _Rows, event: Changed) -> None:
    kind = event.row.partition(" ")[0]
    was = rows.state.get(event.row)
    if event.was_state != was:
        rows.refuse(event, f"it was {was} before")
    if event.state == was:
        return
    if event.state is None:
        if was not in OVER[kind]:
            rows.refuse(event, "deleted while it is under way")
        rows.promised.discard(event.row)
    elif event.state not in STATES[kind].get(was, set()):
        rows.refuse(event, "no such way")


def _check_act(rows: _Rows, event: Acted) -> None:
    until = rows.until.get(event.process)
    if rows.holder.get(event.row) != event.process:
        rows.refuse(event, f"{rows.holder.get(event.row)} holds it")
    elif until is None or event.at > until + STATEMENT_SECONDS:
        rows.refuse(event, "its lease had ended")


def _check_end(rows: _Rows) -> None:
    left: dict[str, list[str]] = defaultdict(list)
    for row, state in rows.state.items():
        if state is not None and state not in OVER[row.partition(" ")[0]]:
            left[state].append(row)
    dead = {row: who for row, who in rows.holder.items() if who is not None and who in rows.died_at}
    rows.found += [f"left to the dead {who}: {row}" for row, who in dead.items() if rows.state.get(row) is not None]
    rows.found += [f"left {state}: {names}" for state, names in left.items()]
    rows.found += [f"promised and lost: {row}" for row in sorted(rows.promised) if rows.state.get(row) is None]
