"""The gallery: every screen in every language, wide and narrow, light and dark, as sheets and as words."""

from __future__ import annotations

import re
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from sandbox.pictures.film import Scheme, laid_out, small_webp
from sandbox.pictures.screens import LANGUAGES, SETTINGS, gather
from sandbox.play.server import PageServer
from sandbox.play.stage import open_stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from playwright.async_api import Browser, Page

    from sandbox.pictures.walk import Walk

Json = dict[str, Any]

FOLDER = Path("docs/gallery")
PAGE = Path("docs/gallery.md")
DRAW = (Path(__file__).parent / "gallery.js").read_text("utf-8")
NOW = 1_767_268_800
"""When everything on a sheet happens: noon of a first of January."""

SHARPNESS = 0.6
"""How many dots of a sheet one of the screen's becomes: as few as can be read."""

SECONDS = 0.3
"""How long the stand-in of VidGo works."""

WAITED_SECONDS, RESETS_SECONDS = 20, 12 * 3600
SOON_SECONDS = 1800
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
_TIME = re.compile(r"<t:(\d+)(:[a-zA-Z])?>")


@dataclass(frozen=True)
class Width:
    """How wide a sheet's screens are, and the window in which they are drawn; so many columns make a sheet."""

    name: str
    words: str
    screen: int
    window: int
    columns: int


WIDTHS = (Width("phone", "a phone", 390, 390, 6), Width("desktop", "a desktop", 640, 1440, 4))

HEAD = """# Gallery

Every kind of screen that members and owners see, in the five languages, as the real bot sends it. `make pictures` lets
the bot answer between the stand-ins, draws the answers with the page of [`coverbot play`](play.md), and writes this
page. Discord's own client looks a little different, and has words of its own in each language, such as those under
private messages. A test compares the words and the order of everything here with what the bot sends now, and looks for
what is cut off, lies over something else, has no name or no description, or is too pale to read.
"""


@dataclass(frozen=True)
class Sheet:
    """A sheet that is drawn."""

    page: Page

    async def turn(self, scheme: Scheme) -> list[str]:
        """Show it in the light or in the dark, and return what is wrong with its layout."""
        await self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        found = await self.page.evaluate("look()")
        return [str(what) for what in found["wrong"]]

    async def heard(self) -> str:
        """Return what a screen reader says of it."""
        return await self.page.locator("main").aria_snapshot()

    async def picture(self, columns: int) -> bytes:
        """Photograph it, and lay the screens side by side."""
        whole = await self.page.locator("main").screenshot(animations="disabled")
        found = await self.page.evaluate("look()")
        boxes = [(top * SHARPNESS, height * SHARPNESS) for top, height in found["boxes"]]
        return small_webp(laid_out(whole, boxes, columns))


@asynccontextmanager
async def drawn(browser: Browser, address: str, walk: Walk, width: Width) -> AsyncIterator[Sheet]:
    """Draw a language's screens in a window; `address` is that of the page, from whose stage they are."""
    context = await browser.new_context(
        viewport={"width": width.window, "height": 900},
        device_scale_factor=SHARPNESS,
        reduced_motion="reduce",
        locale=walk.language,
        timezone_id="UTC",
    )
    try:
        page = await context.new_page()
        await page.goto(address)
        screens = [{"name": one.name, "kind": one.kind, "shown": still(one.shown)} for one in walk.screens]
        about = {"language": walk.language, "place": walk.place, "width": width.screen, "now": NOW}
        await page.evaluate(DRAW, about | {"screens": screens})
        yield Sheet(page)
    finally:
        await context.close()


def still(shown: Any) -> Any:
    """Return what is shown with the times of a moment that never changes."""
    if isinstance(shown, str):
        return _TIME.sub(_still_time, shown)
    if isinstance(shown, list):
        return [still(item) for item in shown]
    if isinstance(shown, dict):
        moved = {key: still(item) for key, item in shown.items()}
        return moved | {"timestamp": "2026-01-01T12:00:00+00:00"} if "timestamp" in moved else moved
    return shown


def _still_time(found: re.Match[str]) -> str:
    # What is written is either a moment ago, or when a limit starts anew.
    is_past = int(found[1]) <= time.time() + SOON_SECONDS
    return f"<t:{NOW - WAITED_SECONDS if is_past else NOW + RESETS_SECONDS}{found[2] or ''}>"


async def draw(browser: Browser, languages: Sequence[str] = tuple(LANGUAGES)) -> dict[str, bytes]:
    """Let the real bot show every screen, and return the sheets and their words by the names of their files."""
    files: dict[str, bytes] = {}
    async with open_stage(SECONDS, is_bare=True, **SETTINGS) as stage:
        server = PageServer(stage, 0)
        async with server.open():
            await stage.come_alive()
            for walk, width in product(await gather(stage, languages), WIDTHS):
                async with drawn(browser, server.address, walk, width) as sheet:
                    for scheme in SCHEMES:
                        await sheet.turn(scheme)
                        files[f"{walk.language}-{width.name}-{scheme}.webp"] = await sheet.picture(width.columns)
                    files[f"{walk.language}.yaml"] = f"{await sheet.heard()}\n".encode()
    return files


def save(files: Mapping[str, bytes]) -> None:
    """Write the sheets, their words, and the page that shows them."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (FOLDER / name).write_bytes(data)
    PAGE.write_text(page(), "utf-8")


def page() -> str:
    """Return the page that shows the sheets."""
    parts = [HEAD]
    for language, name in LANGUAGES.items():
        rows = []
        for width in WIDTHS:
            cells = []
            for scheme in SCHEMES:
                file = f"gallery/{language}-{width.name}-{scheme}.webp"
                alt = f"{name}, {width.words}, {scheme}: every screen; in words in {language}.yaml"
                cells.append(f"[![{alt}]({file})]({file})")
            rows.append(f"| {width.words} | {' | '.join(cells)} |")
        told = f"[What a screen reader says of them](gallery/{language}.yaml)."
        parts.append(f"## {name}\n\n{told}\n\n| | light | dark |\n| --- | --- | --- |\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)
