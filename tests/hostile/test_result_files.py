"""Result files that are made to hurt, on their way through the real program to a message."""

from __future__ import annotations

import asyncio
import gzip
import io
import random
import struct
import time
import zlib
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import psutil
import pytest
import pytest_asyncio

from bot.formats.decoder import MEMORY_BYTES
from sandbox.artwork import paint
from sandbox.music import compose
from tests.end_to_end.heard import artwork_shown, listen
from tests.end_to_end.world import COVER, IMPATIENT, SONG, open_world
from tests.media.origins import answer, origin, saying
from tests.media.samples import picture, sound
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from sandbox.discord import Message
    from sandbox.vidgo import Task
    from tests.end_to_end.world import Person, World
    from tests.media.origins import Respond

    Audio = dict[str, Any]
    Case = tuple[Audio, Audio, Callable[[Message], None]]

pytestmark = pytest.mark.asyncio(loop_scope="module")

REFUSED = "is not music that I can post"
NEVER_CAME = "could not get its file from VidGo"
BEYOND_BOUNDS = "larger than any that I take"
NO_PICTURE = "is not a picture that I can show"
TOO_LARGE = "this server takes no file of its size"
FRAME = b"\xff\xfb\x90\x64" + bytes(413)
LIMIT = 16_000_000
GROWTH_MB = 80.0
PICTURE_SECONDS = 30.0
AT_ONCE = 8
"""How many files at once: enough that they meet, and so few that a slow machine has the pictures in time."""

CLEAN = compose("Clean", style="folk", seconds=2)


@dataclass
class Highest:
    """The most memory that was in use, in MB: by the program, and by the children that decode for it."""

    own: float = 0.0
    child: float = 0.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    directory = tmp_path_factory.mktemp("files")
    async with open_world(
        directory,
        callbacks=False,
        module=IMPATIENT,
        IMPATIENT_DAY="8",
        IMPATIENT_PICTURE=str(PICTURE_SECONDS),
        MEDIA_MAX_BYTES=str(LIMIT),
        LOG_LEVEL="INFO",
    ) as it:
        it.vidgo.seconds = 0.05
        it.vidgo.hold(SONG)
        yield it
        it.vidgo.release(SONG)


async def result_of(world: World, name: str, *, audio: dict[str, Any], image: dict[str, Any]) -> Message:
    """Order a song whose files are as said, and return what is posted of it."""
    ada = world.person("ada")
    call = await ada.use("music generate", prompt=name)
    submission = await world.vidgo.wait_submission(lambda one: one.input.get("prompt") == name)
    task = world.vidgo.tasks[str(submission.task_id)]
    spoil(world, task, audio, image)
    world.vidgo.finish(task)
    return await ada.result(call, 2 * PICTURE_SECONDS)


async def cover_of(world: World, name: str, *, audio: dict[str, Any], image: dict[str, Any]) -> Message:
    """Order a cover: artwork as said for a song whose own audio is as said."""
    ada = world.person("ada")
    song = world.vidgo.add_song(name, variants=1)
    spoil(world, song, audio, {})
    await ada.brings_in(song)
    world.vidgo.set_song_files(**{"kind": "bytes", "data": paint(name), **image}, model=COVER, media="image", times=1)
    return await ada.result(await ada.cover(song.id), 2 * PICTURE_SECONDS)


def spoil(world: World, task: Task, audio: dict[str, Any], image: dict[str, Any]) -> None:
    world.vidgo.set_song_files(**{"kind": "bytes", "data": CLEAN, **audio}, task=task)
    world.vidgo.set_song_files(**{"kind": "bytes", "data": paint("x"), **image}, task=task, media="image")


async def watch(process: psutil.Process, highest: Highest) -> None:
    """Note how much memory is in use, until cancelled."""
    while True:
        highest.own = max(highest.own, process.memory_info().rss / 1e6)
        for child in process.children():
            with suppress(psutil.Error):
                highest.child = max(highest.child, child.memory_info().rss / 1e6)
        await asyncio.sleep(0.05)


