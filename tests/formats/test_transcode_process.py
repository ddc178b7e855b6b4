"""Re-encoding in a child process: real files of real sizes, and children that hang, crash or lie."""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import os
import random
import signal
import struct
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import av
import psutil
import pytest

from bot.formats.decoder import CHILDREN, DecodeError
from bot.formats.fetched import PART_SUFFIX
from bot.formats.tags import tag_mp3
from bot.formats.transcode import Fitted, fit_to
from sandbox.music import compose_of_size, seconds_for_size
from tests.media.origins import listing
from tests.media.samples import picture, sound, stored
from tests.nursery import other_children
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.music import Format

log = logging.getLogger(__name__)

LIMIT = 10 * 1024 * 1024
PATIENCE = patient(30)  # seconds; nothing here takes nearly as long
NICENESS = 10


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    it = tmp_path / "media"
    it.mkdir()
    return it


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """Return a source from which nothing ever comes."""
    it = tmp_path / "pipe"
    os.mkfifo(it)
    return it


@pytest.fixture(autouse=True)
def no_child_is_left(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    yield
    assert other_children() == []
    # A bot's log is no place for what libraries and interpreters say.
    assert capfd.readouterr().err == ""


async def let_go(pipe: Path) -> None:
    """End the wait of the child that opens a pipe, or is about to; what it reads from a pipe is no song."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
            except OSError as error:
                if error.errno != errno.ENXIO:  # nobody reads yet
                    raise
            else:
                return
            await asyncio.sleep(0.01)


async def children_at_work(count: int) -> list[psutil.Process]:
    """Wait until so many children run the decoder, which a pipe lets wait, and return all there are."""
    async with asyncio.timeout(PATIENCE):
        while True:
            children = other_children()
            if sum(child.nice() >= NICENESS for child in children) == count:
                return children
            await asyncio.sleep(0.01)


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return str(path)


def seconds_in(path: Path) -> float:
    with av.open(str(path), "r", format="mp3") as container:
        stream = container.streams.audio[0]
        samples = sum(frame.samples for packet in container.demux(stream) for frame in packet.decode())
        return samples / stream.rate


@pytest.mark.parametrize(
    ("size", "fmt", "bit_rate"), [(12_000_000, "mp3", 256_000), (40_000_000, "wav", 320_000)], ids=["mp3", "wav"]
)
async def test_large_files_fit_at_full_length_while_the_loop_runs_on(
    size: int, fmt: Format, bit_rate: int, folder: Path
) -> None:
    song = stored(folder / f"song.{fmt}", compose_of_size("Deep River", size, fmt=fmt))
    artwork = stored(folder / "artwork", picture("mjpeg", "image2pipe", 1024, 1024, "yuvj420p"))
    reserve = artwork.stat().st_size + 4096
    ticks, worst = 0, 0.0

    async def tick() -> None:
        nonlocal ticks, worst
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.01)
            ticks, worst = ticks + 1, max(worst, time.perf_counter() - before - 0.01)

    process = psutil.Process()
    memory, before = process.memory_info().rss, time.perf_counter()
    ticking = asyncio.create_task(tick())
    fitted = await fit_to(song, folder / "fitted", limit=LIMIT, reserve=reserve)
    ticking.cancel()
    took, grown = time.perf_counter() - before, process.memory_info().rss - memory
    log.info("%s: %.1f s, %+d KiB here, %d ticks, at worst %.0f ms late", fmt, took, grown >> 10, ticks, worst * 1000)

    assert fitted == Fitted(folder / "fitted", (folder / "fitted").stat().st_size, bit_rate)
    assert fitted.size <= LIMIT - reserve
    assert tag_mp3(fitted.path, fitted.path, title="Deep River", artwork=artwork)
    assert fitted.path.stat().st_size <= LIMIT
    assert seconds_in(fitted.path) == pytest.approx(seconds_for_size(size, fmt), abs=0.1)
    # Encoding takes seconds; a loop that waited for it would have ticked once or twice.
    assert ticks > 50
    assert grown < 16 * 1024 * 1024


async def test_the_bots_own_process_never_imports_pyav(folder: Path) -> None:
    song = stored(folder / "song.wav", sound("wav", "pcm_s16le", 1.0))
    program = (
        "import asyncio, pathlib, sys\n"
        "from bot.formats.transcode import fit_to\n"
        "paths = map(pathlib.Path, sys.argv[1:])\n"
        "assert asyncio.run(fit_to(*paths, limit=10**6)).bit_rate == 320_000\n"
        "assert not {'av', 'numpy'} & set(sys.modules)\n"
    )
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", program, str(song), str(folder / "fitted"))
    assert await child.wait() == 0


async def test_source_and_destination_may_be_the_same_relative_path(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored(folder / "-song", sound("flac", "flac", 3.0))
    monkeypatch.chdir(folder)
    path = folder.relative_to(folder) / "-song"
    fitted = await fit_to(path, path, limit=LIMIT)
    assert fitted is not None
    assert fitted.path == path
    assert [it.name for it in listing(folder)] == ["-song"]
    assert seconds_in(path.absolute()) == pytest.approx(3.0, abs=0.1)


@pytest.mark.parametrize("room", [1000, 0, -5])
async def test_what_cannot_fit_leaves_nothing(room: int, folder: Path) -> None:
    song = stored(folder / "song", sound("mp3", "libmp3lame", 3.0))
    assert await fit_to(song, folder / "fitted", limit=50_000, reserve=50_000 - room) is None
    assert listing(folder) == [song]


BROKEN = {
    "html": b"<!DOCTYPE html><title>Sign in</title>" + bytes(5000),
    "playlist": b"#EXTM3U\n#EXTINF:10,\nfile://%s\n",
    "concatenation": b"ffconcat version 1.0\nfile %s\n",
    "a tag with a playlist": b"ID3\x03\x00\x00\x00\x00\x00\x0dTIT2\x00\x00\x00\x03\x00\x00\x00ab#EXTM3U\nfile://%s\n",
    "frames of junk": (b"\xff\xfb\x90\x64" + bytes(range(1, 156))) * 500,
    "half an m4a": sound("ipod", "aac", 3.0)[:20_000],
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
async def test_what_is_no_song_is_refused_in_one_line(data: bytes, folder: Path) -> None:
    other = stored(folder / "other.wav", sound("wav", "pcm_s16le", 1.0))
    song = stored(folder / "song.mp3", data.replace(b"%s", os.fsencode(other)))
    destination = stored(folder / "fitted", b"of old")
    with pytest.raises(DecodeError) as caught:
        await fit_to(song, destination, limit=LIMIT)
    assert caught.value.reason == str(caught.value)
    assert caught.value.reason.isprintable()
    assert len(caught.value.reason) <= 200
    assert destination.read_bytes() == b"of old"
    assert set(listing(folder)) == {other, song, destination}


@pytest.mark.parametrize(
    ("container", "codec"), [("mp3", "libmp3lame"), ("ogg", "vorbis"), ("flac", "flac"), ("ipod", "aac")]
)
async def test_damaged_files_end_in_a_file_or_an_error(container: str, codec: str, folder: Path) -> None:
    dice = random.Random(codec)
    for damage in (3, 30, 300):
        data = bytearray(sound(container, codec, 3.0))
        for _ in range(damage):
            data[dice.randrange(300, len(data))] = dice.randrange(256)
        song = stored(folder / "song", bytes(data))
        try:
            fitted = await fit_to(song, folder / "fitted", limit=LIMIT)
        except DecodeError:
            assert listing(folder) == [song]
        else:
            assert fitted is not None
            assert 0 < seconds_in(fitted.path) < 3.2
            fitted.path.unlink()


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e30])
async def test_samples_at_which_the_encoder_would_abort(value: float, folder: Path) -> None:
    samples = [0.1, value, -0.1, 0.2] * 40_000
    form = struct.pack("<HHIIHH", 3, 2, 44_100, 44_100 * 8, 8, 32)
    data = struct.pack(f"<{len(samples)}f", *samples)
    header = b"RIFF" + struct.pack("<I", len(data) + 36) + b"WAVEfmt " + struct.pack("<I", 16) + form
    song = stored(folder / "song.wav", header + b"data" + struct.pack("<I", len(data)) + data)
    fitted = await fit_to(song, folder / "fitted", limit=LIMIT)
    assert fitted is not None
    assert seconds_in(fitted.path) == pytest.approx(80_000 / 44_100, abs=0.1)


async def test_a_source_or_a_directory_that_is_not_there(folder: Path) -> None:
    with pytest.raises(DecodeError, match="No such file"):
        await fit_to(folder / "song", folder / "fitted", limit=LIMIT)
    with pytest.raises(FileNotFoundError):
        await fit_to(folder / "song", folder / "missing" / "fitted", limit=LIMIT)
    assert listing(folder) == []


async def test_a_cancelled_task_takes_its_child_and_its_file_along(pipe: Path, folder: Path) -> None:
    task = asyncio.create_task(fit_to(pipe, folder / "fitted", limit=LIMIT))
    (child,) = await children_at_work(1)
    assert [path.suffix for path in listing(folder)] == [PART_SUFFIX]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not psutil.pid_exists(child.pid)
    assert listing(folder) == []


async def test_a_child_that_hangs_is_killed(pipe: Path, folder: Path) -> None:
    with pytest.raises(DecodeError, match=r"not finished within 1.5 s"):
        await fit_to(pipe, folder / "fitted", limit=LIMIT, timeout=1.5)
    assert listing(folder) == []


async def test_an_impatient_caller_gets_its_own_timeout(pipe: Path, folder: Path) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await fit_to(pipe, folder / "fitted", limit=LIMIT)
    assert listing(folder) == []


async def test_a_child_that_crashes_hurts_nobody(pipe: Path, folder: Path) -> None:
    task = asyncio.create_task(fit_to(pipe, folder / "fitted", limit=LIMIT))
    (child,) = await children_at_work(1)
    child.send_signal(signal.SIGSEGV)
    with pytest.raises(DecodeError, match="killed: Segmentation fault"):
        await task
    assert listing(folder) == []


async def test_two_files_at_a_time(tmp_path: Path, folder: Path) -> None:
    paths = [tmp_path / name for name in ("first", "second", "third")]
    for path in paths:
        os.mkfifo(path)
    tasks = [asyncio.create_task(fit_to(path, folder / path.name, limit=LIMIT)) for path in paths]
    # A third would have been started at once with these two, long before they begin to work.
    assert len(await children_at_work(CHILDREN)) == CHILDREN == 2
    for path, task in zip(paths, tasks, strict=True):
        await let_go(path)
        with pytest.raises(DecodeError):
            await task


async def test_the_child_knows_none_of_the_bots_secrets(
    pipe: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "very-secret")
    task = asyncio.create_task(fit_to(pipe, folder / "fitted", limit=LIMIT))
    (child,) = await children_at_work(1)
    assert "PYTHONPATH" in child.environ()
    assert "very-secret" not in str(child.environ())
    await let_go(pipe)
    with pytest.raises(DecodeError):
        await task


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("exit 3", "ended with status 3 and no answer"),
        ("echo '[1]'", "ended with status 0 and no answer"),
        ("head -c 10000000 /dev/zero", "ended with status 0 and no answer"),
        ("""echo '{"number": 320000}'""", "0 bytes where 10485760 were allowed"),
        ("""printf %s '{"error": "a\\nb\\u2028c"}'""", "a b c"),
    ],
)
async def test_a_child_is_not_believed(
    text: str, reason: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", script(tmp_path / "python", text))
    with pytest.raises(DecodeError) as caught:
        await fit_to(folder / "song", folder / "fitted", limit=LIMIT)
    assert caught.value.reason == reason
    assert listing(folder) == []


async def test_a_child_that_never_stops_talking(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", script(tmp_path / "python", "exec cat /dev/zero"))
    with pytest.raises(DecodeError, match="not finished"):
        await fit_to(folder / "song", folder / "fitted", limit=LIMIT, timeout=0.5)


async def test_a_process_that_cannot_be_started_is_no_fault_of_the_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(FileNotFoundError):
        await fit_to(folder / "song", folder / "fitted", limit=LIMIT)
    assert listing(folder) == []


MACOS = """
import resource, runpy, sys
granted = resource.setrlimit

def setrlimit(limit, values):
    if limit == resource.RLIMIT_AS:
        raise ValueError("current limit exceeds maximum limit")
    granted(limit, values)

resource.setrlimit = setrlimit
assert sys.argv[1:4] == ["-P", "-m", "bot.formats.transcode"]
sys.argv = sys.argv[3:]
runpy.run_module("bot.formats.transcode", run_name="__main__", alter_sys=True)
"""


async def test_a_system_that_bounds_no_memory_decodes_without(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    macos = stored(tmp_path / "macos.py", MACOS.encode())
    monkeypatch.setattr(sys, "executable", script(tmp_path / "python", f'exec {sys.executable} {macos} "$@"'))
    song = stored(folder / "song.wav", sound("wav", "pcm_s16le", 1.0))
    fitted = await fit_to(song, folder / "fitted", limit=LIMIT)
    assert fitted is not None
    assert seconds_in(fitted.path) == pytest.approx(1.0, abs=0.1)


async def test_a_child_whose_bot_was_killed_ends_and_cleans_up(folder: Path) -> None:
    song = stored(folder / "song.wav", compose_of_size("Deep River", 40_000_000, fmt="wav"))
    program = (
        "import asyncio, pathlib, sys\n"
        "from bot.formats.transcode import fit_to\n"
        "asyncio.run(fit_to(*map(pathlib.Path, sys.argv[1:]), limit=10**7))\n"
    )
    bot = await asyncio.create_subprocess_exec(sys.executable, "-c", program, str(song), str(folder / "fitted"))
    async with asyncio.timeout(PATIENCE):
        while not any(path.suffix == PART_SUFFIX and path.stat().st_size for path in listing(folder)):  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(0.01)
    (child,) = psutil.Process(bot.pid).children()
    bot.kill()
    await bot.wait()
    await asyncio.to_thread(psutil.wait_procs, [child], timeout=PATIENCE)
    assert not child.is_running()
    assert listing(folder) == [song]
