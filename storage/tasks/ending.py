"""Tasks that end: with a result, without one, or as nobody knows."""

from __future__ import annotations

from sqlalchemy import bindparam, func, update

from storage.database import Transaction
from storage.quick import quick
from storage.schema import LIVE_TASKS, TaskStatus, tasks
from storage.tasks.rows import AS_READ, AS_SENT, CREDITS, ENDED_BADLY, NO_DOUBT, NOW, Task, as_read, change, changed

_FINISH = change(
    *LIVE_TASKS,
    *ENDED_BADLY,
    status=TaskStatus.FINISHED,
    finished_at=NOW,
    poll_at=None,
    holder=None,
    error=None,
    error_kind=None,
    vidgo_id=func.coalesce(tasks.c.vidgo_id, bindparam("new_vidgo_id")),
    credits=func.coalesce(CREDITS, tasks.c.credits),
    **NO_DOUBT,
)
_PRICE = quick(
    update(tasks)
    .where(tasks.c.id == bindparam("row_id"), tasks.c.status == TaskStatus.FINISHED, tasks.c.credits.is_(None))
    .values(credits=CREDITS)
    .returning(*tasks.c)
)
_END = change(
    *LIVE_TASKS,
    status=bindparam("new_status"),
    error_kind=bindparam("new_kind"),
    error=bindparam("new_error"),
    finished_at=NOW,
    poll_at=None,
    holder=None,
).where(AS_READ)
# Who ends it may have looked before VidGo's answer, or its callback, was noted, or before another sent it again.
_END_AS_SENT = change(
    TaskStatus.SUBMITTING,
    status=bindparam("new_status"),
    error_kind=bindparam("new_kind"),
    error=bindparam("new_error"),
    finished_at=NOW,
    poll_at=None,
    holder=None,
).where(AS_SENT)


async def finish(
    transaction: Transaction,
    task_id: str,
    vidgo_id: str,
    now: float,
    credits: float | None = None,  # noqa: A002  (the API's word)
) -> Task:
    """To `finished`, from any other status: what was failed or given up may be finished after all."""
    return await changed(transaction, _FINISH, task_id, new_vidgo_id=vidgo_id, now=now, new_credits=credits)


async def price(transaction: Transaction, task_id: str, credits: float) -> Task:  # noqa: A002  (the API's word)
    """Note once what a `finished` task cost, where its result did not say it."""
    return await changed(transaction, _PRICE, task_id, new_credits=credits)


async def fail(transaction: Transaction, task: Task, kind: str, error: str | None, now: float) -> Task:
    """From a live status to `failed`, as it was read."""
    values = {"new_status": TaskStatus.FAILED, "new_kind": kind, "new_error": error}
    return await changed(transaction, _END, task.id, now=now, **values, **as_read(task))


async def give_up(transaction: Transaction, task: Task, kind: str, error: str | None, now: float) -> Task:
    """From a live status to `given_up`, as it was read: nobody knows what became of it."""
    values = {"new_status": TaskStatus.GIVEN_UP, "new_kind": kind, "new_error": error}
    return await changed(transaction, _END, task.id, now=now, **values, **as_read(task))


async def refuse(transaction: Transaction, sent: Task, kind: str, error: str | None, now: float) -> Task:
    """From `submitting` to `failed`: VidGo has not taken it, and nobody has sent it again since."""
    values = {"new_status": TaskStatus.FAILED, "new_kind": kind, "new_error": error, "sent_tries": sent.tries}
    return await changed(transaction, _END_AS_SENT, sent.id, now=now, **values)


async def lose(transaction: Transaction, sent: Task, kind: str, error: str | None, now: float) -> Task:
    """From `submitting` to `given_up`: VidGo may have taken it and gave no id; nobody has sent it again since."""
    values = {"new_status": TaskStatus.GIVEN_UP, "new_kind": kind, "new_error": error, "sent_tries": sent.tries}
    return await changed(transaction, _END_AS_SENT, sent.id, now=now, **values)
