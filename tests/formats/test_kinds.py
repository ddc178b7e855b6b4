"""What files are by their content, real ones made by PyAV and broken ones made by hand, and what they are called."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.formats.kinds import HEAD_BYTES, MediaKind, attachment_name, is_text, sniff
from tests.media.samples import picture, sound

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
def test_real_sound_files_are_recognised(container: str, codec: str, kind: MediaKind) -> None:
    head = sound(container, codec, 1.0)[:HEAD_BYTES]
    assert sniff(head) is kind
    assert kind.is_audio
    assert not kind.is_image
    assert not is_text(head)


@pytest.mark.parametrize(("codec", "container", "pixels", "kind"), PICTURES)
def test_real_pictures_are_recognised(codec: str, container: str, pixels: str, kind: MediaKind) -> None:
    head = picture(codec, container, 321, 123, pixels)[:HEAD_BYTES]
    assert sniff(head) is kind
    assert kind.is_image
    assert not kind.is_audio
    assert not is_text(head)


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n" + sound("mp3", "libmp3lame", 1.0),
        sound("mp4", "aac", 1.0),
        sound("adts", "aac", 1.0),
        sound("webm", "libopus", 1.0),
        sound("aiff", "pcm_s16be", 1.0),
        picture("libsvtav1", "avif", 64, 64, "yuv420p"),
        random.Random(1).randbytes(2000),
    ],
    ids=["a line end and an mp3", "isom", "adts", "webm", "aiff", "avif", "noise"],
)
def test_what_only_a_decoder_can_tell_is_unknown_and_no_text(data: bytes) -> None:
    assert sniff(data[:HEAD_BYTES]) is MediaKind.UNKNOWN
    assert not is_text(data[:HEAD_BYTES])


@pytest.mark.parametrize(
    "data",
    [
        *(
            b"",
            b"\n\n",
            b"<!DOCTYPE html><title>\xc3\x9c</title>",
            "<html>\ufeff夜".encode(),
            b"#EXTM3U\nfile:///x\n" * 99,
        ),
        *(b"\xef\xbb\xbf  {}", json.dumps({"code": 404}).encode(), b"caf\xe9 in Latin-1", b"\x1b[1mbold\x1b[0m"),
    ],
)
def test_what_is_plainly_a_text_or_nothing_is_told(data: bytes) -> None:
    assert is_text(data[:HEAD_BYTES])
    assert sniff(data[:HEAD_BYTES]) is MediaKind.UNKNOWN


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


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Night Drive", "Night_Drive_2.mp3"),
        ("", "song_2.mp3"),
        ("x" * 300, "x" * 74 + "_2.mp3"),
        ("夜" * 300, "夜" * 74 + "_2.mp3"),
    ],
)
def test_a_second_version_has_its_number_however_long_the_title(title: str, name: str) -> None:
    assert attachment_name(title, MediaKind.MP3, 2) == name


def test_a_nameless_picture_is_a_cover() -> None:
    assert attachment_name("!", MediaKind.JPEG) == "cover.jpg"


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=300), st.sampled_from(MediaKind), st.integers(1, 20))
def test_no_title_makes_a_dangerous_name(title: str, kind: MediaKind, number: int) -> None:
    name = attachment_name(title, kind, number)
    stem = name.removesuffix(kind.extension)
    assert stem
    assert len(name) <= 80
    assert len(name.encode()) <= 240
    assert name.isprintable()
    assert not set(stem) & set("./\\:*?\"<>|@`'~%$&;\x00 ")
    assert not stem.startswith("-")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=HEAD_BYTES))
def test_garbage_is_told_without_a_crash(data: bytes) -> None:
    assert isinstance(sniff(data), MediaKind)
    assert is_text(data) in {True, False}
