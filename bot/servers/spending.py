"""What orders cost whose results do not say it, learnt from the balance before and after them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from storage import tasks as rows
from storage.database import Database, Snapshot
from storage.ids import new_id
from storage.planned import Gone
from storage.schema import TaskStatus
from storage.servers import usage
from storage.tasks import Task

log = logging.getLogger(__name__)

CALM_SECONDS = 30.0
"""How long nothing may have been under way until the balance is taken to hold all that was ordered before."""

MOST_ORDERS = 100
"""Of more orders between two balances nothing is learnt."""


@dataclass(frozen=True, slots=True)
class _Balance:
    """What the account had when nothing was under way; what is ordered later has `first` as its id or a later one."""

    amount: float
    first: str


class Spending:
    """Learns from two balances what the orders between them cost, where they can only have cost one thing each.

    That is where nothing was under way at either, all that was ordered in between is finished, and those whose cost is
    not known yet are of one model. The balance before is in memory: after a start the next one is the first.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._before: _Balance | None = None

    def forget(self) -> None:
        """Begin anew, for another process may have looked meanwhile."""
        self._before = None

    async def wants_balance(self) -> bool:
        """Tell whether the balance would tell now what something has cost, or be the first to compare with."""
        async with self._database.read() as snapshot:
            ordered = await self._ordered(snapshot)
            wanted = self._before is None or any(map(_is_unknown, ordered))
            return wanted and await self._is_calm(snapshot, ordered)

    async def is_calm(self) -> bool:
        """Tell whether nothing is under way, nor was a moment ago; a balance counts only between two such moments."""
        async with self._database.read() as snapshot:
            return await self._is_calm(snapshot, await self._ordered(snapshot))

    async def see_balance(self, amount: float, *, was_calm: bool) -> None:
        """Learn from a balance that VidGo has just told; `was_calm` says whether it was calm before it was asked."""
        async with self._database.write(durable=False) as transaction:
            ordered = await self._ordered(transaction)
            if not (was_calm and await self._is_calm(transaction, ordered)):
                return
            before, self._before = self._before, _Balance(amount, new_id(self._clock(), lambda _: 0))
            unknown = [task for task in ordered if _is_unknown(task)]
            each = None if before is None else _cost_of_each(before.amount - amount, ordered, unknown)
            if each is None:
                return
            for task in unknown:
                with suppress(Gone):  # forgotten meanwhile
                    await usage.spend(transaction, await rows.price(transaction, task.id, each))
        log.info("%d orders of %s cost %g credits each, by the balance", len(unknown), unknown[0].model, each)

    async def _ordered(self, snapshot: Snapshot) -> list[Task]:
        """Return what was sent to VidGo since the balance before, or lately where there is none."""
        return await rows.submitted_since(snapshot, "" if self._before is None else self._before.first, MOST_ORDERS)

    async def _is_calm(self, snapshot: Snapshot, ordered: list[Task]) -> bool:
        last = max((task.finished_at or 0.0 for task in ordered), default=0.0)
        return abs(self._clock() - last) >= CALM_SECONDS and not await rows.any_live(snapshot)


def _is_unknown(task: Task) -> bool:
    return task.status is TaskStatus.FINISHED and task.credits is None


def _cost_of_each(spent: float, ordered: list[Task], unknown: list[Task]) -> float | None:
    """Return what each order cost whose cost is not known; None where it cannot be told."""
    rest = spent - sum(task.credits or 0.0 for task in ordered)
    # Nobody knows what VidGo took for what failed; and who tops up or uses the account elsewhere spoils the sum.
    can_tell = len({task.model for task in unknown}) == 1 and all(
        task.status is TaskStatus.FINISHED for task in ordered
    )
    return round(rest / len(unknown), 4) if can_tell and rest > 0 and len(ordered) < MOST_ORDERS else None
