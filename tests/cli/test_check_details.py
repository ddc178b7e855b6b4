"""What `check` finds beyond keys and addresses: servers, clocks, disks, and what VidGo would refuse to call."""

from __future__ import annotations

import sqlite3
import time
from contextlib import AsyncExitStack, closing
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from bot.cli.check import check
from bot.settings import Settings
from sandbox.discord import DiscordStandIn
from sandbox.ports import reserved_port
from sandbox.vidgo import VidGoStandIn
from storage.sqlite.opening import hold_alone
from tests.storage import old

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

TOKEN, KEY = "MTA5.a-token.of-nobody", "vg-a-key"


class Checked:
    """Both stand-ins, and the settings of a bot between them."""

    def __init__(self, discord: DiscordStandIn, vidgo: VidGoStandIn, folder: Path) -> None:
        self.discord = discord
        self.settings = {
            "discord_token": TOKEN,
            "discord_api_url": discord.api_url,
            "vidgo_api_key": KEY,
            "vidgo_api_url": vidgo.api_url,
            "listen_port": "0",
            "database_url": f"sqlite:///{folder}/bot.db",
            "archive_dir": f"{folder}/media",
            "archive_max_bytes": "1MB",
        }

    async def says(self, part: str, *, ahead: float = 0, **changes: str) -> tuple[str, str]:
        """Check, and return how one part is called and what is said of it."""
        lines: list[str] = []
        settings = Settings.model_validate(self.settings | changes)
        fine = await check(settings, None, lines.append, now=lambda: time.time() + ahead)
        assert fine == all(not line.startswith("WRONG") for line in lines)
        [line] = [line for line in lines if line[7:].startswith(f"{part}: ")]
        return line[:7].strip(), line[7:].removeprefix(f"{part}: ")


@pytest.fixture
async def checked(tmp_path: Path) -> AsyncIterator[Checked]:
    async with DiscordStandIn(token=TOKEN) as discord, VidGoStandIn(key=KEY) as vidgo:
        yield Checked(discord, vidgo, tmp_path)
        assert discord.violations == []


async def test_that_there_is_no_server_is_wrong(checked: Checked) -> None:
    verdict, words = await checked.says("Server")
    assert (verdict, "in no server yet" in words, "coverbot invite" in words) == ("WRONG", True, True)


async def test_it_is_told_in_which_channels_the_bot_lacks_what(checked: Checked) -> None:
    guild = checked.discord.add_guild("Harbour")
    assert await checked.says("Server") == ("WRONG", "in Harbour there is no channel where the bot may post")
    silent, hidden = guild.add_channel("silent"), guild.add_channel("hidden")
    silent.bot_permissions = silent.bot_permissions - {"attach_files", "embed_links"}
    hidden.bot_permissions = hidden.bot_permissions - {"view_channel"}
    verdict, words = await checked.says("Server")
    assert verdict == "WRONG"
    assert words.endswith("where the bot may post; it lacks permissions in #silent (embed links, attach files)")
    guild.add_channel("open")
    assert await checked.says("Server") == (
        "ok",
        "Harbour: may post in 1 of 2 channels, not in #silent (embed links, attach files)",
    )
    checked.discord.add_guild("Quay").add_channel("everything")
    _, words = await checked.says("Server")
    assert words.endswith("; Quay: may post in 1 of 1 channels")
    assert await checked.says("Server", discord_guild_id="1") == (
        "WRONG",
        "DISCORD_GUILD_ID names a server that the bot is not a member of",
    )


async def test_a_server_that_the_bot_was_brought_into_without_its_commands_is_told(checked: Checked) -> None:
    guild = checked.discord.add_guild("Harbour")
    guild.add_channel("songs")
    assert (await checked.says("Server", discord_guild_id=str(guild.id)))[0] == "ok"
    checked.discord.refuse("GET", f"/guilds/{guild.id}/commands$", 50001)
    verdict, words = await checked.says("Server", discord_guild_id=str(guild.id))
    assert (verdict, "in which the bot may have no commands; open the address" in words) == ("WRONG", True)


