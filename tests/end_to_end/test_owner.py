"""The real program tells its owner what only the owner can mend, and greets servers, over deaths and restarts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.world import KEY, World, eventually, open_world

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.asyncio(loop_scope="module")


def told(world: World) -> list[str]:
    """Return what the owner was told."""
    return [message.content for message in world.discord.state.direct(world.discord.state.owner).messages]


def state_of(world: World, kind: str) -> str:
    """Return how an alarm stands."""
    return next((row["state"] for row in world.rows("SELECT state FROM alarms WHERE kind = ?", kind)), "unknown")


async def test_a_refused_key_and_a_new_server_are_told_once_each_over_deaths(tmp_path: Path) -> None:
    async with open_world(tmp_path, start=False) as world:
        world.vidgo.revoke_key()
        await world.bot.start()
        await world.bot.wait_log("VidGo refuses VIDGO_API_KEY")
        await eventually(lambda: state_of(world, "key") == "told")
        assert len(told(world)) == 1
        assert "VidGo refuses this bot's key" in told(world)[0]
        assert KEY not in told(world)[0]

        guild = world.discord.add_guild("Pier", channels=["lobby"])
        await eventually(lambda: world.rows("SELECT 1 FROM greetings WHERE greet_at IS NULL") != [])
        assert len(guild.channels[0].messages) == 1
        await world.bot.kill()

        lines = len(world.bot.log_lines)
        await world.bot.start()
        await world.bot.wait_log("VidGo refuses VIDGO_API_KEY", after=lines)
        await world.bot.wait_log("connected to Discord as", after=lines)
        await world.bot.stop()

        lines = len(world.bot.log_lines)
        world.vidgo.revoked = False
        await world.bot.start()
        await world.bot.wait_log("the VidGo account has 1000 credits", after=lines)
        await eventually(lambda: state_of(world, "key") == "quiet")
        assert [text.split(",")[0] for text in told(world)[1:]] == ["VidGo takes this bot's key again."]
        assert len(guild.channels[0].messages) == 1


async def test_an_owner_who_takes_no_messages_holds_nobody_up(tmp_path: Path) -> None:
    """Who may not be written to costs a line in the log, and members are served as ever."""
    async with open_world(tmp_path, start=False) as world:
        world.discord.state.owner.dms_open = False
        world.vidgo.credits = 60
        await world.bot.start()
        await world.bot.wait_log("takes no direct message", "50007")
        ada = world.person("ada")
        await ada.imports("Sea Song")
        await ada.covered()
        assert told(world) == []
        assert world.bot.errors() == []
