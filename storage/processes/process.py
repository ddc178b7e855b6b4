"""This process among the others: it renews its lease, takes over from the dead, and may lead."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from contextvars import ContextVar

from sqlalchemy.exc import SQLAlchemyError

from storage.database import Transaction
from storage.ids import new_id
from storage.processes import leases

log = logging.getLogger(__name__)

RENEW_SECONDS = 6.0
RETRY_SECONDS = 1.0

MARGIN_SECONDS = 3.0
"""How long before its lease ends a process stops to act: what it has begun by then has time to end."""

_SWEEP_TURNS = 10
"""Each so many renewals what is left is looked for without a death: written by one that was dead already."""


class Process:
    """The lease of this process. Until `join` it holds nothing and may not act.

    `on_time` is told the server's time with each renewal, and how long the question has taken.
    """

    def __init__(
        self,
        name: str,
        version: str,
        write: Callable[[], AbstractAsyncContextManager[Transaction]],
        on_time: Callable[[float, float], None],
    ) -> None:
        self.id = new_id(time.time())
        self._name = name
        self._version = version
        self._write = write
        self._on_time = on_time
        self._until = 0.0
        self._renewed = asyncio.Event()
        # As whom the current work was begun; nobody where it is none that others could take over.
        self._began_as: ContextVar[str | None] = ContextVar("began_as", default=None)
        self._leads = False
        self._turns = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def me(self) -> str | None:
        """Return who holds what this process takes; nobody before it has joined the others."""
        return None if self._task is None else self.id

    @property
    def may_act(self) -> bool:
        """Whether the lease stands, by this process's own clock that nobody can set, and did since the work began."""
        return time.monotonic() < self._until and self._began_as.get() in (None, self.id)

    def begin_work(self) -> None:
        """Let the current task, and those that it makes, act for as long as this life lasts, and not in the next."""
        self._began_as.set(self.id)

    async def is_able(self, seconds: float) -> bool:
        """Let the current task act as `begin_work` does, as soon as the lease stands; tell whether it does by then."""
        if time.monotonic() >= self._until:
            self._renewed.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._renewed.wait(), seconds)
        self.begin_work()
        return self.may_act

    @property
    def leads(self) -> bool:
        """Whether this process does what only one may do."""
        return self._leads and self.may_act

    async def join(self) -> None:
        """Begin to live, and take over from those who do not."""
        await self._begin(self.id)
        await self._turn()
        self._task = asyncio.create_task(self._renew(), name="lease")

    async def leave(self) -> None:
        """Live no more; what is held is free for others at once."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._until = 0.0
        try:
            async with asyncio.timeout(2.0), self._write() as transaction:
                await leases.end(transaction, self.id)
        except (SQLAlchemyError, TimeoutError) as error:
            log.warning("the others take over within %g s: %s", leases.LEASE_SECONDS, type(error).__name__)

    async def _begin(self, me: str) -> None:
        began_at = time.monotonic()
        async with self._write() as transaction:
            await leases.begin(transaction, me, self._name, self._version)
            # What an earlier life has written after it was thought dead.
            await leases.free(transaction)
        # Not before it is written down: what is held by somebody of whom nobody knows is free for all.
        self.id, self._until = me, began_at + leases.LEASE_SECONDS - MARGIN_SECONDS
        self._renewed.set()
        self._turns = 0  # what the earlier life was writing just then is looked for soon

    async def _renew(self) -> None:
        while True:
            pause = RENEW_SECONDS
            try:
                async with asyncio.timeout(leases.LEASE_SECONDS - MARGIN_SECONDS):
                    await self._turn()
            except (SQLAlchemyError, TimeoutError) as error:
                log.warning("the lease could not be renewed: %s", getattr(error, "orig", None) or type(error).__name__)
                pause = RETRY_SECONDS
            await asyncio.sleep(pause)

    async def _turn(self) -> None:
        began_at = time.monotonic()
        async with self._write() as transaction:
            asked_at = time.monotonic()
            now = await leases.renew(transaction, self.id)
            took = time.monotonic() - asked_at
            if now is not None:
                must_sweep = await leases.any_dead(transaction) or self._turns % _SWEEP_TURNS == 0
                leads = await leases.lead(transaction, self.id)
        if now is None:
            # Others have taken over; whatever is still under way here finds that its rows are not its own any more.
            log.warning("this process was silent for too long, and begins anew")
            self._leads = False
            await self._begin(new_id(time.time()))
            return
        self._until = began_at + leases.LEASE_SECONDS - MARGIN_SECONDS
        self._renewed.set()
        self._on_time(now, took)
        self._turns += 1
        if leads != self._leads:
            log.info("this process %s", "leads" if leads else "leads no longer")
        self._leads = leads
        if must_sweep:
            await self._take_over()

    async def _take_over(self) -> None:
        """Let everybody have what the dead have held, unless somebody else is at it or holds a row of it.

        It is apart from the renewal: a host that was lost may hold rows until the server notices, and nobody else's
        lease may end by that.
        """
        try:
            # So long that the next renewal is not late.
            async with asyncio.timeout(leases.LEASE_SECONDS / 3), self._write() as transaction:
                dead = await leases.bury(transaction)
                await leases.free(transaction)
        except TimeoutError:
            log.warning("what the dead have held cannot be taken over yet: their rows are still locked")
            self._turns = 0
            return
        for name in dead:
            log.warning("process %s has died; what it held is taken over", name)
