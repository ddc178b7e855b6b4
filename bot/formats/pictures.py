"""Pictures: how large they are by their headers, and those that Discord would not show made into JPEGs.

Headers are read within fixed bounds; nothing is decoded here but in the confined child of `bot.formats.decoder`. What
reads files blocks; call it in a thread.
"""

from __future__ import annotations

import io
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from bot.formats.decoder import DecodeError, decode, main, open_media
from bot.formats.kinds import MediaError, MediaKind, sniff

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_PICTURE_SIDE: Final = 10_000
MAX_PICTURE_PIXELS: Final = 50_000_000
_MAX_PARTS: Final = 1000
_TIMEOUT_SECONDS: Final = 30.0
_QUANTISERS: Final = (2, 5, 12, 31)
"""How coarse a JPEG may get, the finest first (FFmpeg's scale)."""

_FORMATS: Final = "3g2,3gp,bmp_pipe,gif,j2k_pipe,m4a,mj2,mov,mp4,png_pipe,jpeg_pipe,qoi_pipe,tiff_pipe,webp_pipe"
_DECODERS: Final = "av1,bmp,gif,hevc,jpeg2000,libdav1d,mjpeg,png,qoi,tiff,webp"


def _open(source: Path | BinaryIO) -> BinaryIO:
    return source.open("rb") if isinstance(source, Path) else source


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
    return size is not None and _is_sane(*size)


def _is_sane(width: int, height: int) -> bool:
    return 0 < width <= MAX_PICTURE_SIDE and 0 < height <= MAX_PICTURE_SIDE and width * height <= MAX_PICTURE_PIXELS


async def to_jpeg(source: Path, destination: Path, *, limit: int) -> bool:
    """Make a JPEG of at most `limit` bytes of any picture that can be decoded; tell whether it fits.

    `destination` may be `source`; it appears only when it is whole. Raises DecodeError, also for what holds no picture
    or one of absurd size, and OSError when `destination` cannot be made.
    """
    return await decode("bot.formats.pictures", source, destination, limit, timeout=_TIMEOUT_SECONDS) is not None


# From here on: what happens in the child.


def convert(source: BinaryIO, destination: BinaryIO, budget: int, stop: Callable[[], bool]) -> int | None:
    """Write the first picture of a file as a JPEG of at most `budget` bytes; return how coarse it got."""
    with open_media(source, _FORMATS, _DECODERS) as container:
        stream = next(iter(container.streams.video), None)
        context = None if stream is None else stream.codec_context
        # PyAV gives a stream that nothing can decode no context, whatever its type annotations say.
        if stream is None or context is None:
            raise DecodeError("no picture in it")
        if not _is_sane(context.width, context.height):
            raise DecodeError(f"a picture of {context.width} by {context.height}")
        context.thread_count = 1
        frame = next(container.decode(stream), None)
    if frame is None or not _is_sane(frame.width, frame.height):
        raise DecodeError("no whole picture in it")
    for quantiser in _QUANTISERS:
        if stop():
            raise DecodeError("nobody waits for it any more")
        jpeg = _jpeg(frame, quantiser)
        if len(jpeg) <= budget:
            destination.write(jpeg)
            return quantiser
    return None


def _jpeg(frame: Any, quantiser: int) -> bytes:
    import av  # noqa: PLC0415 - in the child alone

    written = io.BytesIO()
    with av.open(written, "w", format="image2pipe") as output:
        stream: Any = output.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "yuvj420p"
        stream.codec_context.qmin = stream.codec_context.qmax = quantiser
        output.mux(stream.encode(frame.reformat(format="yuvj420p")))
        output.mux(stream.encode(None))
    return written.getvalue()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], convert))
