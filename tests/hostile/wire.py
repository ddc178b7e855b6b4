"""HTTP as bytes: conversations over raw sockets, and the answers taken apart."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass, field

from tests.patience import patient

QUIET_SECONDS = 0.05
"""How long a connection may say nothing before whoever sent rubbish takes it that nothing will come."""

ANSWER_SECONDS = 30.0
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


@dataclass(frozen=True)
class Reply:
    """One answer: its status, its header lines and its body."""

    status: int
    head: bytes
    body: bytes


@dataclass
class Conversation:
    """What one connection sends.

    `whole` says that each request is framed as HTTP wants it, so that each gets its answer; `pause` is in seconds,
    between pieces of `piece` bytes, 0 for all at once.
    """

    requests: list[bytes]
    whole: bool
    piece: int = 0
    pause: float = 0.0
    statuses: list[int] = field(default_factory=list)
    problem: str | None = None


async def converse(port: int, conversation: Conversation) -> None:
    """Send everything, over a new connection where the server has ended the old one, and note what comes back."""
    try:
        async with asyncio.timeout(patient(ANSWER_SECONDS)):
            if not conversation.whole:
                await _at_random(port, conversation)
                return
            while len(conversation.statuses) < len(conversation.requests):
                before = len(conversation.statuses)
                await _in_order(port, conversation)
                if len(conversation.statuses) == before:
                    conversation.problem = "a whole request without an answer"
                    return
    except TimeoutError:
        conversation.problem = "no end in sight"
    except OSError as error:
        conversation.problem = f"no connection: {error}"


async def read_reply(reader: asyncio.StreamReader, *, head_only: bool = False) -> Reply:
    """Read one answer; raises IncompleteReadError when the connection ends before it."""
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        found = _STATUS.match(head)
        if found is None:
            raise ValueError(f"this is no status line: {head[:80]!r}")
        status = int(found[1])
        if status >= 200:
            break
    length = _LENGTH.search(head)
    bodyless = head_only or status in {204, 304}
    body = b"" if bodyless else await reader.readexactly(int(length[1])) if length is not None else await reader.read()
    return Reply(status, head, body)


async def _in_order(port: int, conversation: Conversation) -> None:
    """Send the requests that have no answer yet, and read answers until the server ends the connection."""
    requests = conversation.requests[len(conversation.statuses) :]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sending = asyncio.create_task(_send(writer, requests, conversation))
    try:
        for request in requests:
            reply = await read_reply(reader, head_only=request.startswith(b"HEAD "))
            conversation.statuses.append(reply.status)
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        writer.transport.abort()


async def _at_random(port: int, conversation: Conversation) -> None:
    """Send everything whatever the server says, and listen until it is quiet."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = bytearray()
    try:
        with suppress(OSError):
            await _send(writer, conversation.requests, conversation)
        while piece := await asyncio.wait_for(reader.read(65536), QUIET_SECONDS):
            received += piece
    except (TimeoutError, OSError):
        pass
    finally:
        writer.transport.abort()
    conversation.statuses = [int(status) for status in _STATUS.findall(bytes(received))]


async def _send(writer: asyncio.StreamWriter, requests: list[bytes], pace: Conversation) -> None:
    data = b"".join(requests)
    step = pace.piece or len(data) or 1
    for start in range(0, len(data), step):
        writer.write(data[start : start + step])
        await writer.drain()
        if pace.pause:
            await asyncio.sleep(pace.pause)
