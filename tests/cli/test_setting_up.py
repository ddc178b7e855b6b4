"""`setup`: from two keys to a bot that may post, at a terminal and in a script."""

from __future__ import annotations

import asyncio
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from sandbox.discord import DiscordStandIn
from sandbox.vidgo import VidGoStandIn
from tests.cli.terminal import CTRL_C, at_terminal, ended
from tests.end_to_end.process import run_program

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.end_to_end.process import Ended

TOKEN, KEY = "MTA5.a-token.of-nobody", "vg-a-key-of-nobody"
WRONG_TOKEN, WRONG_KEY = "MTA5.another-token.of-nobody", "vg-another-key"
GUILDS = "/users/@me/guilds"


@dataclass
class Desk:
    """A folder to set the bot up in, and both ends that it will talk to."""

    folder: Path
    discord: DiscordStandIn
    vidgo: VidGoStandIn

    @property
    def settings(self) -> dict[str, str]:
        return {"DISCORD_API_URL": self.discord.api_url, "VIDGO_API_URL": self.vidgo.api_url}

    @property
    def file(self) -> Path:
        return self.folder / ".env"

    @property
    def written(self) -> str:
        return self.file.read_text("utf-8")

    def key_file(self, name: str, key: str) -> str:
        path = self.folder / name
        path.write_text(f"{key}\n")
        return str(path)

    def keys(self, token: str = TOKEN, key: str = KEY) -> list[str]:
        """Return the options that name files with these keys."""
        files = self.key_file("token", token), self.key_file("key", key)
        return ["--discord-token-file", files[0], "--vidgo-key-file", files[1]]

    async def set_up(self, *arguments: str, **settings: str) -> Ended:
        """Run it as a script would, where nobody can be asked."""
        done = await run_program(self.folder, self.settings | settings, "setup", *arguments)
        assert [key for key in (TOKEN, KEY, WRONG_TOKEN, WRONG_KEY) if key in done.out + done.err] == []
        assert "Traceback" not in done.err
        return done

    async def asked_for_servers(self, times: int) -> None:
        """Wait until the program has asked so often in which servers the bot is."""
        await self.discord.wait_until(
            lambda: sum(request.path == GUILDS for request in self.discord.requests) >= times, timeout=30
        )


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    folder = tmp_path / "home"
    folder.mkdir()
    async with DiscordStandIn(token=TOKEN) as discord, VidGoStandIn(key=KEY) as vidgo:
        yield Desk(folder, discord, vidgo)
        assert discord.violations == []


async def test_somebody_is_led_from_two_keys_to_a_bot_that_may_post(desk: Desk) -> None:
    desk.file.write_text("# mine\nLOG_LEVEL=DEBUG\nVIDGO_API_KEY=\n")
    desk.file.chmod(0o644)
    async with at_terminal(desk.folder, desk.settings, "setup") as (terminal, process):
        await terminal.reads("Paste the bot's token.*not shown: ")
        terminal.types(f"{WRONG_TOKEN}\n")
        await terminal.reads("WRONG  DISCORD_TOKEN is refused by Discord")
        await terminal.reads("Enter to try the last one again: ")
        terminal.types(f' "{TOKEN}" \n')  # copied with its quotes
        await terminal.reads("ok     DISCORD_TOKEN: logged in as Coverbot")
        await terminal.reads("Paste the API key.*: ")
        assert not terminal.echoes
        terminal.types(f"{WRONG_KEY}\n")
        await terminal.reads("WRONG  VIDGO_API_KEY is refused")
        assert "KEY=\n" in desk.written
        await terminal.reads("again: ")
        terminal.types(f"{KEY}\n")
        await terminal.reads("ok     VIDGO_API_KEY: 1000 credits")
        await terminal.reads("written to .*/.env")
        assert desk.written == f"# mine\nLOG_LEVEL=DEBUG\nVIDGO_API_KEY={KEY}\nDISCORD_TOKEN={TOKEN}\n"
        assert stat.S_IMODE(desk.file.stat().st_mode) == 0o600
        await terminal.reads(f"https://discord.com/oauth2/authorize[?]client_id={desk.discord.bot_id}.*permissions=")
        await terminal.reads("Waiting until the bot is in a server")
        guild = desk.discord.add_guild("Harbour")
        silent, songs = guild.add_channel("silent"), guild.add_channel("songs")
        silent.bot_permissions = silent.bot_permissions - {"attach_files"}
        await terminal.reads("ok     the bot is in Harbour")
        await terminal.reads("ID of a channel.*: ")
        terminal.types(f"{silent.id}\n")
        await terminal.reads("WRONG  in #silent the bot lacks attach files")
        terminal.types(f"{songs.id}\n")
        await terminal.reads("ok     the bot may post in #songs")
        await terminal.reads("All is well")
        assert await ended(process) == 0
        assert [key for key in (TOKEN, KEY, WRONG_TOKEN, WRONG_KEY) if key in terminal.screen] == []
        assert terminal.echoes


