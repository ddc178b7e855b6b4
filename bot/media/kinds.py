"""Tell what kind of media a file holds, and write titles and pictures into MP3 files.

Files come from outside and may be made to hurt. Headers are read within fixed bounds, pictures are never decoded, and
tags that a file brings along are never parsed: ID3 frames may be compressed, and a few kilobytes of them can unfold
to gigabytes. The functions block; call them in a thread.

mutagen's modules are imported when they are first used, which keeps them out of a bot that has nothing to post.
"""

from __future__ import annotations

import io
import shutil
import struct
import unicodedata
import uuid
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, Final

SNIFF_BYTES: Final = 16
"""How many of a file's first bytes `sniff` looks at."""

MAX_PICTURE_SIDE: Final = 10_000
MAX_PICTURE_PIXELS: Final = 50_000_000
MAX_NAME_CHARACTERS: Final = 80
# Most file systems stop at 255 bytes, and a character takes up to four.
_MAX_NAME_BYTES: Final = 240
_MAX_TEXT_CHARACTERS: Final = 1000
_MAX_SECONDS: Final = 24 * 3600
_MAX_PARTS: Final = 1000
_MAX_STACKED_TAGS: Final = 16
_ID3V1_BYTES: Final = 128


class MediaError(Exception):
    """A file that is not what it is treated as. `str()` is one line for the log."""


class MediaKind(StrEnum):
    """What a file is, by its first bytes."""

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
    """Tell the kind of a file from its first `SNIFF_BYTES` bytes; UNKNOWN for everything the bot has no use for."""
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
    if _id3_size(head) or _is_mp3_frame(head):
        return MediaKind.MP3
    return MediaKind.UNKNOWN


def _is_mp3_frame(header: bytes) -> bool:
    """Check an MPEG audio frame header: 11 bits of sync, a known version, layer III, bit rate and sample rate."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return False
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    bit_rate, sample_rate = header[2] >> 4, header[2] >> 2 & 3
    return version != 1 and layer == 1 and bit_rate not in {0, 15} and sample_rate != 3


def _id3_size(header: bytes) -> int:
    """Return the bytes that an ID3v2 tag starting with this 10-byte header takes, 0 if it is none."""
    if len(header) < 10 or header[:3] != b"ID3" or 0xFF in header[3:5] or max(header[6:10]) > 0x7F:
        return 0
    footer = 10 if header[5] & 0x10 else 0
    size = header[6] << 21 | header[7] << 14 | header[8] << 7 | header[9]
    return 10 + size + footer


def tag_mp3(
    source: Path,
    destination: Path,
    *,
    title: str,
    artist: str | None = None,
    genre: str | None = None,
    artwork: Path | None = None,
    comment: str | None = None,
) -> bool:
    """Copy an MP3 with a new ID3v2.3 tag in place of all its ID3 tags; the audio stays the same byte for byte.

    Artwork that is no JPEG or PNG, or has absurd dimensions, is left out. Returns whether the copy holds artwork.
    `destination` may be `source`; it appears only when it is whole. Raises MediaError when `source` is no MP3 file,
    OSError when a file cannot be read or written.
    """
    picture = _front_cover(artwork)
    tag = _new_tag(title, artist, genre, comment, picture)
    part = destination.with_name(f".{uuid.uuid4().hex}.part")
    try:
        with source.open("rb") as reader, part.open("xb") as writer:
            start, end = _mp3_audio(reader)
            _read_mp3_length(reader, start)
            writer.write(tag)
            reader.seek(start)
            shutil.copyfileobj(reader, writer, 256 * 1024)
            writer.truncate(len(tag) + end - start)
        part.replace(destination)
    finally:
        part.unlink(missing_ok=True)
    return picture is not None


def _front_cover(artwork: Path | None) -> tuple[MediaKind, bytes] | None:
    if artwork is None or not image_is_sane(artwork):
        return None
    data = artwork.read_bytes()
    kind = sniff(data[:SNIFF_BYTES])
    return (kind, data) if kind in {MediaKind.JPEG, MediaKind.PNG} else None


def _new_tag(
    title: str, artist: str | None, genre: str | None, comment: str | None, picture: tuple[MediaKind, bytes] | None
) -> bytes:
    id3: Any = import_module("mutagen.id3")
    tag = id3.ID3()
    for frame, text in ((id3.TIT2, title), (id3.TPE1, artist), (id3.TCON, genre)):
        if text:
            tag.add(frame(encoding=id3.Encoding.UTF16, text=[_plain(text)]))
    if comment:
        tag.add(id3.COMM(encoding=id3.Encoding.UTF16, lang="eng", desc="", text=[_plain(comment)]))
    if picture is not None:
        kind, data = picture
        # Latin-1 for the empty description: some players do not find a picture behind a UTF-16 one.
        front = id3.PictureType.COVER_FRONT
        tag.add(id3.APIC(encoding=id3.Encoding.LATIN1, mime=kind.mime, type=front, desc="", data=data))
    written = io.BytesIO()
    tag.save(written, v1=0, v2_version=3, padding=lambda _: 0)
    return written.getvalue()


def _plain(text: str) -> str:
    """Return text without what would end an ID3 text early or cannot be encoded."""
    printable = "".join(" " if unicodedata.category(char) in {"Cc", "Cs"} else char for char in text)
    return printable[:_MAX_TEXT_CHARACTERS].strip()


def _mp3_audio(file: BinaryIO) -> tuple[int, int]:
    """Return where the audio of an MP3 file starts and ends, between the ID3v2 tags and the ID3v1 tag."""
    end = file.seek(0, io.SEEK_END)
    start = 0
    for _ in range(_MAX_STACKED_TAGS):
        file.seek(start)
        size = _id3_size(file.read(10))
        if not size:
            break
        start += size
    else:
        raise MediaError("more tags than an MP3 file has")
    if end - start >= _ID3V1_BYTES:
        file.seek(end - _ID3V1_BYTES)
        if file.read(3) == b"TAG":
            end -= _ID3V1_BYTES
    return start, end


def _read_mp3_length(file: BinaryIO, start: int) -> float:
    """Return the length in seconds; MediaError unless four MPEG layer III frames follow each other near `start`."""
    mp3: Any = import_module("mutagen.mp3")
    try:
        info = mp3.MPEGInfo(file, start)
    except mp3.error:
        raise MediaError("no MP3 frames found") from None
    if info.sketchy or info.layer != 3:
        raise MediaError("too few whole MP3 frames")
    return float(info.length)


def _open(source: Path | BinaryIO) -> BinaryIO:
    return source.open("rb") if isinstance(source, Path) else source


def duration_of(source: Path | BinaryIO) -> float | None:
    """Return the length of a sound file in seconds as its headers tell it, None if they do not or cannot be right."""
    readers = {
        MediaKind.MP3: lambda file: _read_mp3_length(file, _mp3_audio(file)[0]),
        MediaKind.WAV: _wav_length,
        MediaKind.FLAC: _flac_length,
        MediaKind.OGG: _ogg_length,
        MediaKind.M4A: _m4a_length,
    }
    try:
        with _open(source) as file:
            read = readers[sniff(file.read(SNIFF_BYTES))]
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


def image_size(source: Path | BinaryIO) -> tuple[int, int] | None:
    """Return width and height in pixels as a picture's header tells them, None if it is no known picture."""
    try:
        with _open(source) as file:
            head = file.read(32)
            match sniff(head):
                case MediaKind.PNG if head[12:16] == b"IHDR":
                    width, height = struct.unpack("!II", head[16:24])
                case MediaKind.GIF:
                    width, height = struct.unpack("<HH", head[6:10])
                case MediaKind.WEBP:
                    width, height = _webp_size(head)
                case MediaKind.JPEG:
                    width, height = _jpeg_size(file)
                case _:
                    return None
    except (OSError, struct.error, MediaError):
        return None
    return width, height


