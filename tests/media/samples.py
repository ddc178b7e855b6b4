"""Small real media files, encoded by PyAV."""

from __future__ import annotations

import io
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from sandbox.artwork import at_own_priority

if TYPE_CHECKING:
    from pathlib import Path

RATE = 44_100


@cache
def sound(container: str, codec: str, seconds: float) -> bytes:
    """Encode a soft tone."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        rate = 48_000 if codec == "libopus" else RATE
        # FFmpeg calls its own Vorbis encoder experimental.
        stream: Any = output.add_stream(codec, rate=rate, options={"strict": "experimental"})
        stream.layout = "stereo"
        tone = 0.2 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)
        pcm = (np.repeat(tone, 2) * 32767).astype(np.int16).reshape(1, -1)
        resampler = av.AudioResampler(format=stream.format, layout="stereo", rate=rate, frame_size=stream.frame_size)
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        for ready in (*resampler.resample(frame), *resampler.resample(None)):
            output.mux(stream.encode(ready))
        output.mux(stream.encode(None))
    return file.getvalue()


@cache
def picture(codec: str, container: str, width: int, height: int, pixels: str) -> bytes:
    """Encode a gradient."""
    file = io.BytesIO()
    with at_own_priority(), av.open(file, "w", format=container) as output:
        stream: Any = output.add_stream(codec, rate=1)
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        gradient = np.linspace(0, 255, width * height * 3, dtype=np.uint8).reshape(height, width, 3)
        output.mux(stream.encode(av.VideoFrame.from_ndarray(gradient, format="rgb24").reformat(format=pixels)))
        output.mux(stream.encode(None))
    return file.getvalue()


def stored(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
