"""The control side of the stand-in: what tests, the demo and benchmarks set, wait for and look at."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web

from sandbox.ports import reserved_port
from sandbox.vidgo.api import Api
from sandbox.vidgo.callbacks import CallbackSender
from sandbox.vidgo.faults import Fault, FaultPlan
from sandbox.vidgo.files import FILE_KINDS, FileHost
from sandbox.vidgo.records import FileRule, Media
from sandbox.vidgo.results import DEFAULT_SHAPES, SHAPES
from sandbox.vidgo.runner import TaskRunner, song_status
from sandbox.vidgo.state import State

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from sandbox.vidgo.faults import Endpoint, FaultKind
    from sandbox.vidgo.files import FileKind
    from sandbox.vidgo.records import Delivery, Json, RequestRecord, Status, Submission
    from sandbox.vidgo.results import Task


class VidGoStandIn(State):
    """A VidGo that runs on 127.0.0.1, charges credits of its own, and does whatever it is told to do.

    `seconds` is how long a task takes. Every wait of the provider (tasks, callback repeats and delays, detail
    lag) is multiplied by `time_scale`; waits of this class's own methods and of faults are real seconds. `clock`
    returns seconds since 1970; what lasts or lags goes by it. Its artwork has `picture_size` pixels a side.
    """

    def __init__(
        self,
        key: str = "test-key",
        port: int = 0,
        credits: float = 1000,  # noqa: A002  (the API's word)
        seconds: float = 1.0,
        time_scale: float = 1.0,
        *,
        audio_seconds: float = 8.0,
        picture_size: int = 512,
        seed: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(key, port, credits, seconds, time_scale, audio_seconds=audio_seconds, seed=seed, clock=clock)
        self._closing = asyncio.Event()
        self._open = ExitStack()
        self.faults = FaultPlan(self._closing, self.clock)
        self.host = FileHost(self._closing, self.clock, picture_size)
        self.sender = CallbackSender(self)
        self.runner = TaskRunner(self, self.sender)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Open the port; afterwards `api_url` and `port` are true."""
        self.sender.open()
        api = Api(self, self.runner, self.faults, self.host)
        self._web = web.AppRunner(api.application(), access_log=None, shutdown_timeout=0.5)
        await self._web.setup()
        self.port = self.port or self._open.enter_context(reserved_port())
        await self.go_online()

    async def stop(self) -> None:
        """Close the port and end every task and callback that is under way."""
        self._closing.set()
        await self.runner.close()
        await self._web.cleanup()
        await self.sender.close()
        self._open.close()

    async def go_online(self) -> None:
        """Open the port again after `go_offline`."""
        self._site = web.TCPSite(self._web, "127.0.0.1", self.port)
        await self._site.start()

    async def go_offline(self) -> None:
        """Close the port and cut every connection, as in an outage; tasks and callbacks go on."""
        await self._site.stop()
        server = self._web.server
        for connection in server.connections if server else ():
            connection.force_close()
            if connection.transport is not None:
                connection.transport.abort()

    # What the provider does.

    def add_song(
        self,
        title: str,
        *,
        tags: str = "folk",
        seconds: float = 10,
        variants: int = 2,
        status: Status = "finished",
        model: str = "generate-music",
        error_message: str | None = None,
    ) -> Task:
        """Add a song made elsewhere: no submission, no charge, no callback. `seconds` is its length."""
        task = self.runner.create(model, {}, None, title)
        task.variants = self.runner.variants(title, tags, seconds, variants)
        self.runner.pin_file_rules(task)
        song_status(task, status, error_message)
        self.changes.notify()
        return task

    def set_duration(self, model: str, seconds: float) -> None:
        """Set how long tasks of a model take."""
        self.runner.durations[model] = seconds

    def set_result(
        self, model: str, shape: str | None, *, times: int | None = None, error_message: str | None = None
    ) -> None:
        """Set the shape of the next tasks' results (`results.SHAPES`, or "failed"); None: the default shape.

        Raises `ValueError` for an unknown shape.
        """
        if shape == "failed":
            self.set_failure(model, error_message or "artwork could not be produced", times=times)
            return
        if model not in DEFAULT_SHAPES or shape not in {None, *SHAPES}:
            raise ValueError(f"no such result: {shape} of {model}")
        self.runner.plan(self.runner.failures, model, None, None)
        self.runner.plan(self.runner.shapes, model, shape, times)

    def set_failure(self, model: str, message: str | None, *, times: int | None = None) -> None:
        """Let the next tasks of a model fail with a message; None lets them succeed again."""
        self.runner.plan(self.runner.failures, model, message, times)

    def set_song_files(
        self,
        kind: FileKind,
        *,
        task: Task | None = None,
        model: str | None = None,
        media: Media = "audio",
        times: int | None = None,
        data: bytes = b"",
        size: int = 200_000_000,
        location: str = "",
        content_type: str = "",
        status: int = 302,
        pause: float = 0.05,
        rate: int = 0,
        lasting: float | None = None,
        number: int = 0,
    ) -> None:
        """Let the result files of `task`, or of the next tasks (of `model`), misbehave, or only the one with a number.

        `files.FileKind` says what each kind does. With `lasting` they do so for that many seconds after the task's
        end, then they are fine. Raises `ValueError` for an unknown kind.
        """
        if kind not in FILE_KINDS:
            raise ValueError(f"no such behaviour of files: {kind}")
        rule = FileRule(kind, data, size, location, content_type, status, pause, rate, lasting, number=number)
        if task is not None:
            task.file_rules[media] = rule.begun(self.clock())
        else:
            self.runner.plan_files(rule, model, media, times)

    def clear_song_files(self, task: Task | None = None) -> None:
        """Let the files of a task, or of the next tasks, behave again."""
        if task is not None:
            task.file_rules.clear()
        else:
            self.runner.file_rules.clear()

    def expire_files(self, task: Task) -> None:
        """Delete the files of a task, as the provider does after a day."""
        task.expired = True

    def fault(
        self,
        endpoint: Endpoint,
        kind: FaultKind,
        *,
        status: int | None = None,
        body: Any = None,
        headers: dict[str, str] | None = None,
        times: int | None = 1,
        model: str | None = None,
        seconds: float = 2.0,
        size: int = 9_000,
        lasting: float | None = None,
    ) -> Fault:
        """Plan a fault for the next `times` requests to an endpoint (None: until cleared), of `model`.

        With `lasting` it strikes every request until so many seconds after the first one.

        `faults.FaultKind` says what each kind does. Raises `ValueError` for an unknown kind or endpoint.
        """
        fault = Fault(endpoint, kind, status, body, headers or {}, times, model, seconds, size, lasting)
        self.faults.add(fault)
        return fault

    def clear_faults(self, endpoint: Endpoint | None = None) -> None:
        """Forget planned faults."""
        self.faults.clear(endpoint)

    def revoke_key(self) -> None:
        """Refuse the key from now on."""
        self.revoked = True

    def hold(self, model: str) -> None:
        """Keep tasks of a model running until `release`."""
        self.runner.held.add(model)

    def release(self, model: str | None = None) -> None:
        """Let held tasks (of one model) end."""
        self.runner.held.difference_update({model} if model else set(self.runner.held))
        self.changes.notify()

    def finish(self, task: Task, *, error_message: str | None = None) -> None:
        """End a task at once, even a held one, failed if `error_message`; no upload is fetched."""
        self.runner.complete(task, error_message, heard=self.audio_seconds)

    # What happened.

    def accepted(self, model: str | None = None) -> list[Submission]:
        """Return the submissions that made a task."""
        return [one for one in self.submissions if one.accepted and model in {None, one.model}]

    async def wait_submission(
        self,
        predicate: Callable[[Submission], bool] | None = None,
        *,
        timeout: float = 10,
        after: int = 0,
    ) -> Submission:
        """Return the first submission, of those `after` the first so many, that fits; wait for it."""

        def find() -> Submission | None:
            return next((one for one in self.submissions[after:] if predicate is None or predicate(one)), None)

        return await self.changes.until(find, timeout)

    async def wait_task(self, task_id: str, status: Status, timeout: float = 10) -> Task:
        """Return a task once it has a status."""

        def find() -> Task | None:
            task = self.tasks.get(task_id)
            return task if task is not None and task.status == status else None

        return await self.changes.until(find, timeout)

    async def wait_delivery(
        self,
        predicate: Callable[[Delivery], bool] | None = None,
        *,
        timeout: float = 10,
        after: int = 0,
    ) -> Delivery:
        """Return the first callback attempt, of those `after` the first so many, that fits."""

        def find() -> Delivery | None:
            return next((one for one in self.deliveries[after:] if predicate is None or predicate(one)), None)

        return await self.changes.until(find, timeout)

    async def wait_request(
        self,
        predicate: Callable[[RequestRecord], bool] | None = None,
        *,
        timeout: float = 10,
        after: int = 0,
    ) -> RequestRecord:
        """Return the first request, of those `after` the first so many, that fits."""

        def find() -> RequestRecord | None:
            return next((one for one in self.requests[after:] if predicate is None or predicate(one)), None)

        return await self.changes.until(find, timeout)

    async def wait_fault(self, fault: Fault, count: int = 1, timeout: float = 10) -> None:
        """Wait until a planned fault has struck `count` times in all."""
        await self.changes.until(lambda: fault.struck >= count or None, timeout)

    async def send_callback(self, task: Task, body: Json | None = None) -> int | None:
        """Post a callback once more, or one with a forged body, and return the receiver's status."""
        if body is None:
            body = self.sender.body(self.final_payload(task))
        return await self.sender.attempt(task, body, self.callback_faults)
