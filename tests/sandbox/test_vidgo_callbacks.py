"""Callbacks arrive in the documented form, are repeated, signed, and go wrong on request."""

from __future__ import annotations

import base64
import hashlib
import hmac
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web

from sandbox.vidgo import CallbackFaults, VidGoStandIn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KEY = {"Authorization": "Bearer test-key"}


class Receiver:
    """A real listener that answers with the given statuses, the last one for good."""

    def __init__(self) -> None:
        self.statuses = [200]
        self.got: list[tuple[Any, dict[str, str]]] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook/secret-token"

    @property
    def tasks(self) -> list[Any]:
        return [body.get("data", body) for body, _ in self.got]

    async def take(self, request: web.Request) -> web.Response:
        self.got.append((await request.json(), dict(request.headers)))
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return web.Response(status=status)


@asynccontextmanager
async def receiving(**settings: Any) -> AsyncIterator[tuple[VidGoStandIn, Receiver]]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook/{token}", receiver.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.port = runner.addresses[0][1]
    try:
        async with VidGoStandIn(**{"seconds": 0.5, "time_scale": 0.02, "audio_seconds": 0.5, **settings}) as vidgo:
            yield vidgo, receiver
    finally:
        await runner.cleanup()


async def cover(vidgo: VidGoStandIn, url: str, title: str = "One") -> str:
    """Submit a cover of a new song and return the id in the answer."""
    song = vidgo.add_song(title, seconds=0.5)
    body = {"model": "generate-music-cover", "callback_url": url, "input": {"task_id": song.id}}
    async with (
        aiohttp.ClientSession(headers=KEY) as session,
        session.post(vidgo.api_url + "/api/generate/submit", json=body) as answer,
    ):
        assert answer.status == 200
        return str((await answer.json())["data"]["task_id"])


async def detail(vidgo: VidGoStandIn, task_id: str) -> Any:
    url = f"{vidgo.api_url}/api/generate/detail/music?task_id={task_id}"
    async with aiohttp.ClientSession(headers=KEY) as session, session.get(url) as answer:
        return (await answer.json())["data"]


async def test_a_callback_is_wrapped_and_holds_the_whole_task() -> None:
    async with receiving() as (vidgo, receiver):
        vidgo.noise = False
        task_id = await cover(vidgo, receiver.url)
        delivery = await vidgo.wait_delivery()
        assert (delivery.url, delivery.status, delivery.task_id) == (receiver.url, 200, task_id)
        ((body, headers),) = receiver.got
        assert body == {"code": 200, "data": await detail(vidgo, task_id)}
        assert body["data"]["status"] == "finished"
        assert headers["Content-Type"] == "application/json"
        assert not [name for name in headers if name.lower().startswith("x-webhook") or name == "Authorization"]


async def test_a_failed_task_still_says_code_200() -> None:
    async with receiving() as (vidgo, receiver):
        vidgo.set_failure("generate-music-cover", "artwork could not be produced")
        await cover(vidgo, receiver.url)
        await vidgo.wait_delivery()
        ((body, _),) = receiver.got
        assert body["code"] == 200
        assert (body["data"]["status"], body["data"]["files"]) == ("failed", [])
        assert body["data"]["error_message"] == "artwork could not be produced"


@pytest.mark.parametrize("signature", ["good", "bad", "stale", "missing"])
async def test_an_unwrapped_callback_is_signed_over_task_and_time(signature: Any) -> None:
    now = 1_772_366_400.0
    async with receiving(clock=lambda: now) as (vidgo, receiver):
        vidgo.callbacks, vidgo.webhook_secret = "unwrapped", "whsec"
        vidgo.callback_faults = CallbackFaults(signature=signature)
        task_id = await cover(vidgo, receiver.url)
        await vidgo.wait_delivery()
        ((body, headers),) = receiver.got
        assert "code" not in body
        assert body["task_id"] == task_id
        if signature == "missing":
            assert "X-Webhook-Signature" not in headers
            return
        stamp = headers["X-Webhook-Timestamp"]
        right = hmac.new(b"whsec", f"{task_id}.{stamp}".encode(), hashlib.sha256).digest()
        same = headers["X-Webhook-Signature"] == base64.b64encode(right).decode()
        assert same == (signature != "bad")
        assert (int(stamp) == now) == (signature != "stale")


async def test_a_refused_callback_is_repeated_three_times_with_growing_pauses() -> None:
    async with receiving(time_scale=0.05) as (vidgo, receiver):
        receiver.statuses = [503]
        await cover(vidgo, receiver.url)
        await vidgo.wait_delivery(after=3)
        times = [one.at for one in vidgo.deliveries]
        pauses = [later - earlier for earlier, later in pairwise(times)]
        for pause, least in zip(pauses, (0.05, 0.1, 0.2), strict=True):
            assert pause >= least * 0.95
        assert [one.status for one in vidgo.deliveries] == [503] * 4
        with pytest.raises(TimeoutError):  # longer than any pause: there is no fifth
            await vidgo.wait_delivery(after=4, timeout=0.5)


async def test_the_repeats_end_with_the_first_success() -> None:
    async with receiving() as (vidgo, receiver):
        receiver.statuses = [500, 302, 204]
        await cover(vidgo, receiver.url)
        await vidgo.wait_delivery(lambda one: one.status == 204)
        assert [one.status for one in vidgo.deliveries] == [500, 302, 204]
        assert receiver.got[0][0] == receiver.got[2][0]


