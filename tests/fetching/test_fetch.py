"""Downloads from servers that misbehave in every way, over real sockets."""

from __future__ import annotations

import asyncio
import errno
import gzip
import os
import re
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from bot.fetching import fetch as fetch_module
from bot.fetching.fetch import FetchError, FetchProblem
from bot.formats.fetched import PART_SUFFIX, Fetched
from bot.formats.kinds import MediaKind
from tests.media.origins import FRAME, SONG, answer, assert_clean, fetcher, listing, origin, saying

if TYPE_CHECKING:
    from pathlib import Path

    from tests.media.origins import Respond


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    it = tmp_path / "media"
    it.mkdir()
    return it


async def refusal(respond: Respond, folder: Path, **options: Any) -> FetchError:
    """Fetch from a server that answers like this, and check all that holds for every refusal."""
    limit = options.pop("limit", None)
    async with origin(respond) as site, fetcher(**options) as it:
        with pytest.raises(FetchError) as caught:
            await it.fetch(site.url(), folder / "file", max_bytes=limit)
    assert_clean(caught.value, folder)
    return caught.value


async def test_a_file_arrives_whole_with_its_size_kind_and_hash(folder: Path) -> None:
    body = FRAME * 5000
    destination = folder / "song.mp3"
    destination.write_bytes(b"old")
    async with origin(saying(answer(body, "Content-Type: text/html"))) as site, fetcher(max_bytes=1 << 24) as it:
        fetched = await it.fetch(site.url(), destination)
    assert fetched == Fetched(destination, len(body), MediaKind.MP3)
    assert destination.read_bytes() == body
    assert listing(folder) == [destination]
    (request,) = site.requests
    assert "accept-encoding: identity" in request.lower()
    assert not re.search(r"^(authorization|cookie|referer):", request, re.IGNORECASE | re.MULTILINE)


async def test_a_query_string_is_sent_as_it_was_written(folder: Path) -> None:
    query = "X-Amz-Credential=A%2FB%2fC&sig=a%3D%7E+b"
    async with origin(saying(answer(SONG))) as site, fetcher() as it:
        await it.fetch(f"http://127.0.0.1:{site.port}/a%2Fb%20c.mp3?{query}#part", folder / "file")
    assert site.requests[0].startswith(f"GET /a%2Fb%20c.mp3?{query} HTTP/1.1\r\n")


async def test_spaces_and_other_letters_in_a_redirect_are_encoded(folder: Path) -> None:
    async def respond(path: str, writer: asyncio.StreamWriter) -> None:
        moved = answer(b"", "Location: /a b/\u043d%20.mp3?x=y z", status="302 Found")
        writer.write(moved if path.startswith("/song") else answer(SONG))

    async with origin(respond) as site, fetcher() as it:
        await it.fetch(site.url(), folder / "file")
    assert site.requests[1].startswith("GET /a%20b/%D0%BD%20.mp3?x=y%20z HTTP/1.1\r\n")


async def test_a_file_of_exactly_the_limit_is_taken_and_one_byte_more_is_not(folder: Path) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(SONG) + SONG + b"\r\n0\r\n\r\n"
    for data in (answer(SONG), chunked):
        async with origin(saying(data)) as site, fetcher() as it:
            fetched = await it.fetch(site.url(), folder / "file", max_bytes=len(SONG))
            assert fetched.size == len(SONG)
        fetched.path.unlink()
        error = await refusal(saying(data), folder, limit=len(SONG) - 1)
        assert error.kind is FetchProblem.TOO_LARGE


async def test_the_limit_of_a_single_file_cannot_exceed_the_fetchers_own(folder: Path) -> None:
    error = await refusal(saying(answer(SONG)), folder, max_bytes=100, limit=1 << 20)
    assert error.kind is FetchProblem.TOO_LARGE


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("404 Not Found", FetchProblem.GONE),
        ("410 Gone", FetchProblem.GONE),
        ("403 Forbidden", FetchProblem.BAD_STATUS),
        ("206 Partial Content", FetchProblem.BAD_STATUS),
        ("304 Not Modified", FetchProblem.BAD_STATUS),
        ("429 Too Many Requests", FetchProblem.BAD_STATUS),
        ("500 Internal Server Error", FetchProblem.BAD_STATUS),
        ("503 Service Unavailable", FetchProblem.BAD_STATUS),
    ],
)
async def test_other_statuses_than_200_are_errors(status: str, kind: FetchProblem, folder: Path) -> None:
    error = await refusal(saying(answer(b"" if status.startswith("304") else SONG, status=status)), folder)
    assert error.kind is kind
    assert error.reason == f"127.0.0.1: HTTP {status[:3]}"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<!DOCTYPE html><p>very-secret</p>", "text"),
        (b'{"error": "very-secret"}', "text"),
        (b"\n\n  not yet, \xc3\xa9t\xe9", "text"),
        (b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n" * 100, "text"),
        (b"", "empty"),
        (b"\xff", "text"),
    ],
)
async def test_the_first_bytes_decide_not_the_header(body: bytes, words: str, folder: Path) -> None:
    error = await refusal(saying(answer(body, "Content-Type: audio/mpeg")), folder)
    assert error.kind is FetchProblem.NO_FILE
    assert words in error.reason


