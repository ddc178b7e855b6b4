"""`coverbot check` and `coverbot invite`: what is wrong before anything starts, and the way into a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import discord
from aiohttp import web

from bot.client import PERMISSIONS
from bot.settings import Settings
from bot.vidgo import KeyRefused, VidGo, VidGoError
from storage.database import Database, DatabaseError

TIMEOUT = aiohttp.ClientTimeout(total=15)


class Wrong(Exception):  # noqa: N818
    """One check found something wrong; the text says what, and what to do."""


async def check(settings: Settings, channel_id: int | None, say: Callable[[str], None]) -> bool:
    """Say one line for each part that `run` needs, and return whether all of them are right."""
    async with aiohttp.ClientSession(timeout=TIMEOUT) as session, _discord(settings) as client:
        checks: list[tuple[str, Callable[[], Awaitable[str]]]] = [
            ("Discord token", lambda: _token(client, settings)),
            ("VidGo key", lambda: _key(session, settings)),
            ("Database", lambda: _database(settings)),
            ("Public URL", lambda: _public_url(session, settings)),
        ]
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
    async with discord.Client(intents=discord.Intents.none()) as client:
        yield client


async def _token(client: discord.Client, settings: Settings) -> str:
    try:
        await client.login(settings.discord_token.get_secret_value())
    except discord.LoginFailure:
        raise Wrong("DISCORD_TOKEN is refused by Discord; copy it again from the developer portal") from None
    except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
        raise Wrong(f"Discord cannot be reached ({type(error).__name__}); check DISCORD_API_URL") from None
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
        database = await Database.open(settings.database_url)
    except DatabaseError as error:
        raise Wrong(f"DATABASE_URL: {error}") from None
    try:
        async with database.write():
            pass
    except Exception as error:  # whatever the driver says, it cannot be written
        raise Wrong(f"DATABASE_URL: the database cannot be written: {error}") from None
    finally:
        await database.close()
    return "can be read and written"


async def _public_url(session: aiohttp.ClientSession, settings: Settings) -> str:
    if settings.public_url is None:
        return "PUBLIC_URL is not set, so VidGo is asked for results instead of calling back; that is fine"
    if not settings.public_url.startswith("https://") and not settings.media_allow_private_hosts:
        raise Wrong("PUBLIC_URL must begin with https://, as VidGo calls no other address")
    async with _stand_in_listener(settings):
        url = f"{settings.public_url}/callbacks/vidgo/check/check"
        try:
            async with session.post(url, json={}, allow_redirects=False) as response:
                status, body = response.status, await response.content.read(1000)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Wrong(f"PUBLIC_URL cannot be reached from here ({type(error).__name__})") from None
    if status != 403 or b"no such task" not in body:
        raise Wrong(f"PUBLIC_URL answers {status}, but not this program; check that it leads to LISTEN_PORT")
    return "leads to the callback route"


@asynccontextmanager
async def _stand_in_listener(settings: Settings) -> AsyncIterator[None]:
    """Answer as the program would, unless the program runs already and answers itself."""

    async def refuse(_request: web.Request) -> web.Response:
        return web.json_response({"message": "no such task"}, status=403)

    application = web.Application()
    application.add_routes([web.post("/callbacks/vidgo/{task}/{token}", refuse)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.listen_host, settings.listen_port).start()
    except OSError:
        await asyncio.sleep(0)
    try:
        yield
    finally:
        await runner.cleanup()


async def _channel(client: discord.Client, channel_id: int) -> str:
    try:
        channel = await client.fetch_channel(channel_id)
        if not isinstance(channel, discord.abc.GuildChannel | discord.Thread):
            raise Wrong("--channel is not a channel of a server")
        guild = await client.fetch_guild(channel.guild.id)
        member = await guild.fetch_member(client.user.id)  # type: ignore[union-attr]
    except (discord.NotFound, discord.Forbidden):
        raise Wrong("--channel is unknown to the bot; invite it with `coverbot invite`") from None
    except (discord.HTTPException, aiohttp.ClientError, OSError, RuntimeError) as error:
        raise Wrong(f"--channel cannot be looked at ({type(error).__name__})") from None
    granted = channel.permissions_for(member)
    missing = [name for name, needed in PERMISSIONS if needed and not getattr(granted, name)]
    if missing:
        raise Wrong(f"in #{channel.name} the bot lacks {', '.join(name.replace('_', ' ') for name in missing)}")
    return f"the bot may post in #{channel.name}"
