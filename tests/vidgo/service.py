"""A scripted VidGo on real sockets, one that misbehaves, and a client of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.vidgo import (
    CoverArt,
    GenerateMusic,
    SubmitRequest,
    VidGo,
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
    return (await vidgo.submit(request, callback_url, await vidgo.turn())).task_id


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
