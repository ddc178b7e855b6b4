"""The worker: places, rests, and its end, whatever happens at that moment."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from bot.worker import FULL_SECONDS, TryLater, Worker
from storage.planned import Due, Gone
from storage.wakeups import Queue, Wakeups

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

NOW = 1_790_000_000.0


@dataclass
class Heap:
    """Things to do; `ends` says what doing one comes to, by default that it is done."""

    due: dict[str, float] = field(default_factory=dict)
    ends: Callable[[str], Exception | None] = lambda _: None
    begun: list[str] = field(default_factory=list)
    most: int = 0
    running: int = 0
    hold: asyncio.Event | None = None
    stays: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def claim(self, skip: Collection[str], limit: int) -> list[Due]:
        found = [Due(name, at) for name, at in self.due.items() if name not in skip and at <= NOW]
        return found[:limit]

    async def next_due(self, skip: Collection[str]) -> float | None:
        return min((at for name, at in self.due.items() if name not in skip), default=None)

    async def do(self, item: str) -> None:
        self.begun.append(item)
        self.running += 1
        self.most = max(self.most, self.running)
        self.changed.set()
        try:
            if self.hold is not None:
                await self.hold.wait()
            if (error := self.ends(item)) is not None:
                raise error
            if not self.stays:
                self.due.pop(item, None)
        finally:
            self.running -= 1

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


def a_worker(heap: Heap, wakeups: Wakeups, places: int = 4) -> Worker:
    return Worker(Queue.POLLER, heap, wakeups, places=places, clock=lambda: NOW)


async def end(worker: Worker) -> None:
    await worker.stop(asyncio.get_running_loop().time() + 5)


async def test_a_worker_that_is_woken_at_its_end_ends_all_the_same() -> None:
    wakeups = Wakeups()
    worker = a_worker(Heap(), wakeups)
    worker.start()
    for _ in range(10):  # until it rests
        await asyncio.sleep(0)
    wakeups.ring([Queue.POLLER])
    stopping = asyncio.create_task(end(worker))
    done, _ = await asyncio.wait({stopping}, timeout=10)
    assert done


async def test_no_more_is_done_at_once_than_there_are_places_and_nothing_twice() -> None:
    heap = Heap({str(number): NOW for number in range(9)}, hold=asyncio.Event())
    worker = a_worker(heap, Wakeups())
    worker.start()
    await heap.until(lambda: len(heap.begun) == 4)
    assert worker.taken == 4
    assert heap.hold is not None
    heap.hold.set()
    await heap.until(lambda: len(heap.begun) == 9)
    await end(worker)
    assert sorted(heap.begun) == sorted(set(heap.begun))
    assert heap.most == 4


async def test_a_full_worker_is_a_problem_after_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    heap = Heap({"a": NOW, "b": NOW}, hold=asyncio.Event())
    worker = a_worker(heap, Wakeups(), places=1)
    worker.start()
    await heap.until(lambda: bool(heap.begun))
    assert worker.problem(60) is None
    loop = asyncio.get_running_loop()
    later = loop.time() + FULL_SECONDS + 1
    with monkeypatch.context() as patch:
        patch.setattr(loop, "time", lambda: later)
        assert "all 1 places are taken" in str(worker.problem(60))
    assert heap.hold is not None
    heap.hold.set()
    await heap.until(lambda: len(heap.begun) == 2)
    await end(worker)
    assert worker.problem(60) == "does not turn"


@pytest.mark.parametrize("error", [RuntimeError("broken"), TryLater("not now")])
async def test_what_fails_rests_and_the_others_go_on(error: Exception) -> None:
    heap = Heap({"bad": NOW, "good": NOW, "better": NOW}, ends=lambda item: error if item == "bad" else None)
    worker = a_worker(heap, Wakeups(), places=1)
    worker.start()
    await heap.until(lambda: {"good", "better"} <= set(heap.begun))
    await end(worker)
    assert heap.begun.count("bad") == 1


async def test_what_somebody_else_has_done_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    heap = Heap({"theirs": NOW}, ends=lambda item: heap.due.pop(item) and Gone(item))  # type: ignore[arg-type,return-value]
    worker = a_worker(heap, Wakeups())
    with caplog.at_level(logging.WARNING):
        worker.start()
        await heap.until(lambda: bool(heap.begun))
        await end(worker)
    assert caplog.records == []


async def test_what_comes_again_unchanged_is_said_and_rests(caplog: pytest.LogCaptureFixture) -> None:
    heap = Heap({"spins": NOW, "turns": NOW - 1}, stays=True)
    heap.ends = lambda item: heap.due.update({item: heap.due[item] - 1}) if item == "turns" else None
    worker = a_worker(heap, Wakeups(), places=2)
    worker.start()
    await heap.until(lambda: heap.begun.count("turns") > 50)
    await end(worker)
    assert 1 < heap.begun.count("spins") < 10
    said = [record.getMessage() for record in caplog.records if "due again unchanged" in record.getMessage()]
    assert said
    assert all("spins" in line for line in said)


async def test_work_under_way_may_end_until_the_deadline() -> None:
    heap = Heap({"slow": NOW, "stuck": NOW}, hold=asyncio.Event())
    worker = a_worker(heap, Wakeups())
    worker.start()
    await heap.until(lambda: len(heap.begun) == 2)
    await worker.stop(asyncio.get_running_loop().time())
    assert heap.running == 0
    assert heap.due.keys() == {"slow", "stuck"}
