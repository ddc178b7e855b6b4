"""The checker of histories takes what may happen, and refuses each history that is forged."""

from __future__ import annotations

import pytest

from tests.faults.processes.history import Acted, Changed, Died, Event, Lived, Promised, check

TASK = "task T"
POST = "notification N"


def change(
    at: float, by: str, row: str, holders: tuple[str | None, str | None], states: tuple[str | None, str | None]
) -> Changed:
    return Changed(at, by, row, *holders, *states)


def honest() -> list[Event]:
    """A cover that A orders and dies over, and that B takes over and posts."""
    return [
        Lived(0.0, "A", 10.0),
        Lived(0.5, "B", 10.5),
        change(1.0, "A", POST, (None, "A"), (None, "asked")),
        change(1.1, "A", TASK, (None, "A"), (None, "queued")),
        change(1.2, "A", TASK, ("A", "A"), ("queued", "submitting")),
        Acted(1.3, TASK, "A"),
        change(1.4, "A", TASK, ("A", None), ("submitting", "waiting")),
        change(1.5, "A", POST, ("A", None), ("asked", "waiting")),
        Promised(1.6, POST),
        change(2.0, "A", TASK, (None, "A"), ("waiting", "waiting")),
        Lived(9.0, "B", 19.0),
        Died(10.1, "A"),
        change(10.2, "B", TASK, ("A", None), ("waiting", "waiting")),
        Promised(10.3, TASK),
        change(10.4, "B", TASK, (None, "B"), ("waiting", "waiting")),
        change(10.5, "B", TASK, ("B", None), ("waiting", "finished")),
        change(10.5, "B", POST, (None, None), ("waiting", "due")),
        change(10.6, "B", POST, (None, "B"), ("due", "due")),
        change(10.7, "B", POST, ("B", "B"), ("due", "sending")),
        Acted(10.8, POST, "B"),
        change(10.9, "B", POST, ("B", None), ("sending", "delivered")),
        Died(11.0, "B", by_itself=True),
    ]


def without(number: int) -> list[Event]:
    events = honest()
    del events[number]
    return events


FORGED = {
    "two holders at once": (
        [*honest()[:10], change(2.1, "B", TASK, ("A", "B"), ("waiting", "waiting"))],
        "A holds it and lives",
    ),
    "taken away from the living": (
        [*honest()[:10], change(2.1, "B", TASK, ("A", None), ("waiting", "waiting"))],
        "taken away from A, who lives",
    ),
    "buried alive": ([*honest()[:11], Died(9.5, "A")], "buried alive"),
    "died twice": ([*honest(), Died(12.0, "B")], "it did not live"),
    "an order by who does not hold it": ([*honest()[:5], Acted(1.3, TASK, "B")], "A holds it"),
    "a post by nobody's holder": ([*honest()[:17], Acted(10.55, POST, "B")], "None holds it"),
    "a post after the lease": ([*honest()[:20], Acted(19.9, POST, "B")], "its lease had ended"),
    "an order by one that went on after it was stopped": (
        [*honest()[:13], Acted(10.25, TASK, "A")],
        "None holds it",
    ),
    "held by one that never lived": (
        [*honest()[:2], change(1.0, "B", TASK, (None, "C"), (None, "queued"))],
        "the dead hold nothing",
    ),
    "held by one that is dead": (
        [*honest()[:13], change(10.9, "A", TASK, (None, "A"), ("waiting", "waiting"))],
        "the dead hold nothing",
    ),
    "left to one that is dead": (
        [*honest()[:12], Changed(10.2, "A", TASK, "A", "A", "waiting", "running")],
        "left to the dead A",
    ),
    "a change that nobody has recorded": (without(9), "held by None before"),
    "a state that nobody has recorded": (without(4), "it was queued before"),
    "finished, and begun again": (
        [*honest(), change(12.0, "B", TASK, (None, None), ("finished", "waiting"))],
        "no such way",
    ),
    "posted twice": (
        [*honest()[:21], change(10.95, "B", POST, (None, "B"), ("delivered", "sending"))],
        "no such way",
    ),
    "promised before it was written down": ([Promised(0.9, POST), *honest()], "promised, and not written down"),
    "deleted while it is under way": (
        [*honest()[:10], change(2.1, "A", TASK, ("A", None), ("waiting", None))],
        "deleted while it is under way",
    ),
    "promised and never ended": (honest()[:14], "left waiting"),
}


def test_what_may_happen_is_taken() -> None:
    assert check(honest()) == []


def test_what_is_under_way_may_be_left_while_it_is_not_over() -> None:
    assert check(honest()[:14], is_over=False) == []
    assert check(honest()[:14]) != []


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_history_is_refused(name: str) -> None:
    events, why = FORGED[name]
    assert [one for one in check(events) if why in one], check(events)
