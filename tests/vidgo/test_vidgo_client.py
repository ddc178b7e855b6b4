"""The VidGo client against real sockets: a scripted aiohttp server, and bare sockets that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import logging
import socket
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.test_utils import TestServer

from bot.vidgo import (
    AnswerLost,
    Busy,
    CoverArt,
    Duplicate,
    GenerateMusic,
    InvalidRequest,
    KeyRefused,
    NoCredits,
    Nonsense,
    SourceNotReady,
    Status,
    SubmitRequest,
    UnknownTask,
    VidGo,
    VidGoError,
)

KEY = "sk-live-9f8e7d6c"
TOKEN = "Zk3v9Q1x7Lm2Np5RtYwB8c"
CALLBACK = f"https://app.example.com/callbacks/vidgo/T1/{TOKEN}"
COVER, SONG = CoverArt("SRC0000000000001"), GenerateMusic("harbour lights")
ACCEPTED = {"code": 200, "data": {"task_id": "COV0000000000001", "status": "not_started"}}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Service:
    """A VidGo of one handler that remembers what it was asked."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str], Any]] = []
        self.handler: Handler = self.say(ACCEPTED)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._record)
        self.server = TestServer(app, host="127.0.0.1")

    def say(self, body: object, status: int = 200, **headers: str) -> Handler:
        async def handler(_request: web.Request) -> web.StreamResponse:
            return web.Response(
                body=body if isinstance(body, bytes) else json.dumps(body).encode(),
                status=status,
                content_type="application/json",
                headers={name.replace("_", "-"): value for name, value in headers.items()},
            )

        self.handler = handler
        return handler

    @property
    def url(self) -> str:
        return str(self.server.make_url("/"))

    async def _record(self, request: web.Request) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else None
        self.seen.append((request.method, request.path_qs, dict(request.headers), body))
        return await self.handler(request)


class Clock:
    """A time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.sleeps: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds


async def submit(vidgo: VidGo, request: SubmitRequest, callback_url: str | None) -> str:
    """Wait for the turn and submit, as the program does."""
    return await vidgo.submit(request, callback_url, await vidgo.turn())


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    service = Service()
    await service.server.start_server()
    yield service
    await service.server.close()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def vidgo(service: Service, session: aiohttp.ClientSession, clock: Clock) -> VidGo:
    return VidGo(session, service.url, KEY, requests_per_second=1000, timeout=5, clock=clock, sleep=clock.sleep)


async def read_request(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    await reader.readexactly(int(lengths[0].split(b":")[1]))


@contextlib.asynccontextmanager
async def bare_server(
    behaviour: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    """Read one request whole, then do as `behaviour` says and hang up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await behaviour(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_cover_is_submitted_as_documented(vidgo: VidGo, service: Service) -> None:
    assert await submit(vidgo, COVER, CALLBACK) == "COV0000000000001"
    method, path, headers, body = service.seen[0]
    assert (method, path) == ("POST", "/api/generate/submit")
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert headers["Content-Type"] == "application/json"
    assert body == {
        "model": "generate-music-cover",
        "callback_url": CALLBACK,
        "input": {"task_id": "SRC0000000000001"},
    }


async def test_without_a_callback_only_a_model_that_insists_gets_a_url_and_a_dead_one(
    vidgo: VidGo, service: Service
) -> None:
    await submit(vidgo, SONG, None)
    await submit(vidgo, COVER, None)
    assert "callback_url" not in service.seen[0][3]
    assert service.seen[1][3]["callback_url"].endswith(".invalid/")


@pytest.mark.parametrize(
    "body",
    [
        ACCEPTED,
        {"code": 0, "data": {"task_id": "COV0000000000001"}},
        {"code": "200", "data": {"taskId": "COV0000000000001"}},
        {"data": {"task_id": "COV0000000000001"}},
        {"task_id": "COV0000000000001", "status": "submitted"},
        json.dumps(ACCEPTED),
        {**ACCEPTED, "error": None, "progress": "0%", "message": "success"},
    ],
)
async def test_every_form_of_success_is_accepted(vidgo: VidGo, service: Service, body: object) -> None:
    service.say(body)
    assert await submit(vidgo, COVER, CALLBACK) == "COV0000000000001"


async def test_a_base_url_may_have_a_path(service: Service, session: aiohttp.ClientSession) -> None:
    await submit(VidGo(session, service.url + "gateway/", KEY), COVER, CALLBACK)
    assert service.seen[0][1] == "/gateway/api/generate/submit"


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (401, {"code": 401, "error": {"message": "key not valid", "type": "authentication_error"}}, KeyRefused),
        (200, {"code": 402, "error": {"message": "credits too low"}}, NoCredits),
        (409, {"code": 409, "error": {"message": "a cover exists for this task"}}, Duplicate),
        (400, {"code": 400, "error": {"message": "source task is not finished"}}, SourceNotReady),
        (404, {"code": 404, "error": {"message": "Parent task not found"}}, UnknownTask),
        (422, {"detail": [{"loc": ["body"], "msg": "field required"}]}, InvalidRequest),
        (200, {"code": 503, "error": {"message": "busy", "type": "service_error"}}, Busy),
        (500, {"code": 500, "error": {"message": "oops"}}, AnswerLost),
        (502, b"<html>bad gateway</html>", AnswerLost),
        (200, b"<html>welcome</html>", AnswerLost),
        (200, b"", AnswerLost),
        (200, b"[" * 200_000, AnswerLost),
        (200, b'{"code": ' + b"9" * 5000 + b"}", AnswerLost),
        (200, b"\xff\xfe\xfd", AnswerLost),
        (200, b'"' + b"x" * (1024 * 1024) + b'"', AnswerLost),
        (404, b"<html>not here</html>", Busy),
    ],
)
async def test_refusals_are_typed_and_nothing_is_repeated(
    vidgo: VidGo, service: Service, status: int, body: object, expected: type[VidGoError]
) -> None:
    service.say(body, status)
    with pytest.raises(VidGoError) as caught:
        await submit(vidgo, COVER, CALLBACK)
    assert type(caught.value) is expected
    assert len(service.seen) == 1


