"""The same music in other containers, as other encoders write it."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias, cast

import av

Container: TypeAlias = Literal["m4a", "webm", "aiff", "wma", "flac"]


class Encoding(NamedTuple):
    """FFmpeg's names of a container and its codec, samples a second, and the media type that servers declare."""

    format: str
    codec: str
    rate: int
    media_type: str


ENCODINGS: dict[Container, Encoding] = {
    "m4a": Encoding("mp4", "aac", 44_100, "audio/mp4"),  # FFmpeg gives it the brand `isom`
    "webm": Encoding("webm", "libopus", 48_000, "audio/webm"),
    "aiff": Encoding("aiff", "pcm_s16be", 44_100, "audio/aiff"),
    "wma": Encoding("asf", "wmav2", 44_100, "audio/x-ms-wma"),
    "flac": Encoding("flac", "flac", 44_100, "audio/flac"),
}


@lru_cache(maxsize=16)
def repack(audio: bytes, container: Container) -> bytes:
    """Encode a piece of audio anew for another container; lossy codecs may add some hundredths of a second."""
    encoding = ENCODINGS[container]
    buffer = io.BytesIO()
    with av.open(io.BytesIO(audio), "r") as source, av.open(buffer, "w", format=encoding.format) as target:
        stream = cast("av.AudioStream", target.add_stream(encoding.codec, rate=encoding.rate, layout="stereo"))
        stream.bit_rate = 128_000
        for frame in source.decode(audio=0):
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return buffer.getvalue()
