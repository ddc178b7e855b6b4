"""What strangers might send to the listener, generated with Hypothesis."""

from __future__ import annotations

import gzip
import json
import string
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.hostile.wire import Conversation

if TYPE_CHECKING:
    from collections.abc import Callable

    Draw = Callable[[st.SearchStrategy[Any]], Any]

_NASTY_TEXTS = (
    "",
    ".",
    "..",
    "../../etc/passwd",
    "\x00",
    "a\x00b",
    "\r\nX-Injected: yes",
    "' OR 1=1 --",
    "%",
    "{task}",
    "\u202etxt",
    "\ud800",
    "😀" * 50,
    "ⅨⅩ",
    "$(id)",
    "{{7*7}}",
    "%s%n",
    "A" * 5000,
)
_NASTY_SEGMENTS = (
    "%00",
    "%2F",
    "%2e%2e%2f",
    "%ED%A0%80",
    "%FF%FE",
    "%",
    "%zz",
    "%25%32%46",
    ";",
    "\\",
    "[::1]",
    "~",
    "a b",
    "é",
    "\x7f",
    "%C0%AF",
    "?token=x",
    "#x",
    "//",
)
_METHODS = ("POST",) * 12 + ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND")
_PLACES = ("/healthz", "/metrics", "/", "/callbacks", "/callbacks/vidgo/", "/favicon.ico", "/media/a/0/0/b/song.mp3")
_NESTINGS = (b"[", b'{"a":', b'{"data":', b'[{"data":[')
_STRANGE_JSON = (
    b"",
    b"null",
    b"{",
    b'"\\ud800"',
    b"\xff\xfe\x00",
    b"\xef\xbb\xbf{}",
    b"1" * 5000,
    b"-1e999999",
    b"NaN",
    b'{"data": {"task_id": null, "status": {}}}',
    b'{"data": {"task_id": "x", "task_id": "y", "status": "finished"}}',
    b'{"code": 200, "data": {"task_id": "SOMEOTHERTASK001", "status": "finished", "files": ['
    + b"[]," * 2000
    + b"[]]}}",
)
_LARGE = (b"x" * 300_000, b"[" * 200_000, b'{"data": "' + b"\\u0000" * 40_000 + b'"}')
_HOSTS = ("127.0.0.1", "evil.example", "[", "", "x:99999999", "\xff")
# Headers that leave the framing of a request alone.
_HEADERS = (
    "Accept: text/html",
    "Accept: */*;q=NaN",
    "Authorization: Bearer \xff\xfe",
    "Content-Type: application/json; charset=nonsense",
    "Content-Type: multipart/form-data; boundary=",
    "Content-Type: " + ";" * 500,
    "Content-Type: \xff\xfe/\xff",
    "Cookie: " + "a=b; " * 800,
    "If-Modified-Since: Thu, 99 Foo 0000 99:99:99 GMT",
    "If-None-Match: " + '"' * 100,
    "Range: bytes=-1,5-2,9999999999999999999999-",
    "Origin: null",
    "X-Forwarded-For: " + "1.1.1.1, " * 300,
    "X-Webhook-Timestamp: 99999999999999999999999999",
    "X-Webhook-Timestamp: \xb2",
    "X-Webhook-Signature: " + "\xe4" * 2000,
    "Expect: 100-continue",
    "Expect: 200-maybe",
    "Accept-Encoding: " + "gzip," * 500,
)
# Headers after which a server may close the connection, speak another protocol, or refuse to read on.
_UNFRAMING_HEADERS = (
    "Connection: close",
    "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x",
    "Connection: upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ",
    "Transfer-Encoding: identity",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked, chunked",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding : chunked",
    "Transfer-Encoding:\tchunked",
    "Transfer-Encoding: chunked\r\nContent-Length: 4",
    "Content-Length: 4\r\nContent-Length: 5",
    "Content-Length: -1",
    "Content-Length: +5",
    "Content-Length: 0x10",
    "Content-Length: 99999999999999999999999999",
    "Content-Length: 18446744073709551616",
    " folded: header",
    "no-colon",
    ": no name",
    "Name\x00: value",
    "Name: val\x00ue",
    "Name: a\rb",
    "Name: a\nb",
    "X: " + "y" * 9000,
    "\r\n".join(f"X-{number}: y" for number in range(300)),
    "Sec-WebSocket-Key: \xff" * 3,
    "Content-Encoding: nonsense",
    "Content-Encoding: br",
    "Content-Encoding: zstd",
    "Content-Encoding: gzip, gzip",
)
_BROKEN_CHUNKS = (
    b"zz\r\n",
    b"-1\r\nx\r\n0\r\n\r\n",
    b"5\r\nabc\r\n0\r\n\r\n",
    b"5\nabcde\n0\n\n",
    b"FFFFFFFFFFFFFFFFF\r\nabc",
    b"7fffffffffffffff\r\nabc",
    b"5;" + b"e" * 9000 + b"\r\nabcde\r\n0\r\n\r\n",
    b"5\r\nabcde0\r\n\r\n",
    b"0\r\nTrailer: x\r\n" * 100,
    b"0\r\nContent-Length: 5\r\n\r\n",
    b"0x5\r\nabcde\r\n0\r\n\r\n",
    b" 5 \r\nabcde\r\n0\r\n\r\n",
    b"5\r\nabcde\r\n",
    b"\r\n",
)
_BROKEN_STARTS = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\r\n\r\n\r\nGET /healthz HTTP/1.1\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET /healthz HTTP/9.9\r\n\r\n",
    b"GET /healthz HTTP/1.1 extra\r\n\r\n",
    b"GET http://[::1 HTTP/1.1\r\n\r\n",
    b"GET //[ HTTP/1.1\r\n\r\n",
    b"GET http://host:99999999/ HTTP/1.1\r\n\r\n",
    b"GET \xff\xfe HTTP/1.1\r\n\r\n",
    b"CONNECT evil.example:443 HTTP/1.1\r\n\r\n",
    b"CONNECT : HTTP/1.1\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\n\r\n",
    b"POST /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
    b"G\x00T / HTTP/1.1\r\n\r\n",
    b"\x00" * 1000,
    b"A" * 20_000,
    b"GET /healthz",
)
_BOMB = gzip.compress(b'{"data": "' + b"a" * 3_000_000, 9)


