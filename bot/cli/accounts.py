"""The two accounts that the bot lives on: whether their keys are good, where the bot is, and what it may do there."""

from __future__ import annotations

import asyncio
import email.utils
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import aiohttp
import discord
from yarl import URL

from bot.gateway.client import PERMISSIONS
from bot.gateway.client import invitation as invitation_of
from bot.refusals import LOGIN_REFUSED, UNREACHABLE, explain, is_not_there, refuses_token
from bot.settings import Settings
from bot.vidgo import KeyRefused, VidGo, VidGoError

TIMEOUT = aiohttp.ClientTimeout(total=15)

PATIENCE = 30.0
"""How many seconds Discord may take for one question, pauses that it asks for included."""

SERVERS_LOOKED_AT = 20
"""In how many servers the channels are looked at, which takes three requests each."""

CHANNELS_NAMED = 5


class Wrong(Exception):  # noqa: N818 (a word says what happened)
    """One check found something wrong; the text says what, and what to do."""


class Refused(Wrong):
    """Discord itself refuses the token, so that the setting is wrong and not the way to it."""


class ServerClock:
    """How far this machine's clock is from the servers', by what stands in the head of each of their answers."""

    def __init__(self, *addresses: str, clock: Callable[[], float]) -> None:
        self.trace = aiohttp.TraceConfig()
        self.trace.on_request_end.append(self._note)
        self._hosts = {(URL(address).host, URL(address).port) for address in addresses}
        self._clock = clock
        self._ahead: list[float] = []

    @property
    def ahead(self) -> float | None:
        """By how many seconds this machine is ahead, by the answer that it is closest to; None without an answer."""
        return min(self._ahead, key=abs, default=None)

    async def _note(
        self, _session: aiohttp.ClientSession, _context: SimpleNamespace, answered: aiohttp.TraceRequestEndParams
    ) -> None:
        said = answered.response.headers.get("Date", "")
        if (answered.url.host, answered.url.port) not in self._hosts:
            return
        try:
            self._ahead.append(self._clock() - email.utils.parsedate_to_datetime(said).timestamp())
        except (ValueError, TypeError, OverflowError):
            return


@asynccontextmanager
async def open_discord(settings: Settings, clock: ServerClock | None = None) -> AsyncIterator[discord.Client]:
    """Give a client of Discord's that is not logged in."""
    discord.http.Route.BASE = settings.discord_api_url
    traced: dict[str, Any] = {} if clock is None else {"http_trace": clock.trace}
    async with discord.Client(intents=discord.Intents.none(), max_ratelimit_timeout=PATIENCE, **traced) as client:
        yield client


async def log_in(client: discord.Client, token: str) -> str:
    """Log in, and return the bot's name; raises `Wrong`."""
    try:
        async with asyncio.timeout(PATIENCE):
            await client.login(token)
    except UNREACHABLE as error:
        if refuses_token(error):
            raise Refused(LOGIN_REFUSED) from None
        raise Wrong(f"Discord cannot be reached ({explain(error)}); check DISCORD_API_URL") from None
    return str(client.user)


async def ask_balance(session: aiohttp.ClientSession, settings: Settings, key: str) -> float:
    """Return how many credits a key's account has; raises `Wrong`."""
    vidgo = VidGo(session, settings.vidgo_api_url, key, timeout=15)
    try:
        return await vidgo.balance()
    except KeyRefused:
        raise Wrong("VIDGO_API_KEY is refused by VidGo; make a new key in its dashboard") from None
    except VidGoError as error:
        raise Wrong(f"VidGo cannot be asked ({error.reason}); check VIDGO_API_URL") from None


async def invitation(client: discord.Client) -> str:
    """Return the address that invites the bot with exactly what it needs; raises `Wrong`."""
    try:
        async with asyncio.timeout(PATIENCE):
            application = await client.application_info()
    except UNREACHABLE as error:
        raise Wrong(f"Discord does not name the application ({explain(error)})") from None
    return invitation_of(application.id)


async def look_at_gateway(client: discord.Client, settings: Settings) -> str:
    """Say which sessions the bot will begin; raises `Wrong` where there are no such shards or too few may begin."""
    if client.user is None:
        raise Wrong("the gateway cannot be asked for without having logged in")
    try:
        async with asyncio.timeout(PATIENCE):
            recommended, _, limit = await client.http.get_bot_gateway()
    except UNREACHABLE as error:
        raise Wrong(f"Discord names no gateway ({explain(error)})") from None
    count = settings.shard_count or recommended
    ids = settings.shard_ids or range(count)
    if ids[-1] >= count:
        raise Wrong(f"SHARD_IDS names shard {ids[-1]}, but there are {count}, counted from 0")
    if limit["remaining"] < (settings.shards_per_process or len(ids)):
        hours = limit["reset_after"] / 3_600_000
        raise Wrong(f"Discord lets only {limit['remaining']} more sessions begin in the next {hours:.1f} hours")
    return f"shards {ids[0]} to {ids[-1]} of {count}"


