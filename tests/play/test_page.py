"""A visitor with a real browser: what they type and press reaches the real bot, what it answers is seen and heard."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from sandbox.play.stage import COVER
from tests.patience import patient
from tests.play.browser import SECONDS, needs_browser, open_page, violations

if TYPE_CHECKING:
    from playwright.async_api import Browser, Locator, Page

    from tests.play.conftest import Play

pytestmark = [needs_browser, pytest.mark.asyncio(loop_scope="module")]


async def counts(page: Page) -> dict[str, int]:
    """Return what the page counts."""
    names = ("asked", "ordered", "paid", "posted")
    return {name: int(await page.locator(f"#count-{name}").inner_text()) for name in names}


async def choose_song(page: Page, typed: str) -> None:
    """Type a command, choose it, type a song's name into its option, and take what is offered first."""
    await page.get_by_label("Message or command").press_sequentially("/cov")
    await expect(page.get_by_role("option", name=re.compile(r"^.cover\s"))).to_be_visible()
    await page.keyboard.press("Enter")
    song = page.get_by_role("combobox", name="track")
    await expect(song).to_be_focused()
    await song.press_sequentially(typed)
    await expect(page.locator(".offers [aria-selected=true]")).to_contain_text(typed)
    await page.keyboard.press("Enter")


async def play_to_end(audio: Locator) -> float:
    """Play a song as fast as a player can, and return how many seconds of it were heard."""
    heard: float = await audio.evaluate(
        """audio => new Promise((resolve, reject) => {
            audio.onended = () => resolve(audio.currentTime);
            audio.onerror = () => reject(new Error(audio.error.message));
            audio.muted = true;
            audio.playbackRate = 16;
            audio.play().catch(reject);
        })"""
    )
    return heard


async def be(page: Page, name: str) -> None:
    """Become somebody else."""
    await page.get_by_label("You are").select_option(name)
    await expect(page.locator("#person option:checked")).to_have_text(name)


async def test_who_types_more_quickly_than_is_offered_gets_what_they_mean(play: Play, browser: Browser) -> None:
    async with open_page(browser, play.address) as page:
        await expect(page.get_by_text("The bot is alive.")).to_be_visible(timeout=patient(SECONDS) * 1000)
        text = page.get_by_label("Message or command")
        await choose_song(page, "Harb")  # the commands are there
        await page.keyboard.press("Escape")
        await text.press_sequentially("/cover")
        await page.keyboard.press("Enter")
        song = page.get_by_role("combobox", name="track")
        await expect(song).to_be_focused()
        await song.press_sequentially("Harv")
        await page.keyboard.press("Enter")
        await expect(song).to_have_value(re.compile("^Harvest Moon"))
        await page.keyboard.press("Escape")
        # What is no command is a message, and as quickly said.
        await text.press_sequentially("good evening")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("listitem").filter(has_text="good evening")).to_have_count(1)


async def test_a_song_is_chosen_while_typing_ordered_and_heard_to_its_end(play: Play, browser: Browser) -> None:
    async with open_page(browser, play.address) as page:
        await expect(page.get_by_text("The bot is alive.")).to_be_visible(timeout=patient(SECONDS) * 1000)
        play.stage.vidgo.hold(COVER)
        await choose_song(page, "Harb")
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("Covering Harbour Lights – started")).to_be_visible()
        running = page.locator("time[data-style=R]").last
        first = await running.inner_text()
        await expect(running).not_to_have_text(first)
        play.stage.vidgo.release(COVER)
        post = page.get_by_role("listitem").filter(has_text="here is your cover of Harbour Lights")
        await expect(post).to_have_count(1)
        await expect(post.locator(".words .mention", has_text="@ada")).to_be_visible()
        # What it answers has been edited since, and its first line shows that.
        await expect(post.locator(".asked")).to_contain_text("Coverbot Harbour Lights is done")
        await expect(post.get_by_role("img")).to_have_js_property("complete", True)
        heard = await play_to_end(post.locator("audio"))
        assert heard == pytest.approx(10, abs=0.3)
        assert await counts(page) == {"asked": 1, "ordered": 1, "paid": 1, "posted": 1}
        assert play.stage.discord.violations == []
        assert await violations(page) == []


async def test_a_new_song_has_a_button_that_covers_it(play: Play, browser: Browser) -> None:
    async with open_page(browser, play.address) as page:
        await expect(page.get_by_text("The bot is alive.")).to_be_visible()
        before = await counts(page)
        await page.get_by_label("Message or command").fill("/music gen")
        await page.get_by_role("option", name="/music generate").click()
        await page.get_by_label("prompt").fill("a lantern on the water")
        await page.get_by_role("button", name="Send /music generate").click()
        cover = page.get_by_role("button", name="Cover", exact=True).last
        await cover.click()
        await expect(page.get_by_text("here is your cover of a lantern on the water").first).to_be_visible()
        after = await counts(page)
        assert {name: after[name] - before[name] for name in after} == dict.fromkeys(after, 2)
        await page.get_by_role("button", name=re.compile("^Menu of the message")).last.click()
        await expect(page.get_by_role("menuitem", name="Cover this track")).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("menu")).to_have_count(0)