# Stand for what is known only when the bot runs; strategies are costly to make, so they are made once.
_TASK, _TOKEN, _UNKNOWN = "TASK" * 6, "TOKEN" * 8, "GONE" * 6


@dataclass(frozen=True)
class Target:
    """What an attacker knows: a task that exists, one that does not, and its token for attacks with the right one."""

    task: str
    token: str
    unknown: str

    def fill_in(self, request: bytes) -> bytes:
        """Put in what the generated request leaves open."""
        known = ((_TASK, self.task), (_TOKEN, self.token), (_UNKNOWN, self.unknown))
        for placeholder, value in known:
            request = request.replace(placeholder.encode(), value.encode(), 1)
        return request


def generate(target: Target, number: int, examples: int) -> list[Conversation]:
    """Generate conversations; the same number gives the same ones."""
    found: list[Conversation] = []

    @seed(number)
    @settings(
        max_examples=examples,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(_CONVERSATIONS)
    def collect(conversation: Conversation) -> None:
        conversation.requests = [target.fill_in(request) for request in conversation.requests]
        found.append(conversation)

    collect()
    return found


def _weighted(**weights: int) -> st.SearchStrategy[str]:
    return st.sampled_from([name for name, weight in weights.items() for _ in range(weight)])


_SEGMENT_KIND = _weighted(piece=1, text=1, letters=1, raw=1)
_PIECES = st.sampled_from([quote(piece, safe="%;\\[]:~/") for piece in _NASTY_SEGMENTS])
_TEXTS = st.sampled_from([quote(text.encode(errors="surrogatepass"), safe="") for text in _NASTY_TEXTS])
_LETTERS = st.text(string.ascii_letters + string.digits + "-_.~!$&'()*+,;=:@%", max_size=60)
_RAW = st.binary(max_size=40)


@st.composite
def _segments(draw: Draw) -> str:
    kind = draw(_SEGMENT_KIND)
    if kind == "piece":
        return str(draw(_PIECES))
    if kind == "text":
        return str(draw(_TEXTS))
    return str(draw(_LETTERS)) if kind == "letters" else quote(bytes(draw(_RAW)), safe="")


_SEGMENT = _segments()
_PATH_KIND = _weighted(right=3, token=3, unknown=2, both=2, place=1, media=1)
_PLACE = st.sampled_from(_PLACES)


@st.composite
def _paths(draw: Draw) -> str:
    kind = draw(_PATH_KIND)
    if kind == "right":
        # With the right token only the body can be hostile.
        return f"/callbacks/vidgo/{_TASK}/{_TOKEN}"
    if kind == "token":
        return f"/callbacks/vidgo/{_TASK}/{draw(_SEGMENT)}"
    if kind == "unknown":
        return f"/callbacks/vidgo/{_UNKNOWN}/{_TOKEN}"
    if kind == "both":
        return f"/callbacks/vidgo/{draw(_SEGMENT)}/{draw(_SEGMENT)}"
    if kind == "place":
        return str(draw(_PLACE))
    return f"/media/{_TASK}/{draw(_SEGMENT)}/{draw(_SEGMENT)}/song.mp3"


_JSON: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**80), 2**80),
        st.floats(),
        st.text(max_size=10),
        st.sampled_from(["finished", "failed", *_NASTY_TEXTS]),
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["data", "task_id", "status", "files", "code"]), inner, max_size=4)
    ),
    max_leaves=5,
)
_BODY = st.one_of(
    _JSON.map(lambda value: json.dumps({"data": value}).encode()),
    st.sampled_from(_STRANGE_JSON),
    st.sampled_from(_STRANGE_JSON),
    st.builds(lambda piece, depth: piece * depth, st.sampled_from(_NESTINGS), st.integers(1, 3_000)),
    st.binary(max_size=60),
    st.sampled_from([b"{}"] * 6 + [*_LARGE]),
)
_CODING = _weighted(none=4, gzip=1, deflate=1, bomb=1, identity=1)


