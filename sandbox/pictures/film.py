"""Pictures of a page in a browser, still or moving, as WebP."""

from __future__ import annotations

import io
import shutil
from contextlib import asynccontextmanager
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import av
import numpy as np
from playwright.async_api import async_playwright

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from playwright.async_api import Browser, Page

Scheme = Literal["light", "dark"]

Picture: TypeAlias = "NDArray[np.uint8]"

FONTS = "fonts-noto-color-emoji fonts-ipafont-gothic"
"""Debian's packages of fonts that have every letter of the pictures."""

SMALL_QUALITY = "20"
EFFORT = "6"
"""How long is looked for a smaller file: the most, for pictures are drawn once and loaded often."""

_MILLISECOND = Fraction(1, 1000)


class NoBrowserError(Exception):
    """There is no browser on this machine."""


@asynccontextmanager
async def open_browser() -> AsyncIterator[Browser]:
    """Start the machine's own Chromium."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        raise NoBrowserError(f"there is no Chromium here; with Debian: apt install chromium {FONTS}")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--disable-gpu"], chromium_sandbox=False)
        try:
            yield browser
        finally:
            await browser.close()


class Film:
    """What a page shows at moments that somebody chooses, in the light and in the dark, each for some seconds."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._frames: dict[Scheme, list[tuple[bytes, float]]] = {scheme: [] for scheme in get_args(Scheme)}

    async def shoot(self, seconds: float) -> None:
        """Take what the page shows now; it is seen for some seconds."""
        for scheme, frames in self._frames.items():
            await self._page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            frames.append((await self._page.screenshot(animations="disabled", caret="initial"), seconds))

    def save(self, folder: Path, name: str) -> None:
        """Write the film, and its last frame for those who want nothing to move, for both schemes."""
        for scheme, frames in self._frames.items():
            (folder / f"{name}-{scheme}.webp").write_bytes(webp(frames))
            (folder / f"{name}-{scheme}-still.webp").write_bytes(webp(frames[-1:]))


def webp(frames: Sequence[tuple[bytes, float]]) -> bytes:
    """Make a WebP of PNGs: one of them stands still, several move for ever, each for its seconds."""
    return _written([(_decoded(png), seconds) for png, seconds in frames], "80")


def small_webp(picture: Picture) -> bytes:
    """Make a WebP of a picture that is there to be looked over, not at."""
    return _written([(av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="bgra"), 1.0)], SMALL_QUALITY)


def _written(pictures: Sequence[tuple[av.VideoFrame, float]], quality: str) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="webp", options={"loop": "0"}) as container:
        stream = container.add_stream("libwebp_anim" if len(pictures) > 1 else "libwebp", rate=1000)
        stream.width, stream.height = pictures[0][0].width, pictures[0][0].height
        stream.pix_fmt = "bgra"
        stream.time_base = stream.codec_context.time_base = _MILLISECOND
        stream.options = {"lossless": "0", "quality": quality, "compression_level": EFFORT}
        at = 0.0
        for picture, seconds in pictures:
            picture.pts, picture.time_base = round(at * 1000), _MILLISECOND
            container.mux(stream.encode(picture))
            at += seconds
        if len(pictures) > 1:  # the last one lasts until it is shown again
            last = av.VideoFrame.from_ndarray(pictures[-1][0].to_ndarray(), format="bgra")
            last.pts, last.time_base = round(at * 1000), _MILLISECOND
            container.mux(stream.encode(last))
        container.mux(stream.encode(None))
    return file.getvalue()


def _decoded(png: bytes) -> av.VideoFrame:
    with av.open(io.BytesIO(png), "r", format="png_pipe") as container:
        return next(container.decode(video=0)).reformat(format="bgra")


def laid_out(png: bytes, boxes: Sequence[tuple[float, float]], columns: int) -> Picture:
    """Cut a long picture into its parts, each at (top, height), and lay them out in columns, the shortest one first."""
    whole = _decoded(png).to_ndarray(format="rgb24")
    gap = 12
    width = whole.shape[1]
    heights = [0] * columns
    places = []
    for top, height in boxes:
        column = heights.index(min(heights))
        part = whole[round(top) : round(top + height)]
        places.append((part, heights[column], column * (width + gap)))
        heights[column] += part.shape[0] + gap
    ground = whole[0, 0]
    sheet = np.empty((max(heights), columns * (width + gap) - gap, 3), np.uint8)
    sheet[:] = ground
    for part, y, x in places:
        sheet[y : y + part.shape[0], x : x + width] = part
    return sheet
