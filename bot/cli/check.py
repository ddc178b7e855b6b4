"""`coverbot check` and `coverbot invite`: what is wrong before anything starts, and the way into a server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import discord
from aiohttp import web

from bot.client import PERMISSIONS
from bot.refusals import LOGIN_REFUSED, UNREACHABLE, explain, is_not_there, refuses_token
from bot.settings import Settings
from bot.vidgo import KeyRefused, VidGo, VidGoError
from bot.web.addresses import listen, local_host, show_address
from storage.database import Database, DatabaseError

TIMEOUT = aiohttp.ClientTimeout(total=15)

PATIENCE = 30.0
"""How many seconds Discord may take for one check, pauses that it asks for included."""


class Wrong(Exception):  # noqa: N818 (a word says what happened)
    """One check found something wrong; the text says what, and what to do."""


async def check(settings: Settings, channel_id: int | None, say: Callable[[str], None]) -> bool:
    """Say one line for each part that `run` needs, and return whether all of them are right."""
    async with aiohttp.ClientSession(timeout=TIMEOUT) as session, _discord(settings) as client:
        checks: list[tuple[str, Callable[[], Awaitable[str]]]] = [
            ("Discord token", lambda: _token(client, settings)),
            ("VidGo key", lambda: _key(session, settings)),
            ("Database", lambda: _database(settings)),
            ("Archive", lambda: _archive(settings)),
            ("Listener", lambda: _listener(session, settings)),
            ("Public URL", lambda: _public_url(session, settings)),
        ]
        if (guild_id := settings.discord_guild_id) is not None:
            checks.append(("Server", lambda: _guild(client, guild_id)))
        if channel_id is not None:
            checks.append(("Channel", lambda: _channel(client, channel_id)))
        fine = True
        for name, inspect in checks:
            try:
                say(f"ok     {name}: {await inspect()}")
            except Wrong as wrong:
                fine = False
                say(f"WRONG  {name}: {wrong}")
    return fine


async def invite(settings: Settings) -> str:
    """Return the address that invites the bot with exactly what it needs; raises `Wrong`."""
    async with _discord(settings) as client:
        await _token(client, settings)
        application = await client.application_info()
        return discord.utils.oauth_url(application.id, permissions=PERMISSIONS, scopes=("bot", "applications.commands"))


@asynccontextmanager
async def _discord(settings: Settings) -> AsyncIterator[discord.Client]:
    discord.http.Route.BASE = settings.discord_api_url
    async with discord.Client(intents=discord.Intents.none(), max_ratelimit_timeout=PATIENCE) as client:
        yield client


async def _token(client: discord.Client, settings: Settings) -> str:
    try:
        async with asyncio.timeout(PATIENCE):
            await client.login(settings.discord_token.get_secret_value())
    except UNREACHABLE as error:
        if refuses_token(error):
            raise Wrong(LOGIN_REFUSED) from None
        raise Wrong(f"Discord cannot be reached ({explain(error)}); check DISCORD_API_URL") from None
    return f"logged in as {client.user}"


async def _key(session: aiohttp.ClientSession, settings: Settings) -> str:
    vidgo = VidGo(session, settings.vidgo_api_url, settings.vidgo_api_key.get_secret_value(), timeout=15)
    try:
        credits_left = await vidgo.balance()
    except KeyRefused:
        raise Wrong("VIDGO_API_KEY is refused by VidGo; make a new key in its dashboard") from None
    except VidGoError as error:
        raise Wrong(f"VidGo cannot be asked ({error.reason}); check VIDGO_API_URL") from None
    if credits_left <= 0:
        raise Wrong("VIDGO_API_KEY is good, but the account has no credits; top it up")
    return f"{credits_left:g} credits"


async def _database(settings: Settings) -> str:
    try:
        database = await Database.open(settings.database_url, settings.database_server)
    except DatabaseError as error:
        raise Wrong(f"DATABASE_URL: {error}") from None
    try:
        return await database.describe()
    except Exception as error:  # whatever the driver says, it cannot be written
        raise Wrong(f"DATABASE_URL: the database cannot be written: {error}") from None
    finally:
        await database.close()


async def _archive(settings: Settings) -> str:
    if not settings.archive_max_bytes:
        return "switched off"
    try:
        await asyncio.to_thread(settings.archive_dir.mkdir, parents=True, exist_ok=True)
    except OSError as error:
        raise Wrong(f"ARCHIVE_DIR cannot be used: {error.strerror}") from None
    if not os.access(settings.archive_dir, os.W_OK | os.X_OK):
        raise Wrong("ARCHIVE_DIR cannot be written")
    return f"keeps up to {settings.archive_max_bytes:,} bytes"


async def _listener(session: aiohttp.ClientSession, settings: Settings) -> str:
    where = show_address(settings.listen_host, settings.listen_port)
    async with _stand_in_listener(settings) as problem:
        if problem is None:
            return f"can listen on {where}"
    try:
        at_home = show_address(local_host(settings.listen_host), settings.listen_port)
        status, body = await _call_back(session, f"http://{at_home}")
    except (aiohttp.ClientError, TimeoutError, OSError):
        status, body = 0, b""
    if _is_this_program(status, body):
        return f"the program is running already and listens on {where}"
    raise Wrong(f"LISTEN_HOST/LISTEN_PORT: cannot listen on {where}: {problem.strerror}")


async def _public_url(session: aiohttp.ClientSession, settings: Settings) -> str:
    if settings.public_url is None:
        return "PUBLIC_URL is not set, so VidGo is asked for results instead of calling back; that is fine"
    if not settings.public_url.startswith("https://") and not settings.media_allow_private_hosts:
        raise Wrong("PUBLIC_URL must begin with https://, as VidGo calls no other address")
    async with _stand_in_listener(settings):
        try:
            status, body = await _call_back(session, settings.public_url)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Wrong(f"PUBLIC_URL cannot be reached from here ({type(error).__name__})") from None
    if not _is_this_program(status, body):
        raise Wrong(f"PUBLIC_URL answers {status}, but not this program; check that it leads to LISTEN_PORT")
    return "leads to the callback route"


async def _call_back(session: aiohttp.ClientSession, base: str) -> tuple[int, bytes]:
    async with session.post(f"{base}/callbacks/vidgo/check/check", json={}, allow_redirects=False) as response:
        return response.status, await response.content.read(1000)


def _is_this_program(status: int, body: bytes) -> bool:
    return status == 403 and b"no such task" in body


@asynccontextmanager
async def _stand_in_listener(settings: Settings) -> AsyncIterator[OSError | None]:
    """Answer as the program would, or give the reason why that cannot be; perhaps the program answers itself."""

    async def refuse(_request: web.Request) -> web.Response:
        return web.json_response({"message": "no such task"}, status=403)

    application = web.Application()
    application.add_routes([web.post("/callbacks/vidgo/{task}/{token}", refuse)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    assert runner.server is not None  # noqa: S101 (it has just been set up)
    listening: asyncio.Server | None = None
    problem: OSError | None = None
    try:
        try:
            listening = await listen(runner.server, settings.listen_host, settings.listen_port)
        except OSError as error:
            problem = error
        yield problem
    finally:
        if listening is not None:
            listening.close()
        await runner.cleanup()


async def _guild(client: discord.Client, guild_id: int) -> str:
    try:
        async with asyncio.timeout(PATIENCE):
            guild = await client.fetch_guild(guild_id)
    except (*UNREACHABLE, RuntimeError) as error:
        if is_not_there(error):
            raise Wrong("DISCORD_GUILD_ID names a server that the bot is not a member of") from None
        raise Wrong(f"DISCORD_GUILD_ID cannot be looked at ({explain(error)})") from None
    return f"the bot is a member of {guild.name}"


async def _channel(client: discord.Client, channel_id: int) -> str:
    try:
        async with asyncio.timeout(PATIENCE):
            found = await client.fetch_channel(channel_id)
            if not isinstance(found, discord.abc.GuildChannel | discord.Thread):
                raise Wrong("--channel is not a channel of a server")
            # Permissions need the roles of a server that was fetched whole; a thread has those of its parent.
            guild = await client.fetch_guild(found.guild.id)
            channel = await guild.fetch_channel(found.parent_id if isinstance(found, discord.Thread) else found.id)
            member = await guild.fetch_member(client.user.id)  # type: ignore[union-attr]
    except (*UNREACHABLE, RuntimeError) as error:
        if is_not_there(error):
            raise Wrong("--channel is unknown to the bot; invite it with `coverbot invite`") from None
        raise Wrong(f"--channel cannot be looked at ({explain(error)})") from None
    granted = channel.permissions_for(member)
    missing = [name for name, needed in PERMISSIONS if needed and not getattr(granted, name)]
    if missing:
        raise Wrong(f"in #{found.name} the bot lacks {', '.join(name.replace('_', ' ') for name in missing)}")
    return f"the bot may post in #{found.name}"
