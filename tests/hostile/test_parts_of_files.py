"""Files in parts: what is asked for, or the whole file, and never parts of two files put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import web

from bot.web.connections import Connections
from bot.web.sending import SentFile

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

DATA = bytes(range(100))
KIND = {"Content-Type": "audio/mpeg"}


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    """Where a file is served, as the listener does it: it is removed as soon as it is sent."""

    async def answer(request: web.Request) -> web.StreamResponse:
        file = tmp_path / "song.mp3"
        file.write_bytes(DATA)
        response = SentFile(file, KIND)
        await response.prepare(request)
        file.unlink()
        return response

    application = web.Application()
    application.add_routes([web.get("/", answer)])
    connections = Connections(application)
    yield f"http://127.0.0.1:{await connections.listen('127.0.0.1', 0)}/"
    await connections.close()


async def ask(address: str, method: str = "GET", **headers: str) -> tuple[int, bytes, str | None]:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, address, headers={name.replace("_", "-"): one for name, one in headers.items()}) as it,
    ):
        assert method == "HEAD" or it.content_length in (None, len(await it.read()))
        return it.status, await it.read(), it.headers.get("Content-Range")


@pytest.mark.parametrize(
    ("asked", "status", "part", "told"),
    [
        ("bytes=0-9", 206, DATA[:10], "bytes 0-9/100"),
        ("bytes=90-", 206, DATA[90:], "bytes 90-99/100"),
        ("bytes=90-1000", 206, DATA[90:], "bytes 90-99/100"),
        ("bytes=-5", 206, DATA[-5:], "bytes 95-99/100"),
        ("bytes=-1000", 206, DATA, "bytes 0-99/100"),
        ("bytes=100-", 416, b"", "bytes */100"),
        (f"bytes={'9' * 30}-", 416, b"", "bytes */100"),
        *((wrong, 200, DATA, None) for wrong in ("bytes=0-9,20-29", "bytes=5-2", "bytes=-0", "bytes=-", "bytes=")),
        *((wrong, 200, DATA, None) for wrong in ("seconds=1-2", "bytes=a-b", "bytes 0-9", "", "bytes=\u0663-")),
    ],
)
async def test_a_range_is_served_or_passed_over(
    address: str, asked: str, status: int, part: bytes, told: str | None
) -> None:
    assert await ask(address, Range=asked) == (status, part, told)
    assert await ask(address, "HEAD", Range=asked) == (status, b"", told)


async def test_a_part_is_of_the_file_that_was_begun_or_it_is_the_whole(address: str) -> None:
    for other in ('"another"', 'W/"another"', "nonsense", "Mon, 01 Jan 1990 00:00:00 GMT"):
        assert await ask(address, Range="bytes=10-19", If_Range=other) == (200, DATA, None)
    later = "Fri, 01 Jan 2100 00:00:00 GMT"
    assert await ask(address, Range="bytes=10-19", If_Range=later) == (206, DATA[10:20], "bytes 10-19/100")


async def test_who_has_the_file_that_was_begun_gets_the_rest_of_it(tmp_path: Path) -> None:
    file = tmp_path / "song.mp3"
    file.write_bytes(DATA)

    async def answer(_request: web.Request) -> web.StreamResponse:
        return SentFile(file, KIND)

    application = web.Application()
    application.add_routes([web.get("/", answer)])
    connections = Connections(application)
    address = f"http://127.0.0.1:{await connections.listen('127.0.0.1', 0)}/"
    async with aiohttp.ClientSession() as session, session.get(address) as whole:
        name = whole.headers["ETag"]
    assert await ask(address, Range="bytes=10-19", If_Range=name) == (206, DATA[10:20], "bytes 10-19/100")
    file.write_bytes(DATA[::-1])
    assert await ask(address, Range="bytes=10-19", If_Range=name) == (200, DATA[::-1], None)
    await connections.close()
