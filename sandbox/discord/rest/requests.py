"""The REST side: what every request goes through, whatever its route."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import BodyPartReader, hdrs, web

from sandbox.discord.limits import Grant, RateLimits, SessionStarts, limited_answer
from sandbox.discord.rest.faults import Fault, FaultPlan, When
from sandbox.discord.rest.judge import Judge, Violation
from sandbox.discord.state.commands import CommandRegistry
from sandbox.discord.state.errors import MALFORMED_CODES, ApiError, describe, invalid, refuse, refuse_status
from sandbox.discord.state.model import Json, State
from sandbox.discord.state.rules import Upload

API_PREFIX = "/api/v10"
BODY_LIMIT = 512 * 2**20


@dataclass
class Request:
    """A request the bot sent; `status` is None until answered, `at` is `time.monotonic()` seconds.

    `path` starts after the API's base; `body` is the JSON body, or the `payload_json` part; `files` are the
    names of uploads; `lost` tells that the answer never left.
    """

    method: str
    path: str
    at: float
    query: dict[str, str] = field(default_factory=dict)
    status: int | None = None
    body: Any = None
    files: list[str] = field(default_factory=list)
    answer: Any = None
    template: str = ""
    lost: bool = False


@dataclass(frozen=True)
class Refusal:
    """A request that was refused as Discord would: `code` is the JSON error code, 0 where there is none."""

    method: str
    path: str
    status: int
    code: int
    reason: str


@dataclass(frozen=True)
class Context:
    """What a route's handler gets."""

    state: State
    gateway_url: str
    shards: int
    session_starts: Mapping[str, int]
    commands: CommandRegistry
    match: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    uploads: list[Upload]

    def number(self, name: str, unknown: int) -> int:
        """Return an id from the path; what is no id is refused with the code `unknown`."""
        text = self.match[name]
        if not text.isdigit():
            raise refuse(unknown)
        return int(text)


Handler = Callable[[Context], tuple[int, Any]]


@dataclass(frozen=True)
class Route:
    """A method and path template with its handler.

    `bucket` names a rate limit kept per value of the path's `major` parameter; `token_only` routes carry their
    credential in the path.
    """

    method: str
    template: str
    handler: Handler
    bucket: str | None = None
    major: str = "channel_id"
    token_only: bool = False


