"""Download result files from URLs that nobody vouches for.

The URLs come out of API answers, so each may point anywhere and its server may do anything. What a download can reach
is decided when the socket is opened, on the address that is really connected to: there is no moment between check and
use in which a name could change its address, and a literal address takes the same way as a name.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import aiohttp
from yarl import URL

from bot.fetching.addresses import is_public
from bot.formats.fetched import IN_MEMORY_BYTES, Fetched, part_of
from bot.formats.kinds import HEAD_BYTES, MediaKind, is_text, sniff
from bot.vidgo.bodies import Unpacking, unpacking
from bot.vidgo.reading import MAX_URL, percent_encoded

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from aiohappyeyeballs import AddrInfoType
    from aiohttp.abc import AbstractResolver

MAX_REDIRECTS: Final = 5
SOCKETS: Final = 64
"""How many files are downloaded at once; whoever comes next waits for a socket."""

_BLOCK_BYTES: Final = 256 * 1024
_PIECE_BYTES: Final = 64 * 1024
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_GONE: Final = frozenset({404, 410})


class FetchProblem(StrEnum):
    """What was seen where a file should have been. What follows from it is for `bot.fetching.patience` to say."""

    GONE = "gone"
    """404 or 410."""
    BAD_STATUS = "bad_status"
    NETWORK = "network"
    TOO_SLOW = "too_slow"
    NO_FILE = "no_file"
    """An empty body, a page or another text."""
    NOT_MEDIA = "not_media"
    """A file that is neither known nor can be decoded as what it should be."""
    TOO_LARGE = "too_large"
    REFUSED_ADDRESS = "refused_address"
    BAD_URL = "bad_url"
    UNDER_WAY = "under_way"
    """Nothing is wrong: it is still coming, or waits for its turn."""
    ARCHIVE = "archive"
    """The archive has it, which cannot be read now, and nobody else has it any more."""


class FetchError(Exception):
    """A file that could not be had now.

    `reason` is one line for the log; it names the host but never the path or query, which may be credentials.
    """

    def __init__(self, kind: FetchProblem, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason


class Fetcher:
    """Downloads media files over https from public addresses, within bounds of size and time.

    `allow_private` also permits http, any port and any address, for stand-ins on the same machine. `max_bytes` bounds
    each body. `total_timeout` bounds a whole download in seconds, redirects included, `idle_timeout` each connection
    attempt and each pause between two pieces. `resolver` and `tls` replace name resolution and the trusted
    certificates.
    """

    def __init__(
        self,
        *,
        allow_private: bool,
        max_bytes: int,
        total_timeout: float = 120.0,
        idle_timeout: float = 15.0,
        resolver: AbstractResolver | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._allow_private = allow_private
        self._max_bytes = max_bytes
        self._total_timeout = total_timeout
        self._idle_timeout = idle_timeout
        self._resolver = resolver
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    @property
    def max_bytes(self) -> int:
        """Return how large a file may be at most."""
        return self._max_bytes

    async def fetch(
        self, url: str, destination: Path, *, max_bytes: int | None = None, in_memory: bool = False
    ) -> Fetched:
        """Download `url` to `destination`, which appears only when it is whole; replaces a file of that name.

        With `in_memory` a small file is not written yet: see `Fetched`. `max_bytes` lowers the limit for this file.
        Raises FetchError, or OSError when the disk refuses the file.
        """
        limit = self._max_bytes if max_bytes is None else min(max_bytes, self._max_bytes)
        try:
            async with asyncio.timeout(self._total_timeout) as clock, self._open(url) as response:
                return await _save(_Body(response), destination, limit, in_memory=in_memory)
        except TimeoutError:
            if not clock.expired():
                raise
            raise FetchError(FetchProblem.TOO_SLOW, f"not finished within {self._total_timeout:g} s") from None

    async def answers(self, url: str) -> bool:
        """Tell whether the first bytes behind `url` may be those of a media file; the rest is not read."""
        try:
            async with asyncio.timeout(self._idle_timeout), self._open(url) as response:
                body = _Body(response)
                body.kind_of(await body.head())
        except (FetchError, TimeoutError):
            return False
        return True

    async def close(self) -> None:
        """Close the connections; later downloads raise RuntimeError."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    @asynccontextmanager
    async def _open(self, url: str) -> AsyncGenerator[aiohttp.ClientResponse]:
        """Follow redirects by hand, because each of their URLs needs the same checks as the first."""
        session = self._ready_session()
        target = self._checked(url)
        for _ in range(MAX_REDIRECTS + 1):
            with _network_problems(target):
                response = await session.get(target, allow_redirects=False)
            # Closing after the last byte was read does nothing: by then the connection is back in the pool.
            try:
                if response.status not in _REDIRECTS:
                    _check_status(response)
                    yield response
                    return
                target = self._checked(response.headers.get("Location", ""), base=target)
            finally:
                response.close()
        raise FetchError(FetchProblem.BAD_STATUS, f"{_name(target)}: more than {MAX_REDIRECTS} redirects")

    def _ready_session(self) -> aiohttp.ClientSession:
        if self._closed:
            raise RuntimeError("the fetcher is closed")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=SOCKETS,
                    resolver=self._resolver,
                    socket_factory=self._open_socket,
                    ssl=self._tls or True,
                    use_dns_cache=False,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=self._idle_timeout, sock_read=self._idle_timeout
                ),
                # Done here, where it has bounds, and by what came: servers compress though nobody asked them to.
                auto_decompress=False,
                read_bufsize=_BLOCK_BYTES,
                headers={"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "coverbot"},
                trust_env=False,
            )
        return self._session

    def _open_socket(self, address: AddrInfoType) -> socket.socket:
        """Make the socket for an address that is about to be connected to, or refuse the address."""
        family, kind, protocol, _, endpoint = address
        if not self._allow_private and not is_public(str(endpoint[0])):
            raise _RefusedAddressError
        return socket.socket(family, kind, protocol)

    def _checked(self, text: str, base: URL | None = None) -> URL:
        """Parse a URL, relative to `base` if given, and check everything that shows before a connection."""

        def refuse(why: str) -> FetchError:
            source = "the URL" if base is None else f"{_name(base)}: the redirect"
            return FetchError(FetchProblem.BAD_URL, f"{source} {why}")

        if not text or len(text) > MAX_URL:
            raise refuse("is empty" if not text else "is too long")
        if "\\" in text or not text.isprintable():
            raise refuse("holds characters that no URL has")
        try:
            # Servers, too, write spaces and other letters into their redirects.
            text = percent_encoded(text)
            # Signatures in query strings must arrive as they were written, not normalised.
            url = URL(text, encoded=text.isascii())
            if base is not None:
                url = base.join(url)
            host, port = url.raw_host, url.port
            credentials = "@" in url.raw_authority
        except ValueError:
            raise refuse("cannot be understood") from None
        if url.scheme != "https" and not (url.scheme == "http" and self._allow_private):
            raise refuse("is not https")
        if credentials:
            raise refuse("carries credentials")
        if not host or " " in host or port is None or not 0 < port < 65536:
            raise refuse("names no host or an impossible port")
        if port != 443 and not self._allow_private:
            raise refuse("names a port other than 443")
        return url.with_fragment(None)