@pytest.mark.parametrize("body", [b"\r\n" + SONG, b"MZ\x90\x00" + bytes(600), b"\x00\x00\x00\x20ftypisom" + bytes(600)])
async def test_an_unknown_beginning_is_a_question_and_not_a_no(body: bytes, folder: Path) -> None:
    async with origin(saying(answer(body, "Content-Type: text/html"))) as site, fetcher() as it:
        fetched = await it.fetch(site.url(), folder / "file")
        assert await it.answers(site.url())
    assert (fetched.kind, fetched.path.read_bytes()) == (MediaKind.UNKNOWN, body)


async def test_whether_a_file_is_there_is_told_by_its_beginning(folder: Path) -> None:
    for data, there in ((answer(SONG), True), (answer(b"<html>"), False), (answer(b""), False), (b"", False)):
        async with origin(saying(data)) as site, fetcher() as it:
            assert await it.answers(site.url()) is there


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
async def test_a_compressed_bomb_is_unpacked_as_far_as_the_limit(encoding: str, folder: Path) -> None:
    bomb = gzip.compress(SONG + bytes(1 << 26), mtime=0)
    error = await refusal(saying(answer(bomb, f"Content-Encoding: {encoding}")), folder, limit=1 << 20)
    assert error.kind is FetchProblem.TOO_LARGE


@pytest.mark.parametrize(
    ("packed", "header"),
    [
        (gzip.compress(FRAME * 5000, mtime=0), "Content-Encoding: gzip"),
        (gzip.compress(FRAME * 5000, mtime=0), "Content-Type: audio/mpeg"),
        (gzip.compress(FRAME, mtime=0) + gzip.compress(FRAME * 4999, mtime=0) + bytes(5), "Content-Encoding: x-gzip"),
        (zlib.compress(FRAME * 5000), "Content-Encoding: deflate"),
        (zlib.compress(FRAME * 5000)[2:-4], "Content-Encoding: deflate"),
    ],
)
async def test_what_comes_compressed_though_nobody_asked_for_it_is_unpacked(
    packed: bytes, header: str, folder: Path
) -> None:
    async with origin(saying(answer(packed, header))) as site, fetcher(max_bytes=1 << 24) as it:
        assert await it.answers(site.url())
        fetched = await it.fetch(site.url(), folder / "file", in_memory=True)
    assert (fetched.kind, fetched.size) == (MediaKind.MP3, len(FRAME) * 5000)
    assert fetched.path.read_bytes() == FRAME * 5000


@pytest.mark.parametrize(
    ("packed", "header", "kind"),
    [
        (gzip.compress(SONG, mtime=0)[:-9], "Content-Encoding: gzip", FetchProblem.NETWORK),
        (gzip.compress(SONG, mtime=0)[:12] + b"rubbish", "Content-Encoding: gzip", FetchProblem.NO_FILE),
        (gzip.compress(b"<html>no song</html>", mtime=0), "Content-Encoding: gzip", FetchProblem.NO_FILE),
        (gzip.compress(b"", mtime=0), "Content-Encoding: gzip", FetchProblem.NO_FILE),
        (b"\x0b\x02\x80 what brotli might make \x03", "Content-Encoding: br", FetchProblem.NO_FILE),
    ],
)
async def test_what_is_compressed_and_no_file_is_refused(
    packed: bytes, header: str, kind: FetchProblem, folder: Path
) -> None:
    assert (await refusal(saying(answer(packed, header)), folder)).kind is kind


async def test_a_wrong_claim_of_compression_changes_nothing(folder: Path) -> None:
    async with origin(saying(answer(SONG, "Content-Encoding: gzip"))) as site, fetcher() as it:
        fetched = await it.fetch(site.url(), folder / "file")
    assert fetched.path.read_bytes() == SONG