def _webp_size(head: bytes) -> tuple[int, int]:
    """Read the size from the first chunk (RFC 9649, 2.5 to 2.7)."""
    match head[12:16]:
        case b"VP8 " if head[23:26] == b"\x9d\x01\x2a":
            width, height = struct.unpack("<HH", head[26:30])
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L" if head[20:21] == b"\x2f":
            (bits,) = struct.unpack("<I", head[21:25])
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X" if len(head) >= 30:
            return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    raise MediaError("no WebP picture")


def _jpeg_size(file: BinaryIO) -> tuple[int, int]:
    """Walk over the segments to the frame header (ITU-T T.81, B.2.2)."""
    file.seek(2)
    for _ in range(_MAX_PARTS):
        lead, marker = struct.unpack("BB", file.read(2))
        if lead != 0xFF:
            break
        if marker == 0xFF:
            file.seek(-1, io.SEEK_CUR)
            continue
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            height, width = struct.unpack("!3xHH", file.read(7))
            return width, height
        if marker == 0xDA:
            break
        file.seek(max(struct.unpack("!H", file.read(2))[0] - 2, 0), io.SEEK_CUR)
    raise MediaError("no frame header in the JPEG file")


def image_is_sane(source: Path | BinaryIO) -> bool:
    """Say whether a file is a picture of a size that others can be expected to decode."""
    size = image_size(source)
    if size is None:
        return False
    width, height = size
    return min(size) > 0 and max(size) <= MAX_PICTURE_SIDE and width * height <= MAX_PICTURE_PIXELS


def attachment_name(title: str, kind: MediaKind) -> str:
    """Make a file name of a title: letters and digits of any script, all else as single underscores.

    At most 80 characters and 240 bytes with the extension; "song" (or "cover" for a picture) if nothing is left.
    """
    words = "".join(_name_character(char) for char in unicodedata.normalize("NFC", title)).split()
    stem = "_".join(words)[: MAX_NAME_CHARACTERS - len(kind.extension)]
    stem = stem.encode()[: _MAX_NAME_BYTES - len(kind.extension)].decode(errors="ignore").strip("-_")
    return (stem or ("cover" if kind.is_image else "song")) + kind.extension


def _name_character(char: str) -> str:
    """Return the character, a space where a word ends, or nothing for what only decorates or hides."""
    category = unicodedata.category(char)
    # Apostrophes stand inside words; the fillers are letters by category but show nothing.
    if category == "Cf" or char in "'\u2019\u115f\u1160\u3164\uffa0":
        return ""
    return char if category[0] in "LNM" or char == "-" else " "
