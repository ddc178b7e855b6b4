"""Connections that are held open for nothing, at the same server with smaller bounds."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from bot.web.connections import MAX_HEADER_BYTES, MAX_HEADERS, Connections
from tests.hostile.wire import read_reply
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

IDLE = 0.4
GET = b"GET / HTTP/1.1\r\nHost: x\r\n"


class Served:
    """A server with one route that answers when it may."""

    def __init__(self, limit: int) -> None:
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.asked = asyncio.Event()
        application = web.Application()
        application.add_routes([web.get("/", self._answer), web.get("/kept", self._answer_kept)])
        self.connections = Connections(application, limit=limit, idle=IDLE)
        self.port = 0

    async def _answer(self, _request: web.Request) -> web.Response:
        self.asked.set()
        await self.may_answer.wait()
        return web.Response(text="ok")

    async def _answer_kept(self, request: web.Request) -> web.Response:
        with self.connections.keep(request):
            return await self._answer(request)

    async def connect(self, data: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection and send something."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        return reader, writer


@asynccontextmanager
async def served(limit: int = 4) -> AsyncIterator[Served]:
    it = Served(limit)
    it.port = await it.connections.listen("127.0.0.1", 0)
    try:
        yield it
    finally:
        it.may_answer.set()
        await it.connections.close()


async def ended(reader: asyncio.StreamReader) -> bytes:
    """Return what still comes until the other side ends the connection."""
    try:
        return await asyncio.wait_for(reader.read(), patient(10))
    except ConnectionResetError:
        return b""


@pytest.mark.parametrize("sent", [b"", GET, GET + b"X-Slow: ", GET + b"\r\n"], ids=["nothing", "head", "line", "idle"])
async def test_a_connection_without_a_request_ends(sent: bytes) -> None:
    async with served() as it:
        started = time.monotonic()
        reader, writer = await it.connect(sent)
        if sent.endswith(b"\r\n\r\n"):
            assert (await read_reply(reader)).status == 200
        assert await ended(reader) == b""
        assert IDLE * 0.9 < time.monotonic() - started < patient(3)
        writer.close()


async def test_sending_a_head_bit_by_bit_does_not_win_time() -> None:
    async with served() as it:
        started = time.monotonic()
        reader, writer = await it.connect(GET)
        end = asyncio.create_task(ended(reader))
        while not end.done():
            writer.write(b"X: y\r\n")
            await asyncio.wait({end}, timeout=IDLE / 10)
        assert await end == b""
        assert time.monotonic() - started < patient(3)
        writer.close()


async def test_one_connection_too_many_ends_the_oldest() -> None:
    async with served(limit=4) as it:
        opened = [await it.connect() for _ in range(4)]
        newest, writer = await it.connect(GET + b"\r\n")
        assert (await read_reply(newest)).status == 200
        assert await ended(opened[0][0]) == b""
        assert [reader.at_eof() for reader, _ in opened[1:]] == [False, False, False]
        for _, other in [*opened, (newest, writer)]:
            other.close()


async def test_a_connection_that_is_kept_is_spared() -> None:
    async with served(limit=2) as it:
        it.may_answer.clear()
        kept, writer = await it.connect(b"GET /kept HTTP/1.1\r\nHost: x\r\n\r\n")
        await it.asked.wait()
        others = [await it.connect() for _ in range(3)]
        assert await ended(others[0][0]) == b""
        assert await ended(others[1][0]) == b""
        it.may_answer.set()
        assert (await read_reply(kept)).status == 200
        for _, other in [*others, (kept, writer)]:
            other.close()


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (b"X: y\r\n" * (MAX_HEADERS - 2), 200),
        (b"X: y\r\n" * (MAX_HEADERS + 2), 400),
        (b"X: " + b"y" * (MAX_HEADER_BYTES - 100) + b"\r\n", 200),
        (b"X: " + b"y" * (MAX_HEADER_BYTES + 100) + b"\r\n", 400),
    ],
    ids=["as many", "too many", "as long", "too long"],
)
async def test_headers_are_bounded(lines: bytes, status: int) -> None:
    async with served() as it:
        reader, writer = await it.connect(GET + lines + b"\r\n")
        assert (await read_reply(reader)).status == status
        writer.close()


async def test_closing_waits_for_an_answer_under_way() -> None:
    async with served() as it:
        it.may_answer.clear()
        reader, writer = await it.connect(GET + b"\r\n")
        await it.asked.wait()
        closing = asyncio.create_task(it.connections.close())
        await asyncio.sleep(0)
        it.may_answer.set()
        assert (await read_reply(reader)).status == 200
        await closing
        with pytest.raises(ConnectionRefusedError):
            await it.connect()
        writer.close()
