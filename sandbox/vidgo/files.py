"""The result files: composed and painted when they are asked for, and how a file host misbehaves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from aiohttp import web

from sandbox.artwork import paint
from sandbox.containers import ENCODINGS, repack
from sandbox.music import compose, compose_of_size
from sandbox.vidgo.faults import closed_within

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sandbox.artwork import ImageFormat
    from sandbox.vidgo.records import FileRule, Media
    from sandbox.vidgo.results import Task

FileKind: TypeAlias = Literal[
    "not_found",
    "forbidden",
    "unavailable",
    "html",
    "empty",
    "hang",
    "endless",
    "too_large",
    "trickle",
    "reset",
    "lying_length",
    "short_length",
    "wrong_type",
    "disguised",
    "redirect",
    "redirect_loop",
    "private",
    "url",
    "spaced",
    "long",
    "bytes",
    "size",
    "wav",
    "m4a",
    "webm",
    "aiff",
    "wma",
    "flac",
    "line_end",
    "broken",
    "avif",
]
"""How result files misbehave.

Answers: not_found (404), forbidden (403), unavailable (503), html, empty, hang (none at all), redirect (`status`, to
`location`), redirect_loop.
Transfers: endless, too_large (`size` bytes), trickle (64 bytes each `pause` seconds, or `rate` bytes a second, with
`data` at the end), reset (cut off half-way), lying_length (promises twice as much), short_length (promises half).
Declarations: wrong_type (right bytes, declared as `content_type`), disguised (a picture declared as audio).
Addresses: private, url (`location`), spaced (with spaces in it), long (of more than 2,400 characters).
Contents: bytes (`data` as they are), size (a true MP3 of `size` bytes), wav, m4a (AAC in MP4 of the brand `isom`), webm
(Opus), aiff, wma, flac, line_end (an MP3 after a line end), broken (an MP3 whose rest is rubbish), avif (a picture).
"""
FILE_KINDS = frozenset(get_args(FileKind))

REFUSALS = {"not_found": 404, "forbidden": 403, "unavailable": 503}
TYPES = {"mp3": "audio/mpeg", "wav": "audio/wav", "jpeg": "image/jpeg", "png": "image/png"}
HTML = "<!doctype html><title>Sign in</title><p>This page is not a song."
_COVER_SEED = 100  # so that new artwork never looks like the song's own picture
_CHUNK = 64 * 1024


class FileHost:
    """Serves the files of tasks; `closing` ends answers that would otherwise never end."""

    def __init__(self, closing: asyncio.Event, clock: Callable[[], float], picture_size: int) -> None:
        self._closing = closing
        self._clock = clock
        self._picture_size = picture_size
        self._studio = asyncio.Lock()  # composing takes a core, so one at a time

    async def serve(self, request: web.Request, task: Task, name: str) -> web.StreamResponse:
        """Answer the request for the file `name` of a finished task."""
        stem, _, suffix = name.rpartition(" ")[2].rpartition(".")
        media: Media = "audio" if suffix in {"mp3", "wav"} else "image"
        if suffix not in TYPES or task.status != "finished" or task.expired:
            raise web.HTTPNotFound(text="no such file")
        rule = task.file_rules.get(media)
        is_other = rule is not None and rule.number not in (0, _position(stem.removeprefix("cover-")))
        if (
            rule is None
            or is_other
            or not rule.holds(self._clock())
            or rule.kind in {"private", "url", "spaced", "long"}
        ):
            return web.Response(body=await self.content(task, stem, suffix), content_type=TYPES[suffix])
        return await self._misbehave(request, rule, task, stem, suffix)

    async def content(self, task: Task, stem: str, suffix: str, *, size: int = 0) -> bytes:
        """Make a file's bytes; `size` asks for audio of that many bytes. Raises `HTTPNotFound`."""
        if stem.startswith("cover-"):
            number = _position(stem.removeprefix("cover-"))
            origin = task.source or task
            return await self._paint(origin.title, _COVER_SEED + number)
        number = _position(stem)
        if not 0 < number <= len(task.variants):
            raise web.HTTPNotFound(text="no such file")
        variant = task.variants[number - 1]
        if suffix == "jpeg":
            return await self._paint(variant.tune, variant.seed, "jpeg")
        fmt: Literal["mp3", "wav"] = "wav" if suffix == "wav" else "mp3"
        async with self._studio:
            if size:
                return await asyncio.to_thread(
                    compose_of_size, variant.tune, size, style=variant.tags, seed=variant.seed, fmt=fmt
                )
            return await asyncio.to_thread(
                compose, variant.tune, style=variant.tags, seconds=variant.duration, seed=variant.seed, fmt=fmt
            )

    async def _paint(self, words: str, seed: int, fmt: ImageFormat = "png") -> bytes:
        return await asyncio.to_thread(paint, words, seed=seed, fmt=fmt, size=self._picture_size)

    async def _misbehave(
        self, request: web.Request, rule: FileRule, task: Task, stem: str, suffix: str
    ) -> web.StreamResponse:
        kind, declared = rule.kind, rule.content_type or TYPES[suffix]
        if kind in REFUSALS:
            return web.Response(text="no such file", status=REFUSALS[kind])
        if kind == "hang":
            await self._closing.wait()
            return web.Response(status=503)
        if kind == "html":
            return web.Response(text=HTML, content_type="text/html")
        if kind == "empty":
            return web.Response(body=b"", content_type=declared)
        if kind in {"redirect", "redirect_loop"}:
            target = rule.location if kind == "redirect" else request.path
            return web.Response(status=rule.status, headers={"Location": target})
        if kind == "bytes":
            return web.Response(body=rule.data, content_type=declared)
        if kind == "wav":
            body = await self.content(task, stem, "wav")
            return web.Response(body=body, content_type=rule.content_type or TYPES["wav"])
        if kind == "avif":
            picture = await asyncio.to_thread(paint, task.title, fmt="avif")
            return web.Response(body=picture, content_type=rule.content_type or "image/avif")
        if kind in ENCODINGS:
            body = await asyncio.to_thread(repack, await self.content(task, stem, "wav"), kind)
            return web.Response(body=body, content_type=rule.content_type or ENCODINGS[kind].media_type)
        if kind == "disguised":
            return web.Response(body=await asyncio.to_thread(paint, task.title), content_type="audio/mpeg")
        body = await self.content(task, stem, suffix, size=rule.size if kind == "size" else 0)
        if kind == "size":
            return web.Response(body=body, content_type=declared)
        if kind == "wrong_type":
            return web.Response(body=body, content_type=rule.content_type or "text/plain")
        if kind == "line_end":
            return web.Response(body=b"\r\n" + body, content_type=declared)
        if kind == "broken":
            return web.Response(body=_spoil(body), content_type=declared)
        return await self._stream(request, rule, body, declared)

    async def _stream(self, request: web.Request, rule: FileRule, body: bytes, declared: str) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": declared})
        kind = rule.kind
        if kind == "trickle":
            body += rule.data
        if kind == "too_large":
            response.content_length = rule.size
        elif kind == "lying_length":
            response.content_length = len(body) * 2
        elif kind == "short_length":
            response.content_length = len(body) // 2
        elif kind in {"reset", "trickle"}:
            response.content_length = len(body)
        await response.prepare(request)
        try:
            async for chunk in self._chunks(rule, body):
                await response.write(chunk)
        except ConnectionError:
            return response  # the reader has had enough
        if kind in {"lying_length", "reset"} and request.transport is not None:
            request.transport.close()
        return response

    async def _chunks(self, rule: FileRule, body: bytes) -> AsyncIterator[bytes]:
        if rule.kind == "trickle":
            piece = max(1, round(rule.rate * rule.pause)) if rule.rate else 64
            for at in range(0, len(body), piece):
                yield body[at : at + piece]
                if await closed_within(self._closing, rule.pause):
                    return
        elif rule.kind in {"endless", "too_large"}:
            sent = 0
            while not self._closing.is_set() and (rule.kind == "endless" or sent < rule.size):
                chunk = body[:_CHUNK] if sent == 0 else bytes(_CHUNK)
                yield chunk if rule.kind == "endless" else chunk[: rule.size - sent]
                sent += len(chunk)
                await asyncio.sleep(0)  # a fast reader must not starve the others
        else:
            yield body[: len(body) // 2] if rule.kind in {"reset", "short_length"} else body


def _position(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 4 else 0


def _spoil(body: bytes) -> bytes:
    """Keep the first kilobyte, which looks right, and turn the rest into rubbish without any frame header."""
    return body[:1024] + bytes(byte & 0x7F for byte in body[1024:])
