"""Pictures of a page in a browser, still or moving, as WebP."""

from __future__ import annotations

import io
import shutil
from contextlib import asynccontextmanager
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, get_args

import av
from playwright.async_api import async_playwright

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from playwright.async_api import Browser, Page

Scheme = Literal["light", "dark"]

_MILLISECOND = Fraction(1, 1000)


class NoBrowserError(Exception):
    """There is no browser on this machine."""


@asynccontextmanager
async def open_browser() -> AsyncIterator[Browser]:
    """Start the machine's own Chromium."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        raise NoBrowserError("there is no Chromium here; with Debian: apt install chromium fonts-noto-color-emoji")
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
    file = io.BytesIO()
    pictures = [(_decoded(png), seconds) for png, seconds in frames]
    with av.open(file, "w", format="webp", options={"loop": "0"}) as container:
        stream = container.add_stream("libwebp_anim" if len(frames) > 1 else "libwebp", rate=1000)
        stream.width, stream.height = pictures[0][0].width, pictures[0][0].height
        stream.pix_fmt = "bgra"
        stream.time_base = stream.codec_context.time_base = _MILLISECOND
        stream.options = {"lossless": "0", "quality": "80", "compression_level": "6"}
        at = 0.0
        for picture, seconds in pictures:
            picture.pts, picture.time_base = round(at * 1000), _MILLISECOND
            container.mux(stream.encode(picture))
            at += seconds
        if len(pictures) > 1:  # the last one lasts until it is shown again
            last = _decoded(frames[-1][0])
            last.pts, last.time_base = round(at * 1000), _MILLISECOND
            container.mux(stream.encode(last))
        container.mux(stream.encode(None))
    return file.getvalue()


def _decoded(png: bytes) -> av.VideoFrame:
    with av.open(io.BytesIO(png), "r", format="png_pipe") as container:
        return next(container.decode(video=0)).reformat(format="bgra")
