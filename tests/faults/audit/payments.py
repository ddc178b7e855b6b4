"""VidGo against the database: what was sent, made, charged, and told."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.faults.harness import LIVE
from tests.faults.orders import COVER, MODELS, SONG, key_of
from tests.faults.passing import STEP_SECONDS

if TYPE_CHECKING:
    from sandbox.vidgo import Submission
    from tests.faults.audit.ledgers import Ledgers, Row
    from tests.faults.audit.verdict import Verdict

UNCONFIRMED = {"lost", "duplicate", "nonsense", "time", "unknown", "no_files"}
"""Ends of a task in which the requester is told that VidGo may have made it all the same."""

QUEUED_SECONDS = 2 * STEP_SECONDS + 3.0
"""How long before its arrival at VidGo an order may be recorded as sent: not while it waits for its turn."""


def audit_payments(ledgers: Ledgers, verdict: Verdict) -> None:
    """Demand one payment at most for each thing that was asked for, and a row for each."""
    asked: dict[tuple[str, str], list[Submission]] = defaultdict(list)
    for submission in ledgers.stage.vidgo.submissions:
        if submission.accepted or submission.status is None:
            asked[key_of(submission.model, submission.input)].append(submission)
    rows: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in ledgers.tasks:
        if row["model"] in MODELS:
            rows[ledgers.key_of_row(row)].append(row)
    charged = {task_id for task_id, _ in ledgers.stage.vidgo.charged}
    known = {row["vidgo_id"] for row in ledgers.tasks}
    forgotten = {order.wanted for order in ledgers.stage.orders if ledgers.is_forgotten(order)}
    for key, submissions in asked.items():
        _audit_charges(ledgers, key, submissions, charged, verdict)
        # VidGo makes a song's cover once, so a lost order for it may be sent again; any other could be paid twice.
        repeated = key[0] != COVER and len(submissions) > max(len(rows[key]), 1)
        if repeated and key not in forgotten:
            verdict.note("paid twice", f"{key} was submitted {len(submissions)} times for {len(rows[key])} tasks")
        if not rows[key] and key not in forgotten:
            verdict.note("lost", f"VidGo works on {key}, of which the database knows nothing")
        for one in submissions:
            if one.task_id in charged and one.task_id not in known and key not in forgotten:
                _audit_unconfirmed(f"{key}, paid as {one.task_id}", rows[key], verdict)
    for key, same in rows.items():
        if key[0] == SONG and len(same) > max(sum(order.wanted == key for order in ledgers.stage.orders), 1):
            verdict.note("twice", f"{len(same)} tasks for {key}")


def _audit_charges(
    ledgers: Ledgers, key: tuple[str, str], submissions: list[Submission], charged: set[str], verdict: Verdict
) -> None:
    """Demand one payment for each request, and none for what is under way; asking again afterwards is allowed."""
    paid = [one for one in submissions if one.task_id in charged]
    orders = 1 if key[0] == COVER else sum(order.wanted == key for order in ledgers.stage.orders)
    if len(paid) > max(orders, 1):
        verdict.note("paid twice", f"{key}: {[one.task_id for one in paid]} for {orders} orders")
    for first, second in pairwise(paid):
        made = ledgers.stage.vidgo.tasks.get(str(first.task_id))
        ended_at = ledgers.ended_at(made) if made is not None else None
        if ended_at is not None and second.at < ended_at:
            verdict.note("paid twice", f"{key}: {first.task_id} was under way when {second.task_id} was ordered")


def _audit_unconfirmed(name: str, rows: list[Row], verdict: Verdict) -> None:
    if any(row["error_kind"] in UNCONFIRMED for row in rows):
        verdict.unconfirmed += 1
    else:
        verdict.note("lost", f"{name}, is told to nobody: {[(row['status'], row['error_kind']) for row in rows]}")


def audit_tasks(ledgers: Ledgers, verdict: Verdict) -> None:
    """Hold each task's row against what VidGo says of it."""
    charged = {task_id for task_id, _ in ledgers.stage.vidgo.charged}
    for row in ledgers.tasks:
        name = f"task {row['id']} ({row['status']} {row['error_kind']})"
        made = ledgers.stage.vidgo.tasks.get(row["vidgo_id"])
        if row["status"] == "given_up" and row["error_kind"] == "lost" and row["vidgo_id"] is not None:
            verdict.note("falsehood", f"{name} was called unconfirmed, and known as {row['vidgo_id']}")
        if row["status"] in LIVE:
            verdict.note("left behind", f"{name}; VidGo: {made and made.status}")
        elif row["status"] == "finished":
            if made is None or made.status != "finished":
                verdict.note("lost", f"{name} was never finished by VidGo")
        elif made is not None and made.id in charged:
            _audit_unconfirmed(f"{name}, paid as {made.id}", [row], verdict)
    for one in ledgers.stage.vidgo.accepted():
        sent = next((row["submitted_at"] for row in ledgers.tasks if row["vidgo_id"] == one.task_id), None)
        if sent is not None and not ledgers.stage.program.was_wrong and one.at - sent > QUEUED_SECONDS:
            verdict.note("falsehood", f"what {one.task_id} took counts the time that it waited to be sent")
