"""Whether the listener can listen, and whether VidGo would find it at `PUBLIC_URL`."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

from bot.cli.accounts import Wrong
from bot.fetching.addresses import is_public
from bot.settings import Settings
from bot.web.addresses import listen, local_host, show_address

LONGEST_CALLBACK = 2048
"""How many characters VidGo takes as the address of a callback."""

_TASK_AND_TOKEN = "x" * 24 + "/" + "x" * 64
"""As long as what a callback's address ends with."""


async def look_at_listener(session: aiohttp.ClientSession, settings: Settings) -> str:
    """Say that the program can listen where it is told to, or does so already; raises `Wrong`."""
    where = show_address(settings.listen_host, settings.listen_port)
    async with _stand_in_listener(settings) as stand_in:
        if stand_in.problem is None:
            return f"can listen on {where}"
    try:
        at_home = show_address(local_host(settings.listen_host), settings.listen_port)
        status, body = await _call_back(session, f"http://{at_home}")
    except (aiohttp.ClientError, TimeoutError, OSError):
        status, body = 0, b""
    if _is_coverbot(status, body):
        return f"the program is running already and listens on {where}"
    raise Wrong(f"LISTEN_HOST/LISTEN_PORT: cannot listen on {where}: {stand_in.problem.strerror}")


async def look_at_public_url(session: aiohttp.ClientSession, settings: Settings) -> str:
    """Say that `PUBLIC_URL` leads to the program's callback route; raises `Wrong`."""
    if settings.public_url is None:
        return "PUBLIC_URL is not set, so VidGo is asked for results instead of calling back; that is fine"
    await _judge_as_vidgo(settings.public_url, allow_private=settings.media_allow_private_hosts)
    async with _stand_in_listener(settings) as stand_in:
        try:
            status, body = await _call_back(session, settings.public_url)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Wrong(f"PUBLIC_URL cannot be reached from here ({type(error).__name__})") from None
    if not _is_coverbot(status, body):
        raise Wrong(f"PUBLIC_URL answers {status}, but not this program; check that it leads to LISTEN_PORT")
    if stand_in.problem is None and stand_in.word not in body:
        raise Wrong("PUBLIC_URL leads to another Coverbot; check that it leads to this machine and LISTEN_PORT")
    return "leads to the callback route"


async def _judge_as_vidgo(url: str, *, allow_private: bool) -> None:
    """Raise `Wrong` for an address that VidGo would refuse to call: it takes short ones of public https hosts only."""
    if len(f"{url}/callbacks/vidgo/{_TASK_AND_TOKEN}") > LONGEST_CALLBACK:
        raise Wrong(f"PUBLIC_URL is too long: VidGo takes addresses of callbacks up to {LONGEST_CALLBACK} characters")
    if allow_private:
        return
    parts = urlsplit(url)
    if parts.scheme != "https":
        raise Wrong("PUBLIC_URL must begin with https://, as VidGo calls no other address")
    try:
        found = await asyncio.get_running_loop().getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Wrong(f"PUBLIC_URL names {parts.hostname}, which has no address; check the name and its DNS") from None
    addresses = sorted({str(address[0]) for *_, address in found})
    if not any(is_public(address) for address in addresses):
        raise Wrong(
            f"PUBLIC_URL leads to {', '.join(addresses)}, seen from here; VidGo refuses whatever is no public address"
        )


async def _call_back(session: aiohttp.ClientSession, base: str) -> tuple[int, bytes]:
    async with session.post(f"{base}/callbacks/vidgo/check/check", json={}, allow_redirects=False) as response:
        return response.status, await response.content.read(1000)


def _is_coverbot(status: int, body: bytes) -> bool:
    return status == 403 and b"no such task" in body


@dataclass
class _StandIn:
    """What answers in the program's place: why it cannot, perhaps as that listens itself, and a word to know it by."""

    problem: OSError | None = None
    word: bytes = field(default_factory=lambda: secrets.token_hex(8).encode())


@asynccontextmanager
async def _stand_in_listener(settings: Settings) -> AsyncIterator[_StandIn]:
    """Answer as the program would, if nobody else listens there."""
    stand_in = _StandIn()

    async def refuse(_request: web.Request) -> web.Response:
        return web.json_response({"message": "no such task", "check": stand_in.word.decode()}, status=403)

    application = web.Application()
    application.add_routes([web.post("/callbacks/vidgo/{task}/{token}", refuse)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    assert runner.server is not None  # noqa: S101 (it has just been set up)
    listening: asyncio.Server | None = None
    try:
        try:
            listening = await listen(runner.server, settings.listen_host, settings.listen_port)
        except OSError as error:
            stand_in.problem = error
        yield stand_in
    finally:
        if listening is not None:
            listening.close()
        await runner.cleanup()
