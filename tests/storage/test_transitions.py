"""Transitions: from which states each one leads where, and that it changes nothing in any other."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Iterator
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

import storage.notifications
import storage.tasks
from storage.database import Database, Transaction
from storage.planned import Gone
from storage.schema import OPEN_NOTIFICATIONS, NotificationState, TaskStatus
from storage.schema import notifications as notification_table
from storage.schema import tasks as task_table
from storage.wakeups import Queue
from tests.storage.rows import a_task, add, in_state, in_status
from tests.storage.transitions import (
    LATER,
    OF_NOTIFICATIONS,
    OF_TASKS,
    TIED_TO,
    Row,
    Transition,
    table,
)

ARCHITECTURE = Path(__file__).parents[2] / "docs" / "architecture.md"

OTHER_WRITES = {
    *(f"storage.servers.alarms.{name}" for name in ("begin", "end", "drop", "give_up", "come_after_all")),
    *(f"storage.servers.alarms.{name}" for name in ("send", "know", "done", "recover")),
    *(f"storage.servers.greetings.{name}" for name in ("join", "leave", "send", "postpone", "done")),
    "storage.notifications.drafts.keep",
    "storage.notifications.drafts.expire",
    "storage.songs.files.add",
    "storage.songs.files.drop_recording",
    "storage.songs.library.add",
    "storage.songs.recordings.add",
    "storage.songs.recordings.expire",
    "storage.songs.removed.remove",
    "storage.songs.removed.restore",
    "storage.songs.removed.expire",
    "storage.songs.likes.press",
    *(f"storage.notifications.pictures.{name}" for name in ("want", "shown", "give_up", "release")),
    "storage.members.forget.forget_song",
    "storage.members.forget.forget_member",
    "storage.servers.usage.take",
    "storage.servers.usage.give_back",
    "storage.servers.usage.spend",
    "storage.servers.usage.expire",
    "storage.servers.settings.save",
    "storage.servers.settings.remove",
    "storage.archive.index.plan",
    "storage.archive.index.tried",
    "storage.archive.index.announce",
    "storage.archive.index.archived",
    "storage.archive.index.never_came",
    "storage.archive.index.not_wanted",
    "storage.archive.index.used",
    "storage.archive.index.lost",
    "storage.archive.index.evict",
    "storage.archive.index.collect",
    "storage.archive.index.strays_go",
    "storage.archive.index.goes_still",
    "storage.archive.index.gone",
}
"""What writes and changes no state of a task or a notification; what is forgotten has none any more."""


LOCKS = {
    "storage.tasks.reading.release",
    "storage.notifications.delivery.release",
    "storage.notifications.acknowledgements.release_acknowledgements",
    "storage.archive.index.release",
    "storage.processes.leases.begin",
    "storage.processes.leases.renew",
    "storage.processes.leases.bury",
    "storage.processes.leases.free",
    "storage.processes.leases.lead",
    "storage.processes.leases.end",
    "storage.processes.turns.take_channels",
    "storage.processes.turns.leave_channels",
    "storage.processes.turns.expire",
    "storage.tasks.rows.lock",
    "storage.tasks.submission.first_in_line",
    "storage.tasks.rows.cover_of",
    "storage.tasks.rows.same_order",
    "storage.notifications.rows.lock",
    "storage.servers.settings.hold",
}
"""What takes a transaction to keep other processes from rows, or to let them have these."""

SENDERS = {"storage.tasks.rows.changed", "storage.notifications.rows.changed"}
"""What sends the statement of any transition."""


async def everything(transaction: Transaction | Any) -> dict[str, dict[str, Any]]:
    return {
        row.id: dict(row._mapping)
        for entity in (task_table, notification_table)
        for row in await transaction.execute(select(entity))
    }


async def rows_for(database: Database, transition: Transition) -> dict[Any, Any]:
    """Put a row in each state into a database."""
    live = a_task(id=TIED_TO, status=TaskStatus.WAITING)
    await add(database, [live])
    if transition in OF_TASKS:
        found: dict[Any, Any] = {status: in_status(status) for status in TaskStatus}
    else:
        own = {state: a_task(status=TaskStatus.WAITING) for state in NotificationState}
        await add(database, list(own.values()))
        is_tied = transition.name not in ("tie", "abandon")
        found = {state: in_state(state, own[state], is_tied=is_tied) for state in NotificationState}
    await add(database, list(found.values()))
    return found


async def run(
    database: Database, transition: Transition, row: Any
) -> tuple[dict[str, tuple[Any, Any]], Any, set[Queue]]:
    """Run a transition; return what it changed (before and after), what it returned or raised, and whom it wakes."""
    async with database.write(durable=False) as transaction:
        before = await everything(transaction)
        try:
            result = await transition.act(transaction, row)
        except Gone as gone:
            result = gone
        after = await everything(transaction)
        woken = set(transaction.woken)
    changed = {
        name: (before.get(name), after.get(name))
        for name in before.keys() | after.keys()
        if before.get(name) != after.get(name)
    }
    return changed, result, woken


def state_of(row: dict[str, Any] | None) -> Any:
    if row is None:
        return None
    return TaskStatus(row["status"]) if "status" in row else NotificationState(row["state"])


def became(changed: dict[str, tuple[Any, Any]], row: Any) -> Any:
    """Return what a row has become, where nothing else has changed."""
    if changed == {}:
        return "nothing"
    new = [after for before, after in changed.values() if before is None]
    if row.id in changed and len(new) == 1:
        assert len(changed) == 2, changed
        now = state_of(changed[row.id][1])
        assert new[0]["state"] == "due"
        if now is row.state:  # with nothing left to say
            return Row.AGAIN
        assert now is NotificationState.CANCELLED
        return Row.TAKEN_BACK
    assert len(changed) == 1, changed
    [(name, (before, after))] = changed.items()
    if before is None:
        return Row.AGAIN if after["state"] == "due" and after["task_id"] == row.task_id else Row.NEW
    assert name == row.id
    return Row.DELETED if after is None else state_of(after)


def assert_is_whole(row: dict[str, Any]) -> None:
    """What is open is planned, and nobody looks again at what is over, nor keeps its token once it was told."""
    state = state_of(row)
    if isinstance(state, TaskStatus):
        assert (row["poll_at"] is None) == state.is_final
        return
    if state is not NotificationState.ASKED:  # while its process lives, nobody has to look after it
        assert (row["attempt_at"] is not None) == (state in OPEN_NOTIFICATIONS)
    if state not in (*OPEN_NOTIFICATIONS, NotificationState.WAITING):
        assert row["interaction_token"] is None or row["ack_wanted"] is not None


# The table


@pytest.mark.parametrize(
    "transition",
    [one for one in OF_TASKS + OF_NOTIFICATIONS if not one.is_for_all and one.name != "add"],
    ids=lambda one: f"{'tasks' if one in OF_TASKS else 'notifications'}.{one.name}",
)
async def test_a_transition_leads_from_its_states_and_changes_nothing_in_any_other(
    database: Database, transition: Transition
) -> None:
    found: dict[Any, Any] = {}
    for state, row in (await rows_for(database, transition)).items():
        changed, result, woken = await run(database, transition, row)
        found[state] = became(changed, row)
        if state not in transition.moves:
            assert changed == {}, state
            assert isinstance(result, Gone) or transition.is_quiet
            continue
        for after in (change[1] for change in changed.values() if change[1] is not None):
            assert_is_whole(after)
        if not transition.is_quiet:
            assert asdict(result) == changed[row.id][1], "it returns the row as it is now"
        assert woken == set(transition.wakes)
    assert {state: to for state, to in found.items() if to != "nothing"} == transition.moves


@pytest.mark.parametrize(
    "transition",
    [one for one in OF_TASKS + OF_NOTIFICATIONS if one.is_for_all],
    ids=lambda one: f"{'tasks' if one in OF_TASKS else 'notifications'}.{one.name}",
)
async def test_a_transition_of_all_rows_leaves_those_in_other_states_alone(
    database: Database, transition: Transition
) -> None:
    rows = await rows_for(database, transition)
    if transition.name == "recover":
        async with database.write() as transaction:
            table_of = task_table if transition in OF_TASKS else notification_table
            due = "poll_at" if transition in OF_TASKS else "attempt_at"
            await transaction.execute(table_of.update().values({due: LATER}))
    changed, _, woken = await run(database, transition, None)
    states = {row.id: state for state, row in rows.items()}
    assert {states[name]: became({name: change}, rows[states[name]]) for name, change in changed.items()} == (
        transition.moves
    )
    assert woken == set(transition.wakes)


def writes() -> Iterator[tuple[str, str]]:
    """Every public function that takes a transaction, by its module and its name."""
    for module in pkgutil.walk_packages(storage.__path__, "storage."):
        if ".migrations" in module.name:
            continue
        for name, function in inspect.getmembers(import_module(module.name), inspect.iscoroutinefunction):
            annotations = inspect.get_annotations(function).values()
            if (
                function.__module__ == module.name
                and not name.startswith("_")
                and "Transaction" in map(str, annotations)
                and f"{module.name}.{name}" not in LOCKS | SENDERS
            ):
                yield module.name, name


def test_every_function_that_writes_is_in_the_table() -> None:
    found = {f"{module}.{name}": name for module, name in writes()}
    transitions = {full: name for full, name in found.items() if full not in OTHER_WRITES}
    for package, of_rows in ((storage.tasks, OF_TASKS), (storage.notifications, OF_NOTIFICATIONS)):
        names = [name for full, name in transitions.items() if full.startswith(f"{package.__name__}.")]
        assert sorted(names) == sorted(one.name for one in of_rows)
        assert set(names) <= set(package.__all__), "and its room offers it"
    assert len(transitions) == len(OF_TASKS) + len(OF_NOTIFICATIONS)
    assert found.keys() >= OTHER_WRITES


@pytest.mark.parametrize("transitions", [OF_TASKS, OF_NOTIFICATIONS], ids=["tasks", "notifications"])
def test_the_architecture_shows_the_table(transitions: list[Transition]) -> None:
    assert "\n".join(table(transitions)) in ARCHITECTURE.read_text("utf-8")
