"""What the bot's memory does while many large files go through it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import programs
from benchmarks.figures import Figure
from benchmarks.posting import replies_to
from benchmarks.stage import COVER, Side, open_stage
from sandbox.music import compose_of_size

GROWTH_TARGET = 12.0
"""About one file's size: what grew with their number would be 200 times as much."""

AT_ONCE = 4
READY_SECONDS = 60.0
POST_SECONDS = 60.0


@dataclass(frozen=True)
class Load:
    """How many files of which size in bytes are delivered, and after how many of them the memory is called settled."""

    files: int
    size: int
    settled_after: int


async def memory_while_delivering(directory: Path, load: Load) -> list[Figure]:
    """Deliver files, each of other bytes, and compare the memory after the first few with the most it ever was."""
    async with open_stage(directory, load.files) as stage:
        vidgo, side = stage.vidgo, stage.bot
        vidgo.callbacks = "wrapped"
        vidgo.set_duration(COVER, 0.0)
        vidgo.set_result(COVER, "audio_no_image")
        song = compose_of_size("Benchmark", load.size)
        async with programs.bot(side.discord, stage.database, vidgo.api_url) as side.program:
            await side.program.or_end(side.discord.wait_ready(READY_SECONDS))
            await side.program.ready()
            seen: list[float] = []
            async for delivered in _deliveries(side, song, load.files):
                memory = side.program.memory().rss
                if delivered >= load.settled_after:
                    seen.append(memory)
    size = f"{load.size / 1e6:g} MB"
    title = f"Memory, most of {load.files} files of {size}"
    return [Figure("memory_deliveries", title, "MB", seen[0], max(seen), "difference", GROWTH_TARGET, load.files)]


async def _deliveries(side: Side, song: bytes, files: int) -> AsyncIterator[int]:
    """Order and receive covers, a few at once, and tell after each round how many have come."""
    for first in range(0, files, AT_ONCE):
        # Bytes after the last frame change nothing that plays, but make each round's file one of its own.
        side.vidgo.set_song_files("bytes", model=COVER, data=song + b"%016d" % first, content_type="audio/mpeg")
        calls = [await side.order() for _ in range(min(AT_ONCE, files - first))]
        replies = await asyncio.gather(*(call.reply(POST_SECONDS) for call in calls))
        for reply in replies:
            posted = await side.channel.wait_for(replies_to(reply), POST_SECONDS)
            if posted.files[0].size < len(song):
                raise RuntimeError(f"something else was posted: {posted}")
            for file in posted.files:
                file.data = b""  # hundreds of songs would fill this process's memory
        yield first + len(calls)
