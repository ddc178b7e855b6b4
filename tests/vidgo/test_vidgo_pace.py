"""How fast the VidGo client asks: pauses that VidGo wants, and its own rate."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from aiohttp import web

from bot.vidgo import (
    Busy,
    VidGo,
)
from tests.vidgo.service import (
    CALLBACK,
    COVER,
    KEY,
    Clock,
    Service,
    submit,
)


async def test_after_a_hint_every_request_waits(vidgo: VidGo, service: Service, clock: Clock) -> None:
    service.say({"code": 429, "error": "slow down"}, 429, Retry_After="20")
    with pytest.raises(Busy) as caught:
        await submit(vidgo, COVER, CALLBACK)
    assert caught.value.retry_after == 20.0
    service.say({"code": 200, "data": {"credits_amount": 1}})
    clock.now += 5
    await vidgo.balance()
    await vidgo.balance()
    assert clock.sleeps == [15.0]


async def test_a_hint_in_the_text_counts_and_no_hint_means_no_wait(
    vidgo: VidGo, service: Service, clock: Clock
) -> None:
    for message in ("slow down, try again in 7 seconds", "slow down"):
        service.say({"code": 429, "error": {"message": message}}, 429)
        with pytest.raises(Busy):
            await vidgo.detail("COV1")
    assert clock.sleeps == [7.0]
    with pytest.raises(Busy):
        await vidgo.detail("COV1")
    assert clock.sleeps == [7.0]


async def test_no_hint_stops_the_client_for_longer_than_five_minutes(
    vidgo: VidGo, service: Service, clock: Clock
) -> None:
    service.say({"code": 429, "error": "slow down"}, 429, Retry_After="86400")
    with pytest.raises(Busy) as caught:
        await vidgo.balance()
    assert caught.value.retry_after == 86_400.0
    service.say({"code": 200, "data": {"credits_amount": 1}})
    await vidgo.balance()
    assert clock.sleeps == [300.0]


async def test_a_clock_that_is_set_back_makes_a_pause_five_minutes_long_and_no_longer(
    vidgo: VidGo, service: Service, clock: Clock
) -> None:
    service.say({"code": 429, "error": "slow down"}, 429, Retry_After="20")
    with pytest.raises(Busy):
        await vidgo.balance()
    assert vidgo.waits() == 20.0
    clock.now -= 7200
    service.say({"code": 200, "data": {"credits_amount": 1}})
    for _ in range(3):
        await vidgo.balance()
    assert clock.sleeps == [300.0]
    assert vidgo.waits() == 0.0


async def test_a_pause_that_grows_while_waiting_is_waited_out(
    service: Service, session: aiohttp.ClientSession, clock: Clock
) -> None:
    async def sleep(seconds: float) -> None:
        await clock.sleep(seconds)
        if len(clock.sleeps) == 1:
            service.say({"code": 429, "error": "x"}, 429, Retry_After="30")
            with pytest.raises(Busy):
                await client.balance()
            service.say({"code": 200, "data": {"credits_amount": 1}})

    client = VidGo(session, service.url, KEY, requests_per_second=1000, clock=clock, sleep=sleep)
    service.say({"code": 429, "error": "x"}, 429, Retry_After="10")
    with pytest.raises(Busy):
        await client.balance()
    await client.balance()
    assert clock.sleeps == [10.0, 30.0]


async def test_all_requests_share_one_rate(service: Service, session: aiohttp.ClientSession) -> None:
    times: list[float] = []
    loop = asyncio.get_running_loop()

    async def handler(_request: web.Request) -> web.StreamResponse:
        times.append(loop.time())
        return web.json_response({"code": 200, "data": {"credits_amount": 1}})

    service.handler = handler
    vidgo = VidGo(session, service.url, KEY, requests_per_second=10)
    await asyncio.gather(*(vidgo.balance() for _ in range(14)))
    assert len(times) == 14
    # Ten at once, then one every 0.1 s.
    assert max(times) - min(times) >= 0.3


async def test_a_rate_below_one_is_possible(service: Service, session: aiohttp.ClientSession) -> None:
    service.say({"code": 200, "data": {"credits_amount": 1}})
    assert await VidGo(session, service.url, KEY, requests_per_second=0.5).balance() == 1.0
