"""A way between two parties that can be cut, and that can fall silent."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

CHUNK = 1 << 16


class Proxy:
    """Leads each connection to the first of its targets that answers, beginning with another one each time."""

    def __init__(self, targets: Sequence[Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]]):
        self.port = 0
        self._targets = list(targets)
        self._turn = 0
        self._flows = asyncio.Event()
        self._flows.set()
        self._serving: set[asyncio.Task[None]] = set()

    def cut(self) -> None:
        """Break every connection; new ones are led through."""
        for task in self._serving:
            task.cancel()

    def freeze(self) -> None:
        """Let nothing pass any more, and nobody know of it."""
        self._flows.clear()

    def thaw(self) -> None:
        """Let what was held up pass, and what comes."""
        self._flows.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection to its end."""
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            with suppress(OSError, asyncio.CancelledError):
                there, back = await self._connect()
                try:
                    ways = [asyncio.create_task(self._pass(*way)) for way in ((reader, back), (there, writer))]
                    try:
                        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                    finally:
                        for way in ways:
                            way.cancel()
                        await asyncio.gather(*ways, return_exceptions=True)
                finally:
                    back.transport.abort()
        finally:
            self._serving.discard(task)
            writer.transport.abort()

    async def close(self) -> None:
        """End every connection."""
        self.thaw()
        self.cut()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self._turn += 1
        for number in range(len(self._targets)):
            with suppress(OSError):
                return await self._targets[(self._turn + number) % len(self._targets)]()
        raise ConnectionRefusedError

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()


@asynccontextmanager
async def open_proxy(
    *targets: Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]],
) -> AsyncIterator[Proxy]:
    """Serve on a port of its own."""
    proxy = Proxy(targets)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
