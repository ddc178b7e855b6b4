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
    b'{"code": 200, "data": {"task_id": "SOMEOTHERTASK001", "status": "finished", "files": [' + b"[]," * 2000 + b"[]]}}",
    b"x" * 300_000,
    b'{"data": "' + b"\\u0000" * 40_000 + b'"}',
)
# Headers that leave the framing of a request alone.
_HEADERS = (
    "Accept: text/html",
    "Accept: */*;q=NaN",
    "Authorization: Bearer \x01\x02",
    "Content-Type: application/json; charset=nonsense",
    "Content-Type: multipart/form-data; boundary=",
    "Content-Type: " + ";" * 500,
    "Content-Type: \xff\xfe/\xff",
    "Cookie: " + "a=b; " * 800,
    "Host: evil.example",
    "Host: [",
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


@dataclass(frozen=True)
class Target:
    """What an attacker knows: a task that exists, one that does not, and its token for attacks with the right one."""

    task: str
    token: str
    unknown: str


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
    @given(conversations(target))
    def collect(conversation: Conversation) -> None:
        found.append(conversation)

    collect()
    return found


@st.composite
def conversations(draw: Draw, target: Target) -> Conversation:
    """Draw what one connection sends: whole requests, or such that are broken somewhere."""
    pace = draw(st.sampled_from([(0, 0.0)] * 8 + [(7, 0.0), (1000, 0.001), (61, 0.002), (50_000, 0.02)]))
    if draw(st.integers(0, 9)) < 7:
        requests = draw(st.lists(whole_requests(target), min_size=6, max_size=16))
        if sum(map(len, requests)) > 200_000:
            pace = (0, 0.0)
        return Conversation(requests, True, *pace)
    requests = draw(st.lists(whole_requests(target), max_size=3))
    requests.append(draw(broken_requests(target)))
    return Conversation(requests, False, *pace)


@st.composite
def whole_requests(draw: Draw, target: Target) -> bytes:
    """Draw a request that is framed as it should be, whatever it says."""
    method = draw(st.sampled_from(_METHODS))
    lines = [f"{method} {draw(_paths(target))} HTTP/1.1", "Host: x", *draw(_harmless_headers())]
    body = draw(_bodies())
    if draw(st.booleans()):
        coding, body = draw(_coded(body))
        lines += coding
    if draw(st.integers(0, 3)):
        lines.append(f"Content-Length: {len(body)}")
    else:
        lines.append("Transfer-Encoding: chunked")
        body = draw(_chunked(body))
    return _head(lines) + body


@st.composite
def broken_requests(draw: Draw, target: Target) -> bytes:
    """Draw a request whose framing lies, stops or is none at all."""
    start = f"POST {draw(_paths(target))} HTTP/1.1"
    kind = draw(st.integers(0, 5))
    if kind == 0:
        return bytes(draw(st.sampled_from(_BROKEN_STARTS)))
    if kind == 1:
        return bytes(draw(st.binary(max_size=300)))
    if kind == 2:
        return _head([start, "Host: x", "Transfer-Encoding: chunked"]) + bytes(draw(st.sampled_from(_BROKEN_CHUNKS)))
    body = bytes(draw(_bodies()))[:20_000]
    if kind == 3:
        return _head([start, "Host: x", f"Content-Length: {len(body) + draw(st.integers(1, 500))}"]) + body
    if kind == 4:
        # What is left over must not be taken for an answer to somebody else.
        smuggled = _head([start, "Content-Length: 0"])
        lines = [start, "Host: x", f"Content-Length: {len(body)}", "Transfer-Encoding: chunked"]
        return _head(lines) + b"0\r\n\r\n" + smuggled
    headers = draw(st.lists(st.sampled_from(_UNFRAMING_HEADERS), min_size=1, max_size=3))
    raw = draw(st.lists(st.binary(max_size=40), max_size=2))
    return _head([start, "Host: x", *headers]) [:-2] + b"".join(line + b"\r\n" for line in raw) + b"\r\n" + body


@st.composite
def _paths(draw: Draw, target: Target) -> str:
    kind = draw(st.integers(0, 9))
    if kind < 3:
        # With the right token only the body can be hostile.
        return f"/callbacks/vidgo/{target.task}/{target.token}"
    if kind < 5:
        return f"/callbacks/vidgo/{target.task}/{_segment(draw)}"
    if kind < 6:
        return f"/callbacks/vidgo/{target.unknown}/{target.token}"
    if kind < 8:
        return f"/callbacks/vidgo/{_segment(draw)}/{_segment(draw)}"
    if kind < 9:
        return str(draw(st.sampled_from(_PLACES)))
    return f"/media/{target.task}/{_segment(draw)}/{_segment(draw)}/{_segment(draw)}/song.mp3"


def _segment(draw: Draw) -> str:
    kind = draw(st.integers(0, 3))
    if kind == 0:
        return str(draw(st.sampled_from(_NASTY_SEGMENTS))).replace(" ", "%20").replace("?", "%3F").replace("#", "%23")
    if kind == 1:
        return quote(str(draw(st.sampled_from(_NASTY_TEXTS))).encode(errors="surrogatepass"), safe="")
    if kind == 2:
        return str(draw(st.text(string.ascii_letters + string.digits + "-_.~!$&'()*+,;=:@%", max_size=60)))
    return quote(bytes(draw(st.binary(max_size=40))), safe="")


def _harmless_headers() -> st.SearchStrategy[list[str]]:
    names = st.text(string.ascii_letters + "-", min_size=1, max_size=20).map(lambda name: f"X-{name}")
    values = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=60)
    own = st.builds(lambda name, value: f"{name}: {value}", names, values)
    return st.lists(st.one_of(st.sampled_from(_HEADERS), own), max_size=3)


