"""Where the listener listens, and how the image's health check finds it there."""

from __future__ import annotations

import json
import re
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from bot.web.connections import Connections
from sandbox.ports import reserved_port
from tests.end_to_end.process import ROOT, run_program
from tests.end_to_end.world import KEY, TOKEN, open_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.end_to_end.process import Ended

NEEDS_IPV6 = pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")


def health_check() -> list[str]:
    """Return what the image runs to see whether the bot is well, without the program's name."""
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    found = re.search(r"^HEALTHCHECK [^\n]*\\\n +CMD (\[.*\])$", dockerfile, re.MULTILINE)
    assert found is not None
    program, *arguments = [str(word) for word in json.loads(found[1])]
    assert program == "coverbot"
    return arguments


async def checked(directory: Path, host: str, port: int, **others: str) -> Ended:
    """Run the health check as Docker does."""
    settings = {"LISTEN_HOST": host, "LISTEN_PORT": str(port)} | others
    ended = await run_program(directory, settings, *health_check())
    assert ended.err == ""
    return ended


@asynccontextmanager
async def listening(host: str, *, ready: bool = True) -> AsyncIterator[int]:
    """Listen as the program does, and give the port."""

    async def readyz(_request: web.Request) -> web.Response:
        return web.json_response({"ready": ready}, status=200 if ready else 503)

    application = web.Application()
    application.add_routes([web.get("/readyz", readyz)])
    connections = Connections(application)
    with reserved_port() as port:
        await connections.listen(host, port)
        try:
            yield port
        finally:
            await connections.close()


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "0.0.0.0", "localhost", pytest.param("::", marks=NEEDS_IPV6), pytest.param("::1", marks=NEEDS_IPV6)],
)
async def test_the_health_check_finds_the_listener_wherever_it_is(tmp_path: Path, host: str) -> None:
    async with listening(host) as port:
        # A proxy of the environment is not asked.
        ended = await checked(tmp_path, host, port, http_proxy="http://127.0.0.1:9")
    assert (ended.code, ended.out) == (0, '{"ready": true}\n')


async def test_the_health_check_tells_what_is_not_well(tmp_path: Path) -> None:
    async with listening("127.0.0.1", ready=False) as port:
        ended = await checked(tmp_path, "127.0.0.1", port)
        assert (ended.code, ended.out) == (1, '{"ready": false}\n')
    ended = await checked(tmp_path, "::", port)
    assert ended.code == 1
    assert ended.out == f"nobody answers at 127.0.0.1:{port} (ConnectionRefusedError)\n"


async def test_the_health_check_reads_settings_as_the_program_does(tmp_path: Path) -> None:
    async with listening("127.0.0.1") as port:
        (tmp_path / ".env").write_text(f'LISTEN_HOST="0.0.0.0"\r\nLISTEN_PORT={port}\r\n')
        ended = await run_program(tmp_path, {}, *health_check())
        assert ended.code == 0


@NEEDS_IPV6
@pytest.mark.parametrize("host", ["::", "[::]"])
async def test_everywhere_is_both_protocols(tmp_path: Path, host: str) -> None:
    async with open_world(tmp_path, LISTEN_HOST=host, PUBLIC_URL="", POLL_MIN_SECONDS="0.2") as world:
        port = world.url.rpartition(":")[2]
        await world.bot.wait_log(f"listening on [::]:{port}")
        await world.bot.wait_log("connected to Discord as")
        for address in ("127.0.0.1", "[::1]"):
            async with world.http.get(f"http://{address}:{port}/healthz") as response:
                assert response.status == 200
        assert (await checked(tmp_path, host, int(port))).code == 0
        ended = await run_program(tmp_path, world.bot.settings, "check")
        assert f"the program is running already and listens on [::]:{port}" in ended.out


@NEEDS_IPV6
async def test_an_address_that_cannot_be_had_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        settings = {"DISCORD_TOKEN": TOKEN, "VIDGO_API_KEY": KEY, "LISTEN_HOST": "::", "LISTEN_PORT": str(port)}
        ended = await run_program(tmp_path, settings, "run")
    assert ended.code == 2
    assert ended.lines[-1].startswith(f"coverbot: LISTEN_HOST/LISTEN_PORT: cannot listen on [::]:{port}: ")
