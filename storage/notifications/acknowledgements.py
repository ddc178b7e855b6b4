"""What the acknowledgement of a notification should say, and does not say yet."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import bindparam, case, null, select, update

from storage import planned
from storage.database import Snapshot, Transaction
from storage.notifications.rows import CAN_CHANGE, CANCELLED, OF_TASK, SAYS, UNFINISHED, WAITING, locked
from storage.planned import Due
from storage.quick import quick
from storage.schema import Acknowledgement, notifications
from storage.wakeups import Queue

_ACKNOWLEDGEMENTS = list(Acknowledgement)

_TO_CHANGE = quick(
    select(notifications.c.id, notifications.c.ack_wanted, notifications.c.attempts)
    .where(notifications.c.ack_wanted.is_not(None), notifications.c.id.not_in(planned.SKIPPED))
    .order_by(notifications.c.id)
    .limit(planned.MOST)
)
_CLAIM_TO_CHANGE = planned.claim(_TO_CHANGE, notifications.c.ack_holder)
_WANT = quick(
    update(notifications).where(locked(OF_TASK, notifications.c.state == WAITING, CAN_CHANGE)).values(ack_wanted=SAYS)
)
_CANCELLED_AFTER_ALL = quick(
    update(notifications)
    .where(
        notifications.c.id == bindparam("row_id"),
        notifications.c.state == CANCELLED,
        notifications.c.message_id.is_(None),
    )
    .values(ack_wanted=Acknowledgement.CANCELLED, ack_message_id=bindparam("new_message"))
)
_SHOWN = quick(
    update(notifications)
    .where(notifications.c.id == bindparam("row_id"), notifications.c.ack_wanted == SAYS)
    .values(
        ack_wanted=None,
        ack_holder=None,
        ack_message_id=bindparam("new_message"),
        interaction_token=case(
            (notifications.c.state.in_(UNFINISHED), notifications.c.interaction_token), else_=null()
        ),
    )
)


async def acknowledgements_to_change(snapshot: Snapshot, skip: Collection[str], limit: int) -> list[Due]:
    """Take notifications whose acknowledgement should say something else."""
    found = await snapshot.claim(_CLAIM_TO_CHANGE, {"skip": list(skip), "most": limit})
    # There is no planned time; what is wanted, and after how many tries to post, stands for it, so that a change that
    # never comes about is noticed.
    return [Due(row[0], float(_ACKNOWLEDGEMENTS.index(row[1]) + len(_ACKNOWLEDGEMENTS) * row[2])) for row in found]


async def release_acknowledgements(transaction: Transaction, names: Collection[str]) -> None:
    """Let others change acknowledgements that this process has claimed."""
    await transaction.release(_CLAIM_TO_CHANGE, [{"of_id": name} for name in names])


async def want(transaction: Transaction, task_id: str, says: Acknowledgement) -> None:
    """Have the acknowledgements of everybody who waits for a task say something else."""
    transaction.wakes(Queue.ACKNOWLEDGEMENTS)
    await transaction.execute(_WANT, {"of_task": task_id, "says": says})


async def cancelled_after_all(transaction: Transaction, notification_id: str, message_id: int) -> None:
    """Have an acknowledgement say once more that nothing comes: what was on its way meanwhile has replaced that."""
    transaction.wakes(Queue.ACKNOWLEDGEMENTS)
    await transaction.execute(_CANCELLED_AFTER_ALL, {"row_id": notification_id, "new_message": message_id})


async def shown(transaction: Transaction, notification_id: str, says: str, message_id: int | None) -> None:
    """Note that an acknowledgement says what was wanted, unless something else is wanted by now."""
    await transaction.execute(_SHOWN, {"row_id": notification_id, "says": says, "new_message": message_id})
