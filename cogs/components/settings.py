"""The panel of `/coverbot settings`: its menus, buttons and forms; all that they need is in their custom ids."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, cast

import discord

from bot.answers.asked import channels_of
from bot.gateway.client import Client
from bot.songs.orders import Answer
from bot.words.pages import panel
from bot.words.pages.panel import CUSTOM_ID, LANGUAGE_NAMES, OWN_LANGUAGE, SWITCHES
from bot.words.sentences import errors
from bot.words.sentences.errors import MemberError
from cogs.components.fields import texts_of
from cogs.components.items import Component
from storage.servers.settings import RoleLimits

LANGUAGES = (OWN_LANGUAGE, *LANGUAGE_NAMES)
MENUS = ("channels", "language")
FORMS = ("limits", "welcome", "role")


def require_manager(interaction: discord.Interaction) -> int:
    """Return the server that the caller manages; raises `MemberError` where it is none."""
    if interaction.guild_id is None or not interaction.permissions.manage_guild:
        raise MemberError(errors.managers_only())
    return interaction.guild_id


async def show_panel(interaction: discord.Interaction, client: Client) -> Answer:
    """Return the panel as it is now."""
    guild_id = require_manager(interaction)
    shown = await client.use_cases.servers.panel(guild_id)
    return Answer("", panel.view(replace(shown, there=channels_of(interaction))))


class SettingsItem(
    Component,
    template=(
        rf"{CUSTOM_ID}(?:(?P<name>{'|'.join((*MENUS, *FORMS))})|"
        rf"(?P<switch>{'|'.join(SWITCHES)}):(?P<wanted>[01]))"
    ),
):
    """A menu or button of the panel.

    A switch says what it wants instead of turning what is there into the other: two managers who see the same and press
    it at once mean the same.
    """

    async def press(self, interaction: discord.Interaction[Client]) -> None:
        """Set what was chosen and show the panel anew, or open the form for it."""
        use = interaction.client.use_cases
        name = self._match["name"] or self._match["switch"]
        values = _chosen(interaction)
        if name in FORMS:
            await use.interactions.open(interaction, lambda: _form(interaction, name, values), is_order=False)
            return

        async def work() -> Answer:
            guild_id, user_id = require_manager(interaction), interaction.user.id
            if name == "channels":
                await use.servers.set_channels(guild_id, user_id, [_id(value) for value in values])
            elif name == "language":
                if len(values) != 1 or values[0] not in LANGUAGES:
                    raise MemberError(errors.stale_button())
                await use.servers.set_language(guild_id, user_id, values[0])
            else:
                await use.servers.switch(guild_id, user_id, name, on=self._match["wanted"] == "1")
            return await show_panel(interaction, interaction.client)

        await use.interactions.update(interaction, work)


def _chosen(interaction: discord.Interaction[Client]) -> list[str]:
    """Return what was chosen in a menu, as text whatever was sent in its place."""
    values = cast("dict[str, Any]", interaction.data or {}).get("values")
    return [str(value) for value in values] if isinstance(values, list) else []


def _id(text: str) -> int:
    """Return an id of Discord's; raises `MemberError` for what no menu of the panel has."""
    if not re.fullmatch(r"[0-9]{1,19}", text) or not 0 < int(text) < 1 << 63:
        raise MemberError(errors.stale_button())
    return int(text)


async def _form(interaction: discord.Interaction[Client], name: str, values: list[str]) -> discord.ui.Modal:
    server = await interaction.client.use_cases.servers.get(require_manager(interaction))
    if name == "limits":
        return panel.limits_form(server)
    if name == "welcome":
        return panel.welcome_form(server)
    if len(values) != 1:
        raise MemberError(errors.stale_button())
    role = _id(values[0])
    return panel.role_form(role, server.roles.get(role, RoleLimits(None, None)))


async def take_form(interaction: discord.Interaction[Client], match: re.Match[str]) -> None:
    """Set what was typed into a form, and show the panel anew."""
    use = interaction.client.use_cases
    typed = texts_of(interaction)

    async def work() -> Answer:
        guild_id, user_id = require_manager(interaction), interaction.user.id
        if match["role"]:
            role = _id(match["role"])
            there = {one.id for one in interaction.guild.roles} if interaction.guild is not None else set()
            await use.servers.set_role(
                guild_id, user_id, role, typed.get("covers", ""), typed.get("songs", ""), there=there
            )
        elif match["name"] == "welcome":
            await use.servers.set_welcome(guild_id, user_id, typed.get("text", ""))
        else:
            await use.servers.set_limits(guild_id, user_id, typed.get("covers", ""), typed.get("songs", ""))
        return await show_panel(interaction, interaction.client)

    await use.interactions.update(interaction, work)


async def setup(client: Client) -> None:
    """Make the panel known."""
    client.add_dynamic_items(SettingsItem)
    client.add_form(re.compile(rf"{CUSTOM_ID}(?:(?P<name>limits|welcome)|role:(?P<role>\d{{1,20}}))"), take_form)
