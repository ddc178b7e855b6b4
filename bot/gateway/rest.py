"""discord.py's way to Discord's REST API, where an answer may be somebody else's and a request may be broken off."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from discord.http import HTTPClient
from discord.webhook.async_ import AsyncWebhookAdapter, async_context

LONGEST_WAIT_SECONDS = 30.0
"""How long a request waits for a limit of Discord's: the shortest that discord.py takes."""

_BODILESS = ("DELETE", "POST", "PUT")
"""Methods to which Discord may answer without a body."""

_MESSAGE = {"id": str, "channel_id": str, "content": str, "type": int}
_MESSAGES = ("/channels/{channel_id}/messages", "/webhooks/{webhook_id}/{webhook_token}")
_ONE_MESSAGE = tuple(
    f"{path}/{name}" for path in (_MESSAGES[0], f"{_MESSAGES[1]}/messages") for name in ("{message_id}", "@original")
)
_LIST = ("GET", _MESSAGES[0])

_NEEDED: dict[tuple[str, str], dict[str, type]] = {
    **{("POST", path): _MESSAGE for path in _MESSAGES},
    **{(method, path): _MESSAGE for method in ("GET", "PATCH") for path in _ONE_MESSAGE},
    _LIST: _MESSAGE,
    ("POST", "/users/@me/channels"): {"id": str},
    ("POST", "/interactions/{webhook_id}/{webhook_token}/callback"): {"interaction": dict},
}
"""What discord.py reads of answers, beyond which it stumbles; Discord documents it for each."""


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
    needed = _NEEDED.get((route.method, route.path))
    if needed is not None:
        is_list = isinstance(answer, list) and (route.method, route.path) == _LIST
        for one in answer if is_list else [answer]:
            _check(one, needed)
    return answer


def _check(answer: Any, needed: dict[str, type]) -> None:
    if not isinstance(answer, dict):
        raise UnreadableError("no answer of Discord's")
    for key, kind in needed.items():
        value = answer.get(key)
        if not isinstance(value, kind) or (key.endswith("id") and not str(value).isdecimal()):
            raise UnreadableError(f"no answer of Discord's: without {key!r}")
