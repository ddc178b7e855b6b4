"""Taking back what nobody waits for, as long as VidGo has not seen it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from storage import notifications
from storage import tasks as rows
from storage.database import Snapshot, Transaction
from storage.notifications import drafts
from storage.planned import Gone
from storage.schema import TaskStatus
from storage.servers import usage
from storage.songs import files
from storage.tasks import Task


async def drop_unwanted(transaction: Transaction, task_id: str, now: float) -> None:
    """Drop a task that is still in the queue and that nobody waits for, and let it count no more."""
    if await notifications.is_awaited(transaction, task_id):
        return
    with suppress(Gone):
        dropped = await rows.drop(transaction, task_id, now)
        await usage.give_back(transaction, dropped, failed=False)
        await files.drop_recording(transaction, task_id)


async def as_left(snapshot: Snapshot, task: Task) -> Task:
    """Return a task as it ended when its requester was forgotten: one that was still in the queue reached nobody."""
    if task.status is TaskStatus.QUEUED and await rows.get(snapshot, task.id) is None:
        return replace(task, error_kind="cancelled")
    return task


async def withdraw(transaction: Transaction, notification_id: str, now: float) -> None:
    """Order nothing for an `asked` notification, whose requester has heard of no order; raises `Gone`."""
    row = await notifications.get(transaction, notification_id)
    if row is not None and row.task_id is not None:
        await rows.lock(transaction, row.task_id)
    await notifications.untie(transaction, notification_id)
    if row is not None and row.draft is not None and row.draft.again:
        await _can_be_tried(transaction, row.draft.again)
    if row is not None and row.task_id is not None:
        await drop_unwanted(transaction, row.task_id, now)


async def _can_be_tried(transaction: Transaction, notification_id: str) -> None:
    """Let what nothing came of be tried again, as if it had not been."""
    row = await notifications.lock(transaction, notification_id)
    if row is not None and row.draft is not None:
        await drafts.keep(transaction, notification_id, replace(row.draft, used=False))
