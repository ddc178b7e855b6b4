"""Kinds, lengths, sizes and names of media files, real ones made by PyAV and broken ones made by hand."""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.media.kinds import (
    SNIFF_BYTES,
    MediaKind,
    attachment_name,
    duration_of,
    image_is_sane,
    image_size,
    sniff,
)
from tests.media.samples import picture, sound, stored

if TYPE_CHECKING:
    from pathlib import Path

AUDIO = [
    ("mp3", "libmp3lame", MediaKind.MP3),
    ("wav", "pcm_s16le", MediaKind.WAV),
    ("flac", "flac", MediaKind.FLAC),
    ("ogg", "vorbis", MediaKind.OGG),
    ("ogg", "libopus", MediaKind.OGG),
    ("ipod", "aac", MediaKind.M4A),
]
PICTURES = [
    ("mjpeg", "image2pipe", "yuvj420p", MediaKind.JPEG),
    ("png", "image2pipe", "rgb24", MediaKind.PNG),
    ("libwebp", "webp", "yuv420p", MediaKind.WEBP),
    ("libwebp", "webp", "bgra", MediaKind.WEBP),
    ("gif", "gif", "rgb8", MediaKind.GIF),
]


@pytest.mark.parametrize(("container", "codec", "kind"), AUDIO)
def test_real_sound_files_are_recognised_and_measured(
    container: str, codec: str, kind: MediaKind, tmp_path: Path
) -> None:
    data = sound(container, codec, 3.0)
    assert sniff(data[:SNIFF_BYTES]) is kind
    assert kind.is_audio
    assert not kind.is_image
    assert duration_of(stored(tmp_path / "x", data)) == pytest.approx(3.0, abs=0.1)


@pytest.mark.parametrize(("codec", "container", "pixels", "kind"), PICTURES)
def test_real_pictures_are_recognised_and_measured(
    codec: str, container: str, pixels: str, kind: MediaKind, tmp_path: Path
) -> None:
    data = picture(codec, container, 321, 123, pixels)
    assert sniff(data[:SNIFF_BYTES]) is kind
    assert kind.is_image
    assert not kind.is_audio
    path = stored(tmp_path / "x", data)
    assert image_size(path) == (321, 123)
    assert image_is_sane(path)
    assert duration_of(path) is None