async def test_a_duplicate_names_the_earlier_cover_but_never_the_source(vidgo: VidGo, service: Service) -> None:
    refusal = {"code": 400, "error": {"message": "cover already generated"}}
    service.say({**refusal, "data": {"task_id": "COV0000000000001"}}, 400)
    with pytest.raises(Duplicate) as caught:
        await submit(vidgo, COVER, CALLBACK)
    assert caught.value.task_id == "COV0000000000001"

    service.say({**refusal, "data": {"task_id": COVER.task_id}}, 400)
    with pytest.raises(Duplicate) as caught:
        await submit(vidgo, COVER, CALLBACK)
    assert caught.value.task_id is None


async def test_detail_reads_the_music_path(vidgo: VidGo, service: Service) -> None:
    url = "https://cdn.example.net/c/one.png"
    service.say(
        {"code": 200, "data": {"task_id": "COV1", "status": "finished", "progress": 0,
         "files": [{"generate_cover": json.dumps([{"file_url": url, "file_type": "image"}])}]}}
    )  # fmt: skip
    report = await vidgo.detail("COV1 ")
    assert service.seen[0][:2] == ("GET", "/api/generate/detail/music?task_id=COV1")
    assert (report.status, report.files[0].image_urls, report.error_message) == (Status.FINISHED, (url,), None)


async def test_detail_accepts_an_answer_that_does_not_repeat_the_id(vidgo: VidGo, service: Service) -> None:
    service.say({"code": 0, "data": {"status": "running", "files": None}})
    report = await vidgo.detail("COV1")
    assert (report.task_id, report.status) == ("COV1", Status.RUNNING)


async def test_a_key_at_the_cut_of_a_long_error_message_is_not_shown_in_part(vidgo: VidGo, service: Service) -> None:
    words = "x" * 290 + KEY
    service.say({"code": 200, "data": {"task_id": "COV1", "status": "failed", "error_message": words}})
    message = (await vidgo.detail("COV1")).error_message
    assert message is not None
    assert KEY[:4] not in message


