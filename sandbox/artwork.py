"""Paint cover artwork: a landscape under a sky, the same picture for the same words."""

from __future__ import annotations

import colorsys
import hashlib
import io
import math
import os
from contextlib import contextmanager
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, TypeAlias

import av
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

ImageFormat: TypeAlias = Literal["png", "jpeg", "avif"]
Plane: TypeAlias = "NDArray[np.float64]"


@lru_cache(maxsize=64)
def paint(title: str, *, seed: int = 0, fmt: ImageFormat = "png", size: int = 512) -> bytes:
    """Paint a square picture of `size` pixels a side (a multiple of two) as PNG, JPEG or AVIF bytes."""
    picture = np.round(_picture(title, seed, size) * 255).astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    if fmt == "avif":
        return _avif(frame)
    if fmt == "png":
        encoder = av.VideoCodecContext.create("png", "w")
        encoder.pix_fmt = "rgb24"
    else:
        encoder = av.VideoCodecContext.create("mjpeg", "w")
        encoder.pix_fmt = "yuvj420p"
        encoder.qmin, encoder.qmax = 2, 3
        frame = frame.reformat(format="yuvj420p")
    encoder.width = encoder.height = size
    encoder.time_base = Fraction(1, 25)
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


@contextmanager
def at_own_priority() -> Iterator[None]:
    """Keep the priority of this thread: SVT-AV1 makes whoever encodes with it a real-time process, where it may."""
    if not hasattr(os, "sched_getscheduler"):  # macOS
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)


def _avif(frame: av.VideoFrame) -> bytes:
    os.environ.setdefault("SVT_LOG", "0")  # the encoder tells its settings on stderr
    buffer = io.BytesIO()
    with at_own_priority(), av.open(buffer, "w", format="avif") as container:
        stream = container.add_stream("libsvtav1", rate=1, options={"preset": "9"})
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "yuv420p"
        container.mux([*stream.encode(frame.reformat(format="yuv420p")), *stream.encode(None)])
    return buffer.getvalue()


def _colour(hue: float, saturation: float, value: float) -> NDArray[np.float64]:
    return np.array(colorsys.hsv_to_rgb(hue % 1, saturation, value))


def _blend(canvas: Plane, colour: NDArray[np.float64], mask: Plane) -> Plane:
    return canvas + (colour - canvas) * mask[..., None]


def _picture(title: str, seed: int, size: int) -> Plane:
    """Return (size, size, 3) of 0..1: sky, stars, sun with its halo, ridges fading into haze."""
    digest = hashlib.sha256(f"{title}\0{seed}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    y, x = np.mgrid[0:size, 0:size] / size
    edge = 1.5 / size  # soft by a pixel and a half, which hides the steps
    hue, span = rng.random(), rng.uniform(0.08, 0.2) * rng.choice((-1, 1))
    top, low = _colour(hue, 0.75, rng.uniform(0.25, 0.6)), _colour(hue + span, 0.45, 0.98)
    canvas = top + (low - top) * (y**0.8)[..., None]

    for _ in range(int(rng.integers(30, 90))):
        sx, sy, radius = rng.random(), rng.random() * 0.5, rng.uniform(0.6, 1.6) / 512
        column, row, reach = int(sx * size), int(sy * size), math.ceil(4 * radius * size)
        patch = np.s_[max(0, row - reach) : row + reach, max(0, column - reach) : column + reach]
        star = np.exp(-((x[patch] - sx) ** 2 + (y[patch] - sy) ** 2) / radius**2) * (0.8 - sy)
        canvas[patch] = _blend(canvas[patch], np.ones(3), star)

    cx, cy, radius = rng.uniform(0.25, 0.75), rng.uniform(0.22, 0.5), rng.uniform(0.08, 0.17)
    distance = np.hypot(x - cx, y - cy)
    light = _colour(hue + span * 1.5 + 0.03, 0.25, 1.0)
    canvas = _blend(canvas, light, 0.55 * np.exp(-((distance / (radius * 2.4)) ** 2)))
    disc = np.clip((radius - distance) / edge, 0, 1)
    if rng.random() < 0.4:  # a sun in stripes
        disc *= np.clip(1.3 + 2.5 * np.sin((y - cy) / radius * 9) - (y - cy) / radius * 2, 0, 1)
    canvas = _blend(canvas, light, disc)

    ridges = int(rng.integers(3, 6))
    for number in range(ridges):
        near = (number + 1) / ridges
        line = np.full(size, 0.52 + 0.34 * near + rng.uniform(-0.03, 0.03))
        for octave in range(1, 6):
            swing = 0.09 / octave**1.25 * (1.1 - 0.5 * near)
            line += swing * np.sin(2 * math.pi * (octave * x[0] * rng.uniform(0.6, 1.6) + rng.random()))
        ridge = _colour(hue + span * (1 - near) + 0.02 * number, 0.4 + 0.35 * near, 0.78 - 0.62 * near)
        mask = np.clip((y - line[None, :]) / edge, 0, 1)
        canvas = _blend(canvas, ridge, mask * (0.7 + 0.3 * near))

    vignette = 1 - 0.35 * np.clip(np.hypot(x - 0.5, y - 0.5) - 0.35, 0, 1)
    grain = rng.normal(0, 0.006, (size, size, 1))
    finished: Plane = np.clip(canvas * vignette[..., None] + grain, 0, 1)
    return finished
