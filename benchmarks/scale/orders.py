"""Orders from the command to the post, for figures about what one of them costs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import psutil

from benchmarks.posting import replies_to
from benchmarks.stage import COVER
from sandbox.music import compose_of_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.programs import Program
    from benchmarks.stage import Side
    from sandbox.discord import Call
    from sandbox.vidgo import VidGoStandIn
    from tests.postgresql import PostgreSQL

AT_ONCE = 10
ANSWER_SECONDS = 60.0
SIZE = 30_000
"""A short song: what is measured is the order, not the file."""

QUIET_SECONDS = 0.5


def prepare(vidgo: VidGoStandIn) -> None:
    """Let every cover be the same short song, and its end be told at once."""
    vidgo.callbacks = "wrapped"
    vidgo.set_result(COVER, "audio_no_image")
    song = compose_of_size("Benchmark", SIZE)
    vidgo.set_song_files("bytes", model=COVER, data=song, content_type="audio/mpeg")


async def order(side: Side, count: int) -> list[Call]:
    """Order covers, some at once, and return the commands when each is acknowledged, and taken by VidGo."""
    calls: list[Call] = []
    taken = len(side.vidgo.accepted(COVER)) + count
    for first in range(0, count, AT_ONCE):
        now = [await side.order() for _ in range(min(AT_ONCE, count - first))]
        await asyncio.gather(*(call.reply(ANSWER_SECONDS) for call in now))
        calls += now
    await side.vidgo.changes.until(lambda: len(side.vidgo.accepted(COVER)) >= taken or None, ANSWER_SECONDS)
    return calls


async def posted(side: Side, calls: Sequence[Call]) -> None:
    """Wait until each command has its post."""
    for call in calls:
        message = await side.channel.wait_for(replies_to(await call.reply()), ANSWER_SECONDS)
        if not message.files:
            raise RuntimeError(f"something else was posted: {message}")
        for file in message.files:
            file.data = b""


async def play(side: Side, count: int) -> None:
    """Order covers and have them made and posted, some at once."""
    for first in range(0, count, AT_ONCE):
        calls = await order(side, min(AT_ONCE, count - first))
        side.forget()  # with callbacks on, this ends them with a word
        await posted(side, calls)


async def settled(*programs: Program) -> None:
    """Wait until nobody has anything to do."""
    await asyncio.gather(*(program.quiet(QUIET_SECONDS) for program in programs))


def used_by(server: PostgreSQL) -> float:
    """Return how many seconds of a processor the server's processes that live have used."""
    main = psutil.Process(server.pid)
    times = [process.cpu_times() for process in (main, *main.children())]
    return sum(one.user + one.system for one in times)
