"""How long a sound file plays, by its headers.

They are read within fixed bounds, whatever they claim. The functions block; call them in a thread.
"""

from __future__ import annotations

import io
import struct
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, Final

from bot.formats.kinds import HEAD_BYTES, MediaError, MediaKind, sniff
from bot.formats.tags import mp3_audio, mp3_length

_MAX_SECONDS: Final = 24 * 3600
_MAX_PARTS: Final = 1000


def duration_of(source: Path | BinaryIO) -> float | None:
    """Return the length of a sound file in seconds as its headers tell it, None if they do not or cannot be right."""
    readers = {
        MediaKind.MP3: lambda file: mp3_length(file, mp3_audio(file)[0]),
        MediaKind.WAV: _wav_length,
        MediaKind.FLAC: _flac_length,
        MediaKind.OGG: _ogg_length,
        MediaKind.M4A: _m4a_length,
    }
    try:
        with source.open("rb") if isinstance(source, Path) else source as file:
            read = readers[sniff(file.read(HEAD_BYTES))]
            seconds = read(file)
    except Exception:  # Parsers of foreign bytes raise anything, and a length is only nice to have.
        return None
    return seconds if 0 < seconds <= _MAX_SECONDS else None


def _wav_length(file: BinaryIO) -> float:
    """Divide the size of the data chunk, as far as the file holds it, by the byte rate of the format chunk."""
    end = file.seek(0, io.SEEK_END)
    position, bytes_per_second = 12, 0
    for _ in range(_MAX_PARTS):
        file.seek(position)
        name, size = struct.unpack("<4sI", file.read(8))
        if name == b"fmt ":
            bytes_per_second = struct.unpack("<8xI", file.read(12))[0]
        elif name == b"data":
            return float(min(size, end - position - 8) / bytes_per_second)
        position += 8 + size + size % 2
    raise MediaError("no data chunk near the start of the WAV file")


def _flac_length(file: BinaryIO) -> float:
    flac: Any = import_module("mutagen.flac")
    # The first metadata block is always the stream info; the others are of any number and size.
    file.seek(8)
    return float(flac.StreamInfo(file.read(34)).length)


def _ogg_length(file: BinaryIO) -> float:
    # The headers and the last page say it all; a hostile file could have millions of pages between them.
    head, tail = 256 * 1024, 64 * 1024
    file.seek(0)
    data = file.read(head)
    file.seek(max(head, file.seek(0, io.SEEK_END) - tail))
    data += file.read(tail)
    if b"OpusHead" in data[:64]:
        reader: Any = import_module("mutagen.oggopus").OggOpus
    else:
        reader = import_module("mutagen.oggvorbis").OggVorbis
    return float(reader(io.BytesIO(data)).info.length)


def _m4a_length(file: BinaryIO) -> float:
    """Read the movie header box: time scale and duration (ISO/IEC 14496-12, 8.2.2)."""
    start, end = _find_box(file, b"moov", 0, file.seek(0, io.SEEK_END))
    start, _ = _find_box(file, b"mvhd", start, end)
    file.seek(start)
    if file.read(1) == b"\x01":
        scale, duration = struct.unpack("!19xIQ", file.read(31))
    else:
        scale, duration = struct.unpack("!11xII", file.read(19))
    return float(duration / scale)


def _find_box(file: BinaryIO, wanted: bytes, start: int, end: int) -> tuple[int, int]:
    """Return where the content of an ISO media box starts and ends."""
    for _ in range(_MAX_PARTS):
        file.seek(start)
        size, name = struct.unpack("!I4s", file.read(8))
        header = 8
        if size == 1:
            (size,) = struct.unpack("!Q", file.read(8))
            header = 16
        if name == wanted:
            return start + header, min(end, start + size)
        start += max(size, header)
        if start >= end:
            break
    raise MediaError("the M4A file lacks a box")
