"""The real program as one of several, for the nursery to fork: with short leases, and moments on its own wires.

Beside what a `Launch` asks for, each order and each post is noted right before it leaves, with who it leaves from.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.client_reqrep import ClientRequest
from yarl import URL

from bot.gateway import client, shards
from bot.replies.posting import Posting
from bot.tasks import reading, submission
from bot.tasks.submission import Submission
from storage.notifications import Notification
from storage.postgresql import listener
from storage.processes import blocks, leases, process
from storage.processes.process import Process
from storage.tasks import Task
from tests.faults.crashing import Launch, Strike, be, striker, wire_place

LEASE_SECONDS = 4.0
BLOCK_SECONDS = 3.0
CONFIRM_SECONDS = 5.0
"""Instead of five minutes: here no time is let pass at once, as leases run by the server's clock."""

EFFECTS = "effects"
"""The file in the working directory that notes each order and each post of the process."""

ENTRY = "tests.faults.processes.entry:run"

_true_time = time.time
_subject: ContextVar[str | None] = ContextVar("subject", default=None)
"""The row that is acted for."""


@dataclass(frozen=True)
class SharedLaunch(Launch):
    """How to start one of several; its host's clock is off by `skew` seconds."""

    skew: float = 0.0


def _shorten() -> None:
    leases.LEASE_SECONDS = LEASE_SECONDS
    process.RENEW_SECONDS, process.RETRY_SECONDS, process.MARGIN_SECONDS = 0.5, 0.2, 1.0
    blocks.BLOCK_SECONDS = BLOCK_SECONDS
    shards.RENEW_SECONDS, shards.RETRY_SECONDS, shards.MARGIN_SECONDS = 0.5, 0.2, 0.8
    client.IDENTIFY_SECONDS = 0.5  # the stand-in lets sessions begin as soon as they like
    listener.PING_SECONDS = listener.PONG_SECONDS = listener.UNHEARD_SECONDS = 1.0
    submission.CONFIRM_SECONDS = CONFIRM_SECONDS
    setattr(reading, "CONFIRM_SECONDS", CONFIRM_SECONDS)  # noqa: B010 (imported there from elsewhere)


def _patch(owner: type, name: str, method: Callable[..., Any]) -> None:
    setattr(owner, name, method)


def _wire_points(strike: Strike, act: Callable[[float], None]) -> None:
    """Let the process die right before a request leaves it, or when its answer has come."""
    wires = {URL(os.environ[f"{name.upper()}_API_URL"]).port: name for name in ("discord", "vidgo")}
    send, request = ClientRequest.send, aiohttp.ClientSession._request

    def come_past(method: str, url: URL, phase: str) -> None:
        wire = wires.get(url.port)
        if wire is not None and not url.path.startswith("/gateway"):
            strike(wire_place(wire, method, url.path.removeprefix("/api/v10"), phase))

    async def watched_send(self: ClientRequest, connection: Any) -> aiohttp.ClientResponse:
        come_past(self.method, self.url, "before")
        at = _true_time()
        answer = await send(self, connection)
        if self.method == "POST":  # what was withheld after all has not left
            act(at)
        return answer

    async def watched_request(self: aiohttp.ClientSession, *arguments: Any, **how: Any) -> aiohttp.ClientResponse:
        response = await request(self, *arguments, **how)
        come_past(response.method, response.url, "after")
        return response

    _patch(ClientRequest, "send", watched_send)
    _patch(aiohttp.ClientSession, "_request", watched_request)


def _note_effects(directory: Path) -> Callable[[float], None]:
    """Return what notes that something left the process at some time for the row that it works on."""
    noted = os.open(directory / EFFECTS, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    living: list[Process] = []
    join, ask = Process.join, Submission._ask

    async def watched_join(self: Process) -> None:
        living.append(self)
        await join(self)

    async def watched_ask(self: Submission, task: Task, turn: Any, **how: bool) -> None:
        token = _subject.set(f"task {task.id}")  # the first in line, whoever's turn it is
        try:
            await ask(self, task, turn, **how)
        finally:
            _subject.reset(token)

    def watched_post(post: Callable[..., Awaitable[int]]) -> Callable[..., Awaitable[int]]:
        async def watched(self: Posting, row: Notification, *arguments: Any) -> int:
            token = _subject.set(f"notification {row.id}")
            try:
                return await post(self, row, *arguments)
            finally:
                _subject.reset(token)

        return watched

    def note(at: float) -> None:
        if (row := _subject.get()) is not None:
            fields = {"at": at, "process": living[-1].id, "row": row}
            os.write(noted, json.dumps(fields).encode() + b"\n")

    _patch(Process, "join", watched_join)
    _patch(Submission, "_ask", watched_ask)
    for name in ("send", "send_privately"):
        _patch(Posting, name, watched_post(getattr(Posting, name)))
    return note


def run(options: dict[str, Any]) -> int:
    """Be the program as the fields of a `SharedLaunch` say, and return its exit code."""
    launch = SharedLaunch(**options)
    _shorten()
    _wire_points(striker(launch), _note_effects(Path(launch.directory)))

    def leave_the_time() -> None:
        if launch.skew:
            setattr(time, "time", lambda: _true_time() + launch.skew)  # noqa: B010 (typed as a function)

    return be(launch, leave_the_time)
