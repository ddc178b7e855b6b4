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
            parse(_COMPLETE.get(event, _as_it_is)(data))
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
    if isinstance(complete.get("message"), dict):
        complete["message"] = _message(complete["message"])
    resolved = complete["data"].get("resolved")
    if isinstance(resolved, dict) and isinstance(resolved.get("messages"), dict):
        messages = {one: _message(message) for one, message in resolved["messages"].items()}
        complete["data"] = {**complete["data"], "resolved": {**resolved, "messages": messages}}
    return complete


def _message(partial: dict[str, Any]) -> dict[str, Any]:
    """Complete a message, and the thread that was begun at it."""
    message = {"type": 0, "content": "", "components": [], **partial}
    thread = message.pop("thread", None)
    return message if thread is None else {**message, "thread": _channel(thread)}


def _channel(partial: dict[str, Any], kind: int = _TEXT) -> dict[str, Any]:
    """Complete a channel or thread: Discord promises little of one, and in an interaction that it is partial."""
    known = {key: value for key, value in partial.items() if value is not None}
    channel = {"type": kind, "name": "", "position": 0, "bitrate": 64_000, "user_limit": 0, **known}
    if channel["type"] in _THREADS:
        told = {key: value for key, value in channel.get("thread_metadata", {}).items() if value is not None}
        metadata = {"archived": False, "auto_archive_duration": 1440, "archive_timestamp": _NEVER, **told}
        counts = {"owner_id": "0", "parent_id": "0", "message_count": 0, "member_count": 0}
        channel = {**counts, **channel, "thread_metadata": metadata}
    return channel


def _server(told: dict[str, Any]) -> dict[str, Any]:
    """Complete the channels and threads of a server, of which a single one would keep all of it from being read."""
    lists = {name: told.get(name) for name in ("channels", "threads")}
    return {**told, **{name: [_channel(one) for one in found] for name, found in lists.items() if found is not None}}


def _as_it_is(data: Any) -> Any:
    return data


_COMPLETE: dict[str, Callable[[Any], Any]] = {
    "INTERACTION_CREATE": complete,
    **dict.fromkeys(("GUILD_CREATE", "GUILD_UPDATE", "THREAD_LIST_SYNC"), _server),
    **dict.fromkeys(("CHANNEL_CREATE", "CHANNEL_UPDATE", "THREAD_CREATE", "THREAD_UPDATE"), _channel),
}


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
