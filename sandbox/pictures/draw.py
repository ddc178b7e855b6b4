"""`make pictures`: what people see, photographed in a browser while the real bot works between the stand-ins."""

from __future__ import annotations

import asyncio
import json
import random
import re
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.async_api import expect

from sandbox.pictures import gallery
from sandbox.pictures.film import Film, NoBrowserError, open_browser, webp
from sandbox.pictures.screens import LANGUAGES
from sandbox.play.server import PageServer
from sandbox.play.stage import COVER, open_stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.async_api import Browser, Locator, Page

    from sandbox.play.stage import Stage

FOLDER = Path("docs/pictures")
COVER_SECONDS = 0.8
EVENT_SECONDS = 30.0
WIDTH, HEIGHT = 1040, 580
DAY_SECONDS = 86400
SHARPNESS = 1.5
expect.set_options(timeout=EVENT_SECONDS * 1000)

LOADED = "audio => audio.readyState > 0 || new Promise(done => audio.addEventListener('loadedmetadata', done))"


async def _open(browser: Browser, address: str, *, sharpness: float = 1.0, height: int = HEIGHT) -> Page:
    context = await browser.new_context(
        viewport={"width": WIDTH, "height": height}, device_scale_factor=sharpness, color_scheme="dark"
    )
    page = await context.new_page()
    page.set_default_timeout(EVENT_SECONDS * 1000)
    await page.goto(address)
    await expect(page.get_by_text("The bot is alive.")).to_be_visible()
    return page


async def _be(page: Page, name: str) -> None:
    await page.get_by_label("You are").select_option(name)
    await expect(page.locator("#person option:checked")).to_have_text(name)


async def _dismiss(page: Page) -> None:
    """Put away what only this person sees."""
    buttons = page.get_by_role("button", name="Dismiss message")
    while await buttons.count():
        await buttons.first.click()


async def _use(page: Page, command: str, answer: str) -> Locator:
    """Use a command without options, and return the message that answers it."""
    messages = page.locator("#list > li")
    before = await messages.count()
    await page.get_by_label("Message or command").fill(f"/{command}")
    await page.get_by_role("option", name=re.compile(rf"^.{command}\b")).first.click()
    await page.keyboard.press("Enter")
    await expect(messages).to_have_count(before + 1)
    await expect(messages.last).to_contain_text(answer)
    return messages.last


async def _still(message: Locator, name: str) -> list[str]:
    """Photograph a message, once its pictures are there, and return the lines that it shows."""
    for picture in await message.get_by_role("img").all():
        await expect(picture).to_have_js_property("complete", value=True)
    await message.scroll_into_view_if_needed()
    png = await message.screenshot(animations="disabled")
    (FOLDER / f"{name}.webp").write_bytes(webp([(png, 1.0)]))
    return (await message.inner_text()).split("\n")


async def _type(page: Page, film: Film, text: str) -> None:
    for letter in text:
        await page.keyboard.type(letter)
        await film.shoot(0.16)


async def _moving_picture(page: Page, stage: Stage) -> None:
    """A cover is typed, offered, ordered; the bot is killed and started; the cover comes, once."""
    film = Film(page)
    await _dismiss(page)
    stage.vidgo.hold(COVER)
    await page.get_by_label("Message or command").focus()
    await film.shoot(1.0)
    await _type(page, film, "/cov")
    await film.shoot(0.7)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("combobox", name="track")).to_be_focused()
    await film.shoot(0.4)
    await _type(page, film, "har")
    await expect(page.locator(".offers [aria-selected=true]")).to_contain_text("Har")
    await film.shoot(1.4)
    await page.keyboard.press("Enter")
    await film.shoot(0.6)
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Covering Harbour Lights – started")).to_be_visible()
    await expect(page.locator("#count-ordered")).to_have_text("1")
    await film.shoot(2.0)
    await page.get_by_role("button", name="Kill the bot").click()
    await expect(page.get_by_role("alert")).to_have_text("The bot is dead: it was killed.")
    await film.shoot(2.0)
    stage.vidgo.release(COVER)
    await expect(page.get_by_text("nobody answers").first).to_be_visible()
    await expect(page.locator("#count-paid")).to_have_text("1")
    await film.shoot(2.0)
    await page.get_by_role("button", name="Start the bot").click()
    await film.shoot(0.8)
    await expect(page.get_by_text("The bot is alive.")).to_be_visible()
    await expect(page.locator("#count-posted")).to_have_text("1")
    post = page.get_by_role("listitem").filter(has_text="here is your cover of Harbour Lights")
    await post.locator("audio").evaluate(LOADED)
    await post.evaluate("post => post.scrollIntoView({ block: 'start' })")
    await film.shoot(5.0)
    film.save(FOLDER, "session")


