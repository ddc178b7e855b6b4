"""The choice of bit rates, and encoding as the child process does it: real files made by PyAV, broken ones by hand."""

from __future__ import annotations

import io
import random
import struct
from dataclasses import replace
from typing import Any

import av
import numpy as np
import pytest

from bot.formats.decoder import DecodeError
from bot.formats.kinds import MediaKind, sniff
from bot.formats.transcode import BIT_RATES, Sound, bit_rates_for, encode, sampling
from tests.media.samples import picture, sound

MEGABYTES = 10 * 1024 * 1024
SECONDS = 3.0
STEREO = Sound(seconds=200, bit_rate=1_411_200, sample_rate=44_100, channels=2, lossless=True)


def encoded(data: bytes, budget: int = MEGABYTES) -> tuple[int | None, bytes]:
    destination = io.BytesIO()
    return encode(io.BytesIO(data), destination, budget), destination.getvalue()


def heard(data: bytes) -> tuple[float, int, int, int]:
    """Decode an MP3: its seconds, samples per second, channels and bit rate."""
    with av.open(io.BytesIO(data), "r", format="mp3") as container:
        assert [stream.type for stream in container.streams] == ["audio"]
        stream = container.streams.audio[0]
        samples = sum(frame.samples for packet in container.demux(stream) for frame in packet.decode())
        return samples / stream.rate, stream.rate, stream.layout.nb_channels, stream.bit_rate or 0


