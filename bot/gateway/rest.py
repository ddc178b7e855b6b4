"""discord.py's way to Discord's REST API, where an answer may be somebody else's and a request may be broken off."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import aiohttp
import discord.http
import discord.utils
import discord.webhook.async_
from discord.http import HTTPClient, Ratelimit
from discord.webhook.async_ import AsyncWebhookAdapter, async_context

from bot.gateway import shapes
from bot.gateway.shapes import Fill

LONGEST_WAIT_SECONDS = 30.0
"""How long a request waits for a limit of Discord's: the shortest that discord.py takes."""

_told_seconds_left = discord.utils._parse_ratelimit_header

_BODILESS = ("DELETE", "POST", "PUT")
"""Methods to which Discord may answer without a body."""

_MESSAGES = ("/channels/{channel_id}/messages", "/webhooks/{webhook_id}/{webhook_token}")
_ONE_MESSAGE = tuple(
    f"{path}/{name}" for path in (_MESSAGES[0], f"{_MESSAGES[1]}/messages") for name in ("{message_id}", "@original")
)
_CALLBACK = ("POST", "/interactions/{webhook_id}/{webhook_token}/callback")

_MESSAGE = {"id": str, "channel_id": str, "content": str, "type": int}
_ANSWERS: dict[tuple[str, str], tuple[Fill, dict[str, type]]] = {
    **{("POST", path): (shapes.MESSAGE, _MESSAGE) for path in _MESSAGES},
    **{(method, path): (shapes.MESSAGE, _MESSAGE) for method in ("GET", "PATCH") for path in _ONE_MESSAGE},
    ("GET", _MESSAGES[0]): (shapes.MESSAGE, _MESSAGE),
    ("POST", "/users/@me/channels"): (shapes.channel, {"id": str}),
    _CALLBACK: (shapes.CALLBACK, {"interaction": dict}),
    ("GET", "/users/@me"): (shapes.USER, {}),
    ("GET", "/oauth2/applications/@me"): (shapes.APPLICATION, {}),
    ("GET", "/gateway/bot"): (shapes.GATEWAY, {}),
    **{("GET", path): (shapes.SERVER, {}) for path in ("/guilds/{guild_id}", "/users/@me/guilds")},
    **{("GET", path): (shapes.channel, {}) for path in ("/channels/{channel_id}", "/guilds/{guild_id}/channels")},
    ("GET", "/guilds/{guild_id}/members/{member_id}"): (shapes.MEMBER, {}),
}
"""What completes an answer, and what discord.py stumbles over where it is lacking or of another kind even then."""

_LISTS = (_MESSAGES[0], "/users/@me/guilds", "/guilds/{guild_id}/channels")

_NOTHING: dict[str, Any] = {}
"""The answer without a body (204)."""


class UnreadableError(aiohttp.ClientError):
    """An answer that cannot be Discord's: a page, cut off, or of another form. What was asked may have happened."""


class Gate(asyncio.Event):
    """What holds back every request while Discord wants none of the whole bot.

    discord.py closes it, and the request that was told of the limit opens it when it has waited. One that is broken off
    meanwhile never does, and nothing would be sent any more: so the gate opens by itself.
    """

    def __init__(self) -> None:
        super().__init__()
        self._opening: asyncio.TimerHandle | None = None
        self.set()

    def set(self) -> None:
        """Let requests through."""
        self._forget()
        super().set()

    def clear(self) -> None:
        """Hold requests back for as long as any of them waits."""
        self.close(LONGEST_WAIT_SECONDS)

    def close(self, seconds: float) -> None:
        """Hold requests back for so long, or for as long as they are held back already."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        if self._opening is not None:
            until = max(until, self._opening.when())
        self._forget()
        super().clear()
        self._opening = loop.call_at(until, self.set)

    def _forget(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None


class _Adapter(AsyncWebhookAdapter):
    async def request(self, route: Any, *arguments: Any, **options: Any) -> Any:
        return await _readable(route, super().request(route, *arguments, **options))


def guard(http: HTTPClient) -> None:
    """Tell answers that discord.py cannot read from mistakes of ours, in this client's requests and interactions."""
    request: Callable[..., Awaitable[Any]] = http.request

    async def guarded(route: Any, **options: Any) -> Any:
        return await _readable(route, request(route, **options))

    # What discord.py calls by these names, wherever it does.
    for module in (discord.http, discord.webhook.async_):
        module.json_or_text = _body  # type: ignore[attr-defined]  # each has its own
    discord.http.Ratelimit = _Limit  # type: ignore[misc]  # taken from there when needed
    discord.utils._parse_ratelimit_header = _seconds_left
    http.request = guarded  # type: ignore[method-assign]  # discord.py makes its client itself
    # The one that all tasks share: set in this one's context, another would be known only to those begun from here.
    async_context.get().__class__ = _Adapter


async def _readable(route: Any, answering: Awaitable[Any]) -> Any:
    try:
        answer = await answering
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableError(f"no answer of Discord's: {type(error).__name__}") from error
    if not isinstance(answer, dict | list) and (answer or route.method not in _BODILESS):
        raise UnreadableError("no answer of Discord's")
    kind = (route.method, route.path)
    if kind not in _ANSWERS:
        return answer
    if kind == _CALLBACK and answer is _NOTHING:  # it is taken, but what it has become is not told
        answer = {"interaction": {}}
    fill, needed = _ANSWERS[kind]
    if isinstance(answer, list) and route.method == "GET" and route.path in _LISTS:
        return [_whole(one, fill, needed) for one in answer]
    return _whole(answer, fill, needed)


def _whole(answer: Any, fill: Fill, needed: dict[str, type]) -> Any:
    """Complete an answer; raises `UnreadableError` where it is of another form even then."""
    if not isinstance(answer, dict):
        raise UnreadableError("no answer of Discord's")
    answer = fill(answer)
    for key, kind in needed.items():
        value = answer.get(key)
        if not isinstance(value, kind) or (key.endswith("id") and not str(value).isdecimal()):
            raise UnreadableError(f"no answer of Discord's: without {key!r}")
    return answer


async def _body(response: aiohttp.ClientResponse) -> Any:
    """Read an answer's body as discord.py does, where there is one, and JSON whatever else its type says."""
    if response.status == 204:
        return _NOTHING
    text = await response.text(encoding="utf-8")
    answer = json.loads(text) if response.content_type == "application/json" else text
    if response.status == 429 and isinstance(answer, dict):
        told = (answer.get("retry_after"), response.headers.get("Retry-After"))
        return {**answer, "retry_after": _seconds(*told)}
    return answer


def _seconds(*told: Any) -> float:
    """Return the first of what is told that is a number, else a second."""
    for one in told:
        with suppress(TypeError, ValueError):
            return float(one)
    return 1.0


class _Limit(Ratelimit):
    """What Discord has told of a limit; headers that tell less than all of it tell nothing."""

    def update(self, response: aiohttp.ClientResponse, *, use_clock: bool = False) -> None:
        try:
            super().update(response, use_clock=use_clock)
        except (LookupError, ValueError, OverflowError):
            self.limit = 1
            self.reset()  # type: ignore[no-untyped-call]  # untyped there


def _seconds_left(request: Any, *, use_clock: bool = False) -> float:
    """Return for how long nothing more may be sent, 0 where Discord does not tell."""
    try:
        return float(_told_seconds_left(request, use_clock=use_clock))
    except (LookupError, ValueError, OverflowError):
        return 0.0
