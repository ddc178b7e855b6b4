"""What a listener gets from a posted file: how long and how loud it is, and the picture inside."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import av
import numpy as np
from mutagen.id3 import ID3, ID3NoHeaderError

if TYPE_CHECKING:
    from sandbox.discord import Attachment, Message


@dataclass(frozen=True)
class Heard:
    """Decoded audio: `seconds` long, `loudness` as root mean square of samples between -1 and 1."""

    seconds: float
    loudness: float


def listen(data: bytes) -> Heard:
    """Decode a sound file whole."""
    with av.open(io.BytesIO(data), "r") as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="flt", layout="mono")
        parts = [part.to_ndarray() for frame in container.decode(stream) for part in resampler.resample(frame)]
        rate = stream.rate
    samples = np.concatenate(parts, axis=1).astype(np.float64)
    return Heard(samples.shape[1] / rate, float(np.sqrt(np.mean(samples**2))))


def tag_of(data: bytes) -> ID3 | None:
    """Return the ID3 tag of an MP3 file, None if it has none."""
    try:
        return ID3(io.BytesIO(data))  # type: ignore[no-untyped-call]  # the library has no types
    except ID3NoHeaderError:
        return None


def picture_in(data: bytes) -> bytes | None:
    """Return the cover picture written into an MP3 file."""
    tag = tag_of(data)
    pictures = [] if tag is None else tag.getall("APIC")  # type: ignore[no-untyped-call]  # the library has no types
    return bytes(pictures[0].data) if pictures else None


def music_of(data: bytes) -> bytes:
    """Return an MP3 file without its tag."""
    tag = tag_of(data)
    return data if tag is None else data[tag.size :]


def artwork_shown(message: Message) -> Attachment:
    """Return the upload that a message's embed shows as its picture."""
    embed = message.embeds[0]
    url = (embed.get("image") or embed["thumbnail"])["url"]
    return next(file for file in message.files if file.url == url)
