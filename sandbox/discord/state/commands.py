"""Application commands: what the bot synced, Discord's rules for it, and what a person's use of it carries."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.discord.state import payloads
from sandbox.discord.state.content import Attachment
from sandbox.discord.state.errors import invalid, refuse
from sandbox.discord.state.model import Channel, Member, State, User

Json = dict[str, Any]
Path = list[str | int]

CHAT_INPUT, USER_MENU, MESSAGE_MENU, ENTRY_POINT = 1, 2, 3, 4
SUBCOMMAND, GROUP, STRING, INTEGER, BOOLEAN, USER, CHANNEL, NUMBER, ATTACHMENT = 1, 2, 3, 4, 5, 6, 7, 10, 11
COUNT_LIMITS = {CHAT_INPUT: 100, USER_MENU: 15, MESSAGE_MENU: 15, ENTRY_POINT: 1}
CREATES_A_DAY = 200
TOTAL_TEXT_LIMIT = 8000
NAME = re.compile(r"[-_'\w]{1,32}")


class UnknownCommandError(LookupError):
    """Nobody could use this: the bot has not synced such a command, option or choice."""


class CommandRegistry:
    """Keep the synced commands, global and per guild, and look them up as Discord's client does.

    `creates_left` is how many more new commands may come today; those that exist may be sent again at any time.
    """

    def __init__(self, state: State) -> None:
        self.creates_left = CREATES_A_DAY
        self._state = state
        self._scopes: dict[int | None, list[Json]] = {}

    @property
    def synced(self) -> bool:
        """Return whether the bot has synced a list of commands, global or of a guild."""
        return bool(self._scopes)

    def scope(self, guild_id: int | None) -> list[Json]:
        """Return the commands of one scope; None is global."""
        return self._scopes.get(guild_id, [])

    def replace(self, guild_id: int | None, commands: Sequence[Json]) -> list[Json]:
        """Replace the commands of a scope; raise ApiError 50035, 50240 or 30034 when Discord would not."""
        check_commands(commands)
        known = {(item["type"], item["name"]): item["id"] for item in self.scope(guild_id)}
        sent = {(command.get("type") or CHAT_INPUT, command["name"]) for command in commands}
        if any(kind == ENTRY_POINT for kind, _ in known.keys() - sent):
            raise refuse(50240)
        created = len(sent - known.keys())
        if created > self.creates_left:
            raise refuse(30034)
        self.creates_left -= created
        stored = []
        for command in commands:
            kind = command.get("type") or CHAT_INPUT
            fresh = self._stored(command, known.get((kind, command["name"])), guild_id)
            stored.append({key: value for key, value in command.items() if value is not None} | fresh)
        self._scopes[guild_id] = stored
        self._state.changed.notify()
        return stored

    def add_entry_point(self, name: str = "launch") -> None:
        """Add the command that Discord itself makes for an application with Activities."""
        command: Json = {"name": name, "type": ENTRY_POINT, "handler": 2}
        self._scopes[None] = [*self.scope(None), command | self._stored(command, None, None)]

    def find(self, name: str, kind: int, channel: Channel) -> Json:
        """Return the command a person would find in a channel, the guild's own first."""
        guild_id = channel.guild.id if channel.guild is not None else None
        scopes = [guild_id, None] if guild_id is not None else [None]
        for scope in scopes:
            for command in self.scope(scope):
                if command["name"] == name and command["type"] == kind:
                    contexts = command.get("contexts")
                    if contexts is None or (0 if channel.guild is not None else 1) in contexts:
                        return command
        names = sorted(item["name"] for scope in scopes for item in self.scope(scope))
        raise UnknownCommandError(f"no command {name!r} here; there are {names}")

    def check_usable(self, command: Json, who: Member | User) -> None:
        """Raise UnknownCommandError when Discord would hide the command from a member."""
        needed = int(command["default_member_permissions"] or 0)
        if isinstance(who, Member) and int(payloads.member_permissions(who)) & needed != needed:
            raise UnknownCommandError(f"{who.name} lacks the permissions to see {command['name']!r}")

    def invocation(
        self,
        who: Member | User,
        channel: Channel,
        path: str,
        values: Mapping[str, Any],
        focused: str | None = None,
    ) -> Json:
        """Return the data of a slash command's interaction.

        `path` is the full name, e.g. "music import"; `focused` names the option that is being typed.
        """
        top, *rest = path.split()
        command = self.find(top, CHAT_INPUT, channel)
        self.check_usable(command, who)
        node, wrappers = command, []
        for word in rest:
            subs = [item for item in node.get("options", []) if item["type"] in {SUBCOMMAND, GROUP}]
            node = next((item for item in subs if item["name"] == word), {})
            if not node:
                raise UnknownCommandError(f"no {word!r} in {path!r}; there are {[item['name'] for item in subs]}")
            wrappers.append(node)
        definitions = node.get("options", [])
        if any(item["type"] in {SUBCOMMAND, GROUP} for item in definitions):
            raise UnknownCommandError(f"{path!r} needs a subcommand")
        resolved: Json = {}
        options = _chosen_options(path, definitions, values, focused, resolved)
        for wrapper in reversed(wrappers):
            options = [{"name": wrapper["name"], "type": wrapper["type"], "options": options}]
        data: Json = {"id": command["id"], "name": command["name"], "type": CHAT_INPUT, "options": options}
        if "guild_id" in command:
            data["guild_id"] = command["guild_id"]
        if resolved:
            data["resolved"] = resolved
        return data

    def _stored(self, command: Json, command_id: str | None, guild_id: int | None) -> Json:
        permissions = command.get("default_member_permissions")
        fresh: Json = {
            "id": command_id or str(self._state.ids.now()),
            "application_id": str(self._state.application_id),
            "version": str(self._state.ids.now()),
            "type": command.get("type") or CHAT_INPUT,
            "description": command.get("description") or "",
            "default_member_permissions": None if permissions is None else str(permissions),
            "nsfw": bool(command.get("nsfw")),
        }
        if guild_id is not None:
            fresh["guild_id"] = str(guild_id)
        return fresh


