"""What one person sees: the channels, the messages, the commands, as Discord's objects with the page's addresses."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from sandbox.discord import UnknownCommandError
from sandbox.discord.state import payloads
from sandbox.discord.state.commands import CHAT_INPUT, GROUP, MESSAGE_MENU, SUBCOMMAND
from sandbox.discord.state.content import walk_components

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.discord import Channel, DiscordStandIn, Member, Message
    from sandbox.play.stage import Stage

Json = dict[str, Any]

HISTORY = 100
"""How many messages of a channel one sees."""


def channels(stage: Stage, person: Member) -> list[Channel]:
    """Return the channels a person sees, their conversation with the bot last, once there is one."""
    direct = stage.discord.state.directs.get(person.id)
    return [*stage.guild.channels, *([direct] if direct is not None else [])]


def sees(message: Message, person: Member) -> bool:
    """Return whether a message is for a person's eyes."""
    channel = message.channel
    if channel.guild is None:
        return channel.recipient is person.user
    if message.ephemeral:
        return message.interaction_call is not None and message.interaction_call.user is person.user
    return True


def messages(stage: Stage, person: Member) -> list[Message]:
    """Return the last messages of every channel that a person sees, the oldest of each first."""
    return [
        message
        for channel in channels(stage, person)
        for message in [one for one in channel.history.values() if sees(one, person)][-HISTORY:]
    ]


def shown_message(message: Message) -> Json:
    """Return a message as Discord sends it, with files at addresses that the page may load."""
    data = copy.deepcopy(payloads.message(message))
    base = f"{message.channel.state.base_url}/attachments/{message.channel.id}/"
    named = {f"attachment://{file.filename}": file.url for file in message.files}
    for item in walk_components(data["components"]):
        for media in [item.get("media"), item.get("file"), *(one.get("media") for one in item.get("items") or ())]:
            if media:
                media["url"] = named.get(media.get("url"), media.get("url"))
        for chosen in item.get("default_values") or ():
            chosen["id"] = str(chosen["id"])  # as Discord sends it; a browser rounds numbers of this size
    shown: Json = _at_home(data, base)
    return shown


def _at_home(value: Any, base: str) -> Any:
    if isinstance(value, str):
        return f"files/{value.removeprefix(base)}" if value.startswith(base) else value
    if isinstance(value, dict):
        return {key: _at_home(item, base) for key, item in value.items()}
    if isinstance(value, list):
        return [_at_home(item, base) for item in value]
    return value


def place(stage: Stage, person: Member) -> Json:
    """Return everything that stays while somebody is one person and speaks one language."""
    return {
        "server": stage.guild.name,
        "me": str(person.id),
        "language": person.user.locale,
        "languages": languages(stage.discord),
        "people": [{"id": str(one.id), "name": one.name} for one in stage.people],
        "bot": {"id": str(stage.discord.bot_id), "name": stage.discord.state.bot.name},
        "channels": [
            {
                "id": str(channel.id),
                "name": stage.discord.state.bot.name if channel.guild is None else channel.name,
                "kind": channel.kind,
                "rights": str((channel.parent or channel).id),
            }
            for channel in channels(stage, person)
        ],
        "commands": list(_slash_commands(stage, person)),
        "menus": [
            {"name": command["name"], "label": _localized(command, "name", person.user.locale)}
            for command in _usable(stage, person, MESSAGE_MENU)
        ],
        "messages": [shown_message(message) for message in messages(stage, person)],
    }


def languages(discord: DiscordStandIn) -> list[str]:
    """Return the languages in which the bot describes its commands."""
    found: set[str] = set()
    for command in discord.commands.scope(None):
        found |= (command.get("description_localizations") or {}).keys()
    return ["en-US", *sorted(found - {"en-US", "en-GB"})]


def _usable(stage: Stage, person: Member, kind: int) -> Iterator[Json]:
    registry = stage.discord.commands
    for command in [*registry.scope(stage.guild.id), *registry.scope(None)]:
        try:
            registry.check_usable(command, person)
        except UnknownCommandError:
            continue
        if command["type"] == kind:
            yield command


def _slash_commands(stage: Stage, person: Member) -> Iterator[Json]:
    for command in _usable(stage, person, CHAT_INPUT):
        yield from _leaves(command, [], [], person.user.locale)


def _leaves(node: Json, path: list[str], label: list[str], language: str) -> Iterator[Json]:
    """Yield what can be used of a command: itself, or its subcommands."""
    path, label = [*path, node["name"]], [*label, _localized(node, "name", language)]
    options = node.get("options") or []
    inner = [option for option in options if option["type"] in {SUBCOMMAND, GROUP}]
    for option in inner:
        yield from _leaves(option, path, label, language)
    if not inner:
        yield {
            "path": " ".join(path),
            "label": " ".join(label),
            "description": _localized(node, "description", language),
            "options": [_shown_option(option, language) for option in options],
        }


def _shown_option(option: Json, language: str) -> Json:
    kept = ("name", "type", "required", "autocomplete", "min_value", "max_value", "min_length", "max_length")
    return {key: option[key] for key in kept if option.get(key) is not None} | {
        "label": _localized(option, "name", language),
        "description": _localized(option, "description", language),
        "choices": [
            {"name": _localized(choice, "name", language), "value": choice["value"]}
            for choice in option.get("choices") or ()
        ],
    }


def _localized(item: Json, key: str, language: str) -> str:
    text: str = (item.get(f"{key}_localizations") or {}).get(language) or item[key]
    return text