@pytest.mark.parametrize(("ahead", "words"), [(90, "90 s fast"), (-90, "s slow"), (7200, "7,200 s fast")])
async def test_a_clock_that_is_off_is_told(checked: Checked, ahead: float, words: str) -> None:
    verdict, said = await checked.says("Clock", ahead=ahead)
    assert verdict == "WRONG"
    assert words in said or words.replace("0 s", "1 s") in said  # the servers' clocks have no parts of a second
    assert (await checked.says("Clock", ahead=ahead / 200))[0] == "ok"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://covers.example", "must begin with https://"),
        ("https://127.0.0.1", "leads to 127.0.0.1, seen from here; VidGo refuses"),
        ("https://192.168.1.5:8443", "leads to 192.168.1.5, seen from here; VidGo refuses"),
        ("https://[fd00::1]", "leads to fd00::1, seen from here; VidGo refuses"),
        ("https://localhost", "seen from here; VidGo refuses"),
        ("https://covers.invalid", "names covers.invalid, which has no address"),
        (f"https://covers.example/{'x' * 2000}", "is too long: VidGo takes addresses of callbacks up to 2048"),
    ],
)
async def test_a_public_url_that_vidgo_would_refuse_is_told(checked: Checked, url: str, words: str) -> None:
    verdict, said = await checked.says("Public URL", public_url=url)
    assert verdict == "WRONG"
    assert words in said
    assert said.startswith("PUBLIC_URL ")


async def test_a_public_url_that_leads_to_another_bot_is_told(checked: Checked) -> None:
    async def refuse(_request: web.Request) -> web.Response:
        return web.json_response({"message": "no such task"}, status=403)

    other = web.Application()
    other.add_routes([web.post("/callbacks/vidgo/{task}/{token}", refuse)])
    runner = web.AppRunner(other)
    await runner.setup()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        there: dict[str, Any] = {
            "public_url": f"http://127.0.0.1:{runner.addresses[0][1]}",
            "media_allow_private_hosts": "true",
        }
        verdict, said = await checked.says("Public URL", **there)
        assert (verdict, "leads to another Coverbot" in said) == ("WRONG", True)
        port = stack.enter_context(reserved_port())
        here = there | {"public_url": f"http://127.0.0.1:{port}", "listen_port": str(port)}
        assert await checked.says("Public URL", **here) == ("ok", "leads to the callback route")


async def test_an_archive_that_cannot_be_written_or_cannot_grow_is_told(checked: Checked, tmp_path: Path) -> None:
    assert await checked.says("Archive") == ("ok", "keeps up to 1,000,000 bytes")
    assert list((tmp_path / "media").iterdir()) == []
    verdict, said = await checked.says("Archive", archive_dir="/proc/self/fdinfo")
    assert (verdict, said.startswith("ARCHIVE_DIR cannot be used: ")) == ("WRONG", True)
    (tmp_path / "letter").touch()
    verdict, said = await checked.says("Archive", archive_dir=f"{tmp_path}/letter")
    assert (verdict, said) == (
        "WRONG",
        f"ARCHIVE_DIR cannot be used: {tmp_path}/letter is a file, where a folder is needed",
    )
    kept = tmp_path / "media" / "ab" / ("ab" * 32)
    kept.parent.mkdir()
    kept.write_bytes(b"x" * 1234)
    verdict, said = await checked.says("Archive", archive_max_bytes=str(1 << 50))
    assert verdict == "hint"
    assert "has 1,234, but its disk has only" in said
    assert "ARCHIVE_MAX_BYTES" in said


async def test_a_database_is_not_brought_up_to_date_under_an_older_program(checked: Checked, tmp_path: Path) -> None:
    old.make(tmp_path / "bot.db")
    with hold_alone(checked.settings["database_url"]):
        verdict, said = await checked.says("Database")
        assert (verdict, "in use by another running Coverbot" in said) == ("WRONG", True)
    with closing(sqlite3.connect(tmp_path / "bot.db")) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
    assert await checked.says("Database") == ("ok", "can be read and written")


async def test_what_run_could_not_make_beside_the_database_is_told(checked: Checked, tmp_path: Path) -> None:
    posting, lock = tmp_path / "bot.db-posting", tmp_path / "bot.db.lock"
    assert await checked.says("Database") == ("ok", "can be read and written")
    assert not posting.exists()
    posting.write_text("x")
    verdict, said = await checked.says("Database")
    assert (verdict, said.endswith(f"{posting} is a file, where a folder is needed")) == ("WRONG", True)
    posting.unlink()
    posting.symlink_to("elsewhere")
    verdict, said = await checked.says("Database")
    assert (verdict, said.endswith(f"{posting} is a link, where a folder is needed")) == ("WRONG", True)
    posting.unlink()
    posting.mkdir()
    (posting / "song").write_text("of a program that runs")
    assert (await checked.says("Database"))[0] == "ok"
    assert (posting / "song").exists()
    verdict, said = await checked.says("Database", archive_dir=f"{posting}/media")
    assert (verdict, "is emptied at each start; name another folder" in said) == ("WRONG", True)
    assert not lock.exists()
    lock.mkdir()
    verdict, said = await checked.says("Database")
    assert (verdict, said.endswith(f"{lock} is a folder, where a file is needed")) == ("WRONG", True)
