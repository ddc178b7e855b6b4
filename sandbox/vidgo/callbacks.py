"""Callbacks: posting a task's end to its URL, with the documented repeats, and how that goes wrong."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp

from sandbox.vidgo.records import Delivery
from sandbox.vidgo.results import payload

if TYPE_CHECKING:
    from sandbox.vidgo.records import CallbackFaults, Json
    from sandbox.vidgo.results import Task
    from sandbox.vidgo.state import State

RETRY_PAUSES = (1.0, 2.0, 4.0)  # seconds, from VidGo's webhook page
ANSWER_TIMEOUT = 10.0  # seconds, from the same page
_STALE = 600  # seconds; receivers are told to refuse what is older than 300


def is_local(url: str) -> bool:
    """Return whether a URL points at this machine: the stand-in never contacts another."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def sign(secret: str, task_id: str, timestamp: str) -> str:
    """Return the signature header's value: base64 of HMAC-SHA256 over task id, a dot and the timestamp."""
    digest = hmac.new(secret.encode(), f"{task_id}.{timestamp}".encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


class CallbackSender:
    """Posts callbacks over one session and logs every attempt with the stand-in."""

    def __init__(self, vidgo: State) -> None:
        self._vidgo = vidgo
        self._session: aiohttp.ClientSession | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """Return the session, which also fetches the sources of uploads."""
        if self._session is None:
            raise RuntimeError("the stand-in has not been started")
        return self._session

    def open(self) -> None:
        """Open the session, in a running event loop."""
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_TIMEOUT))

    async def close(self) -> None:
        """Close the session."""
        await self.session.close()

    def wants(self, task: Task, faults: CallbackFaults) -> bool:
        """Return whether anything at all is to be posted about this task."""
        url = task.callback_url
        return bool(url) and self._vidgo.callbacks != "off" and not faults.never and is_local(url or "")

    async def stage(self, task: Task, faults: CallbackFaults, *, partial: bool) -> None:
        """Post a callback with a non-final status, as the upstream does; it is not repeated."""
        if self.wants(task, faults):
            files = (task.files or [])[:1] if partial else []
            await self.attempt(task, self.body(payload(task, status="running", files=files)), faults)

    async def final(self, task: Task, faults: CallbackFaults) -> None:
        """Post the end of a task as often as the faults have it, each with its repeats."""
        if not self.wants(task, faults):
            return
        self._vidgo.untold.add(task.id)
        await asyncio.sleep(faults.delay * self._vidgo.time_scale)
        if faults.stages and task.status == "finished":
            await self.stage(task, faults, partial=True)
        for _ in range(max(1, faults.repeat)):
            await self._with_repeats(task, faults)
        if faults.out_of_order:
            await self.stage(task, faults, partial=False)

    async def _with_repeats(self, task: Task, faults: CallbackFaults) -> None:
        body = self.body(self._vidgo.final_payload(task))
        if faults.wrong_task:
            inner = body.get("data", body)
            inner["task_id"] = self._vidgo.new_task_id()
        for pause in (0.0, *RETRY_PAUSES):
            await asyncio.sleep(pause * self._vidgo.time_scale)
            status = await self.attempt(task, body, faults)
            if status is not None and 200 <= status < 300:
                return

    def body(self, data: Json) -> Json:
        """Return a callback's body, wrapped or not as is set; a failed task still says code 200."""
        return data if self._vidgo.callbacks == "unwrapped" else {"code": 200, "data": data}

    async def attempt(self, task: Task, body: Json, faults: CallbackFaults) -> int | None:
        """Post one body once and return the HTTP status, None if the receiver did not answer."""
        url = task.callback_url or ""
        status: int | None = None
        try:
            async with self.session.post(
                url, json=body, headers=self._headers(body, faults), allow_redirects=False
            ) as answer:
                await answer.read()
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            pass  # logged below as unanswered
        self._vidgo.log_delivery(Delivery(url, status, self._vidgo.clock(), task.id, body))
        return status

    def _headers(self, body: Json, faults: CallbackFaults) -> dict[str, str]:
        secret = self._vidgo.webhook_secret
        if secret is None or faults.signature == "missing":
            return {}
        now = int(self._vidgo.clock()) - (_STALE if faults.signature == "stale" else 0)
        key = secret if faults.signature != "bad" else secret + "?"
        task_id = str(body.get("data", body)["task_id"])
        return {"X-Webhook-Timestamp": str(now), "X-Webhook-Signature": sign(key, task_id, str(now))}
