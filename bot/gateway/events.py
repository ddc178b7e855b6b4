"""Events of Discord's as discord.py can read them: it stumbles over what the documentation does not promise."""

from __future__ import annotations

import asyncio
import json
import logging
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import discord
from discord.gateway import DiscordWebSocket, ReconnectWebSocket
from discord.shard import EventItem, EventType

from bot.gateway.shapes import EVENTS, USER, Shape

log = logging.getLogger(__name__)

_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, zlib.error)
"""What discord.py raises for a frame that is none of Discord's."""

_BEGINS = {"READY": Shape({"guilds": []}, {"user": USER, "application": Shape({"flags": 0})}), "RESUMED": Shape()}
"""How sessions begin; discord.py reads of it before the parsers of events do."""


class Connection(DiscordWebSocket):
    """A shard's connection, whose session may begin with less than discord.py reads."""

    async def received_message(self, msg: Any, /) -> None:
        """Take a frame, complete where a session begins with it."""
        text = self._decompressor.decompress(msg) if isinstance(msg, bytes) else msg
        if text is None:  # a part of one
            return
        if any(f'"{event}"' in text for event in _BEGINS):
            text = json.dumps(self._complete(json.loads(text)))
        await super().received_message(text)

    def _complete(self, frame: Any) -> Any:
        if not isinstance(frame, dict) or (shape := _BEGINS.get(frame.get("t") or "")) is None:
            return frame
        known = {"shard": [self.shard_id, self.shard_count], "resume_gateway_url": str(self.gateway)}
        return {"s": self.sequence, **frame, "d": {**known, **shape(frame.get("d") or {})}}


def read_events(parsers: dict[str, Callable[[Any], None]]) -> None:
    """Let discord.py read the events that are made use of, those that begin a session among them, and no others."""
    discord.shard.DiscordWebSocket = Connection  # type: ignore[misc]  # discord.py makes its connections itself
    kept = {event: tolerant(event, parsers[event]) for event in EVENTS} | {event: parsers[event] for event in _BEGINS}
    parsers.clear()
    parsers.update(kept)


def tolerant(event: str, parse: Callable[[Any], None]) -> Callable[[Any], None]:
    """Let a single event that discord.py cannot read be left out, where it would end every shard and the program."""

    def parse_or_leave(data: Any) -> None:
        try:
            parse(EVENTS[event](data))
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
