"""Into Discord in three steps: logging in, the gateway, and registering the commands.

Each step waits by itself for as long as it takes. Two refusals alone are final, and both only in Discord's own words: a
token that it does not know, and the server of `DISCORD_GUILD_ID` that the bot may not register commands in.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from itertools import chain, repeat
from typing import Any, TypeVar

import discord

from bot.gateway.client import Client
from bot.gateway.registration import learn_commands, register_commands
from bot.refusals import (
    MISSING_ACCESS,
    UNREACHABLE,
    asked_to_wait,
    explain,
    is_not_there,
    refuses_token,
)
from bot.settings import Settings, SettingsError

log = logging.getLogger(__name__)

T = TypeVar("T")

PAUSES = (2.0, 5.0, 15.0, 60.0)
REGISTRATION_PAUSES = (5.0, 60.0, 600.0, 3600.0)
"""Longer ones, for the commands that Discord has go on working, and an application may change them 200 times a day."""

LEADS_SECONDS = 2.0
"""How often a process that does not lead looks whether it does."""


async def log_in(client: Client, settings: Settings) -> None:
    """Log in, however long Discord is out of reach; raises `SettingsError` when it does not know the token."""

    async def attempt() -> None:
        try:
            await client.login(settings.discord_token.get_secret_value())
        except BaseException:
            # discord.py opens a session at each try and leaves the last one open.
            await client.http.close()
            client.http.connector = discord.utils.MISSING
            raise

    await retry(attempt, "Discord cannot be reached", PAUSES)


async def stay_connected(
    client: Client, gateway: Coroutine[Any, Any, None], settings: Settings, leads: Callable[[], bool]
) -> None:
    """Connect to the gateway and register the commands, neither waiting for the other, and return when Discord is left.

    Only the one who leads registers. Raises `SettingsError` for a refusal that a setting is to blame for, and what
    ended the connection.
    """
    connection = asyncio.create_task(gateway, name="gateway")
    registration = asyncio.create_task(_register(client, settings.discord_guild_id, leads), name="registration")
    try:
        await asyncio.wait({connection, registration}, return_when=asyncio.FIRST_COMPLETED)
        if registration.done():
            registration.result()
        await connection
    finally:
        registration.cancel()
        connection.cancel()
        await asyncio.gather(registration, connection, return_exceptions=True)


async def _register(client: Client, guild_id: int | None, leads: Callable[[], bool]) -> None:
    """Register the commands whenever this process comes to lead: who led before may have been of another version."""
    is_known = has_led = False

    async def attempt() -> None:
        nonlocal is_known, has_led
        is_leader = leads()
        if is_known and is_leader <= has_led:
            has_led = is_leader
            return
        try:
            await (register_commands if is_leader else learn_commands)(client, guild_id)
        except discord.HTTPException as error:
            is_final = guild_id is not None and error.code == MISSING_ACCESS and is_not_there(error)
            if is_final and not is_known:
                raise SettingsError(
                    "DISCORD_GUILD_ID names a server that the bot is not a member of or may have no commands in; open "
                    "the address that `coverbot invite` prints"
                ) from error
            raise
        is_known, has_led = True, is_leader

    while True:
        await retry(attempt, "the commands stay as Discord has them", REGISTRATION_PAUSES)
        await asyncio.sleep(LEADS_SECONDS)


async def retry(step: Callable[[], Awaitable[T]], failure: str, pauses: Sequence[float]) -> T:
    """Repeat a step until it is done; raises `SettingsError` when Discord does not know the token."""
    for pause in chain(pauses, repeat(pauses[-1])):
        try:
            return await step()
        except UNREACHABLE as error:
            if refuses_token(error):
                raise SettingsError(
                    "DISCORD_TOKEN is refused by Discord; copy it again from the developer portal"
                ) from error
            seconds = max(pause, asked_to_wait(error))
            log.warning("%s (%s); the next try is in %.0f s", failure, explain(error), seconds)
        await asyncio.sleep(seconds)
    raise AssertionError("there is always a next pause")
