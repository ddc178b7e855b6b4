"""What the managers of a server set: how, and who changed what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from bot.servers.limits import Limits
from bot.words import errors
from bot.words.errors import MemberError
from bot.words.limits import NO_LIMIT
from bot.words.panel import Panel, shown_limit
from bot.words.text import LANGUAGES, clean
from storage import servers
from storage.database import Database
from storage.ids import new_id
from storage.servers import Change, RoleLimits, Server
from storage.usage import Kind

SHOWN_CHANGES = 5
MOST_ROLES = 20
MOST_CHANNELS = 25
"""As many as one menu of Discord's can hold."""

WELCOME_LIMIT = 500
HIGHEST_LIMIT = 1_000_000

_SHOWN_TEXT = 60
_NOTHING = "·"


class ServerSettings:
    """Changes a server's settings, each with a note of who did; a change counts for whatever is ordered after it."""

    def __init__(self, database: Database, limits: Limits, clock: Callable[[], float]) -> None:
        self._database = database
        self._limits = limits
        self._clock = clock

    async def get(self, guild_id: int | None) -> Server:
        """Return what is set for a server."""
        async with self._database.read() as snapshot:
            return await servers.get(snapshot, guild_id)

    async def panel(self, guild_id: int) -> Panel:
        """Return all that the panel shows."""
        async with self._database.read() as snapshot:
            server = await servers.get(snapshot, guild_id)
            changes = await servers.newest_changes(snapshot, guild_id, SHOWN_CHANGES)
        return Panel(server, changes, {kind: self._limits.default(kind) for kind in Kind})

    async def set_channels(self, guild_id: int, user_id: int, channels: Sequence[int]) -> None:
        """Let the bot be used in these channels only, or everywhere where there are none."""
        chosen = tuple(channels[:MOST_CHANNELS])
        await self._change(guild_id, user_id, "channels", channels=chosen)

    async def set_limits(self, guild_id: int, user_id: int, covers: str, songs: str) -> None:
        """Set the limits of members without a role of their own; raises `MemberError` for what is no number."""
        numbers = {"covers_per_user": _number(covers), "songs_per_user": _number(songs)}
        await self._change(guild_id, user_id, "limits", **numbers)

    async def set_role(self, guild_id: int, user_id: int, role: int, covers: str, songs: str) -> None:
        """Set the limits of members with a role, or take them back where both are left empty.

        Raises `MemberError` for what is no number, and for more roles than are kept.
        """
        given = RoleLimits(_number(covers), _number(songs))
        roles = dict((await self.get(guild_id)).roles)
        if given == RoleLimits(None, None):
            roles.pop(role, None)
        else:
            roles[role] = given
        if len(roles) > MOST_ROLES:
            raise MemberError(errors.too_many_roles(MOST_ROLES))
        await self._change(guild_id, user_id, "roles", roles=roles)

    async def switch(self, guild_id: int, user_id: int, name: str) -> None:
        """Turn one of the settings that are on or off into the other."""
        server = await self.get(guild_id)
        await self._change(guild_id, user_id, name, **{name: not getattr(server, name)})

    async def set_language(self, guild_id: int, user_id: int, language: str) -> None:
        """Let public messages be in one language, or in each member's own where it names none."""
        known = language in LANGUAGES or language == "en-US"
        await self._change(guild_id, user_id, "language", language=language if known else None)

    async def set_welcome(self, guild_id: int, user_id: int, text: str) -> None:
        """Set what the server says to its members in `/help`."""
        await self._change(guild_id, user_id, "welcome", welcome=clean(text, WELCOME_LIMIT) or None)

    async def forget(self, guild_id: int) -> None:
        """Forget what was set for a server that the bot has left."""
        async with self._database.write() as transaction:
            await servers.remove(transaction, guild_id)

    async def _change(self, guild_id: int, user_id: int, setting: str, **values: Any) -> None:
        now = self._clock()
        async with self._database.write() as transaction:
            before = await servers.get(transaction, guild_id)
            after = replace(before, **values)
            if after != before:
                words = _shown(before, setting), _shown(after, setting)
                change = Change(new_id(now), guild_id, user_id, now, setting, *words)
                await servers.save(transaction, after, change)


def _number(typed: str) -> int | None:
    text = typed.strip()
    if not text:
        return None
    if text in ("-1", "∞"):
        return NO_LIMIT
    if not text.isdecimal() or not text.isascii() or len(text) > len(str(HIGHEST_LIMIT)) or int(text) > HIGHEST_LIMIT:
        raise MemberError(errors.not_a_limit(typed))
    return int(text)


def _shown(server: Server, setting: str) -> str:
    """Write a setting down in signs that need no translation."""
    match setting:
        case "channels":
            return " ".join(f"<#{channel}>" for channel in server.channels) or _NOTHING
        case "limits":
            return _pair(server.covers_per_user, server.songs_per_user)
        case "roles":
            lines = [f"<@&{role}> {_pair(given.covers, given.songs)}" for role, given in server.roles.items()]
            return ", ".join(lines) or _NOTHING
        case "welcome":
            return clean(server.welcome or "", _SHOWN_TEXT) or _NOTHING
    value = getattr(server, setting)
    return ("✓" if value else "✗") if isinstance(value, bool) else value or _NOTHING


def _pair(covers: int | None, songs: int | None) -> str:
    return f"{shown_limit(covers)} / {shown_limit(songs)}"