class Rest:
    """Take requests through recording, faults, limits, the judge and their route."""

    def __init__(
        self,
        state: State,
        token: str,
        commands: CommandRegistry,
        faults: FaultPlan,
        limits: RateLimits,
        judge: Judge | None,
        *,
        judge_at_once: bool,
    ) -> None:
        self.requests: list[Request] = []
        self.refusals: list[Refusal] = []
        self.found_violations: list[Violation] = []
        self.judged = 0
        self.gateway_url = ""
        self.shards = 1
        self.session_starts = SessionStarts(state.clock)
        self._state = state
        self._token = token
        self._commands = commands
        self._faults = faults
        self._limits = limits
        self._judge = judge
        self._judge_at_once = judge_at_once
        self._unjudged: list[Request] = []
        self._closing = asyncio.Event()

    def close(self) -> None:
        """Let requests that hang go."""
        self._closing.set()

    def mount(self, app: web.Application, routes: list[Route]) -> None:
        """Add the routes to an application, with Discord's 404 for every other path."""
        for route in routes:
            app.router.add_route(route.method, API_PREFIX + route.template, self._bound(route))
        app.router.add_route("*", API_PREFIX + "/{tail:.*}", self._bound(Route("*", "", _unknown_path)))

    def judge_pending(self) -> None:
        """Judge the bodies that were put off."""
        pending, self._unjudged = self._unjudged, []
        for record in pending:
            self._judge_body(record)

    def _bound(self, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def serve(request: web.Request) -> web.StreamResponse:
            return await self._serve(route, request)

        return serve

    async def _serve(self, route: Route, request: web.Request) -> web.StreamResponse:
        path = request.path.removeprefix(API_PREFIX)
        record = Request(request.method, path, time.monotonic(), dict(request.query), template=route.template)
        self.requests.append(record)
        if self._faults.refusing_rest:
            return self._hang_up(record, request)
        malformed: ApiError | None = None
        uploads: list[Upload] = []
        try:
            record.body, uploads = await _read_body(request)
            record.files = [upload.filename for upload in uploads]
        except ApiError as error:
            malformed = error
        except ConnectionError:  # the bot died in the middle of its request, which then has no effect
            return web.Response(status=400)
        self._faults.watch(record.method, path, "before")
        answer = await self._strike(record, request, "before", {})
        if answer is not None:
            return answer
        answer = self._effect(route, request, record, uploads, malformed)
        record.status = answer.status
        self._faults.watch(record.method, path, "after")
        self._state.changed.notify()
        return await self._strike(record, request, "after", answer.headers) or answer

    async def _strike(
        self, record: Request, request: web.Request, when: When, headers: Mapping[str, str]
    ) -> web.StreamResponse | None:
        for fault in self._faults.take_faults(record.method, record.path, when, record.body):
            if fault.kind == "hang":
                await self._wait(fault)
                continue
            if fault.kind == "lose":
                return self._hang_up(record, request)
            record.status, body, extra = fault.answer()
            if fault.body is not None:
                return web.Response(body=fault.body.encode(), content_type="application/json")
            kept = {name: value for name, value in headers.items() if name.lower().startswith("x-ratelimit")}
            if isinstance(body, str):
                return web.Response(text=body, status=record.status, headers=extra, content_type="text/html")
            return _json(record.status, body, kept | extra)
        return None

    async def _wait(self, fault: Fault) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(fault.seconds):
                await self._closing.wait()

    def _effect(
        self,
        route: Route,
        request: web.Request,
        record: Request,
        uploads: list[Upload],
        malformed: ApiError | None,
    ) -> web.Response:
        grant = Grant({}, None)
        try:
            if not route.token_only and request.headers.get(hdrs.AUTHORIZATION) != f"Bot {self._token}":
                raise refuse_status(401, "Unauthorized")
            if route.bucket is not None:
                grant = self._limits.take(route.bucket, request.match_info.get(route.major, ""))
                if grant.retry_after is not None:
                    body, headers = limited_answer(grant.retry_after, grant.headers)
                    return _json(429, body, headers)
            if malformed is not None:
                raise malformed
            self._check_body(record)
            context = Context(
                self._state,
                self.gateway_url,
                self.shards,
                self.session_starts.limit,
                self._commands,
                request.match_info,
                request.query,
                record.body,
                uploads,
            )
            status, answer = route.handler(context)
        except ApiError as error:
            error.status = self._faults.statuses.get(error.code, error.status)
            self._note(record, error)
            status, answer = error.status, error.body
        record.answer = answer
        return _json(status, answer, grant.headers)

    def _check_body(self, record: Request) -> None:
        if record.body is None:
            return
        if not self._judge_at_once:
            self._unjudged.append(record)
            return
        reason = self._judge_body(record)
        if reason is not None:
            raise invalid(["_openapi"], "SCHEMA", reason)

    def _judge_body(self, record: Request) -> str | None:
        if self._judge is None:
            return None
        self.judged += 1
        reason = self._judge.request_error(record.method, record.template, record.body)
        if reason is not None:
            self.found_violations.append(Violation(record.method, record.path, reason, record.body))
        return reason

    def _note(self, record: Request, error: ApiError) -> None:
        reason = describe(error)
        self.refusals.append(Refusal(record.method, record.path, error.status, error.code, reason))
        by_description = bool(error.errors) and "_openapi" in (error.errors or {})
        if error.code in MALFORMED_CODES and not by_description:
            self.found_violations.append(Violation(record.method, record.path, reason, record.body))

    def _hang_up(self, record: Request, request: web.Request) -> web.StreamResponse:
        record.lost = True
        if request.transport is not None:
            request.transport.close()
        return web.Response(status=500)


async def _read_body(request: web.Request) -> tuple[Any, list[Upload]]:
    if not request.body_exists:
        return None, []
    if request.content_type != "multipart/form-data":
        return _parse(await request.read()), []
    body: Any = {}
    uploads: list[Upload] = []
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader):
            raise refuse(50035)
        if part.name == "payload_json":
            body = _parse(bytes(await part.read()))
        elif (found := re.fullmatch(r"files\[(\d+)\]", part.name or "")) is not None:
            data = bytes(await part.read())
            uploads.append(Upload(int(found[1]), part.filename or "unknown", data))
        else:
            await part.release()
    return body, uploads


def _parse(data: bytes) -> Any:
    if not data:
        return None
    try:
        return json.loads(data)
    except ValueError:
        raise refuse(50109) from None


def _json(status: int, body: Any, headers: Mapping[str, str]) -> web.Response:
    if status == 204:
        return web.Response(status=204, headers=headers)
    # discord.py reads an answer as JSON only when the content type stands alone, without a charset.
    data = json.dumps(body, separators=(",", ":")).encode()
    return web.Response(body=data, status=status, headers=headers, content_type="application/json")


def _unknown_path(_context: Context) -> tuple[int, Json]:
    raise refuse_status(404, "Not Found")
