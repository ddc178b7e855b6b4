"""Make a sound file small enough to be posted, or at all playable: re-encode it as the best MP3 that fits.

The work is done by the confined child of `bot.formats.decoder`, as encoding takes many seconds besides.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from bot.formats.decoder import DecodeError, decode, main, open_media

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from av.audio.frame import AudioFrame

BIT_RATES: Final = tuple(1000 * kilo for kilo in (320, 256, 224, 192, 160, 128, 112, 96, 80, 64, 56, 48, 40, 32))
"""The constant bit rates (bits/s) to choose from: those that MPEG-1 and MPEG-2 Layer III have in common, and above."""

MAX_SECONDS: Final = 2 * 3600
_TIMEOUT_SECONDS: Final = 180.0
_LOSSLESS_BIT_RATE: Final = 128_000
_MPEG2_MAX_BIT_RATE: Final = 160_000
_MPEG1_MIN_SAMPLE_RATE: Final = 32_000
_SAMPLE_RATES: Final = (16_000, 22_050, 24_000, 32_000, 44_100, 48_000)

# Everything that somebody might deliver music in. What refers to other files, such as playlists, is not among them.
_FORMATS: Final = (
    "3g2,3gp,aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,eac3,flac,flv,m4a,matroska,mj2,mov,mp3,mp4,mpc,mpc8,mpeg,mpegts,"
    "ogg,tak,tta,w64,wav,webm,wv"
)
_LOSSLESS_DECODERS: Final = frozenset(
    {
        *("alac", "ape", "flac", "tak", "tta", "wavpack"),
        *("pcm_f32be", "pcm_f32le", "pcm_f64be", "pcm_f64le", "pcm_s16be", "pcm_s16le", "pcm_s24be", "pcm_s24le"),
        *("pcm_s32be", "pcm_s32le", "pcm_s8", "pcm_u8"),
    }
)
_DECODERS: Final = _LOSSLESS_DECODERS | {
    *("aac", "aac_latm", "ac3", "adpcm_ima_qt", "adpcm_ima_wav", "adpcm_ms", "amrnb", "amrwb", "dsd_lsbf", "dsd_msbf"),
    *("eac3", "mp1", "mp1float", "mp2", "mp2float", "mp3", "mp3float", "mpc7", "mpc8", "opus", "pcm_alaw"),
    *("pcm_mulaw", "speex", "vorbis", "wmalossless", "wmapro", "wmav1", "wmav2"),
}


@dataclass(frozen=True, slots=True)
class Fitted:
    """An MP3 file that fits: where it is, its size in bytes, its bit rate in bits/s."""

    path: Path
    size: int
    bit_rate: int


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
    timeout: float = _TIMEOUT_SECONDS,  # noqa: ASYNC109 - counted from the start of the work
) -> Fitted | None:
    """Re-encode a sound file as the best MP3 of at most `limit - reserve` bytes, None if not even the worst fits.

    The whole length is kept; tags and pictures are not. Lossy sources get no higher bit rate than they had.
    `destination` may be `source`; it appears only when it is whole. Raises DecodeError, also for files that hold no
    sound, and OSError when `destination` cannot be made.
    """
    budget = limit - reserve
    if budget <= 0:
        return None
    made = await decode("bot.formats.transcode", source, destination, budget, timeout=timeout)
    return None if made is None else Fitted(destination, made.size, bit_rate=made.number)


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
    source: BinaryIO, destination: BinaryIO, budget: int, stop: Callable[[], bool] = lambda: False
) -> int | None:
    """Decode `source` and write the best MP3 of at most `budget` bytes; return its bit rate, None if none fits.

    `stop` is asked between packets. Raises DecodeError, and what PyAV raises for broken files.
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
            raise DecodeError(f"longer than {MAX_SECONDS} s")
        if seconds > longest:
            return None
    if not seconds:
        raise DecodeError("no sound in it")
    return Sound(seconds, packets_bytes * 8 / seconds, sample_rate, channels, lossless)


def _packets(source: BinaryIO, stop: Callable[[], bool]) -> Iterator[tuple[str, int, list[AudioFrame]]]:
    """Yield the decoder's name, the size in bytes and the decoded frames of each packet of the first sound in a file.

    Broken packets are left out. A file with many of them is refused, for nobody wants half a song.
    """
    import av  # noqa: PLC0415 - in the child alone

    with open_media(source, _FORMATS, ",".join(sorted(_DECODERS))) as container:
        stream = next(iter(container.streams.audio), None)
        if stream is None:
            raise DecodeError("no sound in it")
        # PyAV gives a stream that nothing can decode no context, whatever its type annotations say.
        decoder = getattr(stream.codec_context, "name", "unknown")
        if decoder not in _DECODERS:
            raise DecodeError(f"unexpected sound format {decoder}")
        packets, broken = 0, 0
        for packet in container.demux(stream):
            if stop():
                raise DecodeError("nobody waits for it any more")
            packets += 1
            try:
                frames = packet.decode()
            except av.FFmpegError:
                broken += 1
            else:
                yield decoder, packet.size, frames
        if broken > max(2, packets // 10):
            raise DecodeError(f"{broken} of {packets} packets are broken")


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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], encode))