async def test_an_unknown_status_is_logged_and_no_error(
    vidgo: VidGo, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    service.say({"code": 200, "data": {"task_id": "COV1", "status": f"simmering {KEY}"}})
    with caplog.at_level(logging.DEBUG):
        assert (await vidgo.detail("COV1")).status is Status.UNKNOWN
    assert "simmering [hidden]" in caplog.text
    assert KEY not in caplog.text


@pytest.mark.parametrize("code", [200, 500, 501, 531])
async def test_a_failed_task_is_failed_whatever_the_code(vidgo: VidGo, service: Service, code: int) -> None:
    service.say({"code": code, "data": {"task_id": "COV1", "status": "failed", "error_message": f"no\nart {KEY}"}})
    report = await vidgo.detail("COV1")
    assert (report.status, report.error_message) == (Status.FAILED, "no art [hidden]")


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (404, {"code": 404, "error": {"message": "no"}}, UnknownTask),
        (400, {"code": 400, "error": {"message": "use the other endpoint"}}, UnknownTask),
        (404, b"<html>", Nonsense),
        (200, {"hello": 1}, Nonsense),
        (200, {"code": 500, "data": {"task_id": "COV1", "status": "running"}}, AnswerLost),
        (503, {"code": 503, "error": "busy"}, Busy),
        (200, b"<html>", AnswerLost),
    ],
)
async def test_a_read_that_gives_no_report_is_typed(
    vidgo: VidGo, service: Service, status: int, body: object, expected: type[VidGoError]
) -> None:
    service.say(body, status)
    with pytest.raises(VidGoError) as caught:
        await vidgo.detail("COV1")
    assert type(caught.value) is expected


@pytest.mark.parametrize("task_id", ["", "  ", "two words", "x" * 300])
async def test_what_cannot_be_a_task_id_is_not_asked_about(vidgo: VidGo, service: Service, task_id: str) -> None:
    with pytest.raises(UnknownTask):
        await vidgo.detail(task_id)
    assert service.seen == []


async def test_a_hostile_task_id_stays_inside_its_parameter(vidgo: VidGo, service: Service) -> None:
    service.say({"code": 200, "data": {"status": "running"}})
    await vidgo.detail("A&task_id=B#c/../\ud800%20+")
    assert service.seen[0][1].startswith("/api/generate/detail/music?task_id=A%26task_id%3DB%23c/../")


@pytest.mark.parametrize(
    ("body", "credits_left"),
    [
        ({"code": 200, "data": {"email": "me@example.com", "credits_amount": 480}}, 480.0),
        ({"code": 0, "data": {"credits_amount": "12.5"}}, 12.5),
        ({"credits_amount": 0}, 0.0),
    ],
)
async def test_balance(vidgo: VidGo, service: Service, body: object, credits_left: float) -> None:
    service.say(body)
    assert await vidgo.balance() == credits_left
    assert service.seen[0][:2] == ("GET", "/api/user/balance")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"code": 200, "data": {"credits_amount": "many"}}, Nonsense),
        ({"code": 200, "data": None}, Nonsense),
        ([], Nonsense),
        ({"code": 401, "error": "no"}, KeyRefused),
    ],
)
async def test_a_balance_without_a_number_is_an_error(
    vidgo: VidGo, service: Service, body: object, expected: type[VidGoError]
) -> None:
    service.say(body)
    with pytest.raises(expected):
        await vidgo.balance()


async def test_a_redirect_is_not_followed(vidgo: VidGo, service: Service) -> None:
    service.say({}, 307, Location=service.url + "elsewhere")
    with pytest.raises(Nonsense, match="redirect"):
        await submit(vidgo, COVER, CALLBACK)
    assert [path for _, path, _, _ in service.seen] == ["/api/generate/submit"]


async def test_a_session_that_raises_for_status_changes_nothing(service: Service) -> None:
    service.say({"code": 402, "error": "empty"}, 402)
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        with pytest.raises(NoCredits):
            await VidGo(session, service.url, KEY).balance()


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


async def test_a_refused_connection_was_certainly_not_taken(session: aiohttp.ClientSession) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        vidgo = VidGo(session, f"http://127.0.0.1:{unused.getsockname()[1]}", KEY)
        with pytest.raises(Busy, match="no connection"):
            await submit(vidgo, COVER, CALLBACK)


async def test_an_unknown_host_was_certainly_not_asked() -> None:
    class NoNames(AbstractResolver):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            raise OSError(socket.EAI_NONAME, "Name or service not known")

        async def close(self) -> None:
            """Hold nothing."""

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=NoNames())) as session:
        with pytest.raises(Busy, match="ClientConnectorDNSError"):
            await submit(VidGo(session, "http://vidgo.invalid", KEY), COVER, CALLBACK)


async def test_a_connection_that_is_never_accepted_was_certainly_not_taken(
    session: aiohttp.ClientSession,
) -> None:
    with contextlib.ExitStack() as open_sockets:
        full = open_sockets.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        # A full backlog makes the kernel drop further connection attempts.
        for _ in range(4):
            waiting = open_sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        vidgo = VidGo(session, f"http://127.0.0.1:{full.getsockname()[1]}", KEY, timeout=0.6)
        with pytest.raises(Busy, match="ConnectionTimeoutError"):
            await submit(vidgo, COVER, CALLBACK)


