"""How `run` comes to Discord: three steps, each of which waits for whatever is not Discord's own word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest

from sandbox.discord.rest.faults import COMMAND_SYNC, GATEWAY, LOGIN
from tests.end_to_end.process import run_program
from tests.end_to_end.world import eventually, open_world

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.discord import DiscordStandIn
    from tests.end_to_end.world import World

APPLICATION = "^/oauth2/applications/@me$"
LONGEST_LINE = 400


def registrations(discord: DiscordStandIn) -> int:
    """Return how often the commands were sent to Discord."""
    return sum(one.method == "PUT" and one.path.endswith("/commands") for one in discord.requests)


async def assert_usable(world: World) -> None:
    """Hold that members can use the bot."""
    ada = world.person("ada")
    await ada.imports("Late Start")
    assert len((await ada.covered()).attachments) == 1


def assert_short(log: list[str]) -> None:
    """Hold that no line quotes a page."""
    assert [line for line in log if "<" in line or "Error 4" in line or len(line) > LONGEST_LINE] == []


@pytest.mark.parametrize(
    ("login", "status", "gateway", "commands", "code"),
    [
        (LOGIN, 403, 429, 403, 0),
        (APPLICATION, 404, 503, 429, 0),
        (LOGIN, 401, 404, 404, 0),
        (APPLICATION, 403, 403, 403, 40333),
    ],
)
async def test_what_the_edge_refuses_is_tried_again(
    tmp_path: Path, login: str, status: int, gateway: int, commands: int, code: Literal[0, 40333]
) -> None:
    async with open_world(tmp_path, start=False) as world:
        for path, refused in ((login, status), (GATEWAY, gateway), (COMMAND_SYNC, commands)):
            world.discord.refuse_at_edge("GET", path, refused, code=code, retry_after=1)
        await world.bot.start()
        log = [line for line in world.bot.log_lines if "next try" in line]
        for words in ("Discord cannot be reached", "Discord names no gateway", "the commands stay as Discord has them"):
            assert sum(words in line for line in log) == 1, world.bot.log
        assert all(" WARNING " in line for line in log)
        assert_short(world.bot.log_lines)
        await assert_usable(world)


async def test_a_long_wait_that_is_asked_for_is_kept(tmp_path: Path) -> None:
    async with open_world(tmp_path, start=False) as world:
        world.discord.refuse_at_edge("GET", LOGIN, 429, retry_after=5)
        await world.bot.start()
        first, second = [one.at for one in world.discord.requests if one.path == "/users/@me"][:2]
        assert second - first >= 5
        await world.bot.wait_log("cannot be reached", "429", "in 5 s")


async def test_a_server_error_of_the_commands_holds_nothing_up(tmp_path: Path) -> None:
    async with open_world(tmp_path, start=False) as world:
        world.discord.fail("PUT", COMMAND_SYNC, 503)
        await world.bot.launch()
        await world.bot.wait_log("connected to Discord as")
        await world.bot.wait_log("the commands stay as Discord has them", "503")
        await world.discord.wait_ready()
        await assert_usable(world)


async def test_the_days_limit_of_commands_ends_nothing(tmp_path: Path) -> None:
    async with open_world(tmp_path, start=False) as world:
        world.discord.commands.creates_left = 0
        await world.bot.launch()
        await world.bot.wait_log("connected to Discord as")
        await world.bot.wait_log("the commands stay as Discord has them", "30034")
        assert not world.discord.commands.synced
        world.discord.commands.creates_left = 200
        await world.discord.wait_ready()
        await assert_usable(world)


async def test_commands_that_exist_are_enough_and_are_not_registered_again(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        assert registrations(world.discord) == 1
        await world.bot.stop()
        await world.bot.start()
        await world.bot.wait_log("Discord has the commands as they are")
        assert registrations(world.discord) == 1

        await world.bot.stop()
        fault = world.discord.refuse_at_edge("*", COMMAND_SYNC, 403, times=None)
        await world.bot.start()
        await fault.strikes(1, timeout=30)
        await assert_usable(world)
        fault.end()

        await world.bot.stop()
        [cover] = [one for one in world.discord.commands.scope(None) if one["name"] == "cover"]
        cover["options"][0]["required"] = True
        await world.bot.start()
        await world.discord.wait_until(lambda: registrations(world.discord) == 2, timeout=30)
        [cover] = [one for one in world.discord.commands.scope(None) if one["name"] == "cover"]
        assert not cover["options"][0].get("required")


async def test_the_commands_of_one_server_are_not_registered_again_either(tmp_path: Path) -> None:
    async with open_world(tmp_path, start=False) as world:
        world.bot.settings["DISCORD_GUILD_ID"] = str(world.guild.id)
        for _ in range(2):
            await world.bot.start()
            await world.bot.stop()
        assert registrations(world.discord) == 1
        assert "Discord has the commands as they are" in world.bot.log


async def test_a_day_without_sessions_is_waited_out(tmp_path: Path) -> None:
    async with open_world(tmp_path, start=False) as world:
        world.discord.session_starts.total = 0
        await world.bot.launch()
        await world.bot.wait_log("Discord lets this bot begin no more sessions today; the next try is in 86400 s")
        await world.discord.wait_until(lambda: world.discord.commands.synced, timeout=30)
        assert await world.bot.stop() < 5
        assert world.discord.identified == 0


async def test_the_entry_point_of_an_activity_stays(tmp_path: Path) -> None:
    async with open_world(tmp_path, start=False) as world:
        world.discord.commands.add_entry_point("launch")
        await world.bot.launch()
        await world.discord.wait_until(lambda: registrations(world.discord) == 1, timeout=30)
        await world.bot.wait_log("the commands are registered anew")
        names = {one["name"] for one in world.discord.commands.scope(None)}
        assert names == {"launch", "cover", "music", "help", "coverbot", "Cover this track"}


async def test_a_command_of_another_version_is_answered_in_words(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.bot.stop()
        [music] = [one for one in world.discord.commands.scope(None) if one["name"] == "music"]
        music["options"].append({"name": "hum", "description": "Hum", "type": 1})
        world.discord.refuse_at_edge("*", COMMAND_SYNC, 403, times=None)
        await world.bot.start()
        call = await world.person("ada").use("music hum")
        reply = await call.reply()
        assert reply.ephemeral
        assert "another version" in reply.content
        assert world.bot.errors() == []


async def test_a_server_is_blamed_in_discords_own_words_alone(tmp_path: Path) -> None:
    async with open_world(tmp_path, start=False) as world:
        world.discord.refuse_at_edge("GET", COMMAND_SYNC, 403)
        ended = await run_program(tmp_path, world.bot.settings | {"DISCORD_GUILD_ID": "12345"}, "run")
    assert ended.code == 2
    assert ended.lines[-1].startswith("coverbot: DISCORD_GUILD_ID names a server that the bot is not a member of")
    assert [line for line in ended.lines if "the commands stay as Discord has them" in line and "403" in line]
    assert_short(ended.lines)


async def test_a_token_that_is_refused_later_is_named_too(tmp_path: Path) -> None:
    async with open_world(tmp_path, start=False) as world:
        world.discord.fail("GET", GATEWAY, 401)
        ended = await run_program(tmp_path, world.bot.settings, "run")
    assert ended.code == 2
    assert ended.lines[-1].startswith("coverbot: DISCORD_TOKEN is refused")


@pytest.mark.parametrize(
    ("code", "shard_count", "exit_code", "said"),
    [
        (4004, "", 2, "coverbot: DISCORD_TOKEN is refused by Discord"),
        (4010, "1", 2, "coverbot: SHARD_COUNT is not what Discord takes"),
        (4011, "1", 2, "coverbot: SHARD_COUNT is not what Discord takes"),
        (4011, "", 1, "the connection to Discord ended: the bot is in too many servers for so few shards"),
        (4013, "", 1, "the connection to Discord ended: it does not know what this bot wants to hear of"),
        (4014, "", 1, "Discord demands privileged intents"),
    ],
)
async def test_why_discord_takes_no_connection_any_more_is_told(
    tmp_path: Path, code: int, shard_count: str, exit_code: int, said: str
) -> None:
    async with open_world(tmp_path, SHARD_COUNT=shard_count) as world:
        world.discord.drop_gateway(code)
        assert await world.bot.ended() == exit_code
        assert said in world.bot.log_lines[-1]


async def test_a_gateway_that_is_out_of_reach_is_tried_again(tmp_path: Path) -> None:
    async with open_world(tmp_path, start=False) as world:
        world.discord.refuse_gateway()
        await world.bot.launch()
        await eventually(lambda: sum("Failed to connect" in line for line in world.bot.log_lines) == 2, seconds=40)
        world.discord.refuse_gateway(False)
        await world.discord.wait_ready()
        assert_short(world.bot.log_lines)
        await assert_usable(world)


async def test_check_does_not_take_an_edge_for_discord(tmp_path: Path) -> None:
    async with open_world(tmp_path, start=False) as world:
        settings = world.bot.settings | {"DISCORD_GUILD_ID": str(world.guild.id), "LISTEN_PORT": "0"}
        for path in (LOGIN, rf"^/guilds/{world.guild.id}$"):
            world.discord.refuse_at_edge("GET", path, 403)
            ended = await run_program(tmp_path, settings | {"PUBLIC_URL": ""}, "check")
            wrong = [line for line in ended.out.splitlines() if line.startswith("WRONG")]
            assert wrong
            assert all("HTTP 403, without a word of Discord's" in line for line in wrong[:1])
            assert "refused by Discord" not in ended.out
            assert "not a member" not in ended.out
            assert_short(ended.out.splitlines())