def _chosen_options(
    path: str, definitions: Sequence[Json], values: Mapping[str, Any], focused: str | None, resolved: Json
) -> list[Json]:
    known = {item["name"]: item for item in definitions}
    unknown = set(values) - set(known)
    if unknown:
        raise UnknownCommandError(f"{path!r} has no option {sorted(unknown)}; it has {sorted(known)}")
    missing = [name for name, item in known.items() if item.get("required") and name not in values]
    if missing and focused is None:
        raise UnknownCommandError(f"{path!r} cannot be sent without {missing}")
    options = []
    for name, value in values.items():
        definition = known[name]
        option: Json = {"name": name, "type": definition["type"]}
        if name == focused:
            if not definition.get("autocomplete"):
                raise UnknownCommandError(f"option {name!r} of {path!r} is not autocompleted")
            option |= {"value": value, "focused": True}
        else:
            option["value"] = _option_value(path, definition, value, resolved)
        options.append(option)
    return options


def _option_value(path: str, definition: Json, value: Any, resolved: Json) -> Any:
    """Return a value as Discord's client would send it, or raise UnknownCommandError where it would not."""
    kind, name = definition["type"], definition["name"]
    wrong = UnknownCommandError(f"Discord's client takes no {value!r} for {name!r} of {path!r}")
    choices = definition.get("choices")
    if choices and value not in {choice["value"] for choice in choices}:
        raise wrong
    if kind == STRING:
        most, least = definition.get("max_length", 6000), definition.get("min_length", 0)
        if not isinstance(value, str) or not least <= len(value) <= most:
            raise wrong
        return value
    if kind in {INTEGER, NUMBER}:
        allowed = int if kind == INTEGER else (int, float)
        if isinstance(value, bool) or not isinstance(value, allowed):
            raise wrong
        if not definition.get("min_value", value) <= value <= definition.get("max_value", value):
            raise wrong
        return value
    if kind == BOOLEAN and isinstance(value, bool):
        return value
    if kind == USER and isinstance(value, Member):
        resolved.setdefault("users", {})[str(value.id)] = payloads.user(value.user)
        partial = payloads.member(value) | {"permissions": payloads.member_permissions(value)}
        partial.pop("user")
        resolved.setdefault("members", {})[str(value.id)] = partial
        return str(value.id)
    if kind == CHANNEL and isinstance(value, Channel):
        partial = payloads.channel(value) | {"permissions": str(value.bot_bits)}
        resolved.setdefault("channels", {})[str(value.id)] = partial
        return str(value.id)
    if kind == ATTACHMENT and isinstance(value, Attachment):
        resolved.setdefault("attachments", {})[str(value.id)] = payloads.attachment(value, ephemeral=True)
        return str(value.id)
    raise wrong


