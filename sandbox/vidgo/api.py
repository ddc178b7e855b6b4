"""The HTTP side of the stand-in: routes, the key, the request log, and the place where faults strike."""

from __future__ import annotations

import asyncio
import json
import weakref
from typing import TYPE_CHECKING, Any

from aiohttp import web

from sandbox.hanging_up import has_hung_up
from sandbox.vidgo.records import RequestRecord, Submission
from sandbox.vidgo.rules import RefusedError, check_envelope, check_input, error_body

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sandbox.vidgo.faults import FaultPlan
    from sandbox.vidgo.files import FileHost
    from sandbox.vidgo.records import Json
    from sandbox.vidgo.results import Task
    from sandbox.vidgo.runner import TaskRunner
    from sandbox.vidgo.state import State

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_PREFIXES = {
    "/api/generate/submit": "submit",
    "/api/generate/detail/music": "detail",
    "/api/generate/status/": "status",
    "/api/user/balance": "balance",
    "/files/": "files",
}
_SPOILED = web.RequestKey("spoiled", bool)


class Api:
    """Answers the provider's routes on behalf of a stand-in."""

    def __init__(self, vidgo: State, runner: TaskRunner, faults: FaultPlan, host: FileHost) -> None:
        self._vidgo = vidgo
        self._runner = runner
        self._faults = faults
        self._host = host
        self._connections: weakref.WeakSet[asyncio.Transport] = weakref.WeakSet()

    def application(self) -> web.Application:
        """Return the aiohttp application with all routes."""
        app = web.Application(middlewares=[self._guard])
        app.router.add_post("/api/generate/submit", self._submit)
        app.router.add_get("/api/generate/detail/music", self._detail)
        app.router.add_get("/api/generate/status/{task_id}", self._status)
        app.router.add_get("/api/user/balance", self._balance)
        app.router.add_get("/files/{task_id}/{name}", self._file)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Log the request, let a planned fault strike, check the key, give refusals their shape."""
        vidgo = self._vidgo
        endpoint = next((name for prefix, name in _PREFIXES.items() if request.path.startswith(prefix)), "")
        reused = self._seen_before(request)
        body = _loads(await request.read()) if endpoint == "submit" else None
        model = body.get("model") if isinstance(body, dict) else None
        fault = self._faults.take(endpoint, model, reused=reused)
        if fault is not None:
            vidgo.changes.notify()
            if fault.kind == "stale_connection":  # the provider never saw this request
                return await self._faults.apply(fault, request, handler)
        vidgo.announce("before", request.method, request.path)
        preempted = fault is not None and endpoint == "submit" and not fault.takes_effect
        if fault is not None and preempted and fault.loses_answer:
            self._record_submission(request, body, status=None, task=None)
        if fault is not None and fault.loses_answer:
            self._record_request(request, None)

        async def guarded(request: web.Request) -> web.StreamResponse:
            try:
                if endpoint != "files":
                    self._authorize(request)
                return await handler(request)
            except RefusedError as error:
                if endpoint == "submit":
                    self._record_submission(request, body, status=error.status, task=None)
                return web.json_response(error.body, status=error.status)
            except web.HTTPException as error:
                if endpoint == "files":
                    return web.Response(text=error.text, status=error.status)
                return web.json_response(error_body(error.status, error.reason), status=error.status)

        if fault is None:
            response = await guarded(request)
        else:
            request[_SPOILED] = fault.spoils_answer
            response = await self._faults.apply(fault, request, guarded)
            if preempted and not fault.loses_answer:
                self._record_submission(request, body, status=response.status, task=None)
        vidgo.announce("after", request.method, request.path)
        if fault is None or not fault.loses_answer:
            self._record_request(request, response.status)
        return response

    def _seen_before(self, request: web.Request) -> bool:
        connection = request.transport
        if connection is None or connection in self._connections:
            return connection is not None
        self._connections.add(connection)
        return False

    def _authorize(self, request: web.Request) -> None:
        if request.headers.get("Authorization") != f"Bearer {self._vidgo.key}" or self._vidgo.revoked:
            raise RefusedError(401, "key not valid")

    def _success(self, data: Json) -> web.Response:
        code = self._vidgo.success_code
        return web.json_response({"data": data} if code is None else {"code": code, "data": data})

    async def _submit(self, request: web.Request) -> web.StreamResponse:
        vidgo = self._vidgo
        body = _loads(await request.read())
        model, data, callback_url = check_envelope(body)
        check_input(model, data, refuse_simple_instrumental=vidgo.refuse_simple_instrumental)
        task = self._runner.accept(model, data, callback_url)
        self._record_submission(request, body, status=200, task=task)
        if vidgo.callback_faults.before_answer:
            await self._runner.finish_and_deliver(task)
        return self._success(vidgo.accepted_payload(task))

    async def _detail(self, request: web.Request) -> web.StreamResponse:
        task_id = request.query.get("task_id")
        if not task_id:
            raise RefusedError(400, "task_id is required")
        task = self._vidgo.visible_task(task_id)
        if task is None:
            raise RefusedError(self._vidgo.unknown_task_status, "task not found", kind="resource_not_found_error")
        return self._success(self._vidgo.detail_payload(task))

    async def _status(self, request: web.Request) -> web.StreamResponse:
        if self._vidgo.visible_task(request.match_info["task_id"]) is None:
            raise RefusedError(404, "task not found")
        raise RefusedError(400, "this is a music task, query it with /api/generate/detail/music")

    async def _balance(self, _: web.Request) -> web.StreamResponse:
        return self._success({"email": "me@example.com", "credits_amount": self._vidgo.credits})

    async def _file(self, request: web.Request) -> web.StreamResponse:
        task = self._vidgo.tasks.get(request.match_info["task_id"])
        if task is None:
            raise web.HTTPNotFound(text="no such file")
        return await self._host.serve(request, task, request.match_info["name"])

    def _record_submission(self, request: web.Request, body: Any, *, status: int | None, task: Task | None) -> None:
        fields = body if isinstance(body, dict) else {}
        submission = Submission(
            model=fields.get("model"),
            input=fields.get("input"),
            callback_url=fields.get("callback_url"),
            at=self._vidgo.clock(),
            status=None if request.get(_SPOILED) else status,
            task_id=task.id if task else None,
            accepted=task is not None,
            hung_up=has_hung_up(request),
        )
        self._vidgo.log_submission(submission)

    def _record_request(self, request: web.Request, status: int | None) -> None:
        self._vidgo.log_request(
            RequestRecord(
                method=request.method,
                path=request.path,
                status=status,
                at=self._vidgo.clock(),
                query=request.query_string,
                authorized="Authorization" in request.headers,
            )
        )


def _loads(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None
