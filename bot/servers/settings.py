"""What the managers of a server set: how, and who changed what."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from bot.servers.limits import Limits
from bot.words.pages.panel import LANGUAGE_NAMES, MOST_CHANNELS, SWITCHES, WELCOME_LIMIT, Panel, shown_limit
from bot.words.sentences import errors
from bot.words.sentences.errors import MemberError
from bot.words.sentences.limits import NO_LIMIT
from bot.words.text import clean
from storage.database import Database
from storage.ids import new_id
from storage.servers import settings as servers
from storage.servers.settings import Change, RoleLimits, Server
from storage.servers.usage import Kind

SHOWN_CHANGES = 5
MOST_ROLES = 20
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
        """Let songs be ordered in these channels only, or everywhere where there are none."""
        chosen = tuple(channels[:MOST_CHANNELS])
        await self._change(guild_id, user_id, "channels", lambda server: replace(server, channels=chosen))

    async def set_limits(self, guild_id: int, user_id: int, covers: str, songs: str) -> None:
        """Set the limits of members without a role of their own; raises `MemberError` for what is no number."""
        given = RoleLimits(_number(covers), _number(songs))
        await self._change(
            guild_id,
            user_id,
            "limits",
            lambda server: replace(server, covers_per_user=given.covers, songs_per_user=given.songs),
        )

    async def set_role(
        self, guild_id: int, user_id: int, role: int, covers: str, songs: str, *, there: Collection[int]
    ) -> None:
        """Set the limits of members with a role, or take them back where both are left empty.

        What is set for a role that is not `there` goes, for nobody can choose it any more to take that back; where none
        is there, it is not known which are.
        Raises `MemberError` for what is no number, and for more roles than are kept.
        """
        given = RoleLimits(_number(covers), _number(songs))

        def change(server: Server) -> Server:
            others = {other: limits for other, limits in server.roles.items() if other != role}
            chosen = others if given == RoleLimits(None, None) else others | {role: given}
            roles = {one: limits for one, limits in chosen.items() if not there or one in there}
            if len(roles) > MOST_ROLES:
                raise MemberError(errors.too_many_roles(MOST_ROLES))
            return replace(server, roles=roles)

        await self._change(guild_id, user_id, "roles", change)

    async def switch(self, guild_id: int, user_id: int, name: str, *, on: bool) -> None:
        """Turn one of the `SWITCHES` on or off; raises `KeyError` for another name."""
        if name not in SWITCHES:
            raise KeyError(name)

        def change(server: Server) -> Server:
            return replace(server, **{name: on})  # type: ignore[arg-type] # one of `SWITCHES`

        await self._change(guild_id, user_id, name, change)

    async def set_language(self, guild_id: int, user_id: int, language: str) -> None:
        """Let public messages be in one language, or in each member's own where it names none."""
        known = language if language in LANGUAGE_NAMES else None
        await self._change(guild_id, user_id, "language", lambda server: replace(server, language=known))

    async def set_welcome(self, guild_id: int, user_id: int, text: str) -> None:
        """Set what the server says to its members in `/help`."""
        lines = filter(None, (clean(line, WELCOME_LIMIT) for line in text.splitlines()))
        words = "\n".join(lines)[:WELCOME_LIMIT].rstrip() or None
        await self._change(guild_id, user_id, "welcome", lambda server: replace(server, welcome=words))

    async def forget(self, guild_id: int) -> None:
        """Forget what was set for a server that the bot has left, which Discord says once."""

        async def remove() -> None:
            async with self._database.write() as transaction:
                await servers.remove(transaction, guild_id)

        await self._database.retry(remove)

    async def _change(self, guild_id: int, user_id: int, setting: str, change: Callable[[Server], Server]) -> None:
        now = self._clock()
        async with self._database.write() as transaction:
            before = await servers.hold(transaction, guild_id)
            after = change(before)
            if after != before:
                words = _shown(before, setting), _shown(after, setting)
                noted = Change(new_id(now), guild_id, user_id, now, setting, *words)
                await servers.save(transaction, after, noted)


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
