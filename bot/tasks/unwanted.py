"""Taking back what nobody waits for, as long as VidGo has not seen it."""

from __future__ import annotations

from contextlib import suppress

from storage import notifications
from storage import tasks as rows
from storage.database import Transaction
from storage.planned import Gone
from storage.servers import usage
from storage.songs import files


async def drop_unwanted(transaction: Transaction, task_id: str, now: float) -> None:
    """Drop a task that is still in the queue and that nobody waits for, and let it count no more."""
    if await notifications.is_awaited(transaction, task_id):
        return
    with suppress(Gone):
        dropped = await rows.drop(transaction, task_id, now)
        await usage.give_back(transaction, dropped, failed=False)
        await files.drop_recording(transaction, task_id)


async def withdraw(transaction: Transaction, notification_id: str, now: float) -> None:
    """Order nothing for an `asked` notification, whose requester has heard of no order; raises `Gone`."""
    row = await notifications.get(transaction, notification_id)
    if row is not None and row.task_id is not None:
        await rows.lock(transaction, row.task_id)
    await notifications.untie(transaction, notification_id)
    if row is not None and row.task_id is not None:
        await drop_unwanted(transaction, row.task_id, now)
