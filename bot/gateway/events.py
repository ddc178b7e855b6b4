"""Events of Discord's as discord.py can read them: it stumbles over what the documentation does not promise."""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import discord
from discord.gateway import ReconnectWebSocket
from discord.shard import EventItem, EventType

log = logging.getLogger(__name__)

ATTACHMENT_BYTES = 10 * 1024 * 1024
"""The largest upload where Discord names none."""

_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, zlib.error)
"""What discord.py raises for a frame that is none of Discord's."""

_THREADS = (10, 11, 12)
_TEXT, _DIRECT = 0, 1

_NEVER = "1970-01-01T00:00:00+00:00"


def tolerant(event: str, parse: Callable[[Any], None]) -> Callable[[Any], None]:
    """Let a single event that discord.py cannot read be left out, where it would end every shard and the program."""

    def parse_or_leave(data: Any) -> None:
        try:
            parse(complete(data) if event == "INTERACTION_CREATE" else data)
        except Exception as error:
            log.error(
                "Discord sent a %s that cannot be read and is left out: %s: %s", event, type(error).__name__, error
            )

    return parse_or_leave


def outlive_frames(shard: Any) -> None:
    """Let a frame that cannot be read cost a shard of discord.py's its session, where it would end the program."""
    handle: Callable[[Exception], Awaitable[None]] = shard._handle_disconnect

    async def handle_disconnect(error: Exception) -> None:
        if not isinstance(error, _UNREADABLE):
            await handle(error)
            return
        log.warning("shard %d: a frame cannot be read (%s); a new session begins", shard.id, type(error).__name__)
        await shard.ws.close(code=4000)
        await asyncio.sleep(shard._backoff.delay())
        shard._queue_put(EventItem(EventType.identify, shard, ReconnectWebSocket(shard.id, resume=False)))

    shard._handled_exceptions += _UNREADABLE
    shard._handle_disconnect = handle_disconnect


def complete(interaction: Any) -> Any:
    """Fill in what an interaction may lack and discord.py reads all the same: nobody's command stays unanswered."""
    if not isinstance(interaction, dict) or not isinstance(interaction.get("data"), dict):
        return interaction
    complete = {key: value for key, value in interaction.items() if value is not None}
    complete.setdefault("version", 1)
    complete.setdefault("attachment_size_limit", ATTACHMENT_BYTES)
    complete.setdefault("app_permissions", str(discord.Permissions.all().value))  # a refusal would be made up
    if complete.get("guild_id") is not None:
        complete.setdefault("authorizing_integration_owners", {"0": complete["guild_id"]})
    channel_id = complete.get("channel_id")
    channel = complete.get("channel") or ({"id": channel_id} if channel_id is not None else None)
    if isinstance(channel, dict):
        complete["channel"] = _channel(channel, _DIRECT if complete.get("guild_id") is None else _TEXT)
    message = complete.get("message")
    if isinstance(message, dict):
        complete["message"] = {"components": [], **message}
    return complete


def _channel(partial: dict[str, Any], kind: int) -> dict[str, Any]:
    """Complete a channel: Discord promises of one in an interaction that it is partial, and no more."""
    channel = {"type": kind, "name": "", "position": 0, **partial}
    if channel["type"] in _THREADS:
        known: Any = channel.get("thread_metadata") or {}
        metadata = {"archived": False, "auto_archive_duration": 1440, "archive_timestamp": _NEVER, **known}
        counts = {"owner_id": "0", "parent_id": "0", "message_count": 0, "member_count": 0}
        channel = {**counts, **channel, "thread_metadata": metadata}
    return channel


def shows(message: discord.Message | None, pressed: Mapping[str, object]) -> bool:
    """Tell whether a message has the button or menu that was pressed, without which discord.py does nothing."""
    wanted = pressed.get("component_type"), pressed.get("custom_id")
    parts = _parts(() if message is None else message.components)
    return any((part.type.value, getattr(part, "custom_id", None)) == wanted for part in parts)


def _parts(components: Any) -> Iterator[discord.Component]:
    for component in components:
        yield component
        yield from _parts(getattr(component, "children", ()))
        if (accessory := getattr(component, "accessory", None)) is not None:
            yield accessory