def check_commands(commands: Sequence[Json]) -> None:
    """Refuse a list of commands as Discord would, raising ApiError 50035."""
    seen: set[tuple[int, str]] = set()
    counts = dict.fromkeys(COUNT_LIMITS, 0)
    for position, command in enumerate(commands):
        kind = command.get("type") or CHAT_INPUT
        at: Path = [position]
        if kind == CHAT_INPUT:
            _check_names(at, command)
            _check_options(at, command.get("options") or [])
            if _text_length(command) > TOTAL_TEXT_LIMIT:
                raise invalid(at, "APPLICATION_COMMAND_TOO_LARGE", "Command exceeds maximum size (8000)")
        elif (kind != ENTRY_POINT and not _is_menu_named(command)) or command.get("description"):
            raise invalid(at, "CONTEXT_MENU_DESCRIPTION", "A menu command has a short name and no description.")
        if (kind, command["name"]) in seen:
            raise invalid(at, "APPLICATION_COMMANDS_DUPLICATE_NAME", "Application command names must be unique")
        seen.add((kind, command["name"]))
        counts[kind] = counts.get(kind, 0) + 1
    for kind, limit in COUNT_LIMITS.items():
        if counts[kind] > limit:
            raise invalid([], "APPLICATION_COMMANDS_LIMIT", f"Maximum number of commands reached ({limit}).")


def _is_menu_named(command: Json) -> bool:
    names = [command.get("name") or "", *(command.get("name_localizations") or {}).values()]
    return all(1 <= len(name) <= 32 for name in names)


def _check_names(at: Path, item: Json) -> None:
    for name in [item.get("name") or "", *(item.get("name_localizations") or {}).values()]:
        if not NAME.fullmatch(name) or name != name.lower():
            raise invalid([*at, "name"], "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")
    for text in [item.get("description") or "", *(item.get("description_localizations") or {}).values()]:
        if not 1 <= len(text) <= 100:
            raise invalid([*at, "description"], "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length.")


def _check_options(at: Path, options: Sequence[Json]) -> None:
    if len(options) > 25:
        raise invalid([*at, "options"], "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")
    names = [option.get("name") for option in options]
    if len(set(names)) != len(names):
        raise invalid([*at, "options"], "APPLICATION_COMMAND_OPTIONS_NAME_INVALID", "Option names must be unique")
    optional_seen = False
    for number, option in enumerate(options):
        here: Path = [*at, "options", number]
        _check_names(here, option)
        if option["type"] in {SUBCOMMAND, GROUP}:
            _check_options(here, option.get("options") or [])
            continue
        if option.get("required") and optional_seen:
            message = "Required options must be placed before non-required options"
            raise invalid(here, "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID", message)
        optional_seen = optional_seen or not option.get("required")
        choices = option.get("choices") or []
        if len(choices) > 25 or (choices and option.get("autocomplete")):
            raise invalid([*here, "choices"], "APPLICATION_COMMAND_INVALID_CHOICES", "At most 25, or autocomplete.")


def _text_length(item: Json) -> int:
    own = len(item.get("name") or "") + len(item.get("description") or "")
    own += sum(len(choice["name"]) + len(str(choice["value"])) for choice in item.get("choices") or [])
    return own + sum(_text_length(option) for option in item.get("options") or [])
