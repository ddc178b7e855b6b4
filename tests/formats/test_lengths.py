"""How long sound files play: real ones made by PyAV, and broken ones made by hand."""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.formats.kinds import HEAD_BYTES, sniff
from bot.formats.lengths import duration_of
from tests.media.samples import picture, sound, stored

if TYPE_CHECKING:
    from pathlib import Path

AUDIO = [
    *(("mp3", "libmp3lame"), ("wav", "pcm_s16le"), ("flac", "flac")),
    *(("ogg", "vorbis"), ("ogg", "libopus"), ("ipod", "aac")),
]


@pytest.mark.parametrize(("container", "codec"), AUDIO)
def test_real_sound_files_are_measured(container: str, codec: str, tmp_path: Path) -> None:
    path = stored(tmp_path / "x", sound(container, codec, 3.0))
    assert duration_of(path) == pytest.approx(3.0, abs=0.1)
    assert duration_of(path.open("rb")) == pytest.approx(3.0, abs=0.1)


def test_what_is_no_known_sound_has_no_length(tmp_path: Path) -> None:
    assert duration_of(tmp_path / "missing") is None
    for data in (picture("png", "image2pipe", 9, 9, "rgb24"), sound("aiff", "pcm_s16be", 1.0), b""):
        assert duration_of(stored(tmp_path / "x", data)) is None


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
    assert sniff(data[:HEAD_BYTES]).is_audio
    assert duration_of(stored(tmp_path / "x", data)) is None
    assert time.process_time() - started < 2


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


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400), st.sampled_from([b"", b"ID3\x03", b"RIFF\x00\x01\x00\x00WAVE", b"OggS", b"fLaC\x00"]))
def test_garbage_is_measured_without_a_crash(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, magic: bytes
) -> None:
    seconds = duration_of(stored(tmp_path_factory.getbasetemp() / "garbage", magic + data))
    assert seconds is None or seconds > 0