class _RefusedAddressError(OSError):
    """An address that must not be reached. An OSError, so that aiohttp goes on to a host's next address."""

    def __init__(self) -> None:
        super().__init__("refused address")


class _Body:
    """The body of an answer, in pieces; one that came compressed is unpacked no further than it is read."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self._encoding = response.headers.get("Content-Encoding", "")
        self._packed: Unpacking | None = None
        self.host = _name(response.url)

    @property
    def length(self) -> int | None:
        """Return how many bytes there are, where that is known."""
        return None if self._packed is not None else self._response.content_length

    async def head(self) -> bytearray:
        """Return the beginning, enough to tell what it is."""
        head = await self._beginning()
        if sniff(bytes(head)) is MediaKind.UNKNOWN:
            self._packed = unpacking(bytes(head), self._encoding)
            if self._packed is not None:
                self._packed.feed(bytes(head))
                head = await self._beginning()
        return head

    async def piece(self) -> bytes:
        """Return the next bytes as they come in, b"" at the end."""
        packed = self._packed
        while packed is not None:
            try:
                piece = packed.read(_BLOCK_BYTES)
            except ValueError:
                raise FetchError(FetchProblem.NO_FILE, f"{self.host}: the body is compressed, and broken") from None
            if piece:
                return piece
            came = await self._as_it_comes()
            if not came:
                if not packed.is_whole:
                    raise FetchError(FetchProblem.NETWORK, f"{self.host}: the compressed body is cut off")
                return b""
            packed.feed(came)
        return await self._as_it_comes()

    def kind_of(self, head: bytearray) -> MediaKind:
        """Tell what it is by its beginning, without repeating its words; raises FetchError for what is no media."""
        beginning = bytes(head[:HEAD_BYTES])
        kind = sniff(beginning)
        if kind is not MediaKind.UNKNOWN:
            return kind
        if not beginning:
            what = "the body is empty"
        elif is_text(beginning):
            what = "the body is a text, not a media file"
        elif self._packed is None and self._encoding.lower() not in {"", "identity"}:
            what = "the body is compressed"
        else:
            return kind
        raise FetchError(FetchProblem.NO_FILE, f"{self.host}: {what}")

    async def _beginning(self) -> bytearray:
        head = bytearray()
        while len(head) < HEAD_BYTES and (piece := await self.piece()):
            head += piece
        return head

    async def _as_it_comes(self) -> bytes:
        with _network_problems(self._response.url):
            return await self._response.content.readany()


class _PartFile:
    """A file that appears under its name only when it is whole."""

    def __init__(self, destination: Path) -> None:
        self._destination = destination
        self._path = part_of(destination)
        self._file = self._path.open("xb")
        self._size = 0

    def append(self, block: bytearray) -> None:
        self._file.write(block)
        self._size += len(block)

    def publish(self, block: bytearray, kind: MediaKind) -> Fetched:
        self.append(block)
        self._file.close()
        self._path.replace(self._destination)
        return Fetched(self._destination, self._size, kind)

    def discard(self) -> None:
        with suppress(OSError):
            self._file.close()
        self._path.unlink(missing_ok=True)


async def _save(body: _Body, destination: Path, limit: int, *, in_memory: bool) -> Fetched:
    """Take the body for `destination` unless its first bytes show that it is no media file."""
    too_large = FetchError(FetchProblem.TOO_LARGE, f"{body.host}: larger than {limit} bytes")
    if (body.length or 0) > limit:
        raise too_large
    buffer = await body.head()
    kind = body.kind_of(buffer)
    if in_memory and body.length is not None and body.length <= IN_MEMORY_BYTES:
        pieces = [buffer]
        while piece := await body.piece():
            if len(pieces[-1]) >= _PIECE_BYTES:
                pieces.append(bytearray())
            pieces[-1] += piece
        data = b"".join(pieces)
        return Fetched(destination, len(data), kind, data)
    received = len(buffer)
    part = _PartFile(destination)
    writing: asyncio.Task[None] | None = None
    try:
        while received <= limit and (piece := await body.piece()):
            received += len(piece)
            buffer += piece
            if len(buffer) >= _BLOCK_BYTES:
                # One block is written while the next one comes in.
                if writing is not None:
                    await writing
                writing = asyncio.create_task(asyncio.to_thread(part.append, buffer))
                writing.add_done_callback(_seen)
                buffer = bytearray()
        if received > limit:
            raise too_large  # noqa: TRY301 - the part file has to go here too
        if writing is not None:
            await writing
        return await asyncio.to_thread(part.publish, buffer, kind)
    except BaseException:
        # In this thread and at once: work handed to another thread could itself be cancelled before it starts.
        part.discard()
        raise


def _seen(writing: asyncio.Task[None]) -> None:
    """Look at how a write ended that nobody waits for any more because the download has failed meanwhile."""
    if not writing.cancelled():
        writing.exception()


def _check_status(response: aiohttp.ClientResponse) -> None:
    status = response.status
    if status == 200:
        return
    kind = FetchProblem.GONE if status in _GONE else FetchProblem.BAD_STATUS
    raise FetchError(kind, f"{_name(response.url)}: HTTP {status}")


@contextmanager
def _network_problems(url: URL) -> Generator[None]:
    """Turn what aiohttp raises into a FetchError.

    The causes are dropped on purpose: their texts hold whole URLs, and words chosen by the other side.
    """
    try:
        yield
    except (aiohttp.InvalidURL, UnicodeError):
        raise FetchError(FetchProblem.BAD_URL, f"{_name(url)}: not a host name") from None
    except TimeoutError:
        raise FetchError(FetchProblem.TOO_SLOW, f"{_name(url)}: no answer or no data for too long") from None
    except aiohttp.ClientConnectorError as error:
        if isinstance(error.os_error, _RefusedAddressError):
            raise FetchError(
                FetchProblem.REFUSED_ADDRESS, f"{_name(url)}: at an address that must not be reached"
            ) from None
        raise _broken(url, error, error.os_error.errno) from None
    except (aiohttp.ClientError, OSError) as error:
        raise _broken(url, error, error.errno if isinstance(error, OSError) else None) from None


def _broken(url: URL, error: Exception, number: int | None) -> FetchError:
    # Numbers below 1 are getaddrinfo's own, which os.strerror does not know.
    detail = f": {os.strerror(number)}" if number is not None and number > 0 else ""
    return FetchError(FetchProblem.NETWORK, f"{_name(url)}: {type(error).__name__}{detail}")


def _name(url: URL) -> str:
    """Return the host for the log, short and in ASCII."""
    return ascii(url.raw_host or "")[1:-1][:100]
