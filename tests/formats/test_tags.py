"""Tags and artwork in MP3 files, whole ones and broken ones."""

from __future__ import annotations

import errno
import random
import struct
import time
import tracemalloc
import zlib
from typing import TYPE_CHECKING, Any

import av
import mutagen.id3
import mutagen.mp3
import pytest

from bot.formats import tags as media
from bot.formats.kinds import MediaError
from bot.formats.lengths import duration_of
from bot.formats.tags import tag_mp3
from tests.media.samples import RATE, picture, sound, stored

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# mutagen comes with annotations for some of its functions only.
id3: Any = mutagen.id3
MP3: Any = mutagen.mp3.MP3


@pytest.fixture(scope="module")
def song() -> bytes:
    return sound("mp3", "libmp3lame", 2.0)


@pytest.fixture(scope="module")
def jpeg() -> bytes:
    return picture("mjpeg", "image2pipe", 64, 48, "yuvj420p")


@pytest.fixture(scope="module")
def png() -> bytes:
    return picture("png", "image2pipe", 65, 49, "rgb24")


def audio_of(data: bytes) -> bytes:
    """Cut the ID3v2 tag off by its own word about its size."""
    size = 0
    for byte in data[6:10]:
        size = size << 7 | byte
    return data[10 + size :] if data.startswith(b"ID3") else data


@pytest.mark.parametrize("art", ["jpeg", "png"])
def test_a_tagged_mp3_shows_its_fields_and_plays_the_same_bytes(
    art: str, song: bytes, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    cover = request.getfixturevalue(art)
    source, target = stored(tmp_path / "in", song), tmp_path / "out"
    assert tag_mp3(
        source,
        target,
        title="Ночь 夜 \N{MUSICAL SYMBOL G CLEF}\x00\ud800!",
        artist="VidGo",
        genre="lo-fi, jazz",
        artwork=stored(tmp_path / "art", cover),
        comment="New artwork",
    )
    data = target.read_bytes()
    assert data[:4] == b"ID3\x03"
    assert audio_of(data) == audio_of(song)
    assert source.read_bytes() == song
    tags = MP3(target).tags
    assert tags["TIT2"].text == ["Ночь 夜 \N{MUSICAL SYMBOL G CLEF}  !"]
    assert (tags["TPE1"].text, tags["TCON"].text) == (["VidGo"], ["lo-fi, jazz"])
    assert tags["COMM::eng"].text == ["New artwork"]
    (front,) = tags.getall("APIC")
    assert (front.data, front.mime, front.type) == (cover, f"image/{art}", id3.PictureType.COVER_FRONT)
    with av.open(str(target)) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) == pytest.approx(2 * RATE, abs=0.1 * RATE)
        assert len(container.streams.video) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["art", "in", "out"]


def test_all_earlier_tags_are_replaced_even_in_place(song: bytes, jpeg: bytes, png: bytes, tmp_path: Path) -> None:
    path, art = stored(tmp_path / "song", song), stored(tmp_path / "art", png)
    old = id3.ID3()
    old.add(id3.TIT2(encoding=3, text=["old"]))
    old.add(id3.APIC(encoding=3, mime="image/jpeg", type=3, desc="a", data=jpeg))
    old.add(id3.APIC(encoding=3, mime="image/jpeg", type=4, desc="b", data=jpeg))
    old.save(path, v1=2)
    assert path.read_bytes()[-128:].startswith(b"TAGold")
    assert tag_mp3(path, path, title="new", artwork=art)
    tags = MP3(path).tags
    assert sorted(tags) == ["APIC:", "TIT2"]
    assert tags["APIC:"].data == png
    assert audio_of(path.read_bytes()) == audio_of(song)


def test_without_artwork_only_the_texts_are_written(song: bytes, tmp_path: Path) -> None:
    webp = stored(tmp_path / "webp", picture("libwebp", "webp", 32, 32, "yuv420p"))
    html = stored(tmp_path / "html", b"<html>")
    for artwork in (None, webp, html, tmp_path / "missing"):
        assert not tag_mp3(stored(tmp_path / "in", song), tmp_path / "out", title="t", artwork=artwork)
        assert sorted(MP3(tmp_path / "out").tags or ()) == ["TIT2"]


