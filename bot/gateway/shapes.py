"""What Discord may leave out of the objects that it sends, or send as null, and discord.py reads all the same.

Each shape fills in what is lacking, takes null for lacking, and drops what nothing here reads, so that it need not be
readable. Discord's documentation calls most of these optional, nullable, or the object partial.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import discord

ATTACHMENT_BYTES = 10 * 1024 * 1024
"""The largest upload where Discord names none."""

THREADS = (10, 11, 12)
TEXT, DIRECT, GROUP = 0, 1, 3

_NEVER = "1970-01-01T00:00:00+00:00"

Fill = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """An object: what it is lacking by default, what of it is an object or a list of them, and what is not read."""

    defaults: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, Fill] = field(default_factory=dict)
    unused: tuple[str, ...] = ()

    def __call__(self, told: Any) -> Any:
        """Return the object complete; what is none stays as it is."""
        if not isinstance(told, dict):
            return told
        known = {key: value for key, value in told.items() if value is not None and key not in self.unused}
        whole = {**self.defaults, **known}
        for name, fill in self.parts.items():
            if isinstance(value := whole.get(name), list):
                whole[name] = [fill(one) for one in value if isinstance(one, dict)]
            elif name in whole:
                whole[name] = fill(value)
        return whole


def by_id(fill: Fill, **lacking: Any) -> Fill:
    """Complete each of the objects that are listed by their ids."""

    def fill_each(told: Any) -> Any:
        if not isinstance(told, dict):
            return told
        return {key: fill({"id": key, **lacking, **one}) for key, one in told.items() if isinstance(one, dict)}

    return fill_each


USER = Shape({"username": "", "discriminator": "0", "avatar": None}, unused=("avatar_decoration_data", "primary_guild"))
MEMBER = Shape({"roles": [], "flags": 0}, {"user": USER}, ("avatar_decoration_data",))
ROLE = Shape({"name": "", "permissions": "0"})
OVERWRITE = Shape({"type": 0, "allow": "0", "deny": "0"})
METADATA = Shape({"archived": False, "auto_archive_duration": 1440, "archive_timestamp": _NEVER})

_FORUM = ("available_tags", "default_reaction_emoji", "applied_tags")
_PLACE = Shape(
    {"type": TEXT, "name": "", "position": 0, "bitrate": 64_000, "user_limit": 0, "permissions": "0"},
    {"permission_overwrites": OVERWRITE, "recipients": USER},
    ("member", *_FORUM),
)
_THREAD = Shape(
    {"owner_id": "0", "parent_id": "0", "message_count": 0, "member_count": 0, "thread_metadata": {}},
    {"thread_metadata": METADATA},
)


def channel(told: Any) -> Any:
    """Complete a channel or thread."""
    place = _PLACE(told)
    return _THREAD(place) if isinstance(place, dict) and place["type"] in THREADS else place


EMBED = Shape()
FILE = Shape({"size": 0, "filename": "", "url": "", "proxy_url": ""})


def _component(told: Any) -> Any:
    return _COMPONENT(told)


_MEDIA = Shape({"url": ""})
_COMPONENT = Shape(
    {"type": 0, "style": 2, "components": [], "content": "", "items": [], "media": {}, "file": {}},
    {
        **dict.fromkeys(("components", "component", "accessory"), _component),
        "options": Shape({"label": "", "value": ""}),
        "items": Shape({"media": {}}, {"media": _MEDIA}),
        "media": _MEDIA,
        "file": _MEDIA,
    },
)
SNAPSHOT = Shape(
    {"type": 0, "content": "", "embeds": [], "attachments": [], "timestamp": _NEVER, "edited_timestamp": None},
    {"embeds": EMBED, "attachments": FILE, "components": _component},
    ("sticker_items",),
)
MESSAGE = Shape(
    {"type": 0, "content": "", "author": {"id": "0"}, "components": []},
    {
        "author": USER,
        "embeds": EMBED,
        "attachments": FILE,
        "components": _component,
        "message_snapshots": Shape({"message": {}}, {"message": SNAPSHOT}),
    },
    (
        *("activity", "application", "call", "interaction", "interaction_metadata", "member", "mention_roles"),
        *("mentions", "message_reference", "poll", "purchase_notification", "reactions", "referenced_message"),
        *("role_subscription_data", "sticker_items", "thread"),
    ),
)
SERVER = Shape(
    parts={"channels": channel, "threads": channel, "roles": ROLE, "members": MEMBER},
    unused=(
        *("emojis", "guild_scheduled_events", "presences", "soundboard_sounds", "stage_instances", "stickers"),
        "voice_states",
    ),
)
CALLBACK = Shape(
    parts={"interaction": Shape({"id": "0"}), "resource": Shape({"type": 4}, {"message": MESSAGE})},
)
APPLICATION = Shape(
    {
        "name": "",
        "description": "",
        "icon": None,
        "verify_key": "",
        "bot_public": True,
        "bot_require_code_grant": False,
    },
    {"owner": USER},
    ("guild", "install_params", "integration_types_config"),
)
GATEWAY = Shape(
    {"shards": 1, "session_start_limit": {}},
    {"session_start_limit": Shape({"total": 1000, "remaining": 1000, "reset_after": 0, "max_concurrency": 1})},
)
RESOLVED = Shape(
    parts={
        "attachments": by_id(FILE),
        "channels": by_id(channel),
        "messages": by_id(MESSAGE, channel_id="0"),
        "members": by_id(MEMBER),
        "roles": by_id(ROLE),
        "users": by_id(USER),
    }
)


def _owners(told: Any) -> Any:
    """Keep who installed the bot by the kinds of installation, which are numbers."""
    return {kind: owner for kind, owner in Shape()(told).items() if kind.isdecimal()}


def _option(told: Any) -> Any:
    return _OPTION(told)


_OPTION = Shape(parts={"options": _option})
_INTERACTION = Shape(
    {
        "version": 1,
        "attachment_size_limit": ATTACHMENT_BYTES,
        "app_permissions": str(discord.Permissions.all().value),  # a refusal would be made up
    },
    {
        "data": Shape(parts={"resolved": RESOLVED, "options": _option}),
        "guild": SERVER,
        "member": MEMBER,
        "message": MESSAGE,
        "user": USER,
        "authorizing_integration_owners": _owners,
    },
    ("entitlements", "entitlement_skus"),
)


def interaction(told: Any) -> Any:
    """Complete an interaction: nobody's command stays unanswered."""
    if not isinstance(told, dict) or not isinstance(told.get("data"), dict):
        return told
    place = {"id": told.get("channel_id"), **Shape()(told.get("channel") or {})}
    whole = _INTERACTION({name: value for name, value in told.items() if name != "channel"})
    server = whole.get("guild_id")
    if place["id"] is not None:
        whole["channel"] = _here(channel(place), server)
    if server is not None:
        whole.setdefault("authorizing_integration_owners", {"0": server})
        if "user" in whole:
            whole.setdefault("member", MEMBER({"user": whole["user"]}))
        if isinstance(whole.get("guild"), dict):
            whole["guild"].setdefault("id", server)
    elif "user" not in whole and "user" in whole.get("member", {}):
        whole["user"] = whole["member"]["user"]
    return whole


