"""Each fault of the API happens, does or does not take effect, and is used up."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from sandbox.vidgo import VidGoStandIn
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KEY = {"Authorization": "Bearer test-key"}
LOST = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)


@asynccontextmanager
async def started(**settings: Any) -> AsyncIterator[tuple[VidGoStandIn, aiohttp.ClientSession]]:
    # A connection for each request: aiohttp silently repeats a GET that fails on a kept one.
    connector = aiohttp.TCPConnector(force_close=True)
    async with (
        VidGoStandIn(seconds=0.02, audio_seconds=0.5, **settings) as vidgo,
        aiohttp.ClientSession(headers=KEY, connector=connector) as session,
    ):
        yield vidgo, session


async def submit(vidgo: VidGoStandIn, session: aiohttp.ClientSession) -> tuple[int, str, dict[str, str]]:
    body = {
        "model": "generate-lyrics",
        "callback_url": "https://callbacks.invalid/",
        "input": {"prompt": "rain"},
    }
    async with session.post(vidgo.api_url + "/api/generate/submit", json=body) as answer:
        return answer.status, await answer.text(), dict(answer.headers)


@pytest.mark.parametrize(
    ("kind", "more", "status", "words"),
    [
        ("status", {}, 500, "internal_error"),
        ("status", {"status": 503}, 503, "service_error"),
        ("status", {"status": 400, "body": {"detail": [{"msg": "field required"}]}}, 400, "field required"),
        ("status", {"status": 502, "body": "upstream"}, 502, "upstream"),
        ("html", {}, 502, "<!doctype html>"),
        ("html", {"status": 200}, 200, "<!doctype html>"),
        ("error_in_200", {}, 200, "503"),
        ("busy_text", {"seconds": 7}, 429, "try again in 7 seconds"),
        ("busy_plain", {}, 429, "slow down"),
        ("no_credits_429", {}, 429, "insufficient credits"),
    ],
)
async def test_a_refusal_has_no_effect_and_happens_once(kind: Any, more: Any, status: int, words: str) -> None:
    async with started() as (vidgo, session):
        vidgo.fault("submit", kind, **more)
        code, text, headers = await submit(vidgo, session)
        assert code == status
        assert words in text
        assert "Retry-After" not in headers
        assert not vidgo.tasks
        (submission,) = vidgo.submissions
        assert (submission.accepted, submission.status, submission.model) == (False, status, "generate-lyrics")
        assert (await submit(vidgo, session))[0] == 200
        assert [one.accepted for one in vidgo.submissions] == [False, True]


async def test_a_busy_answer_can_say_how_long_to_wait() -> None:
    async with started() as (vidgo, session):
        vidgo.fault("submit", "busy_retry_after", seconds=3)
        code, _, headers = await submit(vidgo, session)
        assert (code, headers["Retry-After"]) == (429, "3")


@pytest.mark.parametrize(("kind", "accepted"), [("lose_answer_before", False), ("lose_answer_after", True)])
async def test_an_answer_can_be_lost_before_or_after_the_effect(kind: Any, accepted: bool) -> None:
    async with started() as (vidgo, session):
        vidgo.fault("submit", kind)
        with pytest.raises(LOST):
            await submit(vidgo, session)
        (submission,) = vidgo.submissions
        assert (submission.accepted, submission.status) == (accepted, None)
        assert len(vidgo.tasks) == accepted
        assert [one.status for one in vidgo.requests] == [None]
        if accepted:
            await vidgo.wait_task(str(submission.task_id), "finished")
            assert len(vidgo.charged) == 1


async def test_a_hanging_request_holds_up_nobody_else_and_not_the_end() -> None:
    async with started() as (vidgo, session):
        vidgo.fault("submit", "hang")
        hanging = asyncio.create_task(submit(vidgo, session))
        assert (await vidgo.wait_submission()).status is None
        assert (await submit(vidgo, session))[0] == 200
        assert not hanging.done()
        started_at = time.monotonic()
        await vidgo.stop()
        assert time.monotonic() - started_at < patient(2)
        with pytest.raises((*LOST, AssertionError)):
            assert (await hanging)[0] == 200


async def test_a_trickling_answer_arrives_whole_and_late() -> None:
    async with started() as (vidgo, session):
        vidgo.fault("submit", "trickle", seconds=0.3)
        started_at = time.monotonic()
        code, text, _ = await submit(vidgo, session)
        assert time.monotonic() - started_at >= 0.25
        assert code == 200
        assert json.loads(text)["data"]["task_id"] in vidgo.tasks


async def test_an_answer_can_be_broken_or_speak_of_an_unknown_status() -> None:
    async with started() as (vidgo, session):
        vidgo.fault("submit", "broken_json")
        code, text, _ = await submit(vidgo, session)
        assert code == 200
        with pytest.raises(json.JSONDecodeError):
            json.loads(text)
        (task_id,) = vidgo.tasks
        vidgo.fault("detail", "unknown_status", times=2)
        url = f"{vidgo.api_url}/api/generate/detail/music?task_id={task_id}"
        statuses = []
        for _ in range(3):
            async with session.get(url) as answer:
                statuses.append((await answer.json())["data"]["status"])
        assert statuses[:2] == ["pondering"] * 2
        assert statuses[2] != "pondering"


async def test_faults_choose_their_endpoint_and_model_and_can_be_cleared() -> None:
    async with started() as (vidgo, session):
        vidgo.fault("submit", "status", model="generate-music")
        vidgo.fault("balance", "status", status=429, times=None)
        assert (await submit(vidgo, session))[0] == 200
        url = vidgo.api_url + "/api/user/balance"
        for _ in range(3):
            async with session.get(url) as answer:
                assert answer.status == 429
        vidgo.clear_faults("balance")
        async with session.get(url) as answer:
            assert answer.status == 200
        with pytest.raises(ValueError, match="no such fault"):
            vidgo.fault("submit", "earthquake")  # type: ignore[arg-type]  # which is the point


async def test_the_provider_can_be_away_and_come_back_with_its_tasks() -> None:
    async with started() as (vidgo, session):
        song = vidgo.add_song("One")
        address = vidgo.api_url
        await vidgo.go_offline()
        with pytest.raises(aiohttp.ClientConnectorError):
            await submit(vidgo, session)
        await vidgo.go_online()
        assert vidgo.api_url == address
        async with session.get(f"{address}/api/generate/detail/music?task_id={song.id}") as answer:
            assert (await answer.json())["data"]["status"] == "finished"


async def detail(vidgo: VidGoStandIn, session: aiohttp.ClientSession, task_id: str) -> tuple[int, Any]:
    async with session.get(f"{vidgo.api_url}/api/generate/detail/music?task_id={task_id}") as answer:
        return answer.status, await answer.json()


async def test_one_read_is_refused_for_a_minute() -> None:
    async with started() as (vidgo, session):
        song = vidgo.add_song("One")
        fault = vidgo.fault("detail", "busy_retry_after", seconds=60)
        url = f"{vidgo.api_url}/api/generate/detail/music?task_id={song.id}"
        async with session.get(url) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (429, "60")
        assert (await detail(vidgo, session, song.id))[0] == 200
        assert fault.struck == 1


async def test_a_gateway_in_front_forgets_its_routes_for_a_moment() -> None:
    async with started() as (vidgo, session):
        song = vidgo.add_song("One")
        vidgo.fault("detail", "no_route")
        assert await detail(vidgo, session, song.id) == (404, {"message": "no Route matched with those values"})
        status, body = await detail(vidgo, session, song.id)
        assert (status, body["data"]["status"]) == (200, "finished")


async def test_reads_that_hang_leave_room_for_others() -> None:
    async with started() as (vidgo, session):
        song = vidgo.add_song("One")
        fault = vidgo.fault("detail", "hang", times=8)
        hanging = [asyncio.create_task(detail(vidgo, session, song.id)) for _ in range(8)]
        await vidgo.wait_fault(fault, 8)
        assert (await detail(vidgo, session, song.id))[0] == 200
        assert not any(task.done() for task in hanging)
        await vidgo.stop()
        await asyncio.gather(*hanging, return_exceptions=True)


async def test_an_answer_may_come_late_after_the_effect() -> None:
    async with started() as (vidgo, session):
        vidgo.fault("submit", "slow", seconds=60)
        submitting = asyncio.create_task(submit(vidgo, session))
        submission = await vidgo.wait_submission()
        assert submission.accepted
        await vidgo.wait_task(str(submission.task_id), "finished")
        assert not submitting.done()
        submitting.cancel()
        vidgo.fault("submit", "slow", seconds=0.3)
        begun = time.monotonic()
        assert (await submit(vidgo, session))[0] == 200
        assert time.monotonic() - begun >= 0.3


async def test_an_order_is_taken_and_answered_with_larger_headers_than_clients_read() -> None:
    async with started() as (vidgo, session):
        vidgo.fault("submit", "large_headers", times=2)
        with pytest.raises(aiohttp.ClientResponseError, match="8190"):
            await submit(vidgo, session)
        assert [one.accepted for one in vidgo.submissions] == [True]
        async with aiohttp.ClientSession(headers=KEY, max_field_size=16_384) as patient:
            status, _, headers = await submit(vidgo, patient)
        assert (status, len(headers["X-Trace"])) == (200, 9_000)


async def test_a_kept_connection_is_closed_just_as_it_is_used() -> None:
    async with started() as (vidgo, _), aiohttp.ClientSession(headers=KEY) as session:
        fault = vidgo.fault("submit", "stale_connection")
        assert (await submit(vidgo, session))[0] == 200  # a new connection
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await submit(vidgo, session)
        assert fault.struck == 1
        assert len(vidgo.submissions) == len(vidgo.requests) == len(vidgo.tasks) == 1
        assert (await submit(vidgo, session))[0] == 200


async def test_what_waits_to_be_read_is_read_although_its_sender_has_hung_up() -> None:
    body = json.dumps({"model": "generate-lyrics", "callback_url": "https://c.invalid/", "input": {"prompt": "rain"}})
    head = f"POST /api/generate/submit HTTP/1.1\r\nHost: vidgo\r\nAuthorization: {KEY['Authorization']}\r\n"
    async with started() as (vidgo, session):
        waits = vidgo.fault("submit", "unread")
        sending = asyncio.create_task(submit(vidgo, session))
        await vidgo.wait_fault(waits)
        assert vidgo.submissions == []
        waits.goes_on.set()
        assert (await sending)[0] == 200
        waits = vidgo.fault("submit", "unread")
        with socket.create_connection(("127.0.0.1", vidgo.port)) as sender:
            sender.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
            await vidgo.wait_fault(waits)
        waits.goes_on.set()
        await vidgo.wait_submission(after=1)
        assert [(one.status, one.hung_up) for one in vidgo.submissions] == [(200, False), (200, True)]
        assert len(vidgo.tasks) == 2


async def test_a_fault_lasts_for_a_time_after_its_first_strike() -> None:
    now = 1_000_000.0
    async with started(clock=lambda: now) as (vidgo, session):
        song = vidgo.add_song("One", seconds=0.5)
        fault = vidgo.fault("detail", "status", status=500, lasting=80)
        statuses = []
        for pause in (30, 0, 50, 29, 1, 0):
            now += pause
            statuses.append((await detail(vidgo, session, song.id))[0])
        assert statuses == [500, 500, 500, 500, 200, 200]
        assert fault.struck == 4
