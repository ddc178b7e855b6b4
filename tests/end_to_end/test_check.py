"""`check`, as a process: what it says of a good installation, and of each thing that is wrong."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from aiohttp import web

from sandbox.ports import reserved_port
from tests.end_to_end.process import run_program
from tests.end_to_end.test_settings import newer_database
from tests.end_to_end.world import open_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.end_to_end.process import Ended
    from tests.end_to_end.world import World

CHECKED = (
    "Discord token",
    "VidGo key",
    "Clock",
    "Database",
    "Archive",
    "Listener",
    "Public URL",
    "Server",
    "Channel",
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def idle(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """The stand-ins and settings for a bot that is not running, and a channel where it may post."""
    async with open_world(tmp_path_factory.mktemp("idle"), start=False) as world:
        world.guild.add_channel("open")
        yield world


async def checked(world: World, *arguments: str, **changes: str) -> Ended:
    """Run `coverbot check`."""
    ended = await run_program(world.bot.directory, world.bot.settings | changes, "check", *arguments)
    assert ended.err == ""
    assert ended.code == (1 if "WRONG" in ended.out else 0), ended.out
    return ended


def wrong(ended: Ended) -> list[str]:
    """Return what a check said is wrong."""
    lines = ended.out.splitlines()
    assert all(line.startswith(("ok ", "hint ", "WRONG ")) for line in lines)
    return [line for line in lines if line.startswith("WRONG ")]


@asynccontextmanager
async def another_program() -> AsyncIterator[int]:
    """Listen as somebody else would, and give the port."""

    async def greet(_request: web.Request) -> web.Response:
        return web.Response(text="hello")

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", greet)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def test_check_finds_nothing_where_run_would_work(idle: World) -> None:
    channel = idle.guild.add_channel("songs")
    ended = await checked(idle, "--channel", str(channel.id), DISCORD_GUILD_ID=str(idle.guild.id))
    assert wrong(ended) == []
    assert ended.code == 0
    for part in (
        "Discord token: logged in as Coverbot",
        "1000 credits",
        "Database",
        "Archive",
        "Public URL",
        "Clock: agrees",
        "Gateway: shards 0 to 0 of 1",
        "#songs",
    ):
        assert part in ended.out


async def test_check_finds_nothing_while_the_bot_runs(calling: World) -> None:
    calling.guild.add_channel("open")
    ended = await checked(calling)
    assert wrong(ended) == []
    assert "running already" in ended.out


async def test_check_without_a_public_address_says_that_it_is_fine(idle: World) -> None:
    thread = idle.guild.add_thread(idle.guild.add_channel("parent"), "songs in a thread")
    ended = await checked(idle, "--channel", str(thread.id), PUBLIC_URL="")
    assert wrong(ended) == []
    assert "PUBLIC_URL is not set" in ended.out
    assert "#songs in a thread" in ended.out


async def test_check_names_each_thing_that_is_wrong(idle: World, tmp_path: Path) -> None:
    (tmp_path / "media").write_text("x")
    async with another_program() as port:
        ended = await checked(
            idle,
            DISCORD_TOKEN="MTA5.another.token",
            VIDGO_API_KEY="another-key",
            DATABASE_URL=newer_database(tmp_path),
            ARCHIVE_DIR=str(tmp_path / "media"),
            LISTEN_PORT=str(port),
            PUBLIC_URL=f"http://127.0.0.1:{port}",
        )
    said = wrong(ended)
    assert len(said) == 8
    for line, words in zip(
        said,
        (
            "DISCORD_TOKEN is refused",
            "VIDGO_API_KEY is refused",
            "newer version of Coverbot",
            "ARCHIVE_DIR cannot be used",
            f"LISTEN_HOST/LISTEN_PORT: cannot listen on 127.0.0.1:{port}",
            "PUBLIC_URL answers 200, but not this program",
            "the gateway cannot be asked for without having logged in",
            "the servers cannot be looked at without having logged in",
        ),
        strict=True,
    ):
        assert words in line
    assert "MTA5" not in ended.out
    assert "another-key" not in ended.out


async def test_check_names_what_the_owner_has_to_arrange(idle: World) -> None:
    channel = idle.guild.add_channel("silent")
    channel.bot_permissions = channel.bot_permissions - {"attach_files", "embed_links"}
    idle.vidgo.credits = 0
    try:
        with reserved_port() as nobodys:
            ended = await checked(
                idle,
                *("--channel", str(channel.id)),
                DISCORD_GUILD_ID="12345",
                PUBLIC_URL=f"http://127.0.0.1:{nobodys}",
            )
    finally:
        idle.vidgo.credits = 1000
    credit, address, server, place = wrong(ended)
    assert "no credits" in credit
    assert "PUBLIC_URL cannot be reached" in address
    assert "DISCORD_GUILD_ID names a server that the bot is not a member of" in server
    assert "in #silent the bot lacks embed links, attach files" in place


async def test_check_names_what_cannot_be_reached(idle: World) -> None:
    with reserved_port() as nobodys:
        nowhere = f"http://127.0.0.1:{nobodys}"
        ended = await checked(
            idle,
            *("--channel", "1"),
            DISCORD_API_URL=nowhere,
            VIDGO_API_URL=nowhere,
            DISCORD_GUILD_ID="1",
            MEDIA_ALLOW_PRIVATE_HOSTS="false",
        )
    discord, vidgo, address, gateway, server, place = wrong(ended)
    assert "DISCORD_API_URL" in discord
    assert "without having logged in" in gateway
    assert "VIDGO_API_URL" in vidgo
    assert "https://" in address
    assert "DISCORD_GUILD_ID" in server
    assert "--channel" in place


async def test_check_names_sessions_that_cannot_begin(idle: World) -> None:
    assert wrong(await checked(idle, SHARD_IDS="5")) == [
        "WRONG  Gateway: SHARD_IDS names shard 5, but there are 1, counted from 0"
    ]
    [line] = wrong(await checked(idle, SHARD_COUNT="16384"))
    assert line.startswith("WRONG  Gateway: Discord lets only ")


async def test_check_names_a_channel_that_the_bot_does_not_see(idle: World) -> None:
    [line] = wrong(await checked(idle, "--channel", "12345"))
    assert "--channel is unknown" in line