def compressed_frame() -> bytes:
    """An ID3v2.3 tag whose one frame unfolds to a quarter of a gigabyte; takes a second to make."""
    unpacked = 1 << 28
    packer = zlib.compressobj(9)
    block = bytes(1 << 20)
    packed = b"".join([*(packer.compress(block) for _ in range(unpacked >> 20)), packer.flush()])
    frame = b"TIT2" + struct.pack("!IBBI", len(packed) + 4, 0, 0x80, unpacked) + packed
    size = bytes(len(frame) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\x00\x00" + size + frame


@pytest.mark.parametrize(
    "made",
    [
        lambda: b"ID3\x03\x00\x00\x00\x00\x02\x00" + random.Random(1).randbytes(256),
        lambda: b"ID3\x04\x00\xff\x00\x00\x00\x20" + b"\xff" * 42,
        lambda: b"ID3\x02\x00\x00\x00\x00\x00\x00",
        lambda: b"ID3\x09\x09\x00\x00\x00\x00\x04TIT2" * 3,
        compressed_frame,
    ],
    ids=["random", "flags", "empty", "stacked", "bomb"],
)
def test_a_broken_tag_is_replaced_at_no_cost(made: Callable[[], bytes], song: bytes, tmp_path: Path) -> None:
    bare = audio_of(song)
    source = stored(tmp_path / "in", made() + bare)
    tag_mp3(source, tmp_path / "warm-up", title="imports mutagen")
    tracemalloc.start()
    try:
        tag_mp3(source, tmp_path / "out", title="whole")
        seconds = duration_of(source)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert audio_of((tmp_path / "out").read_bytes()) == bare
    assert seconds == pytest.approx(2.0, abs=0.1)
    assert peak < 8 << 20


def test_broken_frames_in_the_middle_stay_as_they_are(song: bytes, tmp_path: Path) -> None:
    broken = bytearray(audio_of(song))
    middle = len(broken) // 2
    broken[middle : middle + 3000] = random.Random(2).randbytes(3000)
    tag_mp3(stored(tmp_path / "in", bytes(broken)), tmp_path / "out", title="scratched")
    assert audio_of((tmp_path / "out").read_bytes()) == broken
    assert duration_of(tmp_path / "out") == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"<html>" * 1000, b"ID3\x03\x00\x00\x00\x00\x00\x04abcd<html>", b"\xff\xfb\x90\x64" * 500),
        *(random.Random(3).randbytes(1 << 21), b"ID3\x03\x00\x00\x00\x00\x00\x00" * 1_000_000, b"\xff" * (1 << 21)),
        *(b"\xff\xfb\x90\x64" + bytes(413) * 2, b"ID3\x03\x00\x00\x7f\x7f\x7f\x7f" + bytes(5000)),
        (b"\xff\xfd\x90\x64" + bytes(518)) * 20,
    ],
    ids=["nothing", "html", "tag+html", "syncs", "random", "tags", "ones", "one frame", "lying size", "layer II"],
)
def test_what_is_no_mp3_is_refused_quickly_and_leaves_nothing(data: bytes, tmp_path: Path) -> None:
    source = stored(tmp_path / "in", data)
    started = time.process_time()
    with pytest.raises(MediaError) as caught:
        tag_mp3(source, tmp_path / "out", title="t")
    assert duration_of(source) is None
    assert time.process_time() - started < 2
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [source]


def test_a_full_disk_passes_through_and_leaves_nothing(
    song: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(media.shutil, "copyfileobj", full)  # type: ignore[attr-defined]  # what it imports itself
    source = stored(tmp_path / "in", song)
    with pytest.raises(OSError, match="No space left"):
        tag_mp3(source, tmp_path / "out", title="t")
    assert list(tmp_path.iterdir()) == [source]


def test_artwork_with_absurd_dimensions_is_left_out(song: bytes, png: bytes, tmp_path: Path) -> None:
    art = stored(tmp_path / "art", png[:16] + b"\x00\x00\xea\x60" * 2 + png[24:])
    assert not tag_mp3(stored(tmp_path / "in", song), tmp_path / "out", title="t", artwork=art)