@pytest.mark.parametrize(
    "head",
    [
        *(b"", b"\xff", b"ID3", b"RIFF", b"<!DOCTYPE html><html>", b'{"code": 200, "data"', b"[1, 2]", b"%PDF-1.7"),
        *(b"RIFF\x00\x00\x00\x00AVI LIST", b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00", b"PK\x03\x04" + bytes(12)),
        *(b"\xff\xfe<\x00h\x00t\x00m\x00l\x00", b"\xff\xf1\x50\x80" + bytes(12), b"\xff\xfb\xf0\x00" + bytes(12)),
        *(b"\xff\xfb\x00\x00" + bytes(12), b"\xff\xfb\x9c\x00" + bytes(12), b"\xff\xeb\x90\x00" + bytes(12)),
        *(b"ID3\xff\x00\x00\x00\x00\x00\x00" + bytes(6), b"ID3\x03\x00\x00\x80\x00\x00\x00" + bytes(6)),
    ],
)
def test_everything_else_is_unknown(head: bytes) -> None:
    assert sniff(head) is MediaKind.UNKNOWN
    assert not MediaKind.UNKNOWN.is_audio
    assert not MediaKind.UNKNOWN.is_image


@pytest.mark.parametrize("header", [b"\xff\xfb\x90\x64", b"\xff\xf3\x40\xc0", b"\xff\xe3\x18\xc4", b"\xff\xfa\x90\x00"])
def test_a_bare_frame_of_every_mpeg_version_is_an_mp3(header: bytes) -> None:
    assert sniff(header + bytes(12)) is MediaKind.MP3


def test_extensions_and_media_types() -> None:
    assert [kind.extension for kind in (MediaKind.MP3, MediaKind.JPEG, MediaKind.UNKNOWN)] == [".mp3", ".jpg", ".bin"]
    assert [kind.mime for kind in (MediaKind.MP3, MediaKind.M4A)] == ["audio/mpeg", "audio/mp4"]
    assert all("/" in kind.mime and kind.extension.startswith(".") for kind in MediaKind)


@pytest.mark.parametrize(
    "data",
    [
        b"RIFF\xff\xff\xff\xffWAVEdata\x10\x00\x00\x00" + bytes(16),
        b"RIFF\xff\xff\xff\xffWAVE" + b"junk\x00\x00\x00\x00" * 2000,
        b"RIFF\xff\xff\xff\xffWAVEfmt \x10\x00\x00\x00" + bytes(16),
        b"fLaC\x00\x00\x00\x22" + bytes(34),
        b"fLaC\x00\x00\x00\x22" + bytes(10) + b"\x00\x00\x1f\xff\xff\xff\xff\xff" + bytes(16),
        b"OggS" + bytes(500),
        b"OggS" + b"OpusHead" * 100_000,
        b"\x00\x00\x00\x18ftypM4A " + bytes(20),
        b"\x00\x00\x00\x08ftypM4A " + struct.pack("!I4s", 8, b"free") * 500_000,
        b"\x00\x00\x00\x18ftypM4A " + bytes(12) + b"\x00\x00\x00\x10moov\x00\x00\x00\x08mvhd",
    ],
)
def test_nonsense_in_a_sound_file_has_no_length(data: bytes, tmp_path: Path) -> None:
    started = time.process_time()
    assert sniff(data[:SNIFF_BYTES]).is_audio
    assert duration_of(stored(tmp_path / "x", data)) is None
    assert time.process_time() - started < 2


def test_a_missing_file_has_no_length_and_no_size(tmp_path: Path) -> None:
    assert duration_of(tmp_path / "missing") is None
    assert image_size(tmp_path / "missing") is None


def test_a_wav_files_claim_is_cut_to_what_it_holds(tmp_path: Path) -> None:
    data = bytearray(sound("wav", "pcm_s16le", 1.0))
    at = data.index(b"data") + 4
    data[at : at + 4] = b"\xff\xff\xff\xff"
    assert duration_of(stored(tmp_path / "x", bytes(data))) == pytest.approx(1.0, abs=0.01)


def test_wide_boxes_of_an_m4a_file_are_read(tmp_path: Path) -> None:
    head = struct.pack("!I4s4s8x", 20, b"ftyp", b"M4A ")
    skipped = struct.pack("!I4sQ4x", 1, b"mdat", 20)
    header = struct.pack("!I4sB19xIQ80x", 120, b"mvhd", 1, 1000, 61_500)
    data = head + skipped + struct.pack("!I4s", 8 + len(header), b"moov") + header
    assert duration_of(stored(tmp_path / "x", data)) == 61.5


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


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Night Drive", "Night_Drive.mp3"),
        ("Don't Stop — (Live!)", "Dont_Stop_Live.mp3"),
        ("../../etc/passwd", "etc_passwd.mp3"),
        ("C:\\Windows\\x.exe", "C_Windows_x_exe.mp3"),
        ("夜に駆ける", "夜に駆ける.mp3"),
        ("ночь-2", "ночь-2.mp3"),
        ("नमस्ते", "नमस्ते.mp3"),
        ("a\u202egpm.exe\u200b\x00\x1b[31m", "agpm_exe_31m.mp3"),
        ("@everyone <@1> `x` ||y||", "everyone_1_x_y.mp3"),
        *((empty, "song.mp3") for empty in ("", "   ", "...", "🎵🎶", "\u202e\u2066", "///", "--", "\u3164\uffa0")),
        ("x" * 300, "x" * 76 + ".mp3"),
        ("\ud800", "song.mp3"),
    ],
)
def test_a_file_name_is_made_of_the_titles_letters(title: str, name: str) -> None:
    assert attachment_name(title, MediaKind.MP3) == name


def test_a_nameless_picture_is_a_cover() -> None:
    assert attachment_name("!", MediaKind.JPEG) == "cover.jpg"


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=300), st.sampled_from(MediaKind))
def test_no_title_makes_a_dangerous_name(title: str, kind: MediaKind) -> None:
    name = attachment_name(title, kind)
    stem = name.removesuffix(kind.extension)
    assert stem
    assert len(name) <= 80
    assert len(name.encode()) <= 240
    assert name.isprintable()
    assert not set(stem) & set("./\\:*?\"<>|@`'~%$&;\x00 ")
    assert not stem.startswith("-")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400), st.sampled_from([b"", b"ID3\x03", b"\xff\xd8\xff", WEBP, b"OggS", b"fLaC\x00"]))
def test_garbage_is_measured_without_a_crash(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, magic: bytes
) -> None:
    path = stored(tmp_path_factory.getbasetemp() / "garbage", magic + data)
    seconds, size = duration_of(path), image_size(path)
    assert seconds is None or seconds > 0
    assert size is None or min(size) >= 0
    sniff(data)
