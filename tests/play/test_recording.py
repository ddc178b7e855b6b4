"""`docs/try/`: the page of now with a session that was really played, which needs no server of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from playwright.async_api import expect

from sandbox.play.recording import FOLDER, SESSION, replaying
from sandbox.play.server import PAGE
from tests.play.browser import needs_browser, open_page, violations
from tests.play.test_page import counts, play_to_end
from tests.project.pages import ROOT

if TYPE_CHECKING:
    from playwright.async_api import Browser

RECORDED = ROOT / FOLDER
LARGEST = 600_000

DIES = """new Promise(resolve => {
    const dead = document.getElementById("dead");
    const look = () => { if (!dead.hidden) resolve(dead.textContent); };
    new MutationObserver(look).observe(dead, { attributes: true });
    look();
})"""


def test_it_is_the_page_of_now() -> None:
    for path in PAGE.rglob("*.*"):
        text = path.read_text("utf-8")
        wanted = replaying(text) if path.name == "index.html" else text
        assert (RECORDED / path.relative_to(PAGE)).read_text("utf-8") == wanted, f"{path.name}: `make recording`"
    assert sum(path.stat().st_size for path in RECORDED.rglob("*") if path.is_file()) < LARGEST
    assert "token" not in (RECORDED / SESSION).read_text("utf-8")


@needs_browser
@pytest.mark.asyncio(loop_scope="module")
async def test_it_plays_back_a_death_and_a_cover_that_comes_once(browser: Browser) -> None:
    app = web.Application()
    app.router.add_static("/", RECORDED)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        address = f"http://127.0.0.1:{runner.addresses[0][1]}/index.html?speed=20"
        async with open_page(browser, address) as page:
            assert await page.evaluate(DIES) == "The bot is dead: it was killed."
            await expect(page.get_by_text("Asked, ordered, paid and posted: two each.")).to_be_visible()
            assert await counts(page) == dict.fromkeys(("asked", "ordered", "paid", "posted"), 2)
            post = page.get_by_role("listitem").filter(has_text="here is your cover of Harvest Moon")
            await expect(post).to_have_count(1)
            assert await play_to_end(post.locator("audio")) > 5
            await page.get_by_role("button", name="Kill the bot").click()
            await expect(page.get_by_text("This is a recording.")).to_be_visible()
            assert await violations(page) == []
    finally:
        await runner.cleanup()
