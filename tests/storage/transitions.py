"""Every way in which the state of a task or a notification changes, as data.

`docs/architecture.md` shows the same as two tables; `python -m tests.storage.transitions` prints them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from storage import notifications, tasks
from storage.database import Transaction
from storage.schema import LIVE_TASKS, Acknowledgement, NotificationState, TaskStatus
from storage.tasks import ENDED_BADLY
from storage.wakeups import Queue
from tests.storage.rows import NOW, a_notification, a_task

LATER = NOW + 60
TIED_TO = "0" * 24
"""A task that is there."""
QUEUED, SUBMITTING, WAITING, RUNNING, FINISHED, FAILED, GIVEN_UP = TaskStatus
ASKED, ANSWERED, TO_COME, DUE, SENDING, DELIVERED, UNDELIVERABLE, CANCELLED = NotificationState


class Row(StrEnum):
    """What can become of a row beside a change of its state."""

    NEW = "a new row"
    AGAIN = "a new row, `due`"
    TAKEN_BACK = "`cancelled`, and a new row, `due`"
    DELETED = "deleted"


@dataclass(frozen=True)
class Transition:
    """One function: from which state to which, and whom it wakes. In any other state it changes nothing.

    It then raises `Gone`, unless `is_quiet`. `act` calls it for a row, or for all rows where `is_for_all`. `besides`
    says what else the state may become, and a test of its own shows.
    """

    name: str
    moves: Mapping[Any, Any]
    act: Callable[[Transaction, Any], Awaitable[Any]]
    wakes: tuple[Queue, ...] = ()
    is_quiet: bool = False
    is_for_all: bool = False
    besides: str = ""


def stays(*states: Any) -> dict[Any, Any]:
    return {state: state for state in states}


POLLER, DELIVERY, ACKNOWLEDGEMENTS = Queue.POLLER, Queue.DELIVERY, Queue.ACKNOWLEDGEMENTS

OF_TASKS = [
    Transition("add", {Row.NEW: QUEUED}, lambda t, _: tasks.add(t, a_task())),
    Transition("let_go", stays(QUEUED), lambda t, row: tasks.let_go(t, row.id, LATER), is_quiet=True),
    Transition("submit", {QUEUED: SUBMITTING}, lambda t, row: tasks.submit(t, row.id, NOW, LATER)),
    Transition("submit_again", stays(SUBMITTING), lambda t, row: tasks.submit_again(t, row.id, LATER)),
    Transition(
        "accept", {SUBMITTING: WAITING}, lambda t, row: tasks.accept(t, row.id, f"new {row.id}", NOW, LATER), (POLLER,)
    ),
    Transition("stand_back", stays(QUEUED), lambda t, row: tasks.stand_back(t, row.id, LATER), (POLLER,)),
    Transition("put_off", stays(QUEUED, SUBMITTING), lambda t, row: tasks.put_off(t, row.id, LATER), (POLLER,)),
    Transition("hold", {SUBMITTING: QUEUED}, lambda t, row: tasks.hold(t, row, LATER, shared=True), (POLLER,)),
    Transition("unanswered", stays(SUBMITTING), lambda t, row: tasks.unanswered(t, row, LATER), (POLLER,)),
    Transition(
        "ring",
        dict.fromkeys((QUEUED, SUBMITTING, *ENDED_BADLY), WAITING) | stays(WAITING, RUNNING),
        lambda t, row: tasks.ring(t, row.id, row.vidgo_id or row.id, NOW, 3, is_finished=True, is_answering=False),
        (POLLER,),
    ),
    Transition("run", {WAITING: RUNNING}, lambda t, row: tasks.run(t, row.id)),
    Transition("quote", stays(*LIVE_TASKS), lambda t, row: tasks.quote(t, row.id, 20.0)),
    Transition("plan", stays(*LIVE_TASKS), lambda t, row: tasks.plan(t, row.id, LATER, rereads=0), (POLLER,)),
    Transition("late", stays(*LIVE_TASKS), lambda t, row: tasks.late(t, row.id, NOW)),
    Transition("doubt", stays(*LIVE_TASKS), lambda t, row: tasks.doubt(t, row, "time", NOW, repeated=False)),
    Transition("trust", stays(*LIVE_TASKS), tasks.trust),
    Transition(
        "finish",
        dict.fromkeys((*LIVE_TASKS, *ENDED_BADLY), FINISHED),
        lambda t, row: tasks.finish(t, row.id, row.vidgo_id or row.id, NOW),
    ),
    Transition("price", stays(FINISHED), lambda t, row: tasks.price(t, row.id, 20)),
    Transition("fail", dict.fromkeys(LIVE_TASKS, FAILED), lambda t, row: tasks.fail(t, row, "content", "no", NOW)),
    Transition("give_up", dict.fromkeys(LIVE_TASKS, GIVEN_UP), lambda t, row: tasks.give_up(t, row, "time", "", NOW)),
    Transition("refuse", {SUBMITTING: FAILED}, lambda t, row: tasks.refuse(t, row, "content", "no", NOW)),
    Transition("lose", {SUBMITTING: GIVEN_UP}, lambda t, row: tasks.lose(t, row, "lost", None, NOW)),
    Transition("drop", {QUEUED: FAILED}, lambda t, row: tasks.drop(t, row.id, NOW)),
    Transition(
        "recover",
        stays(SUBMITTING),
        lambda t, _: tasks.recover(t, NOW),
        (POLLER,),
        is_quiet=True,
        is_for_all=True,
    ),
]

OF_NOTIFICATIONS = [
    Transition("add", {Row.NEW: ASKED}, lambda t, _: notifications.add(t, a_notification())),
    Transition("tie", stays(ASKED), lambda t, row: notifications.tie(t, row.id, TIED_TO, 1)),
    Transition("leave", stays(ASKED), lambda t, row: notifications.leave(t, row.id, LATER), (DELIVERY,)),
    Transition("abandon", stays(ASKED), lambda t, row: notifications.abandon(t, row.id)),
    Transition("untie", stays(ASKED), lambda t, row: notifications.untie(t, row.id)),
    Transition("answer", {ASKED: ANSWERED}, lambda t, row: notifications.answer(t, row.id)),
    Transition(
        "acknowledge",
        {ASKED: TO_COME},
        lambda t, row: notifications.acknowledge(t, row.id, 7, NOW, later=True),
        (ACKNOWLEDGEMENTS,),
        besides="or `due` where its task has ended",
    ),
    Transition(
        "make_due",
        {TO_COME: DUE},
        lambda t, row: notifications.make_due(t, row.task_id, NOW),
        (DELIVERY,),
        is_quiet=True,
    ),
    Transition("wait_again", {DUE: TO_COME}, lambda t, row: notifications.wait_again(t, row.id)),
    Transition(
        "send", dict.fromkeys((DUE, SENDING), SENDING), lambda t, row: notifications.send(t, row.id, NOW, LATER)
    ),
    Transition(
        "postpone",
        stays(ASKED, DUE, SENDING),
        lambda t, row: notifications.postpone(t, row.id, LATER, "503"),
        (DELIVERY,),
    ),
    Transition(
        "fetch_later",
        stays(DUE, SENDING),
        lambda t, row: notifications.fetch_later(t, row, LATER, "{}", Acknowledgement.NOT_YET),
        (DELIVERY, ACKNOWLEDGEMENTS),
    ),
    Transition(
        "delivered",
        dict.fromkeys((DUE, SENDING), DELIVERED),
        lambda t, row: notifications.delivered(t, row.id, 8, NOW, Acknowledgement.DONE),
        (ACKNOWLEDGEMENTS,),
    ),
    Transition(
        "undeliverable",
        dict.fromkeys((DUE, SENDING), UNDELIVERABLE),
        lambda t, row: notifications.undeliverable(t, row.id, NOW, "50001"),
        (ACKNOWLEDGEMENTS,),
    ),
    Transition(
        "cancel",
        dict.fromkeys((ASKED, TO_COME, DUE), CANCELLED),
        lambda t, row: notifications.cancel(t, row.id, 7),
        (ACKNOWLEDGEMENTS,),
    ),
    Transition(
        "cancelled_after_all",
        stays(CANCELLED),
        lambda t, row: notifications.cancelled_after_all(t, row.id, 7),
        (ACKNOWLEDGEMENTS,),
        is_quiet=True,
    ),
    Transition(
        "remove",
        dict.fromkeys((DUE, SENDING, DELIVERED), CANCELLED),
        lambda t, row: notifications.remove(t, row.id, 7, Acknowledgement.DONE),
        (ACKNOWLEDGEMENTS,),
    ),
    Transition(
        "tell_again",
        dict.fromkeys((DELIVERED, UNDELIVERABLE), Row.AGAIN) | {SENDING: Row.TAKEN_BACK},
        lambda t, row: notifications.tell_again(t, row.task_id, NOW),
        (DELIVERY,),
        is_quiet=True,
    ),
    Transition(
        "want",
        stays(TO_COME),
        lambda t, row: notifications.want(t, row.task_id, Acknowledgement.LATE),
        (ACKNOWLEDGEMENTS,),
        is_quiet=True,
    ),
    Transition(
        "shown",
        stays(TO_COME, DUE, SENDING, DELIVERED, UNDELIVERABLE, CANCELLED),
        lambda t, row: notifications.shown(t, row.id, row.ack_wanted, 7),
        is_quiet=True,
    ),
    Transition(
        "recover",
        stays(ASKED, SENDING),
        lambda t, _: notifications.recover(t, NOW),
        (DELIVERY,),
        is_quiet=True,
        is_for_all=True,
    ),
    Transition(
        "expire",
        dict.fromkeys((ANSWERED, UNDELIVERABLE, CANCELLED), Row.DELETED),
        lambda t, _: notifications.expire(t, LATER),
        is_quiet=True,
        is_for_all=True,
    ),
]


def table(transitions: list[Transition]) -> list[str]:
    """Return the lines of a table in Markdown."""
    lines = ["| Transition | From | To | Wakes |", "| --- | --- | --- | --- |"]
    for transition in transitions:
        targets: dict[str, list[Any]] = {}
        for before, after in transition.moves.items():
            targets.setdefault("the same" if before == after else _shown(after), []).append(before)
        for to, states in targets.items():
            wakes = ", ".join(f"`{queue}`" for queue in transition.wakes) or "nobody"
            besides = f", {transition.besides}" if transition.besides else ""
            lines.append(f"| `{transition.name}` | {_shown_all(states)} | {to}{besides} | {wakes} |")
    return lines


def _shown(state: StrEnum) -> str:
    return str(state) if isinstance(state, Row) else f"`{state}`"


def _shown_all(states: list[Any]) -> str:
    if set(LIVE_TASKS) <= set(states):
        return ", ".join(["live", *(_shown(state) for state in states if state not in LIVE_TASKS)])
    return ", ".join(_shown(state) for state in states)


if __name__ == "__main__":
    print(*table(OF_TASKS), "", *table(OF_NOTIFICATIONS), sep="\n")  # noqa: T201 (for the page)