def _coded(coding: str, body: bytes) -> tuple[list[str], bytes]:
    if coding == "none":
        return [], body
    if coding == "bomb":
        return ["Content-Encoding: gzip"], _BOMB
    packed = {"gzip": lambda: gzip.compress(body, 1), "deflate": lambda: zlib.compress(body, 1)}
    return [f"Content-Encoding: {coding}"], packed.get(coding, lambda: body)()


_CHUNKING = st.sampled_from(
    [
        (step, extension, trailer)
        for step in (1, 17, 4096, 100_000)
        for extension in (b"", b";name=value", b';q="\\""')
        for trailer in (b"", b"X-Trailer: x\r\n")
    ]
)


def _chunked(chunking: tuple[int, bytes, bytes], body: bytes) -> bytes:
    step, extension, trailer = chunking
    step = max(step, len(body) // 50)
    chunks = (body[start : start + step] for start in range(0, len(body), step))
    framed = b"".join(b"%x" % len(chunk) + extension + b"\r\n" + chunk + b"\r\n" for chunk in chunks)
    return framed + b"0\r\n" + trailer + b"\r\n"


_METHOD = st.sampled_from(_METHODS)
_READING = st.sampled_from(["GET", "HEAD"])
_PATH = _paths()
_OWN_HEADER = st.builds(
    lambda name, value: f"X-{name}: {value}",
    st.text(string.ascii_letters + "-", min_size=1, max_size=20),
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=60),
)
_HARMLESS = st.lists(
    st.one_of(st.sampled_from(_HEADERS), _OWN_HEADER), max_size=3, unique_by=lambda line: line.split(":")[0]
)
_HOST = st.sampled_from(_HOSTS)
_FRAMING = _weighted(length=3, chunks=1)


