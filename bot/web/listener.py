"""The HTTP listener: VidGo's callbacks (a bell, not a letter), health and metrics."""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy.exc import OperationalError

from bot.fetching.fetch import FetchError
from bot.logs import about
from bot.media.files import Files
from bot.media.links import Links
from bot.metrics import Metrics
from bot.settings import Settings
from bot.tasks.ending import wanted_first
from bot.tasks.reading import Reading
from bot.vidgo import Nonsense, Report, Status, parse_callback, verify_signature
from bot.vidgo.bodies import json_of
from bot.web.connections import Connections
from bot.web.figures import Exposition
from bot.web.sending import SentFile
from storage import tasks as rows
from storage.database import Database
from storage.ids import is_id
from storage.songs import files as file_rows
from storage.songs.files import File

log = logging.getLogger(__name__)

MAX_BODY = 256 * 1024
BODY_SECONDS = 15.0
DOWNLOADS = 4
"""How many files are served at once."""

TURN_SECONDS = 10.0
"""How long a download waits for its turn."""

DOWNLOAD_SECONDS = 900.0
"""How long a download may take, so that readers who hardly read do not hold all turns for good."""

DATABASE_SECONDS = 3.0
"""How long whoever asks whether all is well waits for the database; `coverbot health` asks for 4 s."""

SILENT = "does not answer"


