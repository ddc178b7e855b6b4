"""Work that many want, done once, and waited for only so long."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from bot.fetching.fetch import FetchError, FetchProblem
from bot.fetching.shared import Shared

LONG = 60.0


@dataclass
class Work:
    """Work that ends when it is told to."""

    result: str = "song"
    failure: Exception | None = None
    begun: int = 0
    going: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self) -> str:
        self.begun += 1
        await self.going.wait()
        if self.failure is not None:
            raise self.failure
        return self.result


@dataclass
class Bin:
    """Where results go that are kept no more."""

    thrown: list[str] = field(default_factory=list)
    one_more: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, result: str) -> None:
        self.thrown.append(result)
        self.one_more.set()


def is_under_way(error: BaseException | None) -> bool:
    return isinstance(error, FetchError) and error.kind is FetchProblem.UNDER_WAY


async def test_many_who_want_the_same_have_it_done_once() -> None:
    shared, work = Shared[str](most=9, keep=LONG, discard=Bin()), Work()
    waiting = [asyncio.create_task(shared.get("a", work)) for _ in range(20)]
    await asyncio.sleep(0)
    work.going.set()
    assert await asyncio.gather(*waiting) == ["song"] * 20
    assert await shared.get("a", work, wait=0) == "song"
    assert work.begun == 1
    await shared.close()


async def test_nobody_waits_longer_than_said_and_the_work_goes_on() -> None:
    shared, work = Shared[str](most=9, keep=LONG, discard=Bin()), Work()
    with pytest.raises(FetchError) as caught:
        await shared.get("a", work, wait=0.05)
    assert is_under_way(caught.value)
    # Counted from the beginning of the work: whoever comes again holds no place for it.
    started = asyncio.get_running_loop().time()
    with pytest.raises(FetchError):
        await shared.get("a", work, wait=0.05)
    assert asyncio.get_running_loop().time() - started < 0.04
    work.going.set()
    assert await shared.get("a", work) == "song"
    assert work.begun == 1
    await shared.close()


async def test_a_failure_is_told_to_each_who_asks_and_to_nobody_twice() -> None:
    shared, work = Shared[str](most=9, keep=LONG, discard=Bin()), Work(failure=FetchError(FetchProblem.GONE, "404"))
    for _ in range(2):
        with pytest.raises(FetchError, match="under way"):
            await shared.get("a", work, wait=0)
    work.going.set()
    for stale_after in (None, LONG):
        with pytest.raises(FetchError, match="404"):
            await shared.get("a", work, stale_after=stale_after)
    assert work.begun == 1
    assert len(shared) == 0
    work.failure = None
    # Whoever has seen it a moment ago wants to see something newer.
    assert await shared.get("a", work, stale_after=0) == "song"
    assert work.begun == 2
    assert await shared.get("a", work, stale_after=0) == "song"
    await shared.close()


async def test_one_who_is_cancelled_takes_it_from_nobody() -> None:
    shared, work = Shared[str](most=9, keep=LONG, discard=Bin()), Work()
    impatient, patient = (asyncio.create_task(shared.get("a", work)) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    work.going.set()
    assert await patient == "song"
    await shared.close()


async def test_there_is_only_so_much_at_once_and_what_is_done_takes_no_room() -> None:
    shared, work, other = Shared[str](most=2, keep=LONG, discard=Bin()), Work(), Work()
    assert shared.begin("a", work)
    assert shared.begin("a", work)
    assert shared.begin("b", other)
    assert not shared.begin("c", work)
    with pytest.raises(FetchError) as caught:
        await shared.get("c", work)
    assert is_under_way(caught.value)
    other.going.set()
    assert await shared.get("b", other) == "song"
    assert shared.begin("c", work)
    assert (len(shared), list(shared.results())) == (3, ["song"])
    await shared.close()


async def test_a_result_is_thrown_away_when_nobody_has_wanted_it_for_long() -> None:
    thrown = Bin()
    shared, work = Shared[str](most=9, keep=0.05, discard=thrown), Work()
    work.going.set()
    shared.begin("a", work)
    async with asyncio.timeout(10):
        await thrown.one_more.wait()
    assert (len(shared), thrown.thrown) == (0, ["song"])
    assert await shared.get("a", work) == "song"
    assert work.begun == 2
    await shared.close()


async def test_a_failure_that_nobody_asks_for_is_forgotten_too() -> None:
    shared, work = Shared[str](most=9, keep=0.05, discard=Bin()), Work(failure=ValueError("lost"))
    work.going.set()
    shared.begin("a", work)
    async with asyncio.timeout(10):
        while shared._jobs:  # noqa: ASYNC110 - nobody is told of it
            await asyncio.sleep(0.01)


async def test_a_result_may_be_dropped_before_its_time_but_not_while_it_is_made() -> None:
    thrown = Bin()
    shared, work = Shared[str](most=9, keep=LONG, discard=thrown), Work()
    shared.begin("a", work)
    shared.drop("a", after=0)
    shared.drop("b", after=0)
    work.going.set()
    assert await shared.get("a", work) == "song"
    shared.drop("a", after=0)
    async with asyncio.timeout(10):
        await thrown.one_more.wait()
    assert len(shared) == 0


async def test_closing_ends_what_is_under_way_and_throws_the_rest_away() -> None:
    thrown = Bin()
    shared, work, done = Shared[str](most=9, keep=LONG, discard=thrown), Work(), Work("done")
    waiting = asyncio.create_task(shared.get("a", work))
    done.going.set()
    await shared.get("b", done)
    await shared.close()
    with pytest.raises(FetchError) as caught:
        await waiting
    assert is_under_way(caught.value)
    assert (len(shared), thrown.thrown) == (0, ["done"])
