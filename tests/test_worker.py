"""The worker's end: whatever happens at that moment, it comes."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from bot.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Collection


async def test_a_worker_that_is_woken_at_its_end_ends_all_the_same() -> None:
    asked = asyncio.Event()

    async def find(_skip: Collection[str], _limit: int) -> list[str]:
        asked.set()
        return []

    async def next_due(_skip: Collection[str]) -> float | None:
        return None

    async def work(_item: str) -> None:
        raise AssertionError("there is nothing to do")

    worker = Worker("test", find=find, next_due=next_due, work=work, concurrency=1, clock=time.time)
    worker.start()
    await asked.wait()
    for _ in range(10):  # until it rests
        await asyncio.sleep(0)
    worker.wake()
    stopping = asyncio.create_task(worker.stop(1))
    done, _ = await asyncio.wait({stopping}, timeout=5)
    assert done