# The files


def bomb() -> bytes:
    """Return a song whose body unfolds to a hundred times what was sent."""
    return gzip.compress(CLEAN + bytes(1 << 27), 6)


def silence(seconds: int) -> bytes:
    """Return hours of nothing, which FLAC makes small."""
    written = io.BytesIO()
    with av.open(written, "w", format="flac") as output:
        stream = output.add_stream("flac", rate=8000, layout="mono")
        block = av.AudioFrame.from_ndarray(np.zeros((1, 8000 * 60), np.int16), format="s16", layout="mono")
        block.sample_rate = 8000
        for minute in range(seconds // 60):
            block.pts = minute * 8000 * 60
            output.mux(stream.encode(block))
        output.mux(stream.encode(None))
    return written.getvalue()


def png(width: int, height: int, data: bytes = b"") -> bytes:
    """Return a PNG that claims a size, with as much of a picture as given."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack("!I", len(body)) + name + body + struct.pack("!I", zlib.crc32(name + body))

    header = struct.pack("!IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data or zlib.compress(b"")) + chunk(b"IEND", b"")
    )


def rubbish(size: int) -> bytes:
    """Return bytes that hold no MP3 frame."""
    return (np.frombuffer(random.Random(1).randbytes(size), np.uint8) & 0x7F).tobytes()


@cache
def tag_bomb() -> bytes:
    """Return a song with a tag of which a few kilobytes would unfold to a hundred megabytes."""
    packed = zlib.compress(bytes(100_000_000), 9)
    # ID3v2.3: a compressed frame says with four bytes how large it will be (section 3.3.1, flag i).
    frame = b"TXXX" + struct.pack("!IBB", len(packed) + 4, 0, 0x80) + struct.pack("!I", 100_000_000) + packed
    size = len(frame)
    syncsafe = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\x00\x00" + syncsafe + frame + CLEAN


def wav(claimed: int, data: bytes) -> bytes:
    """Return a WAV that claims a size."""
    form = struct.pack("<HHIIHH", 1, 2, 44_100, 176_400, 4, 16)
    head = b"RIFF" + struct.pack("<I", claimed) + b"WAVEfmt " + struct.pack("<I", 16) + form
    return head + b"data" + struct.pack("<I", claimed) + data


def endless(piece: bytes, *headers: str) -> Respond:
    """Return a server whose answer never ends."""

    async def respond(_: str, writer: asyncio.StreamWriter) -> None:
        writer.write("\r\n".join(("HTTP/1.1 200 OK", *headers, "", "")).encode())
        while True:
            writer.write(piece)
            await writer.drain()

    return respond


def silent_once() -> Respond:
    """Return a server that accepts a first request and says nothing, and then does what it should."""
    asked = 0

    async def respond(_: str, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            await asyncio.Event().wait()
        writer.write(answer(CLEAN))

    return respond


def is_refused(message: Message) -> None:
    assert REFUSED in message.content
    assert message.files == []


def never_came(message: Message) -> None:
    assert NEVER_CAME in message.content
    assert message.files == []


def is_beyond_bounds(message: Message) -> None:
    assert BEYOND_BOUNDS in message.content
    assert message.files == []


def is_no_picture(message: Message) -> None:
    assert NO_PICTURE in message.content
    assert message.files == []


def arrives(message: Message) -> None:
    assert len(message.attachments) in (1, 2)


def plays(message: Message) -> None:
    assert message.attachments
    assert all(listen(song.data).seconds > 1 for song in message.attachments)


def plays_with_artwork(message: Message) -> None:
    plays(message)
    shown = artwork_shown(message)
    assert shown.data.startswith(b"\xff\xd8\xff")
    assert shown.filename == "cover.jpg"


def plays_without_artwork(message: Message) -> None:
    plays(message)
    assert message.files == message.attachments


def is_artwork_alone(message: Message) -> None:
    assert "The original's audio could not be fetched in a form that plays, so it comes alone." in message.content
    assert message.attachments == []
    assert len(message.files) == 2


def is_too_long(message: Message) -> None:
    assert TOO_LARGE in message.content
    assert message.files == []


def songs_and_artwork() -> dict[str, Case]:
    """Return what the files of an order are, and what comes of it; they take seconds to make."""
    return {
        "a picture that trickles": ({}, {"kind": "trickle", "pause": 30.0}, plays_without_artwork),
        "a page": ({"kind": "html"}, {}, never_came),
        "a picture in the place of a song": ({"kind": "disguised"}, {}, is_refused),
        "no end": ({"kind": "endless"}, {}, is_beyond_bounds),
        "a claim of 1 TB": ({"kind": "url", "respond": saying(answer(CLEAN, length=1 << 40))}, {}, is_beyond_bounds),
        "a bomb": ({"kind": "url", "respond": saying(answer(bomb(), "Content-Encoding: gzip"))}, {}, is_beyond_bounds),
        "no end, compressed": (
            {"kind": "url", "respond": endless(gzip.compress(bytes(1 << 20)), "Content-Encoding: gzip")},
            {},
            is_beyond_bounds,
        ),
        "a song, compressed": ({"data": gzip.compress(CLEAN)}, {}, plays),
        "a tag bomb": ({"data": tag_bomb()}, {}, plays),
        "rubbish behind two frames": ({"data": FRAME * 2 + rubbish(50_000)}, {}, is_refused),
        "rubbish of 12 MB": ({"data": FRAME * 2 + rubbish(12_000_000)}, {}, is_refused),
        "an empty MP3": ({"data": b"ID3\x03\x00\x00\x00\x00\x00\x00"}, {}, is_refused),
        "an endless tag": ({"data": b"ID3\x03\x00\x00\x7f\x7f\x7f\x7f" + CLEAN}, {}, is_refused),
        "holes": ({"data": CLEAN[:8000] + rubbish(3000) + CLEAN[8000:]}, {}, arrives),
        "hours of nothing": ({"data": silence(3 * 3600)}, {}, is_too_long),
        "a WAV that lies": (
            {"data": wav(0xFFFFFFF0, np.sin(np.arange(400_000) / 20).astype("<f2").tobytes())},
            {},
            plays,
        ),
        "a WAV of nothing": ({"data": wav(0, b"")}, {}, is_refused),
        "a FLAC of rubbish": ({"data": b"fLaC" + rubbish(100_000)}, {}, is_refused),
        "an Ogg of rubbish": ({"data": b"OggS" + rubbish(100_000)}, {}, is_refused),
        "an M4A of rubbish": ({"data": b"\x00\x00\x00\x20ftypM4A " + rubbish(100_000)}, {}, is_refused),
        "silence at first": ({"kind": "url", "respond": silent_once()}, {}, plays),
        "a picture of 3.6 gigapixels": ({}, {"data": png(60_000, 60_000)}, plays_without_artwork),
        "a picture of no size": ({}, {"data": png(0, 0)}, plays_without_artwork),
        "a picture that is a song": ({}, {"data": CLEAN}, plays_without_artwork),
        "a line end and a song": ({"data": b"\r\n" + CLEAN}, {}, plays),
        "a song in MP4": ({"data": sound("mp4", "aac", 3.0)}, {}, plays),
        "a song in WebM": ({"data": sound("webm", "libopus", 3.0)}, {}, plays),
        "a song in AIFF": ({"data": sound("aiff", "pcm_s16be", 3.0)}, {}, plays),
        "a FLAC behind the tag of an MP3": (
            {"data": b"ID3\x03\x00\x00\x00\x00\x00\x0a" + bytes(10) + sound("flac", "flac", 3.0)},
            {},
            plays,
        ),
        "a playlist": ({"data": b"\x00#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n" * 50}, {}, is_refused),
        "a program": ({"data": b"\x7fELF\x02\x01\x01" + rubbish(100_000)}, {}, is_refused),
        "artwork as AVIF": ({}, {"data": picture("libsvtav1", "avif", 256, 256, "yuv420p")}, plays_with_artwork),
        "artwork as TIFF": ({}, {"data": picture("tiff", "image2pipe", 256, 256, "rgb24")}, plays_with_artwork),
        "half an AVIF": ({}, {"data": picture("libsvtav1", "avif", 256, 256, "yuv420p")[:250]}, plays_without_artwork),
        "a picture without end": ({}, {"kind": "endless"}, plays_without_artwork),
        "a picture of rubbish": ({}, {"data": b"\xff\xd8\xff\xe0" + rubbish(50_000)}, plays_without_artwork),
        "a GIF of 4 gigapixels": ({}, {"data": b"GIF89a\xff\xff\xff\xff" + bytes(100)}, plays_without_artwork),
    }


def new_artwork() -> dict[str, Case]:
    """Return what the artwork of a cover and its song are, and what comes of it."""
    return {
        "new artwork of 3.6 gigapixels": ({}, {"data": png(60_000, 60_000)}, is_no_picture),
        "new artwork that is a page": ({}, {"kind": "html"}, never_came),
        "new artwork as AVIF": (
            {},
            {"data": picture("libsvtav1", "avif", 256, 256, "yuv420p")},
            plays_with_artwork,
        ),
        "new artwork for a tag bomb": ({"data": tag_bomb()}, {}, plays),
        "new artwork for rubbish": ({"data": FRAME * 2 + rubbish(50_000)}, {}, is_artwork_alone),
    }


async def test_every_file_ends_in_a_message_within_bounds(world: World, show: Callable[[str], None]) -> None:
    process = psutil.Process(world.bot.pid)
    before, highest = process.memory_info().rss / 1e6, Highest()
    watching = asyncio.create_task(watch(process, highest))
    took: dict[str, float] = {}
    wrong: dict[str, str] = {}

    places = asyncio.Semaphore(AT_ONCE)

    async def hold(name: str, order: Callable[..., Awaitable[Message]], audio: Audio, image: Audio, check: Any) -> None:
        async with places:
            started = time.monotonic()
            try:
                message = await order(world, name, audio=audio, image=image)
                check(message)
            except (AssertionError, LookupError, TimeoutError, ValueError) as error:
                wrong[name] = f"{type(error).__name__}: {error}"[:300]
            took[name] = time.monotonic() - started

    async with AsyncExitStack() as stack:
        cases = songs_and_artwork()
        for audio, _, _ in cases.values():
            if (respond := audio.pop("respond", None)) is not None:
                audio["location"] = (await stack.enter_async_context(origin(respond))).url()
        orders = [hold(name, result_of, *case) for name, case in cases.items()]
        await asyncio.gather(*orders, in_turn(world, hold))
    watching.cancel()
    after = process.memory_info().rss / 1e6
    slowest = max(took, key=lambda name: took[name])
    show(f"{len(took)} files; the slowest, {slowest}, took {took[slowest]:.1f} s")
    show(f"memory: {before:.0f} MB, at most {highest.own:.0f} MB, then {after:.0f} MB; children {highest.child:.0f} MB")
    assert wrong == {}
    # To its own end it would take ten times as long.
    assert took["a picture that trickles"] < patient(PICTURE_SECONDS)
    assert highest.own < before + GROWTH_MB
    assert highest.child < MEMORY_BYTES / 1e6
    # Nothing is left of it where files wait to be posted.
    assert "Traceback" not in world.bot.log


async def in_turn(world: World, hold: Callable[..., Awaitable[None]]) -> None:
    """Order covers one after the other: the stand-in plans their artwork for the next one that is finished."""
    for name, case in new_artwork().items():
        await hold(name, cover_of, *case)


async def test_a_clean_song_still_arrives(world: World) -> None:
    plays(await result_of(world, "clean", audio={}, image={}))
    person: Person = world.person("ada")
    await person.imports("Clean")
    plays(await person.covered())
