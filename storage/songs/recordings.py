"""Members' own recordings of the last hour: where Discord has them, to ask for a style and to try an order again."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy import bindparam, delete, insert, select

from storage.database import Snapshot, Transaction
from storage.quick import quick
from storage.schema import recordings

RECORDING_SECONDS = 3600.0
"""How long a form for a recording can be open, and its order be tried again."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A row of `recordings`. `size` is in bytes, as Discord tells it."""

    id: str
    user_id: int
    name: str
    url: str
    size: int
    created_at: float


_ADD = quick(insert(recordings))
_GET = quick(select(recordings).where(recordings.c.id == bindparam("id")))
_EXPIRE = delete(recordings).where(recordings.c.created_at < bindparam("before"))


async def add(transaction: Transaction, recording: Recording) -> None:
    """Keep where a recording is."""
    await transaction.execute(_ADD, asdict(recording))


async def get(snapshot: Snapshot, recording_id: str) -> Recording | None:
    """Return a recording whose form may still be open."""
    row = (await snapshot.execute(_GET, {"id": recording_id})).first()
    return None if row is None else Recording(**row._mapping)


async def expire(transaction: Transaction, now: float) -> int:
    """Forget recordings whose form is open no more; return how many."""
    return (await transaction.execute(_EXPIRE, {"before": now - RECORDING_SECONDS})).rowcount
