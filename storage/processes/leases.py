"""Who lives and who works on what: the statements.

A process has one lease, its row of `processes`, and what it holds is its own for as long as that stands. Whoever finds
a lease that has ended deletes the row, and what it held is free from then on. So a process that was thought dead finds
its row gone, and cannot renew what others may have taken.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Float, bindparam, case, delete, exists, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_update

from storage.database import Snapshot, Transaction
from storage.schema import (
    IS_OPEN,
    NotificationState,
    TaskStatus,
    files,
    leases,
    notifications,
    processes,
    shard_blocks,
    tasks,
    turns,
)
from storage.wakeups import Queue

LEASE_SECONDS = 20.0
"""How long a process that says nothing is thought to live."""

LEADER = "leader"

_NOW: Any = func.extract("epoch", func.clock_timestamp()).cast(Float)
_ME: Any = bindparam("me")
_UNTIL = _NOW + bindparam("seconds", type_=Float)

_BEGIN = insert(processes).values(
    id=_ME, name=bindparam("called"), version=bindparam("of_version"), started_at=_NOW, lease_until=_UNTIL
)
_RENEW = update(processes).where(processes.c.id == _ME).values(lease_until=_UNTIL).returning(_NOW)
_ANY_DEAD = select(exists().where(processes.c.lease_until < _NOW))
_BURY = delete(processes).where(processes.c.lease_until < _NOW).returning(processes.c.name)
_LIVING = (
    select(processes.c.name, processes.c.version).where(processes.c.lease_until >= _NOW).order_by(processes.c.name)
)
_END = delete(processes).where(processes.c.id == _ME)

_lease = insert_or_update(leases).values(name=LEADER, holder=_ME, lease_until=_UNTIL)
_LEAD = _lease.on_conflict_do_update(
    index_elements=[leases.c.name],
    set_={"holder": _lease.excluded.holder, "lease_until": _lease.excluded.lease_until},
    where=or_(leases.c.holder == _ME, leases.c.lease_until < _NOW),
).returning(leases.c.holder)
# Whoever has begun to succeed goes on alone.
_RUN_NO_LONGER = update(shard_blocks).where(shard_blocks.c.holder == _ME).values(holder=None, is_offered=False)
_LEAD_NO_LONGER = delete(leases).where(leases.c.holder == _ME)


def _is_left(holder: Any) -> Any:
    """Tell that whoever holds a row lives no more."""
    return holder.is_not(None) & ~exists().where(processes.c.id == holder)


_FREE_TASKS = (
    update(tasks)
    .where(_is_left(tasks.c.holder))
    # What may have reached VidGo is looked after at once.
    .values(holder=None, poll_at=case((tasks.c.status == TaskStatus.SUBMITTING, _NOW), else_=tasks.c.poll_at))
)
_UNFINISHED = (NotificationState.ASKED, NotificationState.SENDING)
_FREE_NOTIFICATIONS = (
    update(notifications)
    .where(
        or_(
            _is_left(notifications.c.holder),
            # As where the rows were brought over from a database with one process.
            IS_OPEN
            & (notifications.c.state == NotificationState.ASKED)
            & notifications.c.holder.is_(None)
            & notifications.c.attempt_at.is_(None),
        )
    )
    .values(
        holder=None,
        attempt_at=case((notifications.c.state.in_(_UNFINISHED), _NOW), else_=notifications.c.attempt_at),
    )
)
_FREE = [
    _FREE_TASKS,
    _FREE_NOTIFICATIONS,
    update(notifications).where(_is_left(notifications.c.ack_holder)).values(ack_holder=None),
    update(files).where(_is_left(files.c.holder)).values(holder=None),
    delete(turns).where(turns.c.name.startswith("channel "), _is_left(turns.c.holder)),
]


async def begin(transaction: Transaction, me: str, name: str, version: str) -> None:
    """Begin to live."""
    await transaction.execute(_BEGIN, {"me": me, "called": name, "of_version": version, "seconds": LEASE_SECONDS})


async def renew(transaction: Transaction, me: str) -> float | None:
    """Renew the lease of a process, and return the server's time; None where it had ended."""
    now: float | None = (await transaction.execute(_RENEW, {"me": me, "seconds": LEASE_SECONDS})).scalar()
    return now


async def any_dead(snapshot: Snapshot) -> bool:
    """Tell whether a process's lease has ended."""
    return bool((await snapshot.execute(_ANY_DEAD)).scalar_one())


async def bury(transaction: Transaction) -> list[str]:
    """Delete the processes whose leases have ended, and return their names."""
    return list((await transaction.execute(_BURY)).scalars())


async def free(transaction: Transaction) -> None:
    """Let everybody have what was held by a process that lives no more.

    Nobody begins to live meanwhile. A statement that has to wait for a row sees who holds it now, and who lives as it
    was before: it would take from somebody who has just begun.
    """
    await transaction.alone("who lives")
    for statement in _FREE:
        await transaction.execute(statement)
    transaction.wakes(Queue.POLLER, Queue.DELIVERY, Queue.ACKNOWLEDGEMENTS, Queue.PICTURES, Queue.ARCHIVER)


async def lead(transaction: Transaction, me: str) -> bool:
    """Be the one who does what only one may do, or stay it; tell whether that is so."""
    return (await transaction.execute(_LEAD, {"me": me, "seconds": LEASE_SECONDS})).first() is not None


async def end(transaction: Transaction, me: str) -> None:
    """Live no more, and let others have what is left."""
    await transaction.execute(_END, {"me": me})
    await transaction.execute(_LEAD_NO_LONGER, {"me": me})
    await transaction.execute(_RUN_NO_LONGER, {"me": me})
    await free(transaction)


async def living(snapshot: Snapshot) -> list[tuple[str, str]]:
    """Return the names and versions of the processes that live."""
    return [(row[0], row[1]) for row in await snapshot.execute(_LIVING)]
