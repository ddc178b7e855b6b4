"""A worker does what is due: no more at once than it has places, nothing twice at a time, and nothing is given up."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager

import pytest

from bot import worker as module
from bot.worker import Worker
from storage.planned import Due, Gone
from storage.wakeups import Queue, Wakeups
from tests.patience import patient

PAUSES = module._PAUSES


class Items:
    """Things to do, each with the time at which it is due; `do` is what is done."""

    def __init__(self, due: dict[str, float], do: Callable[[str], Awaitable[None]] | None = None) -> None:
        self.due = due
        self.done: list[str] = []
        self.claims: list[tuple[set[str], int]] = []
        self._do = do or self._finish

    async def claim(self, skip: Collection[str], limit: int) -> list[Due]:
        self.claims.append((set(skip), limit))
        ready = sorted((at, item) for item, at in self.due.items() if item not in skip and at <= time.time())
        return [Due(item, at) for at, item in ready[:limit]]

    async def next_due(self, skip: Collection[str]) -> float | None:
        return min((at for item, at in self.due.items() if item not in skip), default=None)

    async def do(self, item: str) -> None:
        self.done.append(item)
        await self._do(item)

    async def _finish(self, item: str) -> None:
        del self.due[item]


class Patient(Worker):
    """A worker whose rests are noted and over at once."""

    def __init__(self, work: Items, places: int) -> None:
        self.wakeups = Wakeups()
        self.rests: list[tuple[str, float]] = []
        super().__init__(Queue.POLLER, work, self.wakeups, places=places, clock=time.time)

    def _rest(self, item: str, seconds: float) -> None:
        self.rests.append((item, seconds))
        super()._rest(item, 0.0)


@asynccontextmanager
async def running(work: Items, places: int = 4) -> AsyncIterator[Patient]:
    worker = Patient(work, places)
    worker.start()
    try:
        yield worker
    finally:
        await worker.stop(asyncio.get_running_loop().time())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while True:
            if condition():
                return
            await asyncio.sleep(0.001)


async def turn(times: int = 20) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


# Places


async def test_it_does_as_much_at_once_as_it_has_places_and_nothing_twice_at_a_time() -> None:
    now: Counter[str] = Counter()
    most = 0
    twice = False

    async def do(item: str) -> None:
        nonlocal most, twice
        now[item] += 1
        most = max(most, now.total())
        twice = twice or now[item] > 1
        worker.wakeups.wake([Queue.POLLER])  # somebody has committed something, again and again
        await turn()
        now[item] -= 1
        del work.due[item]

    work = Items({f"{number}": 0.0 for number in range(20)}, do)
    async with running(work, places=3) as worker:
        await until(lambda: not work.due)
    assert sorted(work.done) == sorted(f"{number}" for number in range(20))
    assert (most, twice) == (3, False)
    assert all(0 < limit <= 3 and len(skip) <= 3 - limit for skip, limit in work.claims)


async def test_it_asks_again_when_it_is_woken() -> None:
    work = Items({})
    async with running(work) as worker:
        await until(lambda: len(work.claims) == 1)
        work.due["new"] = 0.0
        await turn()
        assert work.done == []
        worker.wakeups.wake([Queue.DELIVERY])
        await turn()
        assert work.done == []
        worker.wakeups.wake([Queue.POLLER])
        await until(lambda: work.done == ["new"])


async def test_it_wakes_by_itself_when_the_next_one_is_due() -> None:
    at = time.time() + 0.05
    work = Items({"later": at})
    async with running(work):
        await until(lambda: work.done == ["later"])
        assert time.time() >= at


async def test_it_asks_now_and_then_whatever_it_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.01)
    work = Items({})
    async with running(work):
        await until(lambda: len(work.claims) >= 3)


async def test_it_outlives_a_database_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_PAUSES", (0.0, 0.0))
    failures = [OSError("no"), OSError("no")]

    class Ill(Items):
        async def claim(self, skip: Collection[str], limit: int) -> list[Due]:
            if failures:
                raise failures.pop()
            return await super().claim(skip, limit)

    work = Ill({"one": 0.0})
    async with running(work):
        await until(lambda: work.done == ["one"])
    assert caplog.text.count("poller could not look for work") == 2


# Rests


async def test_what_fails_rests_for_a_growing_pause_and_is_never_left_while_others_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    times = 3 * len(PAUSES)

    async def do(item: str) -> None:
        if item == "bad" and work.done.count("bad") < times:
            raise ValueError("no")
        del work.due[item]

    work = Items({"bad": 0.0, "good": 0.0}, do)
    async with running(work, places=2) as worker:
        await until(lambda: "good" not in work.due)
        for number in range(10):  # whatever else there is
            work.due[f"{number}"] = 0.0
        worker.wakeups.wake([Queue.POLLER])
        await until(lambda: not work.due)
    growing = [*PAUSES, *[PAUSES[-1]] * times][: times - 1]
    assert worker.rests == [("bad", pause) for pause in growing]
    assert work.done.count("bad") == times
    assert caplog.text.count("poller failed for bad") == times - 1
    assert "unchanged" not in caplog.text


async def test_pauses_begin_anew_after_a_success() -> None:
    ends = iter([ValueError(), ValueError(), None, ValueError(), None])

    async def do(item: str) -> None:
        work.due[item] += 1
        if (error := next(ends)) is not None:
            raise error
        if len(work.done) == 5:
            del work.due[item]

    work = Items({"one": 0.0}, do)
    async with running(work) as worker:
        await until(lambda: not work.due)
    assert worker.rests == [("one", PAUSES[0]), ("one", PAUSES[1]), ("one", PAUSES[0])]


@pytest.mark.parametrize("gone", [False, True], ids=["nothing", "gone"])
async def test_what_is_due_again_unchanged_is_noticed_and_rests_and_is_done_again_all_the_same(
    gone: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def do(item: str) -> None:
        if len(worker.rests) == 7:
            del work.due[item]
        if gone:
            raise Gone("task one")

    work = Items({"spins": 0.0}, do)
    async with running(work) as worker:
        await until(lambda: not work.due)
    assert worker.rests == [("spins", pause) for pause in (*PAUSES, PAUSES[-1], PAUSES[-1])]
    assert len(work.done) == 3 + 7  # three times at once, then once after each rest
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert said == [f"poller: spins is due again unchanged, after it was done {3 + n} times" for n in range(7)]


async def test_what_is_planned_anew_each_time_never_rests(caplog: pytest.LogCaptureFixture) -> None:
    async def do(item: str) -> None:
        work.due[item] += 1

    work = Items({"one": 0.0}, do)
    async with running(work) as worker:
        await until(lambda: len(work.done) > 50)
    assert worker.rests == []
    assert caplog.records == []


async def test_what_is_wanted_once_more_after_it_was_done_with_is_news(caplog: pytest.LogCaptureFixture) -> None:
    work = Items({})
    async with running(work) as worker:
        for times in range(1, 10):
            work.due["one"] = 0.0
            worker.wakeups.wake([Queue.POLLER])
            await until(lambda: len(work.done) == times and not worker.taken)  # noqa: B023 (awaited in this turn)
            claims = len(work.claims)
            worker.wakeups.wake([Queue.POLLER])
            await until(lambda: len(work.claims) > claims)  # noqa: B023 (awaited in this turn)
    assert worker.rests == []
    assert caplog.records == []


async def test_what_spins_keeps_nobody_from_the_only_place() -> None:
    async def do(item: str) -> None:
        if item != "spins":
            del work.due[item]

    work = Items({"spins": 0.0, "waits": 1.0, "waits too": 2.0}, do)
    wakeups = Wakeups()
    worker = Worker(Queue.POLLER, work, wakeups, places=1, clock=time.time)  # its rests are real
    worker.start()
    await until(lambda: list(work.due) == ["spins"])
    await worker.stop(asyncio.get_running_loop().time())
    assert work.done == ["spins", "spins", "spins", "waits", "waits too"]


async def test_it_does_not_remember_everything_that_ever_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_NOTES", 5)

    async def do(item: str) -> None:
        del work.due[item]
        if int(item) % 2:
            raise ValueError("no")

    work = Items({f"{number}": 0.0 for number in range(40)}, do)
    async with running(work) as worker:
        await until(lambda: not work.due and worker.taken == 0)
        assert len(worker._failures) <= 5
        assert len(worker._done) <= 5
        await until(lambda: not worker._rests)
        assert worker._resting == set()


# Health


async def test_it_says_when_it_does_not_turn() -> None:
    asked = asyncio.Event()

    class Stuck(Items):
        async def claim(self, _skip: Collection[str], _limit: int) -> list[Due]:
            asked.set()
            await asyncio.sleep(600)
            raise AssertionError

    work = Stuck({})
    assert Patient(work, 1).problem(60) == "does not turn"  # not started
    async with running(work) as worker:
        await asked.wait()
        assert worker.problem(60) is None
        assert worker.problem(-module.IDLE_SECONDS - 1) == "does not turn"
    assert worker.problem(60) == "does not turn"  # stopped


async def test_it_says_when_all_places_have_been_taken_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = asyncio.Semaphore(0)

    async def do(item: str) -> None:
        await go_on.acquire()
        del work.due[item]

    work = Items({"one": 0.0, "two": 0.0, "three": 0.0}, do)
    async with running(work, places=2) as worker:
        await until(lambda: worker.taken == 2)
        assert worker.problem(60) is None
        monkeypatch.setattr(module, "FULL_SECONDS", 0.0)
        assert worker.problem(60) == "all 2 places are taken for 0 s"
        monkeypatch.setattr(module, "FULL_SECONDS", 60.0)
        go_on.release()  # one ends and another takes its place: that is no standstill
        await until(lambda: len(work.done) == 3)
        assert worker.taken == 2
        assert worker.problem(60) is None
        monkeypatch.setattr(module, "FULL_SECONDS", 0.0)
        go_on.release()
        await until(lambda: worker.taken == 1)
        assert worker.problem(60) is None
        go_on.release()


# The end


async def test_at_its_end_it_takes_nothing_new_and_lets_end_what_is_under_way() -> None:
    go_on = asyncio.Event()

    async def do(item: str) -> None:
        await go_on.wait()
        work.due.pop(item)

    work = Items({"one": 0.0}, do)
    worker = Patient(work, 4)
    worker.start()
    await until(lambda: worker.taken == 1)
    stopping = asyncio.create_task(worker.stop(asyncio.get_running_loop().time() + 60))
    await turn()
    work.due["new"] = 0.0
    worker.wakeups.wake([Queue.POLLER])
    await turn()
    assert not stopping.done()
    go_on.set()
    await stopping
    assert work.done == ["one"]
    assert list(work.due) == ["new"]


async def test_at_its_deadline_it_cancels_what_is_under_way_and_waits_for_that() -> None:
    ends: list[str] = []

    async def do(item: str) -> None:
        try:
            await asyncio.sleep(600)
        finally:
            await turn()  # what has to be put in order
            ends.append(item)

    work = Items({"one": 0.0, "two": 0.0}, do)
    worker = Patient(work, 4)
    worker.start()
    await until(lambda: worker.taken == 2)
    await worker.stop(asyncio.get_running_loop().time() + 0.01)
    assert sorted(ends) == ["one", "two"]
    assert worker.taken == 0


async def test_nothing_is_left_of_it_after_its_end() -> None:
    async def fail(_: str) -> None:
        raise ValueError("no")

    before = asyncio.all_tasks()
    work = Items({f"{number}": 0.0 for number in range(5)}, fail)
    worker = Worker(Queue.POLLER, work, Wakeups(), places=5, clock=time.time)
    worker.start()
    await until(lambda: len(work.done) == 5 and worker.taken == 0)
    await worker.stop(asyncio.get_running_loop().time())
    assert asyncio.all_tasks() == before
    assert [handle for handle in worker._rests if not handle.cancelled()] == []


async def test_a_worker_that_is_woken_at_its_end_ends_all_the_same() -> None:
    work = Items({})
    worker = Patient(work, 1)
    worker.start()
    await until(lambda: len(work.claims) == 1)
    await turn()  # until it rests
    worker.wakeups.wake([Queue.POLLER])
    stopping = asyncio.create_task(worker.stop(asyncio.get_running_loop().time() + 1))
    done, _ = await asyncio.wait({stopping}, timeout=patient(5))
    assert done
