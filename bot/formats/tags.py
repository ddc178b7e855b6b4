"""Write title and artwork into MP3 files.

Files come from outside and may be made to hurt: tags that a file brings along are never parsed, for ID3 frames may be
compressed, and a few kilobytes of them can unfold to gigabytes. The functions block; call them in a thread.

mutagen's modules are imported when they are first used, which keeps them out of a bot that has nothing to post.
"""

from __future__ import annotations

import io
import shutil
import unicodedata
import uuid
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, Final

from bot.formats.kinds import HEAD_BYTES, MediaError, MediaKind, id3_size, sniff
from bot.formats.pictures import image_is_sane

_MAX_TEXT_CHARACTERS: Final = 1000
_MAX_STACKED_TAGS: Final = 16
_ID3V1_BYTES: Final = 128


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
            start, end = mp3_audio(reader)
            mp3_length(reader, start)
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
    kind = sniff(data[:HEAD_BYTES])
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


def mp3_audio(file: BinaryIO) -> tuple[int, int]:
    """Return where the audio of an MP3 file starts and ends, between the ID3v2 tags and the ID3v1 tag."""
    end = file.seek(0, io.SEEK_END)
    start = 0
    for _ in range(_MAX_STACKED_TAGS):
        file.seek(start)
        size = id3_size(file.read(10))
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


def mp3_length(file: BinaryIO, start: int) -> float:
    """Return the length in seconds; MediaError unless four MPEG layer III frames follow each other near `start`."""
    mp3: Any = import_module("mutagen.mp3")
    try:
        info = mp3.MPEGInfo(file, start)
    except mp3.error:
        raise MediaError("no MP3 frames found") from None
    if info.sketchy or info.layer != 3:
        raise MediaError("too few whole MP3 frames")
    return float(info.length)
