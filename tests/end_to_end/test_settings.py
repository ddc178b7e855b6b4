"""A wrong setting ends the program with exit code 2 and one line that names it, never its value."""

from __future__ import annotations

import socket
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from sandbox.discord import DiscordStandIn
from tests.end_to_end.process import run_program
from tests.end_to_end.world import KEY, TOKEN, open_world

if TYPE_CHECKING:
    from pathlib import Path

    from tests.end_to_end.process import Ended

SETTINGS = {"DISCORD_TOKEN": TOKEN, "VIDGO_API_KEY": KEY}
HIDDEN = "hunter2-hunter2"


def newer_database(directory: Path) -> str:
    """Make a database of a program that does not exist yet, and return its address."""
    with closing(sqlite3.connect(directory / "newer.db")) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.execute("INSERT INTO alembic_version VALUES ('9999')")
        connection.commit()
    return f"sqlite:///{directory}/newer.db"


def assert_one_line(ended: Ended, name: str) -> None:
    """Hold what the contract says of wrong configuration."""
    assert ended.code == 2, ended.err
    assert len(ended.lines) == 1, ended.err
    assert name in ended.err
    assert "Traceback" not in ended.err
    assert "Input should" not in ended.err
    assert [secret for secret in (TOKEN, KEY, HIDDEN) if secret in ended.err + ended.out] == []


def assert_untouched(directory: Path) -> None:
    """Hold that nothing is made before all settings are right."""
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DISCORD_TOKEN", None),
        ("DISCORD_TOKEN", ""),
        ("DISCORD_TOKEN", f"{HIDDEN} with spaces"),
        ("DISCORD_TOKEN", f"{HIDDEN}\u2026"),
        ("VIDGO_API_KEY", None),
        ("VIDGO_API_KEY", ""),
        ("VIDGO_API_KEY", f"{HIDDEN}\nmore"),
        ("VIDGO_WEBHOOK_SECRET", f"{HIDDEN} x"),
        ("DISCORD_API_URL", "discord.com"),
        ("VIDGO_API_URL", f"https://user:{HIDDEN}@api.vidgo.ai"),
        ("PUBLIC_URL", f"https://covers.example/?key={HIDDEN}"),
        ("PUBLIC_URL", "https://covers.example:port"),
        ("LISTEN_PORT", "70000"),
        ("DATABASE_URL", f"postgresql://coverbot:{HIDDEN}@localhost/coverbot"),
        ("DATABASE_URL", f"mysql://coverbot:{HIDDEN}@localhost/coverbot"),
        ("DATABASE_URL", f"postgresql://coverbot:part@{HIDDEN}@localhost/coverbot"),
        ("DATABASE_URL", "postgresql://coverbot@no..host/coverbot"),
        ("DATABASE_URL", "sqlite:///."),
        ("DATABASE_URL", "sqlite:///file:coverbot?mode=memory&uri=true"),
        ("DATABASE_URL", "coverbot.db"),
        ("VIDGO_API_URL", "https://no..host"),
        ("VIDGO_API_URL", "https://[fe80::1%25eth0]"),
        ("VIDGO_API_URL", "https://no\\host"),
        ("PUBLIC_URL", "https://covers.example/?"),
        ("POLL_MIN_SECONDS", "nan"),
        ("POLL_MAX_SECONDS", "1"),
        ("TASK_GIVE_UP_SECONDS", "60"),
        ("MEDIA_ALLOW_PRIVATE_HOSTS", "perhaps"),
        ("MEDIA_MAX_BYTES", "0"),
        ("MEDIA_MAX_BYTES", "100,000,000"),
        ("ARCHIVE_DIR", "."),
        ("ARCHIVE_DIR", "/"),
        ("ARCHIVE_MAX_BYTES", "5 # gigabytes"),
        ("LOG_LEVEL", "LOUD"),
        ("DISCORD_GUILD_ID", "my server"),
    ],
)
async def test_a_setting_that_cannot_be_is_named(tmp_path: Path, name: str, value: str | None) -> None:
    settings = SETTINGS | {name: value} if value is not None else {**SETTINGS}
    if value is None:
        del settings[name]
    assert_one_line(await run_program(tmp_path, {key: str(text) for key, text in settings.items()}, "run"), name)
    assert_untouched(tmp_path)


async def test_a_newer_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    url = newer_database(tmp_path)
    before = (tmp_path / "newer.db").read_bytes()
    ended = await run_program(tmp_path, SETTINGS | {"DATABASE_URL": url}, "run")
    assert_one_line(ended, "DATABASE_URL")
    assert "written by a newer version of Coverbot" in ended.err
    assert (tmp_path / "newer.db").read_bytes() == before


