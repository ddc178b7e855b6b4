"""Raw HTTP servers that answer with whatever bytes a test wants."""

from __future__ import annotations

import asyncio
import traceback
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from bot.fetching.fetch import Fetcher, FetchError

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    Respond = Callable[[str, asyncio.StreamWriter], Awaitable[None]]

SECRET = "sig=very-secret"
FRAME = b"\xff\xfb\x90\x64" + bytes(413)
SONG = FRAME * 100


class Origin:
    """A server that answers each connection once, with whatever bytes `respond` writes."""

    def __init__(self, respond: Respond) -> None:
        self._respond = respond
        self._tasks: set[asyncio.Task[None]] = set()
        self.requests: list[str] = []
        self.connections = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.requests.append(head)
            await self._respond(head.split(" ")[1], writer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort() if task.cancelling() else writer.close()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def url(self, path: str = "/song.mp3") -> str:
        return f"http://127.0.0.1:{self.port}{path}?{SECRET}"


@asynccontextmanager
async def origin(respond: Respond, tls: ssl.SSLContext | None = None) -> AsyncIterator[Origin]:
    it = Origin(respond)
    server = await asyncio.start_server(it.serve, "127.0.0.1", 0, ssl=tls)
    it.port = server.sockets[0].getsockname()[1]
    try:
        yield it
    finally:
        server.close()
        await it.stop()
        await server.wait_closed()


@asynccontextmanager
async def fetcher(**options: Any) -> AsyncIterator[Fetcher]:
    it = Fetcher(**{"allow_private": True, "max_bytes": 1 << 20, "idle_timeout": 5.0, **options})
    try:
        yield it
    finally:
        await it.close()


def answer(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers)
    return "\r\n".join((*lines, "", "")).encode() + body


def saying(data: bytes) -> Respond:
    async def respond(_: str, writer: asyncio.StreamWriter) -> None:
        writer.write(data)

    return respond


def listing(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def assert_clean(error: FetchError, folder: Path) -> None:
    assert listing(folder) == []
    told = "".join(traceback.format_exception(error)) + error.reason + repr(error)
    assert "secret" not in told
    assert error.reason == str(error)
    assert error.reason.isprintable()