def _bodies() -> st.SearchStrategy[bytes]:
    keys = st.sampled_from(["data", "task_id", "status", "files", "error_message", "code", "progress"])
    scalars = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**80), 2**80),
        st.floats(),
        st.text(max_size=10),
        st.sampled_from(["finished", "failed", *_NASTY_TEXTS]),
    )
    values: st.SearchStrategy[Any] = st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=6
    )
    nested = st.builds(lambda piece, depth: piece * depth, st.sampled_from(_NESTINGS), st.integers(1, 20_000))
    return st.one_of(
        values.map(lambda value: json.dumps({"data": value}).encode()),
        values.map(lambda value: json.dumps(value).encode()),
        st.sampled_from(_STRANGE_JSON),
        nested,
        st.binary(max_size=60),
    )


def _coded(body: bytes) -> st.SearchStrategy[tuple[list[str], bytes]]:
    bomb = b'{"data": "' + b"a" * 3_000_000
    choices: list[tuple[list[str], bytes]] = [
        (["Content-Encoding: gzip"], gzip.compress(body, 1)),
        (["Content-Encoding: deflate"], zlib.compress(body, 1)),
        (["Content-Encoding: gzip"], gzip.compress(bomb, 9)),
        (["Content-Encoding: identity"], body),
    ]
    return st.sampled_from(choices)


@st.composite
def _chunked(draw: Draw, body: bytes) -> bytes:
    step = draw(st.sampled_from([1, 17, 4096, 100_000]))
    step = max(step, len(body) // 50)
    extension = draw(st.sampled_from([b"", b";name=value", b';q="\\""']))
    chunks = (body[start : start + step] for start in range(0, len(body), step))
    framed = b"".join(b"%x" % len(chunk) + extension + b"\r\n" + chunk + b"\r\n" for chunk in chunks)
    return framed + b"0\r\n" + bytes(draw(st.sampled_from([b"", b"X-Trailer: x\r\n"]))) + b"\r\n"


def _head(lines: list[str]) -> bytes:
    return "\r\n".join([*lines, "", ""]).encode("latin-1", errors="replace")
