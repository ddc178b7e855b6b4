"""Which shards this process runs: those of its settings, all, or a block that it has a lease for.

With a lease the process stands by until there is a block to have, and does everything else meanwhile. At a stop it
offers its block, and its sessions end when those of a successor are ready.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import discord
from sqlalchemy.exc import SQLAlchemyError
from yarl import URL

from bot.gateway.client import Client
from bot.gateway.login import PAUSES, retry
from bot.settings import Settings, SettingsError
from storage.database import Database
from storage.processes import blocks as rows
from storage.processes.blocks import Block, Blocks
from storage.wakeups import Queue, Wakeups

if TYPE_CHECKING:
    from discord.types.gateway import SessionStartLimit

log = logging.getLogger(__name__)

RENEW_SECONDS = 5.0
RETRY_SECONDS = 1.0

MARGIN_SECONDS = 3.0
"""How long before the lease of a block ends its sessions are closed."""

LOOK_SECONDS = 30.0
"""How often a process that stands by looks at least, whatever it was told."""

SCARCE = 0.25
"""From which part of the day's starts on, that are left, somebody is warned."""


class Shards:
    """The shards of a process that runs the same ones for as long as it lives."""

    stands_by = False
    """Whether others run all shards, so that there is none for this process."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client = client
        self._settings = settings

    async def run(self) -> None:
        """Keep the sessions until Discord is left.

        Raises `SettingsError` for a refusal that a setting is to blame for, and what ended the connection.
        """
        recommended, limit = await self._ask_gateway()
        count = self._settings.shard_count or recommended
        ids = list(self._settings.shard_ids or range(count))
        if ids[-1] >= count:
            raise SettingsError(f"SHARD_IDS names shard {ids[-1]}, but there are {count}, counted from 0")
        await self._begin(ids, count, limit)

    def not_ready(self) -> str | None:
        """Return why Discord is not to be reached, or None."""
        return self._client.not_ready()

    async def hand_over(self, until: float) -> None:
        """Let another process have the shards, by `until` on the event loop's clock at the latest."""

    async def end(self) -> None:
        """Let others know that the sessions are closed."""

    async def _ask_gateway(self) -> tuple[int, SessionStartLimit]:
        """Ask Discord how many shards it recommends, and how many sessions may begin."""
        shards, address, limit = await retry(self._client.http.get_bot_gateway, "Discord names no gateway", PAUSES)
        # A client that knows the number of its shards does not ask again, and takes this address, also for a session
        # that is invalidated later.
        discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = URL(address)
        self._client.max_concurrency = max(limit["max_concurrency"], 1)
        return shards, limit

    async def _begin(self, ids: list[int], count: int, limit: SessionStartLimit) -> None:
        """Begin sessions as soon as Discord lets so many begin, and keep them."""
        if limit["remaining"] < len(ids):
            pause = limit["reset_after"] / 1000
            log.warning("Discord lets this bot begin no more sessions today; the next try is in %.0f s", pause)
            await asyncio.sleep(pause)
        elif limit["remaining"] < limit["total"] * SCARCE:
            log.warning(
                "Discord lets this bot begin only %d more sessions today, of %d; then it takes its token away",
                limit["remaining"],
                limit["total"],
            )
        await self._client.run_shards(ids, count)


