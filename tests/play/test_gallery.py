"""Every screen as the bot sends it now against `docs/gallery`: the same words in the same order, nothing cut off.

Fonts differ between machines, so pictures are not compared, but what a screen reader says and what holds of any layout.
"""

from __future__ import annotations

import json
import re
from itertools import product
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from sandbox.pictures import screens
from sandbox.pictures.gallery import FOLDER, HEAD, PAGE, SCHEMES, SECONDS, WIDTHS, Sheet, Width, drawn, page
from sandbox.play.server import PageServer
from sandbox.play.stage import open_stage
from tests.play.browser import needs_browser, violations
from tests.project.pages import ROOT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser

    from sandbox.pictures.walk import Walk

LARGEST = 7_000_000
REFUSED = {50013, 50027, 50083}
"""What Discord refuses on this way: a post that is not allowed, a token that is too old, a thread that is locked."""

Walks = tuple[str, dict[str, "Walk"]]

EVERYWHERE = [pytest.param(pair, id="-".join((pair[0], pair[1].name))) for pair in product(screens.LANGUAGES, WIDTHS)]
in_a_loop = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def toured() -> AsyncIterator[Walks]:
    """Every screen of every language, and the address of a page that can show them."""
    async with open_stage(SECONDS, is_bare=True, **screens.SETTINGS) as stage:
        server = PageServer(stage, 0)
        async with server.open():
            await stage.come_alive()
            walks = await screens.gather(stage)
            assert stage.discord.violations == []
            assert {one.code for one in stage.discord.refusals} <= REFUSED
            yield server.address, {walk.language: walk for walk in walks}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=EVERYWHERE)
async def drawing(request: pytest.FixtureRequest, toured: Walks, browser: Browser) -> AsyncIterator[tuple[Walk, Sheet]]:
    """Every screen of a language, laid out once for a width."""
    language, width = request.param
    address, walks = toured
    async with drawn(browser, address, walks[language], width) as sheet:
        yield walks[language], sheet


def regions(heard: str) -> dict[str, list[str]]:
    """Return what is heard of each screen, without what differs from run to run: numbers, times, late pictures."""
    found: dict[str, list[str]] = {}
    for line in heard.splitlines():
        begins = re.match(r"  - '?region \"?(.+?)\"?'?:$", line)
        if begins:
            lines = found[begins[1]] = []
        elif found and not re.match(r"\s*- img\b", line):
            lines.append(re.sub(r"- time: .*|\d+", "N", line))
    return found


def halves(walk: Walk) -> set[str]:
    """Return the screens of posts that came with one version, as they do where a machine is too busy for the other."""
    return {one.name for one in walk.screens if '"version:' in json.dumps(one.shown)}


def test_the_page_shows_every_sheet_and_is_soon_loaded() -> None:
    assert (ROOT / PAGE).read_text("utf-8") == page(), "`make pictures`"
    shown = set(re.findall(r"\((gallery/[\w.-]+)\)", page()))
    assert {ROOT / "docs" / name for name in shown} == set((ROOT / FOLDER).iterdir())
    assert len(shown) == len(screens.LANGUAGES) * (len(WIDTHS) * len(SCHEMES) + 1)
    assert sum(path.stat().st_size for path in (ROOT / FOLDER).iterdir()) < LARGEST
    assert HEAD in page()


@needs_browser
@in_a_loop
async def test_each_screen_says_what_the_gallery_says(drawing: tuple[Walk, Sheet]) -> None:
    walk, sheet = drawing
    now = regions(await sheet.heard())
    then = regions((ROOT / FOLDER / f"{walk.language}.yaml").read_text("utf-8"))
    assert list(now) == list(then) == [screen.name for screen in walk.screens]
    for name in now.keys() - halves(walk):
        assert now[name] == then[name], f"{name}: look at what has changed; where it is meant: `make pictures`"


@needs_browser
@in_a_loop
async def test_nothing_is_cut_off_or_lies_over_another(drawing: tuple[Walk, Sheet]) -> None:
    _, sheet = drawing
    for scheme in SCHEMES:
        assert await sheet.turn(scheme) == [], scheme
        ground = await sheet.page.evaluate("getComputedStyle(document.querySelector('main')).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", ground)[:3])) < 384) is (scheme == "dark")


@needs_browser
@in_a_loop
async def test_everything_has_a_name_and_can_be_read(toured: Walks, browser: Browser) -> None:
    address, walks = toured
    async with drawn(browser, address, walks["en-US"], WIDTHS[0]) as sheet:
        for scheme in SCHEMES:
            await sheet.turn(scheme)
            assert await violations(sheet.page) == [], scheme


@needs_browser
@in_a_loop
async def test_a_layout_that_is_broken_is_found(toured: Walks, browser: Browser) -> None:
    address, walks = toured
    narrow = Width("ruler", "a ruler", 120, 390, 1)
    async with drawn(browser, address, walks["de"], narrow) as sheet:
        assert any("runs out of the screen" in what for what in await sheet.turn("light"))
