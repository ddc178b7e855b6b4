"""Judge delivered files by decoding them, as a listener's player would."""

from __future__ import annotations

import io

import av
import mutagen
import numpy as np
from mutagen.id3 import ID3

AUDIBLE = 0.01
"""The peak, of 1.0, below which a file counts as silence."""


def audio_seconds(data: bytes) -> float:
    """Decode a whole MP3 and return its length in seconds; raises `ValueError` for none, an empty or a silent one."""
    samples, rate, peak = 0, 0, 0.0
    try:
        with av.open(io.BytesIO(data), "r", format="mp3") as container:
            for frame in container.decode(audio=0):
                samples += frame.samples
                rate = frame.sample_rate
                peak = max(peak, float(np.abs(frame.to_ndarray()).max(initial=0.0)))
    except (av.FFmpegError, EOFError, IndexError) as error:
        raise ValueError(f"it is no readable MP3 ({error})") from error
    if not samples:
        raise ValueError("it holds no sound")
    if peak < AUDIBLE:
        raise ValueError("it is silent")
    return samples / rate


def picture_size(data: bytes) -> tuple[int, int]:
    """Decode a picture and return its width and height; raises `ValueError` if it is none."""
    try:
        with av.open(io.BytesIO(data), "r") as container:
            frame = next(container.decode(video=0))
    except (av.FFmpegError, EOFError, IndexError, StopIteration) as error:
        raise ValueError(f"it is no readable picture ({error})") from error
    return frame.width, frame.height


def cover_picture(data: bytes) -> bytes | None:
    """Return the cover picture inside an MP3 (ID3 frame APIC), None where there is none."""
    try:
        frames = ID3(io.BytesIO(data)).getall("APIC")  # type: ignore[no-untyped-call]  # the library has no types
    except mutagen.MutagenError:
        return None
    return bytes(frames[0].data) if frames else None