class LeasedShards(Shards):
    """The shards of a process among others: a block that it has a lease for, or none."""

    def __init__(self, client: Client, settings: Settings, blocks: Blocks, wakeups: Wakeups) -> None:
        super().__init__(client, settings)
        self._blocks = blocks
        self._wakeups = wakeups
        self._block: Block | None = None
        self._is_ending = False
        self._handed_over = asyncio.Event()

    async def run(self) -> None:
        """Take a block whenever there is one to have, and keep its sessions for as long as its lease stands."""
        count = self._settings.shard_count or (await self._ask_gateway())[0]
        wanted = rows.layout(count, self._settings.shards_per_process)
        while await self._hold(await self._take(wanted)):
            pass

    def not_ready(self) -> str | None:
        """Return why Discord is not to be reached, or None, also where others run all shards."""
        return None if self.stands_by else self._client.not_ready()

    async def hand_over(self, until: float) -> None:
        """Offer the block, and return when a successor's sessions are ready, or nobody is there, or at `until`."""
        self._is_ending = True
        block = self._block
        if block is None or block.is_succession:
            return
        with suppress(SQLAlchemyError, TimeoutError):
            async with asyncio.timeout_at(until):
                if not await self._blocks.offer(block):
                    return  # commands are taken for as long as possible
                await self._handed_over.wait()
        await self._client.leave_shards()

    async def end(self) -> None:
        """Let others have the block at once."""
        if (block := self._block) is not None:
            with suppress(SQLAlchemyError):
                await self._blocks.let_go(block)

    async def _take(self, wanted: list[Block]) -> Block:
        is_told = False
        while True:
            try:
                left = await self._blocks.free_in()
                if left <= 0 and not self._is_ending:
                    block = await self._blocks.take(wanted)
                    if block is not None:
                        return block
                    left = RETRY_SECONDS
            except SQLAlchemyError as error:
                log.warning("no shards can be taken: %s", getattr(error, "orig", None) or type(error).__name__)
                left = RETRY_SECONDS
            else:
                if not is_told:
                    log.info("this process stands by: others run all shards")
                self.stands_by = is_told = True
            await self._wakeups.wait(Queue.SHARDS, min(left + 0.05, LOOK_SECONDS))

    async def _hold(self, block: Block) -> bool:
        """Keep the sessions of a block and tell whether its lease was lost, and not Discord left.

        Raises what ended the connection.
        """
        self._block, self.stands_by = block, False
        if block.shards != (self._settings.shard_count or block.shards):
            log.warning(
                "there are %d shards until all processes have ended, whatever SHARD_COUNT says meanwhile", block.shards
            )
        log.info("this process %s shards %d to %d of %d", _verb(block), block.first, block.last, block.shards)
        sessions = asyncio.create_task(self._run_sessions(block), name="sessions")
        lease = asyncio.create_task(self._keep(block), name="lease of shards")
        try:
            await asyncio.wait({sessions, lease}, return_when=asyncio.FIRST_COMPLETED)
            if sessions.done():
                sessions.result()
                return False
            lease.result()
        finally:
            # What discord.py does at the moment may take a cancellation for something else.
            for task in (lease, sessions):
                while not task.done():
                    task.cancel()
                    await asyncio.wait({task}, timeout=0.1)
        await self._client.leave_shards()
        self._block, self.stands_by = None, True
        self._handed_over.set()
        return True

    async def _run_sessions(self, block: Block) -> None:
        _, limit = await self._ask_gateway()
        await self._begin(block.ids, block.shards, limit)

    async def _keep(self, block: Block) -> None:
        """Renew the lease until it is lost."""
        until = time.monotonic() + rows.BLOCK_SECONDS - MARGIN_SECONDS
        while True:
            began_at, pause = time.monotonic(), RENEW_SECONDS
            if began_at >= until:
                log.warning("the lease of shards %d to %d could not be renewed", block.first, block.last)
                return
            try:
                async with asyncio.timeout(until - began_at):
                    is_mine = await self._renew(block)
            except (SQLAlchemyError, TimeoutError):
                pause = RETRY_SECONDS
            else:
                if not is_mine:
                    log.info("another process runs shards %d to %d", block.first, block.last)
                    return
                block = self._block or block
                until = began_at + rows.BLOCK_SECONDS - MARGIN_SECONDS
            await self._wakeups.wait(Queue.SHARDS, min(pause, max(until - time.monotonic(), 0.0)))

    async def _renew(self, block: Block) -> bool:
        if not block.is_succession or not self._client.has_all_sessions:
            return await self._blocks.renew(block)
        is_mine = await self._blocks.become_holder(block)
        if is_mine:
            self._block = replace(block, is_succession=False)
            log.info("this process has taken over shards %d to %d", block.first, block.last)
        return is_mine


def _verb(block: Block) -> str:
    return "begins to take over" if block.is_succession else "runs"


def open_shards(client: Client, settings: Settings, database: Database) -> Shards:
    """Return how this process has its shards."""
    if database.blocks is None or settings.shard_ids is not None:
        return Shards(client, settings)
    return LeasedShards(client, settings, database.blocks, database.wakeups)