@pytest.mark.parametrize("obstacle", ["file in the way", "directory", "no database", "foreign", "posting"])
async def test_a_database_that_cannot_be_used_is_named(tmp_path: Path, obstacle: str) -> None:
    path = tmp_path / "coverbot.db"
    if obstacle == "file in the way":
        (tmp_path / "data").write_text("x")
        path = tmp_path / "data" / "coverbot.db"
    elif obstacle == "directory":
        path.mkdir()
    elif obstacle == "no database":
        path.write_text("This is a letter, not a database. " * 100)
    elif obstacle == "foreign":
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE tasks (what TEXT)")
    else:
        (tmp_path / "coverbot.db-posting").write_text("x")
    ended = await run_program(tmp_path, SETTINGS | {"DATABASE_URL": f"sqlite:///{path}"}, "run")
    assert_one_line(ended, "DATABASE_URL")


async def test_an_archive_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "media").write_text("x")
    settings = {"DATABASE_URL": f"sqlite:///{tmp_path}/coverbot.db", "ARCHIVE_DIR": str(tmp_path / "media")}
    assert_one_line(await run_program(tmp_path, SETTINGS | settings, "run"), "ARCHIVE_DIR")


async def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        ended = await run_program(tmp_path, SETTINGS | {"LISTEN_PORT": str(port)}, "run")
    assert_one_line(ended, "LISTEN_PORT")
    assert str(port) in ended.err


@pytest.mark.parametrize("command", ["run", "invite"])
async def test_a_refused_token_is_named(tmp_path: Path, command: str) -> None:
    async with DiscordStandIn(token="another token") as discord:
        settings = SETTINGS | {"DISCORD_API_URL": discord.api_url, "LISTEN_PORT": "0"}
        ended = await run_program(tmp_path, settings, command)
    assert ended.code == 2
    # What the program logged on its way there stands above the one line that says what to do.
    assert ended.lines[-1].startswith("coverbot: DISCORD_TOKEN is refused")
    known = (" INFO ", "the balance of the VidGo account cannot be asked for")  # nobody answers there
    assert [line for line in ended.lines[:-1] if not any(words in line for words in known)] == []
    assert TOKEN not in ended.err


async def test_a_server_that_the_bot_is_no_member_of_is_named(tmp_path: Path) -> None:
    async with open_world(tmp_path, start=False) as world:
        ended = await run_program(tmp_path, world.bot.settings | {"DISCORD_GUILD_ID": "12345"}, "run")
    assert ended.code == 2
    assert ended.lines[-1].startswith("coverbot: DISCORD_GUILD_ID")


async def test_settings_are_read_from_the_working_directory_and_the_environment_wins(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"DISCORD_TOKEN={TOKEN}\nVIDGO_API_KEY={KEY}\nLISTEN_PORT=nonsense\n")
    assert_one_line(await run_program(tmp_path, {}, "run"), "LISTEN_PORT")
    assert_one_line(await run_program(tmp_path, {"LISTEN_PORT": "0", "LOG_LEVEL": "LOUD"}, "run"), "LOG_LEVEL")
    (tmp_path / ".env").write_bytes(b"DISCORD_TOKEN=\xff\xfe\n")
    assert_one_line(await run_program(tmp_path, {}, "run"), ".env")


async def test_a_directory_without_settings_asks_for_them(tmp_path: Path) -> None:
    for command in ("run", "check", "invite"):
        ended = await run_program(tmp_path, {}, command)
        assert_one_line(ended, "DISCORD_TOKEN is not set")
        assert f"{tmp_path}/.env, which is not there" in ended.err
        assert ("VIDGO_API_KEY is not set" in ended.err) == (command != "invite")
    unknown = await run_program(tmp_path, {}, "dance")
    assert unknown.code == 2
    assert "Traceback" not in unknown.err


async def test_check_lists_all_that_is_wrong_and_what_looks_like_a_slip(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"DISCORD_TOKN={TOKEN}\nVIDGO_API_KEY={KEY}\nLOG_LEVEL: debug\n", "utf-16")
    (tmp_path / ".env").chmod(0o644)
    ended = await run_program(tmp_path, {"LISTEN_PORT": "web"}, "check")
    assert ended.code == 2
    assert ended.out.splitlines() == [
        "WRONG  Settings: DISCORD_TOKEN is not set",
        "WRONG  Settings: LISTEN_PORT in the environment must be a port, a number from 1 to 65535",
        f"hint   Settings: looked for in the environment and {tmp_path}/.env",
        "hint   Settings: line 3 of .env is left out, for it does not read LOG_LEVEL=value",
        "hint   Settings: DISCORD_TOKN in .env is no setting; did you mean DISCORD_TOKEN?",
        "hint   Settings: .env can be opened by every user of this machine (mode 644); chmod 600 .env",
        "hint   Settings: `coverbot setup` asks for what is missing",
    ]
    assert_one_line(ended, "DISCORD_TOKEN is not set; LISTEN_PORT")


async def test_run_says_what_looks_like_a_slip(tmp_path: Path) -> None:
    async with open_world(tmp_path, start=False, DISCORD_GUILD_IDS="1234") as world:
        await world.bot.launch()
        line = await world.bot.wait_log(
            "DISCORD_GUILD_IDS in the environment is no setting; did you mean DISCORD_GUILD_ID?"
        )
        assert " WARNING " in line
        await world.discord.wait_ready()
