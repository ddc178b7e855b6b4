"""Make a sound file small enough to be posted: re-encode it as the best MP3 that fits.

Decoders are where hostile files do their harm, and encoding takes many seconds. Both happen in a child process
(`python -m bot.media.transcode`), which gives its memory back when it ends, can be killed, and is confined: little
memory, little time, a file that cannot grow, none of the bot's environment, and no way to open a file or a socket after
its two files. PyAV is imported there alone.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import pkgutil
import signal
import sys
from dataclasses import dataclass
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast
from weakref import WeakKeyDictionary

from bot.media.fetched import part_of
from bot.media.kinds import SNIFF_BYTES, MediaKind, sniff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from av.audio.frame import AudioFrame

BIT_RATES: Final = tuple(1000 * kilo for kilo in (320, 256, 224, 192, 160, 128, 112, 96, 80, 64, 56, 48, 40, 32))
"""The constant bit rates (bits/s) to choose from: those that MPEG-1 and MPEG-2 Layer III have in common, and above."""

MAX_SECONDS: Final = 2 * 3600
MEMORY_BYTES: Final = 1024**3
_LOSSLESS_BIT_RATE: Final = 128_000
_MPEG2_MAX_BIT_RATE: Final = 160_000
_MPEG1_MIN_SAMPLE_RATE: Final = 32_000
_SAMPLE_RATES: Final = (16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_NICENESS: Final = 10
_MAX_ANSWER_BYTES: Final = 4096
_MAX_REASON_CHARACTERS: Final = 200
# What the child keeps of the environment: what its interpreter and libraries need to start, and no token.
_ENVIRONMENT: Final = ("LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "PYTHONHOME")

# Guessing the format would let a file choose among hundreds of demuxers, playlists that name other files among them.
_DEMUXERS: Final = {
    MediaKind.MP3: "mp3",
    MediaKind.WAV: "wav",
    MediaKind.FLAC: "flac",
    MediaKind.OGG: "ogg",
    MediaKind.M4A: "mov",
}
_LOSSLESS_DECODERS: Final = frozenset(
    {"alac", "flac", "pcm_f32le", "pcm_f64le", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_u8"}
)
_DECODERS: Final = _LOSSLESS_DECODERS | {"aac", "mp3", "mp3float", "opus", "pcm_alaw", "pcm_mulaw", "vorbis"}

# A semaphore belongs to the event loop in which it was first waited for.
_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Fitted:
    """An MP3 file that fits: where it is, its size in bytes, its bit rate in bits/s."""

    path: Path
    size: int
    bit_rate: int


class TranscodeError(Exception):
    """A file that was not re-encoded. `reason` is one line for the log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Sound:
    """What decoding a whole file showed: its length in seconds, its mean rate in bits/s, its samples per second."""

    seconds: float
    bit_rate: float
    sample_rate: int
    channels: int
    lossless: bool


async def fit_to(
    source: Path,
    destination: Path,
    *,
    limit: int,
    reserve: int = 0,
    timeout: float = 180.0,  # noqa: ASYNC109 - counted from the start of the work, which only this function knows
) -> Fitted | None:
    """Re-encode a sound file as the best MP3 of at most `limit - reserve` bytes, None if not even the worst fits.

    The whole length is kept; tags and pictures are not. Lossy sources get no higher bit rate than they had.
    `destination` may be `source`; it appears only when it is whole. `timeout` bounds the work in seconds, not the
    wait for its turn: one file is worked on at a time. Raises TranscodeError, also for files that cannot be decoded,
    and OSError when `destination` cannot be made.
    """
    budget = limit - reserve
    if budget <= 0:
        return None
    async with _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(1)):
        part = _new_part(destination)
        try:
            bit_rate = _bit_rate_in(*await _run(_command(source, part, budget, timeout), _environment(), timeout))
            return None if bit_rate is None else _publish(part, destination, budget, bit_rate)
        finally:
            part.unlink(missing_ok=True)


def _new_part(destination: Path) -> Path:
    part = part_of(destination)
    # Made here, so that a child that is being killed cannot bring it back.
    part.touch(exist_ok=False)
    return part


def _publish(part: Path, destination: Path, budget: int, bit_rate: int) -> Fitted:
    size = part.stat().st_size
    if not 0 < size <= budget:
        raise TranscodeError(f"{size} bytes where {budget} were allowed")
    part.replace(destination)
    return Fitted(destination, size, bit_rate)


async def _run(command: list[str], environment: dict[str, str], seconds: float) -> tuple[int, bytes]:
    """Run the child to its end, or kill it; return its exit status and what it wrote."""
    try:
        async with asyncio.timeout(seconds) as clock:
            child = await _start(command, environment)
            output = cast("asyncio.StreamReader", child.stdout)
            try:
                answer = await _read(output)
                return await child.wait(), answer
            finally:
                if child.returncode is None:
                    child.kill()
                    # asyncio sees a process end only when its pipes have been read to their ends.
                    await _read(output)
                    await child.wait()
    except TimeoutError:
        if not clock.expired():
            raise
        raise TranscodeError(f"not finished within {seconds:g} s") from None