@pytest.mark.parametrize("by", ["Ctrl-C", "SIGTERM"])
async def test_what_is_broken_off_leaves_nothing_half_written(desk: Desk, by: str) -> None:
    async with at_terminal(desk.folder, desk.settings, "setup") as (terminal, process):
        await terminal.reads("Paste the bot's token.*: ")
        terminal.types(f"{TOKEN}\n")
        await terminal.reads("Paste the API key.*: ")
        assert not terminal.echoes
        if by == "Ctrl-C":
            # One that comes just before the reading of an answer begins is seen when something else is typed.
            terminal.types(f"{CTRL_C}\n")
        else:
            process.terminate()
        await terminal.reads("coverbot: interrupted")
        assert await ended(process) == 130
        assert terminal.echoes
        assert "Traceback" not in terminal.screen
    assert list(desk.folder.iterdir()) == []


async def test_a_script_gives_the_keys_in_files_and_waits_for_the_server(desk: Desk) -> None:
    setting_up = asyncio.create_task(desk.set_up("--yes", *desk.keys()))
    await desk.asked_for_servers(2)
    assert desk.written == f"DISCORD_TOKEN={TOKEN}\nVIDGO_API_KEY={KEY}\n"
    desk.discord.add_guild("Harbour").add_channel("songs")
    done = await setting_up
    assert (done.code, done.err) == (0, "")
    assert "Harbour: may post in 1 of 1 channels" in done.out
    # What is set and good is kept, and the file as it is.
    before = desk.written
    again = await desk.set_up("--yes", "--channel", "12345")
    assert again.code == 1
    assert "WRONG  --channel is unknown to the bot" in again.out
    assert desk.written == before


async def test_what_is_wrong_is_told_and_nothing_is_written(desk: Desk) -> None:
    assert "--discord-token-file" in (missing := await desk.set_up()).err
    assert (missing.code, len(missing.lines)) == (2, 1)
    for keys, words in (
        ({"token": WRONG_TOKEN}, "--discord-token-file: DISCORD_TOKEN is refused by Discord"),
        ({"key": WRONG_KEY}, "--vidgo-key-file: VIDGO_API_KEY is refused by VidGo"),
        ({"token": "two words"}, "--discord-token-file: DISCORD_TOKEN holds a space"),
        ({"key": ""}, "--vidgo-key-file: that file is empty"),
    ):
        done = await desk.set_up("--yes", *desk.keys(**keys))
        assert (done.code, len(done.lines)) == (2, 1)
        assert words in done.err, done.err
    lost = await desk.set_up("--yes", "--discord-token-file", "nowhere")
    assert (lost.code, lost.lines) == (
        2,
        ["coverbot: --discord-token-file: that file cannot be read: No such file or directory"],
    )
    assert not desk.file.exists()
    desk.file.write_text(f"DISCORD_TOKEN={WRONG_TOKEN}\nLISTEN_PORT=web\n")
    assert "LISTEN_PORT in .env must be a port" in (await desk.set_up("--yes", *desk.keys())).err
    desk.file.write_text(f"DISCORD_TOKEN={WRONG_TOKEN}\n")
    assert (await desk.set_up("--yes")).code == 2
    assert desk.written == f"DISCORD_TOKEN={WRONG_TOKEN}\n"


async def test_a_server_is_waited_for_no_longer_than_told(desk: Desk) -> None:
    done = await desk.set_up("--yes", "--wait", "0.1", *desk.keys())
    assert done.code == 1
    assert "in no server after 0.1 s" in done.out
    assert desk.file.exists()


async def test_what_the_environment_says_is_not_written_down(desk: Desk) -> None:
    desk.discord.add_guild("Harbour").add_channel("songs")
    done = await desk.set_up("--yes", *desk.keys()[2:], DISCORD_TOKEN=TOKEN)
    assert done.code == 0
    assert "DISCORD_TOKEN in the environment: logged in" in done.out
    assert desk.written == f"VIDGO_API_KEY={KEY}\n"
    done = await desk.set_up("--yes", *desk.keys(), DISCORD_TOKEN=WRONG_TOKEN)
    assert "hint   DISCORD_TOKEN is set in the environment too, to something else" in done.out
    assert f"DISCORD_TOKEN={TOKEN}" in desk.written


async def test_nothing_is_asked_whose_answer_could_not_be_kept(desk: Desk) -> None:
    desk.file.mkdir()
    async with at_terminal(desk.folder, desk.settings, "setup") as (terminal, process):
        await terminal.reads(r"coverbot: .*/\.env is a folder; remove it")
        assert await ended(process) == 2
        assert "Paste" not in terminal.screen


@pytest.mark.parametrize(
    "token", [f'\ufeff"{TOKEN}"\r\n'.encode(), f"{TOKEN}\r\n".encode("utf-16"), b" '%b' " % TOKEN.encode()]
)
async def test_a_key_is_understood_however_an_editor_has_saved_it(desk: Desk, token: bytes) -> None:
    desk.discord.add_guild("Harbour").add_channel("songs")
    keys = desk.keys()
    (desk.folder / "token").write_bytes(token)
    assert (await desk.set_up("--yes", *keys)).code == 0
    assert f"DISCORD_TOKEN={TOKEN}\n" in desk.written
    desk.file.unlink()
    desk.file.symlink_to(desk.file.name)
    refused = await desk.set_up("--yes", *keys)
    assert (refused.code, refused.lines) == (2, ["coverbot: .env cannot be written: it is a link that leads to itself"])
