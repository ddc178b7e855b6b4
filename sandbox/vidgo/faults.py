"""Faults of the API itself: refused, lost, slow, broken and overloaded answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from aiohttp import web

from sandbox.vidgo.rules import error_body

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Endpoint: TypeAlias = Literal["submit", "detail", "status", "balance", "files"]
FaultKind: TypeAlias = Literal[
    "status",
    "hang",
    "lose_answer_before",
    "lose_answer_after",
    "trickle",
    "broken_json",
    "html",
    "unknown_status",
    "error_in_200",
    "busy_retry_after",
    "busy_text",
    "busy_plain",
    "no_credits_429",
    "no_route",
    "slow",
    "large_headers",
    "stale_connection",
    "unread",
]
"""How answers of the API go wrong.

Without effect on the provider: status (`status`, `body`), html (a page), error_in_200, no_route (a gateway's 404),
busy_retry_after (429 with `seconds` in its header), busy_text (in words), busy_plain, no_credits_429, hang (no answer),
lose_answer_before, stale_connection (the next request on a connection that served one before finds it closed; it is
never seen, so it is logged nowhere).
Without effect until `Fault.goes_on` is set: unread (it waits to be read, as in a queue in front of the provider).
With the request's effect: lose_answer_after, slow (answered after `seconds`), trickle, broken_json, unknown_status
(`body`), large_headers (one of `size` bytes).
"""

ENDPOINTS = frozenset(get_args(Endpoint))
FAULT_KINDS = frozenset(get_args(FaultKind))

# Faults in which the request takes effect before its answer goes wrong.
_AFTER_EFFECT = frozenset(
    {"lose_answer_after", "trickle", "broken_json", "unknown_status", "slow", "large_headers", "unread"}
)


@dataclass
class Fault:
    """One planned fault; `times` counts down at each use, None stays. `seconds` is a wait that it names.

    With `lasting` it strikes whatever fits until so many seconds after its first strike. `struck` counts its strikes.
    """

    endpoint: Endpoint
    kind: FaultKind
    status: int | None = None
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    times: int | None = 1
    model: str | None = None
    seconds: float = 2.0
    size: int = 9_000
    lasting: float | None = None
    struck: int = 0
    until: float | None = None
    goes_on: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    @property
    def takes_effect(self) -> bool:
        """Return whether the request is carried out although its answer goes wrong."""
        return self.kind in _AFTER_EFFECT

    @property
    def loses_answer(self) -> bool:
        """Return whether the client gets no answer at all."""
        return self.kind in {"hang", "lose_answer_before", "lose_answer_after"}

    @property
    def spoils_answer(self) -> bool:
        """Return whether the request is carried out, and its answer is lost, late or beyond reading."""
        return self.kind in {"lose_answer_after", "trickle", "broken_json", "slow"}


class FaultPlan:
    """The faults that wait for their request, used in the order in which they were planned."""

    def __init__(self, closing: asyncio.Event, clock: Callable[[], float]) -> None:
        self._closing = closing
        self._clock = clock
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Plan a fault; raises `ValueError` for an unknown endpoint or kind."""
        if fault.endpoint not in ENDPOINTS or fault.kind not in FAULT_KINDS:
            raise ValueError(f"no such fault: {fault.kind} at {fault.endpoint}")
        self._faults.append(fault)

    def clear(self, endpoint: str | None = None) -> None:
        """Forget the planned faults of one endpoint, or all."""
        self._faults = [fault for fault in self._faults if endpoint not in {None, fault.endpoint}]

    def take(self, endpoint: str, model: object, *, reused: bool) -> Fault | None:
        """Return the fault that hits this request, if any, and use it up.

        `reused` tells that the connection has served a request before.
        """
        for fault in list(self._faults):
            if fault.endpoint != endpoint or fault.model not in {None, model} or self._over(fault):
                continue
            if fault.kind == "stale_connection" and not reused:
                continue
            if fault.times is not None and fault.lasting is None:
                fault.times -= 1
                if fault.times <= 0:
                    self._faults.remove(fault)
            fault.struck += 1
            return fault
        return None

    def _over(self, fault: Fault) -> bool:
        if fault.lasting is None:
            return False
        now = self._clock()
        if fault.until is None:
            fault.until = now + fault.lasting
        if now >= fault.until:
            self._faults.remove(fault)
        return now >= fault.until

    async def apply(
        self,
        fault: Fault,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        """Answer a request as the fault has it."""
        if fault.kind == "unread":
            await fault.goes_on.wait()
            return await handler(request)
        if fault.takes_effect:
            return await self._mangle(fault, request, await handler(request))
        if fault.kind == "hang":
            await self._closing.wait()
            return web.Response(status=503)
        if fault.kind in {"lose_answer_before", "stale_connection"}:
            return _hang_up(request)
        return _refuse(fault)

    async def _mangle(self, fault: Fault, request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
        if fault.kind == "lose_answer_after":
            return _hang_up(request)
        if fault.kind == "slow":
            await closed_within(self._closing, fault.seconds)
            return response
        if fault.kind == "large_headers":
            response.headers["X-Trace"] = "0" * fault.size
            return response
        if not isinstance(response, web.Response) or not isinstance(response.body, bytes):
            return response
        text = response.body
        if fault.kind == "trickle":
            return await self._trickle(fault, request, response.status, text)
        if fault.kind == "broken_json":
            broken = text[: len(text) * 2 // 3]
            return web.Response(body=broken, status=response.status, content_type="application/json")
        body = json.loads(text)
        if isinstance(body.get("data"), dict):
            body["data"]["status"] = fault.body or "pondering"
        return web.json_response(body, status=response.status)

    async def _trickle(self, fault: Fault, request: web.Request, status: int, text: bytes) -> web.StreamResponse:
        slow = web.StreamResponse(status=status, headers={"Content-Type": "application/json"})
        slow.content_length = len(text)
        await slow.prepare(request)
        pause = fault.seconds / len(text)
        with contextlib.suppress(ConnectionError):
            for position in range(len(text)):
                await slow.write(text[position : position + 1])
                if await closed_within(self._closing, pause):
                    break
        return slow


async def closed_within(closing: asyncio.Event, seconds: float) -> bool:
    """Wait so many seconds and return whether the stand-in is closing by then, at once if so."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(closing.wait(), seconds)
    return closing.is_set()


def _hang_up(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.close()
    return web.Response(status=499)  # goes nowhere: the connection is gone


def _refuse(fault: Fault) -> web.Response:
    kind, headers, wait = fault.kind, fault.headers, fault.seconds
    if kind == "html":
        page = fault.body or "<!doctype html><title>502 Bad Gateway</title><h1>Bad Gateway</h1>"
        return web.Response(text=page, status=fault.status or 502, content_type="text/html", headers=headers)
    if kind == "error_in_200":
        body = fault.body or error_body(503, "busy")
        return web.json_response(body, status=200, headers=headers)
    if kind == "status":
        status = fault.status or 500
        body = fault.body if fault.body is not None else error_body(status, f"answered with {status} on purpose")
        if isinstance(body, str):
            return web.Response(text=body, status=status, headers=headers)
        return web.json_response(body, status=status, headers=headers)
    if kind == "no_route":  # what the gateway Kong says when it has lost its routes
        return web.json_response({"message": "no Route matched with those values"}, status=404, headers=headers)
    if kind == "no_credits_429":
        text = "insufficient credits, please top up your balance"
    elif kind == "busy_text":
        text = f"slow down, try again in {wait:g} seconds"
    else:
        text = "slow down"
    if kind == "busy_retry_after":
        headers = {"Retry-After": f"{wait:g}", **headers}
    return web.json_response(error_body(429, text), status=429, headers=headers)