def noise(seconds: float, rate: int, layout: str) -> bytes:
    """Return a WAV of noise."""
    file = io.BytesIO()
    with av.open(file, "w", format="wav") as output:
        stream: Any = output.add_stream("pcm_s16le", rate=rate, layout=layout)
        samples = np.random.default_rng(1).integers(
            -9000, 9000, (1, round(seconds * rate) * stream.layout.nb_channels), np.int16
        )
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout=layout)
        frame.sample_rate = rate
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def id3(name: bytes, body: bytes) -> bytes:
    frame = name + struct.pack(">IH", len(body), 0) + body
    size = bytes(len(frame) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\x00\x00" + size + frame


@pytest.mark.parametrize(
    ("seconds", "best"), [(200, 320_000), (300, 256_000), (700, 112_000), (2600, 32_000), (2622, None)]
)
def test_the_best_rate_is_the_highest_that_fits(seconds: float, best: int | None) -> None:
    assert next(iter(bit_rates_for(replace(STEREO, seconds=seconds), MEGABYTES)), None) == best


@pytest.mark.parametrize(
    ("own", "lossless", "best"),
    [
        (128_000, False, 128_000),
        (129_500, False, 128_000),
        (140_000, False, 160_000),
        (24_000, False, 32_000),
        (500_000, False, 320_000),
        (64_000, True, 128_000),
        (200_000, True, 192_000),
        (210_000, True, 224_000),
        (1_411_200, True, 320_000),
    ],
)
def test_no_rate_is_higher_than_the_source_deserves(own: float, lossless: bool, best: int) -> None:
    rates = bit_rates_for(replace(STEREO, bit_rate=own, lossless=lossless), MEGABYTES)
    assert rates == [rate for rate in BIT_RATES if rate <= best]


def test_half_sample_rates_have_no_high_bit_rates() -> None:
    assert bit_rates_for(replace(STEREO, sample_rate=22_050), MEGABYTES)[0] == 160_000


@pytest.mark.parametrize(
    ("source", "channels", "bit_rate", "expected"),
    [
        (44_100, 2, 320_000, (44_100, 2)),
        (96_000, 6, 320_000, (48_000, 2)),
        (44_100, 1, 128_000, (44_100, 1)),
        (44_100, 2, 80_000, (32_000, 2)),
        (48_000, 2, 64_000, (24_000, 2)),
        (44_100, 2, 32_000, (24_000, 1)),
        (22_050, 2, 160_000, (22_050, 2)),
        (8_000, 1, 64_000, (16_000, 1)),
        (37_800, 2, 128_000, (44_100, 2)),
    ],
)
def test_few_bits_mean_lower_rates_and_one_channel(
    source: int, channels: int, bit_rate: int, expected: tuple[int, int]
) -> None:
    assert sampling(replace(STEREO, sample_rate=source, channels=channels), bit_rate) == expected


@pytest.mark.parametrize(
    ("container", "codec", "bit_rate"),
    [
        ("mp3", "libmp3lame", 128_000),
        ("wav", "pcm_s16le", 320_000),
        ("wav", "pcm_f32le", 320_000),
        ("flac", "flac", 128_000),
        ("ogg", "vorbis", 32_000),
        ("ogg", "libopus", 128_000),
        ("ogg", "flac", 128_000),
        ("ipod", "aac", 128_000),
        ("ipod", "alac", 320_000),
        ("mp4", "aac", 128_000),
        ("adts", "aac", 128_000),
        ("webm", "libopus", 128_000),
        ("matroska", "flac", 128_000),
        ("aiff", "pcm_s16be", 320_000),
        ("caf", "pcm_s16be", 320_000),
        ("w64", "pcm_s16le", 320_000),
        ("wav", "adpcm_ms", 320_000),
        ("tta", "tta", 128_000),
        ("wv", "wavpack", 192_000),
        ("mpegts", "aac", 128_000),
        ("ac3", "ac3", 192_000),
        ("mp2", "mp2", 320_000),
    ],
)
def test_every_kind_of_sound_becomes_an_mp3_of_the_same_length(container: str, codec: str, bit_rate: int) -> None:
    rate, mp3 = encoded(sound(container, codec, SECONDS))
    assert rate == bit_rate
    assert sniff(mp3) is MediaKind.MP3
    assert not mp3.startswith(b"ID3")
    seconds, sample_rate, channels, announced = heard(mp3)
    assert seconds == pytest.approx(SECONDS, abs=0.05)
    assert sample_rate == (48_000 if codec == "libopus" else 44_100 if bit_rate > 96_000 else 24_000)
    assert channels == (2 if bit_rate > 56_000 else 1)
    assert announced == bit_rate


def test_the_tone_is_still_there() -> None:
    for budget in (MEGABYTES, 20_000):
        _, mp3 = encoded(sound("wav", "pcm_s16le", SECONDS), budget)
        with av.open(io.BytesIO(mp3), "r", format="mp3") as container:
            rate = container.streams.audio[0].rate
            pcm = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
        middle = pcm[rate // 2 : rate // 2 + rate]
        assert np.argmax(np.abs(np.fft.rfft(middle))) == 440
        # LAME lowers the sound by a twentieth at high rates, so that it does not clip.
        assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.2 / np.sqrt(2), rel=0.06)


@pytest.mark.parametrize("rate", BIT_RATES)
def test_a_file_fits_to_the_last_byte_or_takes_the_next_lower_rate(rate: int) -> None:
    source = noise(2.0, 48_000, "stereo")
    # Room for the headers, but not for the next rate.
    _, largest = encoded(source, round(1.08 * 2.0 * rate / 8))
    size = len(largest)
    assert encoded(source, size) == (rate, largest)
    lower, smaller = encoded(source, size - 1)
    assert lower == next((other for other in BIT_RATES if other < rate), None)
    assert (lower is None) or len(smaller) < size


@pytest.mark.parametrize(("rate", "layout"), [(8_000, "mono"), (22_050, "stereo"), (96_000, "stereo"), (48_000, "5.1")])
def test_unusual_sample_rates_and_channels(rate: int, layout: str) -> None:
    bit_rate, mp3 = encoded(noise(1.0, rate, layout))
    seconds, sample_rate, channels, announced = heard(mp3)
    assert seconds == pytest.approx(1.0, abs=0.05)
    assert sample_rate == max(16_000, min(rate, 48_000))
    assert channels == (1 if layout == "mono" else 2)
    assert announced == bit_rate


def test_a_picture_inside_is_left_out() -> None:
    front = b"\x00image/jpeg\x00\x03\x00" + picture("mjpeg", "image2pipe", 640, 640, "yuvj420p")
    rate, mp3 = encoded(id3(b"APIC", front) + sound("mp3", "libmp3lame", SECONDS))
    # The picture's bytes are not taken for sound either.
    assert rate == 128_000
    assert heard(mp3)[0] == pytest.approx(SECONDS, abs=0.05)


def test_a_tag_in_the_wrong_encoding_does_no_harm() -> None:
    data = bytearray(sound("ogg", "vorbis", SECONDS))
    flac = bytearray(sound("flac", "flac", SECONDS))
    at = flac.index(b"encoder=")
    flac[at + 8 : at + 11] = b"\xe4\xf6\xfc"
    assert encoded(bytes(flac))[0] == 128_000
    assert encoded(bytes(data))[0] == 32_000


@pytest.mark.parametrize("claim", [1000, 0xFFFFFFFF])
def test_a_wav_that_lies_about_its_length(claim: int) -> None:
    data = bytearray(sound("wav", "pcm_s16le", SECONDS))
    at = data.index(b"data")
    data[at + 4 : at + 8] = struct.pack("<I", claim)
    rate, mp3 = encoded(bytes(data))
    assert rate == 320_000
    assert heard(mp3)[0] == pytest.approx(SECONDS if claim > 1000 else 1000 / 4 / 44_100, abs=0.05)


@pytest.mark.parametrize("claimed", [1, 3600 * 1000])
def test_an_m4a_that_lies_about_its_length_still_gets_the_best_rate_that_fits(claimed: int) -> None:
    data = bytearray(sound("ipod", "alac", SECONDS))
    at = data.index(b"mvhd")
    data[at + 20 : at + 24] = struct.pack(">I", claimed)
    assert encoded(bytes(data), 60_000)[0] == 128_000


def test_an_mp3_whose_information_frame_lies_is_decoded_to_its_end() -> None:
    data = bytearray(sound("mp3", "libmp3lame", SECONDS))
    at = data.index(b"Info")
    data[at + 8 : at + 12] = struct.pack(">I", 20)
    rate, mp3 = encoded(bytes(data), 26_000)
    assert rate == 64_000
    assert heard(mp3)[0] == pytest.approx(SECONDS, abs=0.1)


def test_what_is_too_long_for_the_lowest_rate_does_not_fit() -> None:
    assert encoded(sound("wav", "pcm_s16le", SECONDS), 11_000) == (None, b"")


def test_hours_of_nothing_are_refused() -> None:
    # One sample a second, so that some kilobytes last for longer than any song.
    data = noise(1.0, 8_000, "mono")
    slow = data[:24] + struct.pack("<II", 1, 2) + data[32:]
    with pytest.raises(DecodeError, match="longer than 7200 s"):
        encoded(slow, 100 * MEGABYTES)


def test_a_few_broken_packets_are_left_out() -> None:
    data = bytearray(sound("mp3", "libmp3lame", 10.0))
    for at in range(len(data) // 4, len(data), len(data) // 4):
        data[at : at + 500] = bytes(500)
    rate, mp3 = encoded(bytes(data))
    assert rate == 128_000
    assert 9.5 < heard(mp3)[0] <= 10.05


def test_a_file_with_many_broken_packets_is_refused() -> None:
    data = bytearray(sound("flac", "flac", SECONDS))
    dice = random.Random(1)
    for _ in range(200):
        data[dice.randrange(len(data) // 8, len(data))] ^= 0xFF
    with pytest.raises(DecodeError, match=r"\d+ of \d+ packets are broken"):
        encoded(bytes(data))


def test_a_source_that_changes_its_form_on_the_way_is_kept_whole() -> None:
    data = sound("mp3", "libmp3lame", SECONDS) + _mp3_at(32_000, SECONDS)
    _, mp3 = encoded(data)
    assert heard(mp3)[0] == pytest.approx(2 * SECONDS, abs=0.2)


def _mp3_at(rate: int, seconds: float) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="mp3", options={"id3v2_version": "0", "write_xing": "0"}) as output:
        stream: Any = output.add_stream("libmp3lame", rate=rate, layout="mono")
        with av.open(io.BytesIO(noise(seconds, rate, "mono")), "r") as source:
            for frame in source.decode(audio=0):
                output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<!DOCTYPE html><title>Sign in</title>" + bytes(9000),
        b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        picture("png", "image2pipe", 20, 20, "rgb24"),
    ],
    ids=["empty", "html", "m3u", "concat", "picture"],
)
def test_what_is_no_sound_is_none(data: bytes) -> None:
    with pytest.raises((DecodeError, av.FFmpegError)):
        encoded(data)


@pytest.mark.parametrize(
    "junk",
    [b"\n", b"\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", bytes(byte & 0x7F for byte in random.Random(1).randbytes(5000))],
    ids=["a line end", "two", "a header", "five kilobytes"],
)
def test_junk_in_front_of_a_song_is_left_out(junk: bytes) -> None:
    rate, mp3 = encoded(junk + sound("mp3", "libmp3lame", SECONDS))
    assert rate == 128_000
    assert heard(mp3)[0] == pytest.approx(SECONDS, abs=0.1)


def test_a_flac_behind_the_tag_of_an_mp3_is_a_flac() -> None:
    assert encoded(id3(b"TIT2", b"\x00Song") + sound("flac", "flac", SECONDS))[0] == 128_000


def test_a_film_is_heard() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        pictures: Any = output.add_stream("mpeg4", rate=10)
        pictures.width = pictures.height = 64
        tone: Any = output.add_stream("aac", rate=44_100, layout="stereo")
        output.mux(pictures.encode(av.VideoFrame(64, 64, "yuv420p")))
        with av.open(io.BytesIO(sound("wav", "pcm_s16le", SECONDS)), "r") as source:
            for frame in source.decode(audio=0):
                output.mux(tone.encode(frame))
        output.mux(pictures.encode(None))
        output.mux(tone.encode(None))
    assert heard(encoded(file.getvalue())[1])[0] == pytest.approx(SECONDS, abs=0.1)


@pytest.mark.parametrize("text", [b"<html><body>" * 4000, b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n" * 500])
def test_a_text_behind_a_tag_is_no_sound(text: bytes) -> None:
    with pytest.raises((DecodeError, av.FFmpegError)):
        encoded(id3(b"TIT2", b"\x00Song") + text)


def test_an_m4a_that_holds_no_sound() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        stream: Any = output.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        output.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        output.mux(stream.encode(None))
    data = file.getvalue()
    with pytest.raises(DecodeError, match="no sound in it"):
        encoded(data[:8] + b"M4A " + data[12:])


def test_a_decoder_that_no_song_needs_is_refused() -> None:
    with pytest.raises((DecodeError, av.FFmpegError)):
        encoded(sound("wav", "adpcm_yamaha", SECONDS))


def test_it_stops_when_told() -> None:
    answers = iter([False] * 50)
    with pytest.raises(DecodeError, match="nobody waits"):
        encode(
            io.BytesIO(sound("wav", "pcm_s16le", SECONDS)), io.BytesIO(), MEGABYTES, stop=lambda: next(answers, True)
        )