class Listener:
    """Serves the routes of the contract; nothing that a sender can put in a request is answered with a 5xx."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        reading: Reading,
        *,
        clock: Callable[[], float],
        not_ready: Callable[[], dict[str, str]],
        stands_by: Callable[[], bool],
        metrics: Metrics,
        exposition: Exposition,
        links: Links,
        files: Files,
        directory: Path,
    ) -> None:
        self._settings = settings
        self._database = database
        self._reading = reading
        self._clock = clock
        self._exposition = exposition
        self._stands_by = stands_by
        self._not_ready = not_ready
        self._metrics = metrics
        self._links = links
        self._files = files
        self._directory = directory
        self._downloads = asyncio.Semaphore(DOWNLOADS)
        self._connections: Connections | None = None
        self._looking: asyncio.Task[str | None] | None = None
        # Compared with where there is no task, so that both refusals cost the same.
        self._nobody = secrets.token_urlsafe(32)

    async def start(self) -> int:
        """Listen and return the port; raises `OSError` where the address cannot be had."""
        application = web.Application(client_max_size=MAX_BODY, middlewares=[_without_database])
        application.add_routes(
            [
                web.post("/callbacks/vidgo/{task}/{token}", self._callback),
                web.get("/media/{task}/{position}/{expires}/{signature}/song.mp3", self._media),
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
                web.get("/metrics", self._show_metrics),
            ]
        )
        self._connections = Connections(application)
        return await self._connections.listen(self._settings.listen_host, self._settings.listen_port)

    async def stop(self) -> None:
        """Stop listening and let requests under way end."""
        if self._connections is not None:
            await self._connections.close()
        if self._looking is not None:
            self._looking.cancel()

    async def _callback(self, request: web.Request) -> web.Response:
        try:
            response = await self._take_callback(request)
        except web.HTTPException as refusal:
            self._metrics.callbacks.labels(refusal.status).inc()
            raise
        except OperationalError:
            self._metrics.callbacks.labels(503).inc()
            raise
        self._metrics.callbacks.labels(response.status).inc()
        return response

    async def _take_callback(self, request: web.Request) -> web.Response:
        task_id, token = request.match_info["task"], request.match_info["token"]
        async with self._database.read() as snapshot:
            # The same query for whatever stands in the path, so that the time tells nothing.
            expected = await rows.token_of(snapshot, task_id if is_id(task_id) else "", self._nobody)
        if not hmac.compare_digest(token.encode(errors="replace"), expected.encode()):
            return _answer(403, "no such task")
        about(task_id)
        body = await _read(request)
        try:
            report = parse_callback(json_of(body, request.charset))
        except (ValueError, RecursionError, Nonsense):
            return _answer(400, "not a VidGo result")
        if not self._signature_holds(request, report):
            return _answer(403, "no such task")
        async with self._database.read() as snapshot:
            task = await rows.get(snapshot, task_id)
        if task is None:
            return _answer(403, "no such task")
        if report.status in (Status.FINISHED, Status.FAILED):
            finished = report.status is Status.FINISHED
            if finished and task.vidgo_id == report.task_id and not task.status.is_final:
                for wanted in wanted_first(task, report, self._clock()):
                    # What is fetched here is used only if VidGo's own answer names the same address.
                    self._files.prefetch(wanted)
            if not await self._reading.ring(task.id, report.task_id, finished=finished):
                return _answer(400, "not this task's result")
        elif task.vidgo_id is not None and task.vidgo_id != report.task_id:
            return _answer(400, "not this task's result")
        return _answer(200, "ok")

    def _signature_holds(self, request: web.Request, report: Report) -> bool:
        secret = self._settings.vidgo_webhook_secret
        timestamp = request.headers.get("X-Webhook-Timestamp")
        signature = request.headers.get("X-Webhook-Signature")
        if secret is None or timestamp is None or signature is None:
            return True  # VidGo is not known to sign: the token in the address is the credential
        return verify_signature(secret.get_secret_value(), report.task_id, timestamp, signature, self._clock())

    async def _media(self, request: web.Request) -> web.StreamResponse:
        """Serve a song of the archive under an address that was signed for it, or say where the store does."""
        task_id, position, expires = (request.match_info[name] for name in ("task", "position", "expires"))
        async with self._database.read() as snapshot:
            task = await rows.get(snapshot, task_id if is_id(task_id) else "")
            numbers = _number(position), _number(expires)
            if task is None or not self._links.holds(task, *numbers, request.match_info["signature"]):
                return _answer(403, "no such file")
            about(task.id)
            file = await file_rows.one(snapshot, task.id, numbers[0])
        if file is None:
            return _answer(404, "no such file")
        address = await self._files.address(file, "HEAD" if request.method == "HEAD" else "GET")
        if address is not None:
            # The store answers ranges too. The address is a credential for some minutes, so nobody keeps it.
            headers = {"Location": address, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
            return web.Response(status=302, headers=headers)
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await self._downloads.acquire()
        except TimeoutError:
            return _answer(429, "too many downloads")
        try:
            async with asyncio.timeout(DOWNLOAD_SECONDS):
                return await self._send(request, file)
        except TimeoutError:
            log.warning("task %s: a download took longer than %.0f s", task.id, DOWNLOAD_SECONDS)
            if request.transport is not None:
                request.transport.abort()
            return _answer(408, "too slow")
        finally:
            self._downloads.release()

    async def _send(self, request: web.Request, file: File) -> web.StreamResponse:
        assert self._connections is not None  # noqa: S101 (the request came through them)
        with (
            tempfile.TemporaryDirectory(dir=self._directory, ignore_cleanup_errors=True) as name,
            self._connections.keep(request),
        ):
            try:
                audio = await self._files.audio(file, Path(name))
            except FetchError as error:
                log.warning("task %s: its file cannot be served: %s", file.task_id, error.reason)
                return _answer(404, "no such file")
            # A proxy that keeps what ends in .mp3 would hand it out when it is expired or forgotten here.
            headers = {"Cache-Control": "private, no-cache", "X-Content-Type-Options": "nosniff"}
            headers["Content-Type"] = audio.kind.mime
            response = SentFile(await asyncio.to_thread(audio.store), headers)
            await response.prepare(request)
            return response

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _readyz(self, _request: web.Request) -> web.Response:
        reasons = self._not_ready()
        # A database that is silent holds one connection, not one more at each look, and nobody waits for it for long.
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._doubt_database(), name="looking at the database")
        await asyncio.wait({self._looking}, timeout=DATABASE_SECONDS)
        doubt = self._looking.result() if self._looking.done() else SILENT
        if doubt is not None:
            reasons["database"] = doubt
        return web.json_response(
            {"ready": not reasons, "standby": self._stands_by(), "reasons": reasons}, status=503 if reasons else 200
        )

    async def _doubt_database(self) -> str | None:
        """Return why the database cannot be relied on, or None."""
        doubt = None
        try:
            async with self._database.read() as snapshot:
                await rows.next_due(snapshot, [])
        except Exception as error:  # whatever is wrong with it, the answer is the same
            log.warning("the database does not answer: %s", getattr(error, "orig", error))
            doubt = SILENT
        if (misplaced := await self._database.misplaced()) is not None:
            log.error("the database: %s", misplaced)
            doubt = misplaced
        return doubt

    async def _show_metrics(self, _request: web.Request) -> web.Response:
        text = await self._exposition.text()
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})


@web.middleware
async def _without_database(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Ask whoever comes while the database is away to come again; VidGo does, and the poller looks anyway."""
    try:
        return await handler(request)
    except OperationalError as error:
        log.warning("a request cannot be served, for the database does not answer: %s", error.orig)
        return _answer(503, "try again later")


async def _read(request: web.Request) -> bytes:
    """Return the body; raises the fitting 4xx for one that is too large, too slow or cut off."""
    if (request.content_length or 0) > MAX_BODY:  # aiohttp waits for that much
        raise web.HTTPRequestEntityTooLarge(MAX_BODY, request.content_length or 0)
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    except (web.RequestPayloadError, ConnectionError):
        raise web.HTTPBadRequest from None
    except RuntimeError:  # aiohttp's word for a connection that was gone before its body was looked at
        if request.transport is not None:
            raise
        raise web.HTTPBadRequest from None


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 12 else -1


def _answer(status: int, text: str) -> web.Response:
    return web.json_response({"message": text}, status=status)
