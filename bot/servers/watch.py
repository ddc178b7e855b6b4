"""The worker that looks at what only the owner can mend: the balance, the disk, and what VidGo's answers have shown."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path

from sqlalchemy.exc import OperationalError

from bot.servers.conditions import Condition, Conditions
from bot.servers.spending import Spending
from bot.vidgo import KeyRefused, VidGo, VidGoError
from bot.words.sentences import owners
from bot.worker import TryLater, Worker
from storage.database import Database
from storage.planned import Due
from storage.schema import AlarmKind
from storage.servers import alarms
from storage.wakeups import Queue

log = logging.getLogger(__name__)

BALANCE_SECONDS = 3600.0
TROUBLED_SECONDS = 600.0
SILENT_SECONDS = 120.0
SOON_SECONDS = 60.0
"""How long after the last time the balance is asked for: usually, while something is wrong with the account, while
VidGo gives no usable answer, and at least, where its being known is waited for."""

DISK_SECONDS = 60.0

COSTS_SECONDS = 60.0
"""How often it is looked whether the balance would tell now what orders have cost."""

_BALANCE, _DISK, _COSTS, _CHANGES = "balance", "disk", "costs", "changes"

_SEEN_BY_ORDERS = (AlarmKind.KEY, AlarmKind.VERSION)
"""What a process writes down though another one leads, which may order nothing and would never see it."""


class Watch:
    """Looks, and writes down what has changed for those who tell it.

    What is seen is in memory, for it is seen again; that it was told is not.
    """

    def __init__(
        self,
        database: Database,
        vidgo: VidGo,
        conditions: Conditions,
        directories: Iterable[Path],
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._vidgo = vidgo
        self._conditions = conditions
        self._directories = list(directories)
        self._clock = clock
        self._spending = Spending(database, clock)
        self._asked_at = self._looked_at = self._counted_at = float("-inf")
        self._said_balance = False
        self._leads = False

    async def take_over(self) -> None:
        """Be the one who looks, if this process leads: what another one has left waits until it is seen again."""
        if not self._database.leads:
            self._leads = False
            return
        async with self._database.write(durable=False) as transaction:
            await alarms.recover(transaction, self._clock())
            self._conditions.recall(await alarms.get(transaction, AlarmKind.CREDITS_GONE))
        self._asked_at = self._looked_at = float("-inf")
        self._counted_at = self._clock()
        self._spending.forget()
        self._leads = True

    async def claim(self, skip: Collection[str], _limit: int) -> list[Due]:
        """Return what it is time to look at, and whether something is to be written down."""
        if self._leads is not self._database.leads:
            await self.take_over()
        now = self._clock()
        # A clock that was set back makes nothing wait for longer.
        self._asked_at, self._looked_at = min(self._asked_at, now), min(self._looked_at, now)
        self._counted_at = min(self._counted_at, now)
        planned = self._planned()
        return [Due(item, at) for item, at in planned.items() if at <= now and item not in skip]

    async def next_due(self, skip: Collection[str]) -> float | None:
        """Return when it is time for the next look."""
        return min((at for item, at in self._planned().items() if item not in skip), default=None)

    async def do(self, item: str) -> None:
        """Ask for the balance, look at the disk or what orders have cost, or write down what has changed."""
        if item == _BALANCE:
            self._asked_at = self._clock()
            await self._ask_balance()
        elif item == _DISK:
            self._looked_at = self._clock()
            free = await asyncio.to_thread(self._free)
            if free is not None:
                self._conditions.see_disk(free)
        elif item == _COSTS:
            self._counted_at = self._clock()
            # What is wrong with the account has the balance asked for often enough.
            if (
                not (self._conditions.is_silent or self._conditions.is_troubled)
                and await self._spending.wants_balance()
            ):
                await self._ask_balance()
        else:
            await self._write()

    def _planned(self) -> dict[str, float]:
        conditions, changed = self._conditions, self._changed()
        planned = {_CHANGES: max(one.seen_at for one in changed.values())} if changed else {}
        if not self._leads:
            return planned
        if conditions.is_asked_for:
            pause = SOON_SECONDS
        elif conditions.is_silent:
            pause = SILENT_SECONDS
        else:
            pause = TROUBLED_SECONDS if conditions.is_troubled else BALANCE_SECONDS
        return planned | {
            _BALANCE: self._asked_at + pause,
            _DISK: self._looked_at + DISK_SECONDS,
            _COSTS: self._counted_at + COSTS_SECONDS,
        }

    def _changed(self) -> dict[AlarmKind, Condition]:
        """Return what is to be written down by this process."""
        changed = self._conditions.changed
        return {kind: one for kind, one in changed.items() if self._leads or kind in _SEEN_BY_ORDERS}

    async def _ask_balance(self) -> None:
        was_calm = await self._spending.is_calm()
        try:
            amount = await self._vidgo.balance()
        except VidGoError as error:
            self._conditions.miss_balance()
            if not isinstance(error, KeyRefused):
                log.warning("the balance of the VidGo account cannot be asked for: %s", error.reason)
            return
        self._conditions.see_balance(amount)
        await self._spending.see_balance(amount, was_calm=was_calm)
        if not self._said_balance:
            self._said_balance = True
            log.info("the VidGo account has %s credits", owners.plain(amount))

    def _free(self) -> int | None:
        found = []
        for directory in self._directories:
            with suppress(OSError):  # whoever needs it says so
                found.append(shutil.disk_usage(directory).free)
        return min(found, default=None)

    async def _write(self) -> None:
        changed = self._changed()
        now = self._clock()
        try:
            async with self._database.write() as transaction:
                for kind, condition in changed.items():
                    if condition.is_so:
                        await alarms.begin(transaction, kind, condition.since, condition.details, now)
                    else:
                        await alarms.end(transaction, kind, condition.details, now)
                    if kind is AlarmKind.CREDITS_GONE and condition.is_so:
                        await alarms.drop(transaction, AlarmKind.CREDITS_LOW)
        except OperationalError as error:  # the disk is full, perhaps
            raise TryLater(f"the database takes nothing ({error.orig})") from error
        for kind, condition in changed.items():
            if self._conditions.changed.get(kind) is condition:
                del self._conditions.changed[kind]


def make_watch(watch: Watch, database: Database, clock: Callable[[], float]) -> Worker:
    """Make the worker."""
    return Worker(Queue.WATCH, watch, database.wakeups, places=4, clock=clock)