def _order_for_a_month(path: Path, stage: Stage) -> None:
    """Write down what a lively server would have ordered in a month, for a chart of one day shows no chart."""
    chance = random.Random(5)
    today = int(time.time() // DAY_SECONDS)
    rows: list[tuple[int, ...]] = []
    for day in range(today - 29, today + 1):
        total = [0, 0, 0]
        for person in stage.people:
            covers, songs, failures = chance.randrange(4), chance.choice((0, 0, 1, 2)), int(chance.random() < 0.1)
            rows.append((stage.guild.id, day, person.id, covers, songs, failures, covers + 20 * songs, day + 31))
            total = [sum(pair) for pair in zip(total, (covers, songs, failures), strict=True)]
        rows.append((stage.guild.id, day, 0, *total, total[0] + 20 * total[1], day + 31))
    columns = "guild_id, day, user_id, covers, songs, failures, credits, kept_until"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(f"INSERT OR REPLACE INTO usage ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)  # noqa: S608 (names of ours)


async def _stills(page: Page, stage: Stage) -> None:
    """What members, managers and newcomers see; the words of it beside it, so that a test sees when they are old."""
    shown = {}
    await _still(page.get_by_role("listitem").filter(has_text="here is your cover of Harbour Lights"), "cover")
    await _still(await _use(page, "music library", "Paper Boats"), "library")
    shown["help"] = await _still(await _use(page, "help", "A cover in three steps"), "help")
    await stage.kill()
    await expect(page.get_by_role("alert")).to_be_visible()
    _order_for_a_month(stage.directory / "coverbot.db", stage)
    stage.start()
    await expect(page.get_by_text("The bot is alive.")).to_be_visible()
    await _be(page, "cleo")
    shown["usage"] = await _still(await _use(page, "coverbot usage", "What was ordered here"), "usage")
    shown["panel"] = await _still(await _use(page, "coverbot settings", "Settings in this server"), "panel")
    (FOLDER / "shown.json").write_text(json.dumps(shown, ensure_ascii=False, indent=1) + "\n", "utf-8")


async def draw(languages: Sequence[str] = tuple(LANGUAGES)) -> dict[str, bytes]:
    """Play a session with the real bot, write the pictures of it, and return the files of the gallery."""
    async with open_browser() as browser, open_stage(COVER_SECONDS) as stage:
        server = PageServer(stage, 0)
        async with server.open():
            stage.start()
            await _moving_picture(await _open(browser, server.address), stage)
            await _stills(await _open(browser, server.address, sharpness=SHARPNESS, height=2400), stage)
        return await gallery.draw(browser, languages)


def main() -> int:
    """Draw the pictures of the README and of the docs, and the gallery."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        gallery.save(asyncio.run(draw()))
    except NoBrowserError as error:
        sys.stderr.write(f"No pictures: {error}\n")
        return 1
    sys.stdout.write(f"Drawn: {', '.join(sorted(str(path) for path in FOLDER.iterdir()))}, {gallery.PAGE}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