async def test_each_person_sees_what_is_theirs_in_their_language(play: Play, browser: Browser) -> None:
    async with open_page(browser, play.address) as page:
        private = page.get_by_text("Only you, ada, can see this.")
        await expect(private.first).to_be_visible()
        await be(page, "ben")
        await expect(private).to_have_count(0)
        await page.get_by_label("Language").select_option("de")
        await page.get_by_label("Message or command").fill("/cov")
        await expect(page.get_by_role("option", name=re.compile(r"^.cover\s"))).to_contain_text(
            "Einen deiner Songs covern"
        )
        await page.keyboard.press("Escape")
        await page.get_by_label("Message or command").fill("/music lib")
        await expect(page.get_by_role("option", name="/music library")).to_be_visible()
        await page.keyboard.press("Enter")
        await page.keyboard.press("Enter")
        library = page.get_by_role("listitem").filter(has_text="Tin Roof").last
        await expect(library).to_contain_text(re.compile(r"1 bis \d+ von"))
        await expect(library.locator(".asked")).to_have_text("ben used /music library")
        await expect(library).to_contain_text("Only you, ben, can see this.")
        assert await violations(page) == []
        await library.get_by_role("button", name="Dismiss message").click()
        await expect(page.get_by_text(re.compile(r"1 bis \d+ von"))).to_have_count(0)
        await page.get_by_label("Message or command").fill("Hello from <b>ben</b>")
        await page.keyboard.press("Enter")
        await be(page, "ada")
        await expect(page.get_by_text("Hello from <b>ben</b>")).to_be_visible()
        await expect(page.get_by_role("heading", name="# music")).to_be_visible()


async def test_a_bot_that_is_killed_while_it_works_still_delivers_once(play: Play, browser: Browser) -> None:
    async with open_page(browser, play.address) as page:
        await expect(page.get_by_text("The bot is alive.")).to_be_visible()
        before = await counts(page)
        play.stage.vidgo.hold(COVER)
        await choose_song(page, "Harv")
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("Covering Harvest Moon – started")).to_be_visible()
        # The member reads of the order before VidGo does.
        await expect(page.locator("#count-ordered")).to_have_text(str(before["ordered"] + 1))
        await page.get_by_role("button", name="Kill the bot").click()
        await expect(page.get_by_role("alert")).to_have_text("The bot is dead: it was killed.")
        await expect(page.get_by_role("button", name="Start the bot")).to_be_focused()
        play.stage.vidgo.release(COVER)
        await expect(page.get_by_text("nobody answers").first).to_be_visible()
        await page.get_by_label("Message or command").fill("/music stat")
        await page.get_by_role("option", name="/music status").click()
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("The application did not respond.")).to_be_visible()
        await page.get_by_role("button", name="Start the bot").click()
        await expect(page.get_by_role("button", name="Kill the bot")).to_be_focused()
        await expect(page.get_by_text("The bot is alive.")).to_be_visible()
        await expect(page.get_by_role("alert")).to_have_count(0)
        await expect(page.get_by_text("here is your cover of Harvest Moon")).to_have_count(1)
        after = await counts(page)
        assert {name: after[name] - before[name] for name in after} == dict.fromkeys(after, 1)


async def test_enter_twice_before_anything_is_offered_takes_and_sends(play: Play, browser: Browser) -> None:
    async with open_page(browser, play.address) as page:
        await expect(page.get_by_text("The bot is alive.")).to_be_visible()
        text = page.get_by_label("Message or command")
        await text.press_sequentially("/cov")
        await expect(page.get_by_role("option", name=re.compile(r"^.cover\s"))).to_be_visible()
        await page.keyboard.press("Enter")
        song = page.get_by_role("combobox", name="track")
        await song.press_sequentially("Harb")
        await page.keyboard.press("Enter")
        await page.keyboard.press("Enter")
        # Or it has its cover already.
        answer = re.compile("Covering Harbour Lights|You have this one")
        await expect(page.get_by_text(answer).last).to_be_visible()
        await expect(song).to_have_count(0)


async def test_it_fits_a_phone_by_keyboard_and_in_the_dark(play: Play, browser: Browser) -> None:
    async with open_page(browser, play.address, width=390, scheme="dark") as page:
        await expect(page.get_by_label("Messages in # music")).to_be_visible()
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390
        assert await violations(page) == []
        await page.get_by_role("button", name="Behind the scenes").click()
        await expect(page.get_by_role("button", name="Kill the bot")).to_be_visible()
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390
        assert await violations(page) == []
        await page.get_by_role("checkbox", name="attach files").uncheck()
        await expect(page.get_by_text("the bot may not attach files")).to_be_visible()
        channel = play.stage.guild.channels[0]
        assert "attach_files" not in channel.bot_permissions
        await page.get_by_role("checkbox", name="attach files").check()
        await expect(page.get_by_text("the bot may attach files")).to_be_visible()
        assert "attach_files" in channel.bot_permissions
