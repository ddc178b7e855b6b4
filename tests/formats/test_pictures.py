"""How large pictures are, and those made into JPEGs that Discord would not show."""

from __future__ import annotations

import io
import struct
import time
from typing import TYPE_CHECKING

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.formats.decoder import DecodeError
from bot.formats.kinds import HEAD_BYTES, MediaKind, sniff
from bot.formats.pictures import image_is_sane, image_size, to_jpeg
from tests.media.origins import listing
from tests.media.samples import picture, sound, stored

if TYPE_CHECKING:
    from pathlib import Path

SHOWN = [
    *(("mjpeg", "image2pipe", "yuvj420p"), ("png", "image2pipe", "rgb24")),
    *(("libwebp", "webp", "yuv420p"), ("libwebp", "webp", "bgra"), ("gif", "gif", "rgb8")),
]
OTHERS = [
    *(("libsvtav1", "avif", "yuv420p"), ("bmp", "image2pipe", "bgr24"), ("tiff", "image2pipe", "rgb24")),
    *(("jpeg2000", "image2pipe", "rgb24"), ("qoi", "image2pipe", "rgb24")),
]


@pytest.mark.parametrize(("codec", "container", "pixels"), SHOWN)
def test_real_pictures_are_measured(codec: str, container: str, pixels: str, tmp_path: Path) -> None:
    path = stored(tmp_path / "x", picture(codec, container, 321, 123, pixels))
    assert image_size(path) == (321, 123)
    assert image_is_sane(path)


def test_a_missing_file_has_no_size(tmp_path: Path) -> None:
    assert image_size(tmp_path / "missing") is None


def jpeg_of(width: int, height: int, before: bytes = b"") -> bytes:
    return b"\xff\xd8" + before + b"\xff\xc0\x00\x11\x08" + struct.pack("!HH", height, width) + bytes(50)


def png_of(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + struct.pack("!II", width, height) + bytes(50)


WEBP = b"RIFF\x00\x01\x00\x00WEBP"


@pytest.mark.parametrize(
    ("data", "size", "sane"),
    [
        (png_of(10_000, 5_000), (10_000, 5_000), True),
        (png_of(10_001, 1), (10_001, 1), False),
        (png_of(8_000, 8_000), (8_000, 8_000), False),
        (png_of(0, 100), (0, 100), False),
        (png_of(2**32 - 1, 2**32 - 1), (2**32 - 1, 2**32 - 1), False),
        (jpeg_of(1, 65_535), (1, 65_535), False),
        (jpeg_of(640, 480, b"\xff\xe1\x00\x08Exif\x00\x00\xff\xff\xff\xfe\x00\x02"), (640, 480), True),
        (b"GIF89a\xff\xff\xff\xff" + bytes(10), (65_535, 65_535), False),
        (WEBP + b"VP8X\x0a\x00\x00\x00" + bytes(4) + b"\xff\xff\xff\xff\xff\xff", (1 << 24, 1 << 24), False),
        (WEBP + b"VP8L\x00\x00\x00\x00\x2f" + struct.pack("<I", 299 | 199 << 14) + bytes(9), (300, 200), True),
    ],
)
def test_absurd_dimensions_are_not_sane(data: bytes, size: tuple[int, int], sane: bool, tmp_path: Path) -> None:
    path = stored(tmp_path / "x", data)
    assert image_size(path) == size
    assert image_is_sane(path) is sane


@pytest.mark.parametrize(
    "data",
    [
        *(
            b"",
            b"<svg width='9' height='9'/>",
            png_of(9, 9)[:20],
            png_of(9, 9).replace(b"IHDR", b"IDAT"),
            b"GIF89a\x01",
        ),
        *(WEBP + b"VP8 " + bytes(20), WEBP + b"VP8L" + bytes(20), WEBP + b"VP8X", WEBP + b"ALPH" + bytes(20)),
        *(b"\xff\xd8\xff\xda\x00\x02" + jpeg_of(9, 9), b"\xff\xd8\xff\xe0\x00\x02\x00\x00" + jpeg_of(9, 9)),
        *(b"\xff\xd8" + b"\xff\xe0\x00\x02" * 500_000, b"\xff\xd8" + b"\xff" * 2_000_000, b"\xff\xd8\xff\xe0\x00"),
        b"\xff\xd8" + b"\xff\xe0\x00\x00" * 100_000,
    ],
    ids=lambda data: repr(data[:24]),
)
def test_a_broken_picture_has_no_size(data: bytes, tmp_path: Path) -> None:
    path = stored(tmp_path / "x", data)
    started = time.process_time()
    assert image_size(path) is None
    assert not image_is_sane(path)
    assert time.process_time() - started < 1


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400), st.sampled_from([b"", b"\xff\xd8\xff", WEBP, b"GIF89a", b"\x89PNG\r\n\x1a\n"]))
def test_garbage_is_measured_without_a_crash(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, magic: bytes
) -> None:
    size = image_size(stored(tmp_path_factory.getbasetemp() / "garbage", magic + data))
    assert size is None or min(size) >= 0


# Made into JPEGs


def shown(data: bytes) -> av.VideoFrame:
    with av.open(io.BytesIO(data), "r") as container:
        return next(container.decode(video=0))


@pytest.mark.parametrize(("codec", "container", "pixels"), OTHERS)
async def test_other_pictures_become_jpegs_of_the_same_size(
    codec: str, container: str, pixels: str, tmp_path: Path
) -> None:
    data = picture(codec, container, 320, 124, pixels)
    assert sniff(data[:HEAD_BYTES]) is MediaKind.UNKNOWN
    path = stored(tmp_path / "x", data)
    assert await to_jpeg(path, path, limit=1_000_000)
    assert sniff(path.read_bytes()) is MediaKind.JPEG
    assert image_size(path) == (320, 124)
    # The gradient is still one.
    before, after = shown(data).to_ndarray(format="gray"), shown(path.read_bytes()).to_ndarray(format="gray")
    assert abs(before.astype(int) - after.astype(int)).mean() < 8
    assert listing(tmp_path) == [path]


async def test_a_jpeg_gets_as_coarse_as_it_must_and_no_coarser(tmp_path: Path) -> None:
    path = stored(tmp_path / "x", picture("bmp", "image2pipe", 1024, 1024, "bgr24"))
    assert await to_jpeg(path, tmp_path / "fine", limit=10_000_000)
    fine = (tmp_path / "fine").stat().st_size
    assert await to_jpeg(path, tmp_path / "coarse", limit=fine - 1)
    assert (tmp_path / "coarse").stat().st_size < fine
    assert not await to_jpeg(path, tmp_path / "none", limit=500)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>" * 500,
        sound("mp3", "libmp3lame", 1.0),
        sound("mp4", "aac", 1.0),
        picture("libsvtav1", "avif", 320, 124, "yuv420p")[:250],
        b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n",
        b"BM" + struct.pack("<IIIIiiHHIIIIII", 0, 0, 54, 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(999),
    ],
    ids=[
        "nothing",
        "html",
        "mp3",
        "mp4 without a picture",
        "an avif without its picture",
        "playlist",
        "3.6 gigapixels",
    ],
)
async def test_what_is_no_picture_is_refused_in_one_line(data: bytes, tmp_path: Path) -> None:
    path = stored(tmp_path / "x", data)
    with pytest.raises(DecodeError) as caught:
        await to_jpeg(path, tmp_path / "y", limit=1_000_000)
    assert caught.value.reason.isprintable()
    assert listing(tmp_path) == [path]
