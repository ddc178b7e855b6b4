"""Who gets the page, and what binds it: the secret, the Host header, the origin, the policy."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
import pytest
from yarl import URL

from sandbox.discord.state.messages import create_message
from sandbox.discord.state.rules import Upload
from sandbox.play.server import PAGE, PageServer
from sandbox.play.stage import open_stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sandbox.play.stage import Stage


@asynccontextmanager
async def visiting() -> AsyncIterator[tuple[Stage, URL, aiohttp.ClientSession]]:
    """Serve a stage without a bot."""
    async with open_stage(1.0) as stage:
        server = PageServer(stage, 0)
        async with server.open(), aiohttp.ClientSession() as session:
            yield stage, URL(server.address), session


async def test_only_who_knows_the_secret_gets_anything() -> None:
    async with visiting() as (_, address, session):
        secret = address.path.strip("/")
        assert len(secret) >= 32
        for path in ("/", "/index.html", "/socket", f"/{secret[:-1]}/", f"/{secret}x/", "/%C3%A9/", f"//{secret}/"):
            async with session.get(address.origin().with_path(path, encoded=True)) as response:
                assert response.status == 404, path
                assert secret not in await response.text()
        async with session.get(address) as response:
            assert response.status == 200


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Host": "evil.example"}, id="another name for this address"),
        pytest.param({"Host": "127.0.0.1"}, id="no port"),
        pytest.param({"Origin": "http://evil.example"}, id="another page"),
        pytest.param({"Origin": "null"}, id="a page without origin"),
    ],
)
async def test_a_strangers_page_gets_nothing_even_with_the_secret(headers: dict[str, str]) -> None:
    async with visiting() as (_, address, session):
        async with session.get(address, headers=headers) as response:
            assert response.status == 404
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(address / "socket", headers={"Origin": str(address.origin())} | headers)


async def test_the_socket_is_for_the_page_alone() -> None:
    async with visiting() as (_, address, session):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(address / "socket")
        assert refused.value.status == 403
        async with session.ws_connect(address / "socket", headers={"Origin": str(address.origin())}) as socket:
            assert (await socket.receive_json())["type"] == "place"
            for nonsense in ("{", "[]", '"x"', '{"do": "use"}', '{"number": 1, "do": "__init__"}'):
                await socket.send_str(nonsense)
            await socket.send_json({"number": 7, "do": "press", "message": "0", "custom_id": "x"})
            while (told := await socket.receive_json())["type"] != "answer":
                pass
            assert told == {"type": "answer", "number": 7, "failed": "There is no such message here."}


async def test_everything_is_bound_to_this_server() -> None:
    async with visiting() as (_, address, session):
        for path in ("", "main.js", "messages/message.js", "page.css", "nothing.js", "files/1/x"):
            async with session.get(address / path if path else address) as response:
                policy = response.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy
                assert "unsafe" not in policy
                # No text can become markup, whatever a later change of the page does with it.
                assert "require-trusted-types-for 'script'; trusted-types 'none'" in policy or "sandbox" in policy
                assert response.headers["X-Content-Type-Options"] == "nosniff"
                assert response.headers["Referrer-Policy"] == "no-referrer"
                assert response.headers["Cache-Control"] == "no-store"
        for path in (
            "..%2fplay%2fserver.py",
            "%2e%2e/play/stage.py",
            "messages/..%2f..%2f..%2fdocs/try/main.js",
            "main.js%00",
        ):
            async with session.get(URL(f"{address}{path}", encoded=True)) as response:
                assert response.status == 404, path


async def test_a_file_is_played_in_parts_and_a_page_among_files_is_no_page() -> None:
    async with visiting() as (stage, address, session):
        song, page = Upload(0, "a.mp3", bytes(range(200))), Upload(1, "evil.html", b"<script>alert(1)</script>")
        picture = Upload(2, "evil.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>")
        body = {"content": "files"}
        channel = stage.guild.channels[0]
        message = create_message(channel, stage.discord.state.bot, body, [song, page, picture])
        urls = [address / "files" / str(file.id) / file.filename for file in message.files]
        async with session.get(urls[0], headers={"Range": "bytes=10-19"}) as response:
            assert (response.status, await response.read()) == (206, bytes(range(10, 20)))
            assert response.headers["Content-Range"] == "bytes 10-19/200"
            assert response.content_type == "audio/mpeg"
        async with session.get(urls[0], headers={"Range": "bytes=-5"}) as response:
            assert await response.read() == bytes(range(195, 200))
        for wrong in ("bytes=500-", "bytes=9-3", "lines=1-2"):
            async with session.get(urls[0], headers={"Range": wrong}) as response:
                assert response.status == 416, wrong
        for url in urls[1:]:
            async with session.get(url) as response:
                assert response.content_type == "application/octet-stream"
                assert response.headers["Content-Disposition"] == "attachment"
                assert response.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"


def test_the_page_is_small_and_takes_nothing_from_elsewhere() -> None:
    texts = {path.name: path.read_text("utf-8") for path in PAGE.rglob("*.*")}
    assert sum(text.count("\n") for text in texts.values()) < 1500
    for name, text in texts.items():
        foreign = set(re.findall(r"https?://[\w.]+", text)) - {"http://www.w3.org"}
        assert not foreign, name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", text), (
            name
        )
        assert not re.search(r"\sstyle=|\son\w+=", text) or name.endswith(".svg"), name
