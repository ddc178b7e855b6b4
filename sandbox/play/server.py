"""The page's server: on the loopback only, behind an address that nobody can guess, and with nothing from elsewhere."""

from __future__ import annotations

import asyncio
import hmac
import secrets
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import hdrs, web

from sandbox.play.books import Books, cancelled
from sandbox.play.mischief import Mischief
from sandbox.play.visitor import Visitor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from sandbox.play.stage import Stage

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HOST = "127.0.0.1"
PAGE = Path(__file__).parents[1] / "page"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
SHOWN = ("audio/", "video/", "image/png", "image/jpeg", "image/gif", "image/webp", "image/avif")
"""Kinds of files that a page may show; a picture that is a document (SVG) is none of them."""

LARGEST_FRAME = 256 * 1024


class PageServer:
    """Serves the page, the files of messages and a WebSocket under `/{secret}/`, and nothing else."""

    def __init__(self, stage: Stage, port: int) -> None:
        self._stage = stage
        self._port = port
        self._secret = secrets.token_urlsafe(24)
        self._books = Books(stage)
        self._mischief = Mischief(stage, self._books)
        self._sockets: set[web.WebSocketResponse] = set()

    @property
    def address(self) -> str:
        """Return the page's address."""
        return f"{self._origin}/{self._secret}/"

    @property
    def _origin(self) -> str:
        return f"http://{HOST}:{self._port}"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Listen; at the end every page is told goodbye."""
        app = web.Application(middlewares=[self._guard])
        app.router.add_get("/{secret}/", self._file)
        app.router.add_get("/{secret}/socket", self._visit)
        app.router.add_get("/{secret}/files/{number}/{name}", self._attachment)
        app.router.add_get("/{secret}/{path:.+}", self._file)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        following = asyncio.create_task(self._books.follow())
        try:
            await web.TCPSite(runner, HOST, self._port).start()
            self._port = runner.addresses[0][1]
            yield
        finally:
            await cancelled(following)
            for socket in list(self._sockets):
                with suppress(ConnectionError):
                    await socket.close(code=1001)
            await runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let in who knows the secret and came here by this machine's own address, and bind the page to itself."""
        host = self._origin.removeprefix("http://")
        # Another name for this address is a stranger's page that had its name resolved anew.
        known = request.headers.get(hdrs.HOST) == host and request.headers.get(hdrs.ORIGIN) in {None, self._origin}
        secret = request.path.lstrip("/").partition("/")[0]
        if not known or not hmac.compare_digest(secret.encode(), self._secret.encode()):
            raise web.HTTPNotFound
        try:
            response = await handler(request)
        except web.HTTPException as error:
            response = web.Response(status=error.status, text=error.reason)
        if not response.prepared:
            response.headers.setdefault("Content-Security-Policy", self._policy())
            response.headers.update(
                {
                    "Cache-Control": "no-store",
                    "Cross-Origin-Opener-Policy": "same-origin",
                    "Cross-Origin-Resource-Policy": "same-origin",
                    "Referrer-Policy": "no-referrer",
                    "X-Content-Type-Options": "nosniff",
                }
            )
        return response

    def _policy(self) -> str:
        socket = self._origin.replace("http://", "ws://")
        return (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
            f"connect-src {socket}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
            "require-trusted-types-for 'script'; trusted-types 'none'"
        )

    async def _file(self, request: web.Request) -> web.StreamResponse:
        path = PAGE / request.match_info.get("path", "index.html")
        if ".." in path.parts or path.suffix not in TYPES or not path.is_file() or PAGE not in path.parents:
            raise web.HTTPNotFound
        text = await asyncio.to_thread(path.read_bytes)
        return web.Response(body=text, content_type=TYPES[path.suffix], charset="utf-8")

    async def _attachment(self, request: web.Request) -> web.StreamResponse:
        """Serve a file of a message, or the part of it that a player asks for."""
        number = request.match_info["number"]
        file = self._stage.discord.state.files.get(int(number)) if number.isdecimal() else None
        if file is None:
            raise web.HTTPNotFound
        headers = {"Content-Security-Policy": "default-src 'none'; sandbox", "Accept-Ranges": "bytes"}
        kind = file.content_type
        if not kind.startswith(SHOWN):
            kind, headers["Content-Disposition"] = "application/octet-stream", "attachment"
        try:
            wanted = request.http_range
        except ValueError:
            raise web.HTTPRequestRangeNotSatisfiable from None
        if wanted.start is None and wanted.stop is None:
            return web.Response(body=file.data, content_type=kind, headers=headers)
        start, stop, _ = wanted.indices(file.size)
        if start >= stop:
            raise web.HTTPRequestRangeNotSatisfiable
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{file.size}"
        return web.Response(status=206, body=file.data[start:stop], content_type=kind, headers=headers)

    async def _visit(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get(hdrs.ORIGIN) != self._origin:
            raise web.HTTPForbidden
        socket = web.WebSocketResponse(heartbeat=20.0, max_msg_size=LARGEST_FRAME, timeout=1.0)
        if not socket.can_prepare(request):
            raise web.HTTPBadRequest
        await socket.prepare(request)
        self._sockets.add(socket)
        try:
            await Visitor(socket, self._stage, self._books, self._mischief).serve()
        finally:
            self._sockets.discard(socket)
        return socket