async def _start(command: list[str], environment: dict[str, str]) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        raise TranscodeError(f"no process can be started: {error.strerror}") from None


def _command(source: Path, part: Path, budget: int, timeout: float) -> list[str]:
    paths = (str(source.absolute()), str(part.absolute()))
    return [sys.executable, "-P", "-m", "bot.media.transcode", *paths, str(budget), str(math.ceil(timeout))]


def _environment() -> dict[str, str]:
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    # glibc would reserve 64 MiB for each of libavfilter's threads, of which there are up to 16.
    environment["MALLOC_ARENA_MAX"] = "1"
    # The child finds the same modules as the bot, whatever directory that was started in.
    environment["PYTHONPATH"] = os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path)
    return environment


async def _read(output: asyncio.StreamReader) -> bytes:
    """Return the first bytes of an output that is read to its end."""
    answer = b""
    while piece := await output.read(_MAX_ANSWER_BYTES):
        answer = (answer + piece)[:_MAX_ANSWER_BYTES]
    return answer


def _bit_rate_in(status: int, answer: bytes) -> int | None:
    """Return the bit rate in the child's answer, None if nothing fits; raises TranscodeError for all else."""
    if status < 0:
        raise TranscodeError(f"killed: {signal.strsignal(-status)}")
    try:
        match json.loads(answer):
            case {"error": str(reason)}:
                raise TranscodeError(ascii(" ".join(reason.split()))[1:-1][:_MAX_REASON_CHARACTERS])
            case {"bit_rate": int() | None as bit_rate} if status == 0:
                return bit_rate
    except ValueError:
        pass
    raise TranscodeError(f"ended with status {status} and no answer")


# From here on: what happens in the child.


def bit_rates_for(sound: Sound, budget: int) -> list[int]:
    """Return those of `BIT_RATES` that make sense for a sound and may fit into `budget` bytes, the best first.

    The file will be some hundred bytes larger than its sound: what fits for certain shows when it is written.
    """
    # A twentieth more is not worth the next step, and constant bit rates are not measured exactly.
    own = next((rate for rate in reversed(BIT_RATES) if rate >= 0.95 * sound.bit_rate), BIT_RATES[0])
    highest = max(own, _LOSSLESS_BIT_RATE) if sound.lossless else own
    return [
        rate
        for rate in BIT_RATES
        if rate <= highest
        and sound.seconds * rate / 8 <= budget
        and (rate <= _MPEG2_MAX_BIT_RATE or sampling(sound, rate)[0] >= _MPEG1_MIN_SAMPLE_RATE)
    ]


def sampling(sound: Sound, bit_rate: int) -> tuple[int, int]:
    """Return samples per second and channels for an MP3 of that bit rate.

    Few bits are better spent on the lower frequencies of one channel than on all of two, much as LAME advises.
    """
    highest = 48_000 if bit_rate >= 96_000 else 32_000 if bit_rate >= 80_000 else 24_000
    channels = 1 if bit_rate < 64_000 else min(sound.channels, 2)
    return next((rate for rate in _SAMPLE_RATES if rate >= min(sound.sample_rate, highest)), highest), channels


def encode(
    source: BinaryIO, destination: BinaryIO, budget: int, *, stop: Callable[[], bool] = lambda: False
) -> int | None:
    """Decode `source` and write the best MP3 of at most `budget` bytes; return its bit rate, None if none fits.

    `stop` is asked between packets. Raises TranscodeError, and what PyAV raises for broken files.
    """
    # No header is believed: decoding takes a fiftieth of the time that encoding takes.
    sound = _measure(source, longest=budget * 8 / BIT_RATES[-1], stop=stop)
    if sound is None:
        return None
    for bit_rate in bit_rates_for(sound, budget):
        destination.seek(0)
        destination.truncate()
        frames = (frame for _, _, frames in _packets(source, stop) for frame in frames)
        _write_mp3(frames, destination, sound, bit_rate)
        destination.flush()
        if destination.seek(0, os.SEEK_END) <= budget:
            return bit_rate
    return None


def _measure(source: BinaryIO, longest: float, stop: Callable[[], bool]) -> Sound | None:
    """Decode a whole file; None as soon as it is longer than `longest` seconds."""
    seconds, packets_bytes, sample_rate, channels, lossless = 0.0, 0, 0, 0, False
    for decoder, size, frames in _packets(source, stop):
        packets_bytes += size
        lossless = decoder in _LOSSLESS_DECODERS
        for frame in frames:
            seconds += frame.samples / frame.sample_rate
            sample_rate = max(sample_rate, frame.sample_rate)
            channels = max(channels, frame.layout.nb_channels)
        if seconds > MAX_SECONDS:
            raise TranscodeError(f"longer than {MAX_SECONDS} s")
        if seconds > longest:
            return None
    if not seconds:
        raise TranscodeError("no sound in it")
    return Sound(seconds, packets_bytes * 8 / seconds, sample_rate, channels, lossless)


