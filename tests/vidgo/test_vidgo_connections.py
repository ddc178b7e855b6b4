"""What is known of a request whose connection fails: whether it was taken."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import socket

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from bot.vidgo import (
    AnswerLost,
    Busy,
    NoCredits,
    VidGo,
)
from bot.vidgo.errors import Withheld
from tests.vidgo.service import (
    ACCEPTED,
    CALLBACK,
    COVER,
    KEY,
    bare_server,
    read_request,
    submit,
)


async def test_a_refused_connection_was_certainly_not_taken(session: aiohttp.ClientSession) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        vidgo = VidGo(session, f"http://127.0.0.1:{unused.getsockname()[1]}", KEY)
        with pytest.raises(Busy, match="no connection"):
            await submit(vidgo, COVER, CALLBACK)


@pytest.mark.parametrize("moment", ["on_request_start", "on_request_headers_sent"])
async def test_what_is_not_let_out_was_certainly_not_taken(moment: str) -> None:
    heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def withhold(*_: object) -> None:
        raise Withheld(errno.ECONNABORTED, "not now")

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = await reader.read()
        writer.close()
        await writer.wait_closed()
        heard.set_result(said)

    trace = aiohttp.TraceConfig()
    getattr(trace, moment).append(withhold)
    async with await asyncio.start_server(hear, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with aiohttp.ClientSession(trace_configs=[trace]) as session:
            with pytest.raises(Busy, match="not sent: not now"):
                await submit(VidGo(session, url, KEY), COVER, CALLBACK)
        if moment != "on_request_start":  # then nobody has even connected
            assert await asyncio.wait_for(heard, 5) == b""


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
