"""A small S3-compatible store that fails on purpose; what moto has no way to do."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter, defaultdict
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BUCKET = "songs"


class Fault(StrEnum):
    """What goes wrong with a request."""

    SLOW_DOWN = "slow_down"
    """503 SlowDown, before anything happened."""
    DENIED = "denied"
    """403 AccessDenied."""
    FORBIDDEN = "forbidden"
    """403 of somebody who does not say why."""
    CONFLICT = "conflict"
    """409 for what has a condition, while another one writes the same."""
    CUT = "cut"
    """The body ends in the middle."""
    FLIPPED = "flipped"
    """One bit of the body is another one, the same each time."""
    PAGE = "page"
    """A proxy answers with a page of its own, and 200."""
    MISSING = "missing"
    """A proxy answers with 404."""
    UNCONDITIONAL = "unconditional"
    """501 for what has a condition, which some stores do not know."""
    HANG = "hang"
    """No answer at all."""
    LOST = "lost"
    """It is done, and the connection breaks before the answer."""


@dataclass
class StandIn:
    """A bucket in memory. `fault` says what goes wrong with which methods, until it is cleared."""

    url: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=lambda: defaultdict(str))
    requests: Counter[str] = field(default_factory=Counter)
    longest: int = 0
    """How many bytes the longest body had."""

    def __post_init__(self) -> None:
        self._faults: dict[str, Fault] = {}
        self._uploads: dict[str, dict[int, bytes]] = {}
        self.hanging = asyncio.Event()

    def fault(self, fault: Fault, *methods: str) -> None:
        """Let all requests of these methods go wrong, or of all of them: PUT, GET, HEAD, DELETE and LIST."""
        for method in methods or ("PUT", "GET", "HEAD", "DELETE", "LIST"):
            self._faults[method] = fault

    def mend(self) -> None:
        """Let nothing go wrong any more."""
        self._faults.clear()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""
        key = request.match_info.get("key", "")
        kind = "LIST" if request.method == "GET" and "list-type" in request.query else request.method
        kind = "DELETE" if "delete" in request.query else kind
        kind = "PUT" if kind == "POST" else kind
        body = await request.read()
        self.longest = max(self.longest, len(body))
        self.requests[kind] += 1
        match self._faults.get(kind):
            case Fault.SLOW_DOWN:
                return _error(503, "SlowDown")
            case Fault.DENIED:
                return _error(403, "AccessDenied")
            case Fault.FORBIDDEN:
                return web.Response(status=403)
            case Fault.CONFLICT if "If-None-Match" in request.headers:
                return _error(409, "ConditionalRequestConflict")
            case Fault.UNCONDITIONAL if "If-None-Match" in request.headers:
                return _error(501, "NotImplemented")
            case Fault.MISSING:
                return web.Response(status=404, text="nothing here")
            case Fault.PAGE:
                return web.Response(text="<html>Sign in</html>", content_type="text/html")
            case Fault.HANG:
                self.hanging.set()
                await asyncio.Event().wait()
            case Fault.LOST:
                self._answer(request, kind, key, body)
                _abort(request)
            case Fault.CUT if key in self.objects:
                return await self._cut(request, self.objects[key])
            case Fault.FLIPPED if key in self.objects:
                data = self.objects[key]
                return web.Response(body=bytes([data[0] ^ 1]) + data[1:], headers=_headers(data))
        return self._answer(request, kind, key, body)

    def _answer(self, request: web.Request, kind: str, key: str, body: bytes) -> web.Response:
        if request.match_info["bucket"] != BUCKET:
            return _error(404, "NoSuchBucket")
        match kind:
            case "LIST":
                return self._list(request.query.get("prefix", ""))
            case "DELETE":
                return self._delete(request, key, body)
            case "PUT":
                return self._put(request, key, body)
        if key not in self.objects:
            return _error(404, "NoSuchKey")
        data = self.objects[key]
        return web.Response(body=data, headers=_headers(data) | {"Content-Type": self.types[key]})

    def _put(self, request: web.Request, key: str, body: bytes) -> web.Response:
        query = request.query
        if "uploads" in query:
            upload = f"upload{len(self._uploads)}"
            self._uploads[upload] = {}
            self.types[key] = request.headers.get("Content-Type", "")
            return _xml(f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>")
        if "partNumber" in query:
            self._uploads[query["uploadId"]][int(query["partNumber"])] = body
            return web.Response(headers=_headers(body))
        if "uploadId" in query:
            parts = self._uploads.pop(query["uploadId"])
            self.objects[key] = b"".join(parts[number] for number in sorted(parts))
            return _xml('<CompleteMultipartUploadResult><ETag>"whole"</ETag></CompleteMultipartUploadResult>')
        if request.headers.get("If-None-Match") == "*" and key in self.objects:
            return _error(412, "PreconditionFailed")
        self.objects[key] = body
        self.types[key] = request.headers.get("Content-Type", "")
        return web.Response(headers=_headers(body))

    def _delete(self, request: web.Request, key: str, body: bytes) -> web.Response:
        if "uploadId" in request.query:
            self._uploads.pop(request.query["uploadId"], None)
            return web.Response(status=204)
        if "delete" in request.query:
            keys = [part.partition("</Key>")[0] for part in body.decode().split("<Key>")[1:]]
            for one in keys:
                self.objects.pop(one, None)
            gone = "".join(f"<Deleted><Key>{escape(one)}</Key></Deleted>" for one in keys)
            return _xml(f"<DeleteResult>{gone}</DeleteResult>")
        self.objects.pop(key, None)
        return web.Response(status=204)

    def _list(self, prefix: str) -> web.Response:
        entries = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>{escape(_headers(data)['ETag'])}</ETag><Size>{len(data)}</Size></Contents>"
            for key, data in sorted(self.objects.items())
            if key.startswith(prefix)
        )
        return _xml(f"<ListBucketResult><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>")

    async def _cut(self, request: web.Request, data: bytes) -> web.StreamResponse:
        response = web.StreamResponse(headers=_headers(data) | {"Content-Length": str(len(data))})
        await response.prepare(request)
        await response.write(data[: len(data) // 2])
        _abort(request)
        return response


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def _headers(data: bytes) -> dict[str, str]:
    return {
        "ETag": f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"',
        "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT",
    }


def _xml(text: str) -> web.Response:
    return web.Response(text=f'<?xml version="1.0" encoding="UTF-8"?>{text}', content_type="application/xml")


def _error(status: int, code: str) -> web.Response:
    text = f"<Error><Code>{code}</Code><Message>On purpose</Message><AWSAccessKeyId>AKID</AWSAccessKeyId></Error>"
    return web.Response(status=status, text=text, content_type="application/xml")


@asynccontextmanager
async def stand_in() -> AsyncIterator[StandIn]:
    """Serve a bucket on a port of its own."""
    store = StandIn()
    application = web.Application(client_max_size=1 << 26)
    application.router.add_route("*", "/{bucket}/{key:.*}", store.handle)
    application.router.add_route("*", "/{bucket}", store.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    store.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield store
    finally:
        await runner.cleanup()
