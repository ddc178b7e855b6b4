"""The synthesiser makes real, audible music of the promised length, and the painter real pictures."""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest

from sandbox.artwork import paint
from sandbox.music import GENRES, RATE, compose, compose_of_size, genre_of, seconds_for_size

if TYPE_CHECKING:
    from numpy.typing import NDArray


def decode(data: bytes) -> NDArray[np.float64]:
    """Decode audio into (2, samples) of -1..1."""
    converter = av.AudioResampler(format="s16p", layout="stereo", rate=RATE)
    parts: list[NDArray[Any]] = []
    with av.open(io.BytesIO(data), "r") as container:
        for frame in container.decode(container.streams.audio[0]):
            parts.extend(part.to_ndarray() for part in converter.resample(frame))
    return np.concatenate(parts, axis=1) / 32_768


def flatness(pcm: NDArray[np.float64]) -> float:
    """Return the median spectral flatness: about 0.5 for white noise, far below 0.01 for tones."""
    mono = pcm.mean(axis=0)
    size = 4096
    powers = [
        np.abs(np.fft.rfft(mono[at : at + size] * np.hanning(size))) ** 2 + 1e-12
        for at in range(0, len(mono) - size, size)
    ]
    return float(np.median([np.exp(np.mean(np.log(power))) / np.mean(power) for power in powers]))


@pytest.mark.parametrize("genre", GENRES, ids=lambda genre: genre.words[0])
def test_every_style_is_audible_music(genre: Any) -> None:
    pcm = decode(compose("Harbour Lights", style=genre.words[0], seconds=3))
    assert abs(pcm.shape[1] / RATE - 3) < 0.01
    assert 0.05 < float(np.sqrt(np.mean(pcm**2))) < 0.5
    assert float(np.abs(pcm).max()) <= 1.0
    assert flatness(pcm) < 0.01
    loudness = [float(np.sqrt(np.mean(part**2))) for part in np.array_split(pcm[:, : 2 * RATE], 4, axis=1)]
    assert min(loudness) > 0.01, "a hole of silence in the music"


def test_white_noise_would_not_pass_as_music() -> None:
    noise = np.random.default_rng(1).normal(0, 0.2, (2, RATE * 3))
    assert flatness(noise) > 0.1


@pytest.mark.parametrize("seconds", [0.3, 10, 61.7])
@pytest.mark.parametrize("fmt", ["mp3", "wav"])
def test_a_piece_is_exactly_as_long_as_asked(seconds: float, fmt: Any) -> None:
    pcm = decode(compose("Length", style="folk", seconds=seconds, fmt=fmt))
    assert abs(pcm.shape[1] - seconds * RATE) <= 1


def test_the_same_words_give_the_same_bytes_and_others_do_not() -> None:
    compose.cache_clear()
    first = compose("A", style="jazz", seconds=1)
    compose.cache_clear()
    assert compose("A", style="jazz", seconds=1) == first
    others = {compose("B", style="jazz", seconds=1), compose("A", style="rock", seconds=1)}
    assert len({first, *others, compose("A", style="jazz", seconds=1, seed=1)}) == 4


def test_music_is_made_sooner_than_it_plays() -> None:
    compose("Warm up", seconds=0.2)
    started = time.thread_time()  # the processor's time: the machine may be busy with other things
    compose("How quick", style="lofi", seconds=10)
    assert time.thread_time() - started < 10 / 3


def test_the_repeated_part_of_a_long_piece_has_no_clicks() -> None:
    pcm = decode(compose("Long", style="piano", seconds=120))
    steps = np.abs(np.diff(pcm, axis=1)).max(axis=0)
    reference = steps[: 20 * RATE].max()
    assert steps[20 * RATE : 110 * RATE].max() <= reference * 1.5


@pytest.mark.parametrize(
    ("size", "fmt"), [(20_000, "mp3"), (3_000_000, "mp3"), (12_000_000, "mp3"), (5_000_003, "wav")]
)
def test_a_file_of_a_given_size_decodes_at_full_length(size: int, fmt: Any) -> None:
    data = compose_of_size("Big", size, fmt=fmt)
    assert len(data) == size if fmt == "mp3" else size - 3 <= len(data) <= size
    pcm = decode(data)
    assert abs(pcm.shape[1] / RATE - seconds_for_size(size, fmt)) < 0.001
    assert float(np.sqrt(np.mean(pcm[:, pcm.shape[1] // 2 :] ** 2))) > 0.03


def test_a_file_cannot_be_too_small_or_a_piece_too_short() -> None:
    with pytest.raises(ValueError, match="so little"):
        compose_of_size("Tiny", 100)
    with pytest.raises(ValueError, match="length"):
        compose("Nothing", seconds=0)


def test_the_first_word_of_a_style_decides() -> None:
    assert "jazz" in genre_of("smoky jazz with a piano").words
    assert "piano" in genre_of("piano, jazz").words
    assert genre_of("qwertz") is genre_of("qwertz")


@pytest.mark.parametrize(("fmt", "magic"), [("png", b"\x89PNG\r\n\x1a\n"), ("jpeg", b"\xff\xd8\xff")])
def test_artwork_is_a_real_varied_picture(fmt: Any, magic: bytes) -> None:
    data = paint("Harbour Lights", seed=3, fmt=fmt, size=512)
    assert data.startswith(magic)
    with av.open(io.BytesIO(data), "r") as container:
        pixels = next(container.decode(container.streams.video[0])).to_ndarray(format="rgb24")
    assert pixels.shape == (512, 512, 3)
    assert float(pixels.std()) > 20
    assert paint.__wrapped__("Harbour Lights", seed=3, fmt=fmt, size=512) == data
    assert paint("Harbour Lights", seed=4, fmt=fmt) != data