def _packets(source: BinaryIO, stop: Callable[[], bool]) -> Iterator[tuple[str, int, list[AudioFrame]]]:
    """Yield the decoder's name, the size in bytes and the decoded frames of each packet of the first sound in a file.

    Broken packets are left out. A file with many of them is refused, for nobody wants half a song.
    """
    import av  # noqa: PLC0415 - in the child alone

    source.seek(0)
    demuxer = _DEMUXERS.get(sniff(source.read(SNIFF_BYTES)))
    if demuxer is None:
        raise TranscodeError("no known kind of sound file")
    source.seek(0)
    options = {"codec_whitelist": ",".join(sorted(_DECODERS))}
    # Tags in other encodings than UTF-8 are no reason to fail; from release 19 on, PyAV need not be told.
    lenient: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
    with av.open(source, "r", demuxer, options=options, io_open=_refuse, **lenient) as container:
        stream = next(iter(container.streams.audio), None)
        if stream is None:
            raise TranscodeError("no sound in it")
        # PyAV gives a stream that nothing can decode no context, whatever its type annotations say.
        decoder = getattr(stream.codec_context, "name", "unknown")
        if decoder not in _DECODERS:
            raise TranscodeError(f"unexpected sound format {decoder}")
        packets, broken = 0, 0
        for packet in container.demux(stream):
            if stop():
                raise TranscodeError("nobody waits for it any more")
            packets += 1
            try:
                frames = packet.decode()
            except av.FFmpegError:
                broken += 1
            else:
                yield decoder, packet.size, frames
        if broken > max(2, packets // 10):
            raise TranscodeError(f"{broken} of {packets} packets are broken")


def _refuse(*_: object) -> BinaryIO:
    raise TranscodeError("the file refers to another file")


def _write_mp3(frames: Iterable[AudioFrame], destination: BinaryIO, sound: Sound, bit_rate: int) -> None:
    import av  # noqa: PLC0415 - in the child alone

    sample_rate, channels = sampling(sound, bit_rate)
    layout = "mono" if channels == 1 else "stereo"
    with av.open(destination, "w", format="mp3", options={"id3v2_version": "0"}) as output:
        stream = output.add_stream("libmp3lame", rate=sample_rate, layout=layout, format="s32p", bit_rate=bit_rate)
        samples = 0
        for frame in _resampled(frames, sample_rate, layout):
            # The source's own times may have gaps or go backwards.
            frame.pts, frame.time_base = samples, Fraction(1, sample_rate)
            samples += frame.samples
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def _resampled(frames: Iterable[AudioFrame], sample_rate: int, layout: str) -> Iterator[AudioFrame]:
    """Give all frames the same form, even where a damaged file changes its own in between."""
    from av import AudioResampler  # noqa: PLC0415 - in the child alone

    form: Any = None
    # Integers, because damaged floating-point sound holds values at which LAME aborts.
    resampler = AudioResampler("s32p", layout, sample_rate)
    for frame in frames:
        if form not in {None, (frame.format.name, frame.layout.name, frame.sample_rate)}:
            yield from resampler.resample(None)
            resampler = AudioResampler("s32p", layout, sample_rate)
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        yield from resampler.resample(frame)
    yield from resampler.resample(None)


def confine(written: int, seconds: int) -> None:
    """Take from this process, for good, what decoding and encoding do not need."""
    import resource  # noqa: PLC0415 - POSIX only

    limits = (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, written),
        (resource.RLIMIT_CORE, 0),
        # No descriptor can be opened any more: no file, no socket.
        (resource.RLIMIT_NOFILE, 0),
    )
    for limit, value in limits:
        hard = resource.getrlimit(limit)[1]
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (bound, bound))


def _import_all(package: str) -> None:
    """Import all modules of a package, for those that it would import when first used cannot be opened later."""
    for module in pkgutil.walk_packages(import_module(package).__path__, f"{package}."):
        if not module.name.endswith("__main__"):
            import_module(module.name)


def main(arguments: list[str]) -> int:
    """Encode for the bot that started this process; the answer is one line of JSON on the standard output."""
    source, part, budget, seconds = Path(arguments[0]), Path(arguments[1]), int(arguments[2]), int(arguments[3])
    parent = os.getppid()
    os.nice(_NICENESS)
    _import_all("av")
    answer: dict[str, object]
    try:
        with source.open("rb") as reader, part.open("r+b") as writer:
            confine(2 * budget, seconds)
            answer = {"bit_rate": encode(reader, writer, budget, stop=lambda: os.getppid() != parent)}
    except TranscodeError as error:
        answer = {"error": error.reason}
    except Exception as error:  # Codecs and parsers of foreign bytes raise anything; the bot gets one line.
        answer = {"error": f"{type(error).__name__}: {getattr(error, 'strerror', None) or error}"}
    if os.getppid() != parent:
        part.unlink(missing_ok=True)
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