@pytest.mark.parametrize("header", ["Transfer-Encoding: chunked", "Connection: close"])
async def test_an_endless_body_is_cut_at_the_limit(header: str, folder: Path) -> None:
    sent = 0

    async def respond(_: str, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(f"HTTP/1.1 200 OK\r\n{header}\r\n\r\n".encode())
        while True:
            writer.write(b"%x\r\n" % len(SONG) + SONG + b"\r\n" if "chunked" in header else SONG)
            await writer.drain()
            sent += len(SONG)

    error = await refusal(respond, folder, max_bytes=1 << 21)
    assert error.kind is FetchProblem.TOO_LARGE
    # What the limit allows, plus what the buffers of two sockets may hold.
    assert sent < (1 << 21) + (1 << 24)


async def test_an_announced_size_over_the_limit_is_refused_before_the_body(folder: Path) -> None:
    error = await refusal(saying(answer(SONG, length=1 << 40)), folder)
    assert error.kind is FetchProblem.TOO_LARGE


@pytest.mark.parametrize(
    "data",
    [
        answer(SONG, length=len(SONG) + 1),
        answer(b"\xff\xfb", length=2000),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n" + SONG[:4096] + b"\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nXYZ\r\n" + SONG,
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 900\r\n\r\n" + SONG,
        b"HTTP/1.1 200 OK\r\nContent-Length: very-secret\r\n\r\n" + SONG,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000,
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000,
        b"very-secret\r\n\r\n",
        b"",
    ],
    ids=lambda data: repr(data[17:60]),
)
async def test_a_body_cut_short_or_nonsense_is_network_trouble(data: bytes, folder: Path) -> None:
    error = await refusal(saying(data), folder)
    assert error.kind is FetchProblem.NETWORK


async def test_bytes_beyond_the_announced_length_are_never_stored(folder: Path) -> None:
    whole = len(FRAME) * 50
    smuggled = answer(b"\x89PNG\r\n\x1a\n" + bytes(100))
    async with origin(saying(answer(SONG[:whole]) + smuggled)) as site, fetcher() as it:
        first = await it.fetch(site.url(), folder / "one")
        second = await it.fetch(site.url(), folder / "two")
    # Nor do they pass for the answer to the next request.
    assert first.path.read_bytes() == second.path.read_bytes() == SONG[:whole]
    assert site.connections == 2


async def test_silence_and_trickling_end_in_time(folder: Path) -> None:
    async def silent(_: str, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async def stopping(_: str, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(SONG, length=10 * len(SONG)))
        await asyncio.Event().wait()

    async def trickling(_: str, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(SONG, length=1 << 19))
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    for respond, options in (
        (silent, {"idle_timeout": 0.2}),
        (stopping, {"idle_timeout": 0.2}),
        (trickling, {"idle_timeout": 0.2, "total_timeout": 0.6}),
        (silent, {"total_timeout": 0.2}),
    ):
        async with asyncio.timeout(20):
            error = await refusal(respond, folder, **options)
        assert error.kind is FetchProblem.TOO_SLOW


async def test_a_closed_port_is_network_trouble(folder: Path) -> None:
    async with origin(saying(b"")) as site:
        url = site.url()
    async with fetcher() as it:
        with pytest.raises(FetchError) as caught:
            await it.fetch(url, folder / "file")
    assert_clean(caught.value, folder)
    assert caught.value.reason == f"127.0.0.1: ClientConnectorError: {os.strerror(errno.ECONNREFUSED)}"
    assert caught.value.kind is FetchProblem.NETWORK


async def test_nothing_is_left_behind_when_cancelled(folder: Path) -> None:
    sent = asyncio.Event()

    async def respond(_: str, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(SONG, length=10 * len(SONG)))
        await writer.drain()
        sent.set()
        await asyncio.Event().wait()

    async with origin(respond) as site, fetcher() as it:
        task = asyncio.create_task(it.fetch(site.url(), folder / "file"))
        await sent.wait()
        async with asyncio.timeout(10):
            while not (parts := listing(folder)):  # noqa: ASYNC110 - a file has no event
                await asyncio.sleep(0)
        assert [part.suffix for part in parts] == [PART_SUFFIX]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert listing(folder) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")  # noqa: PTH110 - no file is asked for later
async def test_a_full_disk_passes_through(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = open("/dev/full", "wb")  # noqa: ASYNC230, PTH123, SIM115 - refuses every byte with ENOSPC
    monkeypatch.setattr(
        fetch_module._PartFile, "_file", property(lambda _: full, lambda _, opened: opened.close()), raising=False
    )
    async with origin(saying(answer(FRAME * 2000))) as site, fetcher() as it:
        with pytest.raises(OSError, match="No space left") as caught:
            await it.fetch(site.url(), folder / "file")
    assert caught.value.errno == errno.ENOSPC
    assert listing(folder) == []


async def test_a_disk_that_times_out_is_not_a_slow_server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stuck(*_: object) -> None:
        raise TimeoutError(errno.ETIMEDOUT, "disk")

    monkeypatch.setattr(fetch_module._PartFile, "append", stuck)
    async with origin(saying(answer(SONG))) as site, fetcher() as it:
        with pytest.raises(TimeoutError, match="disk"):
            await it.fetch(site.url(), folder / "file")
    assert listing(folder) == []


async def test_a_closed_fetcher_refuses_to_work(folder: Path) -> None:
    async with fetcher() as it:
        pass
    with pytest.raises(RuntimeError, match="closed"):
        await it.fetch("https://media.example/", folder / "file")


async def test_a_redirect_without_an_address_is_refused(folder: Path) -> None:
    async def respond(_: str, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(b"", status="302 Found"))

    error = await refusal(respond, folder)
    assert error.kind is FetchProblem.BAD_URL


def test_no_heavy_module_is_needed() -> None:
    import subprocess
    import sys

    heavy = ("av", "numpy", "mutagen", "discord")
    code = (
        f"import sys, bot.fetching.fetch, bot.formats.kinds; print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=200)
    assert done.stdout.strip() == "[]"
