"""Who owns the application, who brought the bot, what it finds in a guild that it joins, and its presence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
import pytest

from sandbox.discord import DiscordStandIn
from sandbox.discord.state.permissions import BOT_PERMISSIONS
from tests.patience import patient
from tests.sandbox.discord_bot import furnish, running

if TYPE_CHECKING:
    from sandbox.discord import Guild


def prepare(guild: Guild) -> None:
    lobby, board = guild.channels
    guild.system_channel = lobby
    board.hidden = True
    lobby.own_permissions = BOT_PERMISSIONS - {"attach_files"}
    guild.bot_permissions = BOT_PERMISSIONS | {"view_audit_log"}
    guild.added_by = guild.add_member("eve").user


async def test_a_guild_is_joined_as_it_was_prepared() -> None:
    async with DiscordStandIn() as standin:
        band = furnish(standin)
        activity = discord.Activity(type=discord.ActivityType.listening, name="/cover")
        async with running(standin, activity=activity) as bot:
            presence = standin.gateway.current[0].presence
            assert presence is not None
            assert (presence["game"]["type"], presence["game"]["name"]) == (2, "/cover")
            standin.add_guild("Pier", channels=["lobby", "board"], prepare=prepare)
            joined = await bot.wait_for("guild_join", timeout=patient(5))
            lobby, board = joined.text_channels
            assert joined.system_channel == lobby
            assert joined.owner_id == standin.state.owner.id
            mine = lobby.permissions_for(joined.me)
            assert (mine.send_messages, mine.attach_files) == (True, False)
            assert board.permissions_for(joined.me).send_messages
            seen = [channel.permissions_for(joined.default_role).view_channel for channel in (lobby, board)]
            assert seen == [True, False]

            [entry] = [one async for one in joined.audit_logs(limit=5, action=discord.AuditLogAction.bot_add)]
            assert entry.user is not None
            assert (entry.user.name, getattr(entry.target, "id", None)) == ("eve", standin.bot_id)
            assert [one async for one in joined.audit_logs(limit=5, action=discord.AuditLogAction.kick)] == []
            earlier = bot.get_guild(band.id)
            assert earlier is not None
            with pytest.raises(discord.Forbidden):
                await anext(earlier.audit_logs(limit=1))
        assert standin.violations == []


async def test_the_application_belongs_to_one_person_or_to_a_team() -> None:
    async with DiscordStandIn() as standin:
        furnish(standin)
        async with running(standin) as bot:
            application = await bot.application_info()
            assert application.team is None
            assert application.owner.id == standin.state.owner.id
            ada, cleo = standin.make_team("ada", invited=["cleo"])
            application = await bot.application_info()
            assert application.team is not None
            states = {member.id: member.membership_state for member in application.team.members}
            assert states == {
                ada.id: discord.TeamMembershipState.accepted,
                cleo.id: discord.TeamMembershipState.invited,
            }
            assert application.owner.id not in states
            await (await bot.create_dm(discord.Object(standin.state.owner.id))).send("hello")
            assert [one.content for one in standin.said] == ["hello"]