async def test_a_receiver_that_is_gone_counts_as_unanswered() -> None:
    async with receiving() as (vidgo, _):
        await cover(vidgo, "http://127.0.0.1:9/hook")
        assert (await vidgo.wait_delivery(after=3)).status is None


@pytest.mark.parametrize("url", ["https://callbacks.invalid/x", "https://example.com/x", "http://10.0.0.1/x"])
async def test_no_other_machine_is_ever_contacted(url: str) -> None:
    async with receiving() as (vidgo, _):
        task_id = await cover(vidgo, url)
        await vidgo.wait_task(task_id, "finished")
        with pytest.raises(TimeoutError):
            await vidgo.wait_delivery(timeout=0.1)


@pytest.mark.parametrize("way", ["off", "never"])
async def test_callbacks_can_stay_away(way: str) -> None:
    async with receiving() as (vidgo, receiver):
        if way == "off":
            vidgo.callbacks = "off"
        else:
            vidgo.callback_faults = CallbackFaults(never=True)
        await vidgo.wait_task(await cover(vidgo, receiver.url), "finished")
        with pytest.raises(TimeoutError):
            await vidgo.wait_delivery(timeout=0.1)
        assert receiver.got == []


async def test_a_callback_can_be_repeated_although_it_was_taken() -> None:
    async with receiving() as (vidgo, receiver):
        vidgo.callback_faults = CallbackFaults(repeat=3)
        await cover(vidgo, receiver.url)
        await vidgo.wait_delivery(after=2)
        assert [task["status"] for task in receiver.tasks] == ["finished"] * 3


async def test_a_callback_can_come_before_the_submission_is_answered() -> None:
    async with receiving(seconds=60, time_scale=1) as (vidgo, receiver):
        vidgo.callback_faults = CallbackFaults(before_answer=True)
        task_id = await cover(vidgo, receiver.url)
        assert [(task["task_id"], task["status"]) for task in receiver.tasks] == [(task_id, "finished")]


async def test_stages_come_first_and_late_ones_last() -> None:
    async with receiving() as (vidgo, receiver):
        vidgo.callback_faults = CallbackFaults(stages=True, out_of_order=True)
        await cover(vidgo, receiver.url)
        await vidgo.wait_delivery(after=3)
        assert [task["status"] for task in receiver.tasks] == ["running", "running", "finished", "running"]
        assert [bool(task["files"]) for task in receiver.tasks] == [False, True, True, False]


async def test_a_callback_can_name_another_task() -> None:
    async with receiving() as (vidgo, receiver):
        vidgo.callback_faults = CallbackFaults(wrong_task=True)
        task_id = await cover(vidgo, receiver.url)
        await vidgo.wait_delivery()
        (task,) = receiver.tasks
        assert task["task_id"] != task_id
        assert task["task_id"] not in vidgo.tasks


async def test_detail_can_lag_behind_the_callback() -> None:
    async with receiving(seconds=0, time_scale=1) as (vidgo, receiver):
        vidgo.detail_lag = 3600.0
        task_id = await cover(vidgo, receiver.url)
        await vidgo.wait_delivery()
        assert receiver.tasks[0]["status"] == "finished"
        lagging = await detail(vidgo, task_id)
        assert (lagging["status"], lagging["files"]) == ("running", [])
        task = vidgo.tasks[task_id]
        assert 3500 < task.visible_at - vidgo.clock() <= 3600
        task.visible_at -= 3600.0
        assert (await detail(vidgo, task_id))["status"] == "finished"


async def test_a_callback_can_be_delayed() -> None:
    async with receiving(seconds=0) as (vidgo, receiver):
        vidgo.callback_faults = CallbackFaults(delay=5)
        task = await vidgo.wait_task(await cover(vidgo, receiver.url), "finished")
        finished_at = vidgo.clock()
        delivery = await vidgo.wait_delivery()
        assert delivery.task_id == task.id
        assert delivery.at - finished_at > 0.08


async def test_a_callback_can_be_sent_again_or_forged_by_hand() -> None:
    async with receiving() as (vidgo, receiver):
        task_id = await cover(vidgo, receiver.url)
        await vidgo.wait_delivery()
        task = vidgo.tasks[task_id]
        assert await vidgo.send_callback(task) == 200
        assert receiver.got[1][0] == receiver.got[0][0]
        forged = {"code": 200, "data": {"task_id": task_id, "status": "failed", "files": []}}
        receiver.statuses = [403]
        assert await vidgo.send_callback(task, forged) == 403
        assert receiver.got[2][0] == forged


async def test_held_tasks_wait_and_can_be_ended_one_by_one() -> None:
    async with receiving() as (vidgo, receiver):
        vidgo.hold("generate-music-cover")
        first, second, third = [await cover(vidgo, receiver.url, str(number)) for number in range(3)]
        await vidgo.wait_task(first, "running")
        vidgo.finish(vidgo.tasks[second])
        vidgo.finish(vidgo.tasks[third], error_message="out of paint")
        await vidgo.wait_delivery(after=1)
        assert {task["task_id"]: task["status"] for task in receiver.tasks} == {second: "finished", third: "failed"}
        assert vidgo.tasks[first].status == "running"
        vidgo.finish(vidgo.tasks[second])  # nothing ends twice
        vidgo.release()
        await vidgo.wait_task(first, "finished")
        await vidgo.wait_delivery(after=2)
        assert len(vidgo.charged) == 2
        assert len(receiver.got) == 3