async def test_a_service_that_never_answers_leaves_the_submission_open(session: aiohttp.ClientSession) -> None:
    gone = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()
        gone.set()

    async with bare_server(silent) as url:
        with pytest.raises(AnswerLost, match="no answer within"):
            await submit(VidGo(session, url, KEY, timeout=0.3), COVER, CALLBACK)
        await asyncio.wait_for(gone.wait(), 5)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"HTTP/1.1 200 O",
        b"\x16\x03\x01 this is no HTTP\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"code\": 200",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
    ],
)  # fmt: skip
async def test_an_answer_that_breaks_off_leaves_the_submission_open(
    session: aiohttp.ClientSession, sent: bytes
) -> None:
    asked = 0

    async def break_off(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        writer.write(sent)
        await writer.drain()

    async with bare_server(break_off) as url:
        with pytest.raises(AnswerLost):
            await submit(VidGo(session, url, KEY), COVER, CALLBACK)
    assert asked == 1


async def test_a_reused_connection_that_is_dropped_is_not_submitted_again(session: aiohttp.ClientSession) -> None:
    dropped = 0

    async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal dropped
        body = json.dumps(ACCEPTED).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await read_request(reader)
        dropped += 1

    async with bare_server(answer_once) as url:
        vidgo = VidGo(session, url, KEY)
        await submit(vidgo, COVER, CALLBACK)
        with pytest.raises(AnswerLost, match="ServerDisconnectedError"):
            await submit(vidgo, COVER, CALLBACK)
    assert dropped == 1


async def test_a_refusal_whose_body_breaks_off_is_still_a_refusal(session: aiohttp.ClientSession) -> None:
    async def break_off(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 402 Payment Required\r\nContent-Length: 500\r\n\r\n{")
        await writer.drain()

    async with bare_server(break_off) as url:
        with pytest.raises(NoCredits):
            await submit(VidGo(session, url, KEY), COVER, CALLBACK)


async def test_a_compressed_bomb_is_not_unpacked(vidgo: VidGo, service: Service) -> None:
    service.say(gzip.compress(b" " * 50_000_000), Content_Encoding="gzip")
    with pytest.raises(AnswerLost, match="unreadable"):
        await submit(vidgo, COVER, CALLBACK)


@pytest.mark.parametrize("status", [200, 400, 401, 409, 429, 500])
async def test_no_error_holds_the_key_or_the_callback_token(
    vidgo: VidGo, service: Service, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    service.say({"code": status, "error": f"Bearer {KEY} may not use {CALLBACK} or ?t={TOKEN}"}, status)
    with caplog.at_level(logging.DEBUG), pytest.raises(VidGoError) as caught:
        await submit(vidgo, COVER, CALLBACK)
    assert "[hidden]" in caught.value.reason
    shown = f"{caught.value!r} {caught.value} {caught.value.__dict__} {vidgo!r} {caplog.text}"
    shown += "".join(traceback.format_exception(caught.value))
    assert KEY not in shown
    assert TOKEN not in shown


async def test_a_broken_answer_drags_no_request_headers_along(session: aiohttp.ClientSession) -> None:
    async def garbage(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"no HTTP at all\r\n\r\n")
        await writer.drain()

    async with bare_server(garbage) as url:
        with pytest.raises(AnswerLost) as caught:
            await submit(VidGo(session, url, KEY), COVER, CALLBACK)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("base_url", "key"),
    [
        ("ftp://api.example", KEY), ("api.example", KEY), ("http://", KEY), ("http://user:pass@api.example", KEY),
        ("https://api.example", ""), ("https://api.example", f"{KEY}\r\nX-Evil: 1"), ("https://api.example", "clé"),
    ],
)  # fmt: skip
async def test_an_address_or_key_that_cannot_work_is_refused_at_once(
    session: aiohttp.ClientSession, base_url: str, key: str
) -> None:
    with pytest.raises(ValueError, match="the API") as caught:
        VidGo(session, base_url, key)
    assert KEY not in str(caught.value)


async def test_cancelling_a_request_is_not_an_answer(service: Service, vidgo: VidGo) -> None:
    asked, never = asyncio.Event(), asyncio.Event()

    async def handler(_request: web.Request) -> web.StreamResponse:
        asked.set()
        await never.wait()
        return web.Response()

    service.handler = handler
    task = asyncio.create_task(submit(vidgo, COVER, CALLBACK))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    never.set()