async def servers_of(client: discord.Client, only: int | None) -> list[discord.Guild]:
    """Return the servers that the bot is in, or that one alone; raises `Wrong`."""
    name = "the servers" if only is None else "DISCORD_GUILD_ID"
    if client.user is None:
        raise Wrong(f"{name} cannot be looked at without having logged in")
    try:
        async with asyncio.timeout(PATIENCE):
            if only is not None:
                return [await client.fetch_guild(only)]
            return [guild async for guild in client.fetch_guilds(limit=None)]
    except UNREACHABLE as error:
        if only is not None and is_not_there(error):
            return []
        raise Wrong(f"{name} cannot be looked at ({explain(error)})") from None


async def look_at_commands(client: discord.Client, guild_id: int) -> None:
    """Raise `Wrong` where the bot may have no commands in a server that it is a member of."""
    assert client.application_id is not None  # noqa: S101 (known since the login)
    try:
        async with asyncio.timeout(PATIENCE):
            await client.http.get_guild_commands(client.application_id, guild_id)
    except UNREACHABLE as error:
        if is_not_there(error):
            raise Wrong(
                "DISCORD_GUILD_ID names a server in which the bot may have no commands; open the address that "
                "`coverbot invite` prints, and add it once more"
            ) from None
        raise Wrong(f"the commands of DISCORD_GUILD_ID cannot be looked at ({explain(error)})") from None


async def look_at_servers(client: discord.Client, servers: list[discord.Guild]) -> str:
    """Say where in these servers the bot may post; raises `Wrong` where there is one in which it may do so nowhere."""
    said, wrong = [], []
    for server in servers[:SERVERS_LOOKED_AT]:
        places = await _channels_of(client, server)
        closed = [f"#{name} ({_words(missing)})" for name, missing in places if missing]
        listed = ", ".join(closed[:CHANNELS_NAMED]) + (", …" if len(closed) > CHANNELS_NAMED else "")
        if len(closed) < len(places):
            but = f", not in {listed}" if closed else ""
            said.append(f"{server.name}: may post in {len(places) - len(closed)} of {len(places)} channels{but}")
        else:
            lacks = f"; it lacks permissions in {listed}" if closed else ""
            wrong.append(f"in {server.name} there is no channel where the bot may post{lacks}")
    if wrong:
        raise Wrong("; ".join(wrong))
    more = len(servers) - SERVERS_LOOKED_AT
    return "; ".join([*said, *([f"{more} more servers were not looked at"] if more > 0 else [])])


async def look_at_channel(client: discord.Client, channel_id: int) -> str:
    """Say that the bot may post in a channel or thread; raises `Wrong` where it may not."""
    if client.user is None:
        raise Wrong("--channel cannot be looked at without having logged in")
    try:
        async with asyncio.timeout(PATIENCE):
            found = await client.fetch_channel(channel_id)
            if not isinstance(found, discord.abc.GuildChannel | discord.Thread):
                raise Wrong("--channel is not a channel of a server")
            # Permissions need the roles of a server that was fetched whole; a thread has those of its parent.
            guild = await client.fetch_guild(found.guild.id)
            channel = await guild.fetch_channel(found.parent_id if isinstance(found, discord.Thread) else found.id)
            member = await guild.fetch_member(client.user.id)
    except UNREACHABLE as error:
        if is_not_there(error):
            raise Wrong("--channel is unknown to the bot; invite it with `coverbot invite`") from None
        raise Wrong(f"--channel cannot be looked at ({explain(error)})") from None
    if missing := _missing(channel.permissions_for(member)):
        raise Wrong(f"in #{found.name} the bot lacks {_words(missing)}")
    return f"the bot may post in #{found.name}"


async def _channels_of(client: discord.Client, server: discord.Guild) -> list[tuple[str, list[str]]]:
    """Return the text channels that the bot sees, each with what it lacks there."""
    try:
        async with asyncio.timeout(PATIENCE):
            guild = await client.fetch_guild(server.id)
            channels = await guild.fetch_channels()
            member = await guild.fetch_member(client.user.id)  # type: ignore[union-attr]  # logged in
    except UNREACHABLE as error:
        raise Wrong(f"the channels of {server.name} cannot be looked at ({explain(error)})") from None
    granted = {one: one.permissions_for(member) for one in channels if isinstance(one, discord.TextChannel)}
    # What the bot does not see may be hidden from it on purpose.
    return [(one.name, _missing(permissions)) for one, permissions in granted.items() if permissions.view_channel]


def _missing(granted: discord.Permissions) -> list[str]:
    return [name for name, needed in PERMISSIONS if needed and not getattr(granted, name)]


def _words(missing: list[str]) -> str:
    return ", ".join(name.replace("_", " ") for name in missing)