@st.composite
def _whole_requests(draw: Draw) -> bytes:
    """Draw a request that is framed as it should be, whatever it says."""
    path = draw(_PATH)
    method = draw(_READING if path in _PLACES else _METHOD)
    lines = [f"{method} {path} HTTP/1.1", f"Host: {draw(_HOST)}", *draw(_HARMLESS)]
    coding, body = _coded(draw(_CODING), draw(_BODY))
    lines += coding
    if draw(_FRAMING) == "length":
        return _head([*lines, f"Content-Length: {len(body)}"]) + body
    return _head([*lines, "Transfer-Encoding: chunked"]) + _chunked(draw(_CHUNKING), body)


_BREAKAGE = _weighted(start=2, noise=1, chunks=3, short=2, smuggled=1, headers=4)
_START = st.sampled_from(_BROKEN_STARTS)
_NOISE = st.binary(max_size=300)
_CHUNKS = st.sampled_from(_BROKEN_CHUNKS)
_UNFRAMING = st.lists(st.sampled_from(_UNFRAMING_HEADERS), min_size=1, max_size=3)
_LINES = st.lists(st.binary(max_size=40), max_size=2)


@st.composite
def _broken_requests(draw: Draw) -> bytes:
    """Draw a request whose framing lies, stops or is none at all."""
    kind = draw(_BREAKAGE)
    if kind == "start":
        return bytes(draw(_START))
    if kind == "noise":
        return bytes(draw(_NOISE))
    start = f"POST {draw(_PATH)} HTTP/1.1"
    if kind == "chunks":
        return _head([start, "Host: x", "Transfer-Encoding: chunked"]) + bytes(draw(_CHUNKS))
    body = bytes(draw(_BODY))[:20_000]
    if kind == "short":
        return _head([start, "Host: x", f"Content-Length: {len(body) + 100}"]) + body
    if kind == "smuggled":
        # What is left over must not be taken for an answer to somebody else.
        lines = [start, "Host: x", f"Content-Length: {len(body)}", "Transfer-Encoding: chunked"]
        return _head(lines) + b"0\r\n\r\n" + _head([start, "Content-Length: 0"])
    lines = [start, "Host: x", *draw(_UNFRAMING)]
    return _head(lines)[:-2] + b"".join(line + b"\r\n" for line in draw(_LINES)) + b"\r\n" + body


_PACE = st.sampled_from([(0, 0.0)] * 8 + [(7, 0.0), (1000, 0.001), (61, 0.002), (50_000, 0.02)])
_IS_WHOLE = st.sampled_from([True, True, False])
_SERIES = st.lists(_whole_requests(), min_size=6, max_size=16)
_PRELUDE = st.lists(_whole_requests(), max_size=3)
_BROKEN = _broken_requests()
_LONGEST_TRICKLE = 20_000


@st.composite
def _conversations(draw: Draw) -> Conversation:
    """Draw what one connection sends: whole requests, or such of which the last is broken."""
    whole = draw(_IS_WHOLE)
    requests = draw(_SERIES) if whole else [*draw(_PRELUDE), draw(_BROKEN)]
    piece, pause = draw(_PACE)
    if sum(map(len, requests)) > _LONGEST_TRICKLE and piece < _LONGEST_TRICKLE:
        piece, pause = 0, 0.0
    return Conversation(requests, whole, piece, pause)


def _head(lines: list[str]) -> bytes:
    return "\r\n".join([*lines, "", ""]).encode("latin-1", errors="replace")


_CONVERSATIONS = _conversations()