def _here(place: Any, server: str | None) -> Any:
    """Give the place of an interaction a kind that discord.py has there; a newer one is taken for the plainest."""
    factory, _ = discord.channel._threaded_channel_factory(place["type"])
    if server is None and place["type"] not in (DIRECT, GROUP):
        return {**place, "type": DIRECT}
    return {**place, "type": TEXT} if factory is None else place


EVENTS: dict[str, Fill] = {
    "INTERACTION_CREATE": interaction,
    **dict.fromkeys(("GUILD_CREATE", "GUILD_UPDATE", "GUILD_DELETE"), SERVER),
    "THREAD_LIST_SYNC": Shape(parts={"threads": channel}, unused=("members",)),
    **dict.fromkeys(("CHANNEL_CREATE", "CHANNEL_UPDATE", "CHANNEL_DELETE"), channel),
    **dict.fromkeys(("THREAD_CREATE", "THREAD_UPDATE", "THREAD_DELETE"), channel),
    **dict.fromkeys(("GUILD_ROLE_CREATE", "GUILD_ROLE_UPDATE", "GUILD_ROLE_DELETE"), Shape(parts={"role": ROLE})),
    "GUILD_MEMBER_UPDATE": Shape(parts={"user": USER}),
}
"""The events that are read, beside those of a session's begin."""
