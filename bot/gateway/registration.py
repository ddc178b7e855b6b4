"""Registering the commands at Discord, where they differ from those that it has.

Discord counts new commands, 200 a day for an application, so a bot that restarts must not register anything anew. And
what it has registered goes on working, whatever becomes of this.
"""

from __future__ import annotations

import logging
from typing import Any

import discord
from discord.http import Route

from bot.gateway.client import Client
from bot.words import commands

log = logging.getLogger(__name__)

ENTRY_POINT = 4
"""The type of the command that Discord makes for applications with an activity; it must stay in each list (50240)."""

ENTRY_POINT_FIELDS = ("type", "name", "name_localizations", "handler", "contexts", "integration_types")

LISTS = ("options", "choices")
FIELDS = (
    *("type", "name", "name_localizations", "description", "description_localizations", "required", "autocomplete"),
    *("value", "channel_types", "min_value", "max_value", "min_length", "max_length"),
    *("default_member_permissions", "nsfw", "contexts"),
)
"""What makes a difference. `integration_types` is the application's own where it is left out, as here."""


async def register_commands(client: Client, guild_id: int | None) -> None:
    """Register the commands of a server, or of all servers; raises `discord.HTTPException` and what a request may."""
    wanted = await _commands(client, guild_id)
    registered = await _registered(client, guild_id)
    entry_points = [one for one in registered if one.get("type") == ENTRY_POINT]
    if _essences(wanted, guild_id) == _essences([one for one in registered if one not in entry_points], guild_id):
        _remember(registered)
        log.info("Discord has the commands as they are")
        return
    wanted += [{name: one[name] for name in ENTRY_POINT_FIELDS if one.get(name) is not None} for one in entry_points]
    assert client.application_id is not None  # noqa: S101 (known since the login)
    if guild_id is None:
        known: Any = await client.http.bulk_upsert_global_commands(client.application_id, wanted)
    else:
        known = await client.http.bulk_upsert_guild_commands(client.application_id, guild_id, wanted)
    _remember(known)
    log.info("the commands are registered anew")


async def learn_commands(client: Client, guild_id: int | None) -> None:
    """Learn the ids of the commands that another process registers; raises as `register_commands` does."""
    _remember(await _registered(client, guild_id))


def _remember(registered: list[Any]) -> None:
    """Let slash commands be named by their ids."""
    slash = discord.AppCommandType.chat_input.value
    commands.know({one["name"]: int(one["id"]) for one in registered if one.get("type", slash) == slash})


async def _commands(client: Client, guild_id: int | None) -> list[Any]:
    guild = None if guild_id is None else discord.Object(guild_id)
    if guild is not None:
        client.tree.copy_global_to(guild=guild)
    translator = client.tree.translator
    assert translator is not None  # noqa: S101 (set before)
    commands = client.tree.get_commands(guild=guild)
    return [await command.get_translated_payload(client.tree, translator) for command in commands]


async def _registered(client: Client, guild_id: int | None) -> list[Any]:
    path = "/applications/{application_id}" + ("" if guild_id is None else "/guilds/{guild_id}") + "/commands"
    route = Route("GET", path, application_id=client.application_id, guild_id=guild_id)
    # discord.py's own question leaves the translations out.
    answer = await client.http.request(route, params={"with_localizations": "true"})
    return [dict(one) for one in answer]


def _essences(commands: list[Any], guild_id: int | None) -> list[Any]:
    found = [_essence(one) for one in commands]
    if guild_id is not None:  # a server's commands have no context but the server
        found = [{name: value for name, value in one.items() if name != "contexts"} for one in found]
    return sorted(found, key=lambda one: (one["type"], one["name"]))


def _essence(item: dict[str, Any]) -> dict[str, Any]:
    """Return what of a command, option or choice makes a difference; nothing may be written out or left out."""
    found = {name: item.get(name) for name in FIELDS}
    found |= {name: [_essence(one) for one in item.get(name) or []] for name in LISTS}
    if found["default_member_permissions"] is not None:  # a number when it is sent, text when it comes back
        found["default_member_permissions"] = str(found["default_member_permissions"])
    return {name: value for name, value in found.items() if value not in (None, "", [], {}) and value is not False}
