"""`coverbot check` and `coverbot invite`: what is wrong before anything starts, and the way into a server."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import discord

from bot.cli.accounts import (
    TIMEOUT,
    ServerClock,
    Wrong,
    ask_balance,
    invitation,
    log_in,
    look_at_channel,
    look_at_commands,
    look_at_gateway,
    look_at_servers,
    open_discord,
    servers_of,
)
from bot.cli.reach import look_at_listener, look_at_public_url
from bot.media.folders import look_at_posting_folder
from bot.media.store import make_store
from bot.settings import Settings, SettingsError
from storage.archive.disk import Disk
from storage.archive.store import StoreError
from storage.database import Database, DatabaseError, is_postgresql
from storage.sqlite.opening import hold_to_migrate, look_at_lock, reason_of

LARGEST_SKEW = 60.0
"""By how many seconds a clock may be off."""


class Hint(Exception):  # noqa: N818 (a word says what happened)
    """Something works, and will not for long; the text says what to do."""


async def check(
    settings: Settings, channel_id: int | None, say: Callable[[str], None], *, now: Callable[[], float] = time.time
) -> bool:
    """Say one line for each part that `run` needs, and return whether all of them are right."""
    clock = ServerClock(settings.discord_api_url, settings.vidgo_api_url, clock=now)
    async with (
        aiohttp.ClientSession(timeout=TIMEOUT, trace_configs=[clock.trace]) as session,
        open_discord(settings, clock) as client,
    ):
        checks: list[tuple[str, Callable[[], Awaitable[str]]]] = [
            ("Discord token", lambda: _token(client, settings)),
            ("VidGo key", lambda: _key(session, settings)),
            ("Clock", lambda: _clock(clock)),
            ("Database", lambda: _database(settings)),
            ("Archive", lambda: _archive(settings)),
            ("Listener", lambda: look_at_listener(session, settings)),
            ("Public URL", lambda: look_at_public_url(session, settings)),
            ("Gateway", lambda: look_at_gateway(client, settings)),
            ("Server", lambda: _servers(client, settings)),
        ]
        if channel_id is not None:
            checks.append(("Channel", lambda: look_at_channel(client, channel_id)))
        fine = True
        for name, inspect in checks:
            try:
                say(f"ok     {name}: {await inspect()}")
            except Hint as hint:
                say(f"hint   {name}: {hint}")
            except Wrong as wrong:
                fine = False
                say(f"WRONG  {name}: {wrong}")
    return fine


async def invite(settings: Settings) -> str:
    """Return the address that invites the bot with exactly what it needs; raises `Wrong`."""
    async with open_discord(settings) as client:
        await log_in(client, settings.discord_token.get_secret_value())
        return await invitation(client)


async def _token(client: discord.Client, settings: Settings) -> str:
    return f"logged in as {await log_in(client, settings.discord_token.get_secret_value())}"


async def _key(session: aiohttp.ClientSession, settings: Settings) -> str:
    credits_left = await ask_balance(session, settings, settings.vidgo_api_key.get_secret_value())
    if credits_left <= 0:
        raise Wrong("VIDGO_API_KEY is good, but the account has no credits; top it up")
    return f"{credits_left:g} credits"


async def _clock(clock: ServerClock) -> str:
    if clock.ahead is None:
        raise Hint("nobody has answered whom it could be compared with")
    if abs(clock.ahead) > LARGEST_SKEW:
        way = "fast" if clock.ahead > 0 else "slow"
        raise Wrong(
            f"this machine's clock is {abs(clock.ahead):,.0f} s {way} by Discord's and VidGo's answers; let it set "
            f"itself (timedatectl set-ntp true)"
        )
    return "agrees with the servers'"


async def _database(settings: Settings) -> str:
    try:
        if not is_postgresql(settings.database_url):
            look_at_lock(settings.database_url)
            await _posting_folder(settings)
        with hold_to_migrate(settings.database_url):
            database = await Database.open(settings.database_url, settings.database_server)
    except DatabaseError as error:
        raise Wrong(f"DATABASE_URL: {error}") from None
    try:
        said, doubts = await database.describe(), await database.doubts()
    except Exception as error:  # whatever the driver says, it cannot be written
        raise Wrong(f"DATABASE_URL: the database cannot be written: {error}") from None
    finally:
        await database.close()
    if doubts:
        raise Hint("; ".join([said, *doubts]))
    return said


async def _posting_folder(settings: Settings) -> None:
    try:
        await asyncio.to_thread(look_at_posting_folder, settings)
    except SettingsError as error:
        raise Wrong(str(error)) from None


async def _archive(settings: Settings) -> str:
    if is_postgresql(settings.database_url):
        await _posting_folder(settings)
    if not settings.archive_max_bytes:
        return "switched off"
    try:
        store = make_store(settings)
        if isinstance(store, Disk):
            return await asyncio.to_thread(_archive_on_disk, settings.archive_dir, settings.archive_max_bytes)
        await store.probe()
    except StoreError as error:
        raise Wrong(f"ARCHIVE_URL: nothing can be put, read and deleted there: {error}") from None
    return f"the store puts, gives back and deletes; keeps up to {settings.archive_max_bytes:,} bytes"


def _archive_on_disk(directory: Path, most: int) -> str:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory) as file:
            file.write(b"check")
            file.flush()
    except OSError as error:
        raise Wrong(f"ARCHIVE_DIR cannot be used: {reason_of(error)}") from None
    free, kept = shutil.disk_usage(directory).free, _size(directory)
    if kept + free < most:
        raise Hint(
            f"it may grow to {most:,} bytes and has {kept:,}, but its disk has only {free:,} left; make room or lower "
            f"ARCHIVE_MAX_BYTES"
        )
    return f"keeps up to {most:,} bytes"


def _size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.glob("[0-9a-f][0-9a-f]/*") if path.is_file())


async def _servers(client: discord.Client, settings: Settings) -> str:
    servers = await servers_of(client, settings.discord_guild_id)
    if servers:
        if settings.discord_guild_id is not None:
            await look_at_commands(client, settings.discord_guild_id)
        return await look_at_servers(client, servers)
    if settings.discord_guild_id is not None:
        raise Wrong("DISCORD_GUILD_ID names a server that the bot is not a member of")
    raise Wrong("the bot is in no server yet; open the address that `coverbot invite` prints")
