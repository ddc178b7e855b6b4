"""What a file is, by its content, and what it is called where people see it."""

from __future__ import annotations

import unicodedata
from enum import StrEnum
from typing import Final

HEAD_BYTES: Final = 512
"""How much of a file's beginning is needed to tell what it is."""

MAX_NAME_CHARACTERS: Final = 80
# Most file systems stop at 255 bytes, and a character takes up to four.
_MAX_NAME_BYTES: Final = 240
_CONTROLS: Final = frozenset(range(0x20)) - frozenset(b"\t\n\f\r\x1b")


class MediaError(Exception):
    """A file that is not what it is treated as. `str()` is one line for the log."""


class MediaKind(StrEnum):
    """What a file is, by its first bytes; what `UNKNOWN` is, only a decoder can say."""

    MP3 = "mp3"
    WAV = "wav"
    FLAC = "flac"
    OGG = "ogg"
    M4A = "m4a"
    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    GIF = "gif"
    UNKNOWN = "unknown"

    @property
    def is_audio(self) -> bool:
        """Whether it is a sound file."""
        return self.mime.startswith("audio/")

    @property
    def is_image(self) -> bool:
        """Whether it is a picture."""
        return self.mime.startswith("image/")

    @property
    def extension(self) -> str:
        """The usual end of the file's name, with the dot."""
        return {"jpeg": ".jpg", "unknown": ".bin"}.get(self.value, f".{self.value}")

    @property
    def mime(self) -> str:
        """The media type, as in a Content-Type header."""
        return _MIME_TYPES[self.value]


_MIME_TYPES: Final = {
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "m4a": "audio/mp4",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "gif": "image/gif",
    "unknown": "application/octet-stream",
}


def sniff(head: bytes) -> MediaKind:
    """Tell the kind of a file from its beginning where that leaves no doubt; UNKNOWN is a question, not a no."""
    for magic, kind in (
        (b"\x89PNG\r\n\x1a\n", MediaKind.PNG),
        (b"\xff\xd8\xff", MediaKind.JPEG),
        (b"GIF87a", MediaKind.GIF),
        (b"GIF89a", MediaKind.GIF),
        (b"fLaC", MediaKind.FLAC),
        (b"OggS", MediaKind.OGG),
    ):
        if head.startswith(magic):
            return kind
    if head[:4] == b"RIFF":
        return {b"WAVE": MediaKind.WAV, b"WEBP": MediaKind.WEBP}.get(head[8:12], MediaKind.UNKNOWN)
    # Other brands are as likely films or still pictures.
    if head[4:8] == b"ftyp" and head[8:12] in {b"M4A ", b"M4B "}:
        return MediaKind.M4A
    if id3_size(head) or _is_mp3_frame(head):
        return MediaKind.MP3
    return MediaKind.UNKNOWN


def is_text(head: bytes) -> bool:
    """Tell whether a file's beginning, its first `HEAD_BYTES` bytes, is that of a text, or nothing at all.

    Sound and pictures have control characters in any half kilobyte; pages, JSON and playlists have none.
    """
    return not _CONTROLS & set(head)


def _is_mp3_frame(header: bytes) -> bool:
    """Check an MPEG audio frame header: 11 bits of sync, a known version, layer III, bit rate and sample rate."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return False
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    bit_rate, sample_rate = header[2] >> 4, header[2] >> 2 & 3
    return version != 1 and layer == 1 and bit_rate not in {0, 15} and sample_rate != 3


def id3_size(header: bytes) -> int:
    """Return the bytes that an ID3v2 tag starting with this 10-byte header takes, 0 if it is none."""
    if len(header) < 10 or header[:3] != b"ID3" or 0xFF in header[3:5] or max(header[6:10]) > 0x7F:
        return 0
    footer = 10 if header[5] & 0x10 else 0
    size = header[6] << 21 | header[7] << 14 | header[8] << 7 | header[9]
    return 10 + size + footer


def attachment_name(title: str, kind: MediaKind, number: int = 1) -> str:
    """Make a file name of a title: letters and digits of any script, all else as single underscores.

    At most 80 characters and 240 bytes with the extension; "song" (or "cover" for a picture) if nothing is left. From
    the second version on it ends in its `number`.
    """
    ending = kind.extension if number == 1 else f"_{number}{kind.extension}"
    words = "".join(_name_character(char) for char in unicodedata.normalize("NFC", title)).split()
    stem = "_".join(words)[: MAX_NAME_CHARACTERS - len(ending)]
    stem = stem.encode()[: _MAX_NAME_BYTES - len(ending)].decode(errors="ignore").strip("-_")
    return (stem or ("cover" if kind.is_image else "song")) + ending


def _name_character(char: str) -> str:
    """Return the character, a space where a word ends, or nothing for what only decorates or hides."""
    category = unicodedata.category(char)
    # Apostrophes stand inside words; the fillers are letters by category but show nothing.
    if category == "Cf" or char in "'\u2019\u115f\u1160\u3164\uffa0":
        return ""
    return char if category[0] in "LNM" or char == "-" else " "
