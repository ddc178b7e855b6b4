"""Messages that the bot does not send, or not yet: hostile words, menus, forms, layouts of Components V2."""

from __future__ import annotations

import asyncio
import io
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import discord
import pytest
import pytest_asyncio
from playwright.async_api import expect

from sandbox.artwork import paint
from sandbox.play.server import PageServer
from sandbox.play.stage import open_stage
from tests.play.browser import needs_browser, open_page, violations
from tests.sandbox.discord_bot import Bot, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, Page

    from sandbox.play.stage import Stage

pytestmark = [needs_browser, pytest.mark.asyncio(loop_scope="module")]

HOSTILE = (
    "<img src=x onerror=alert(1)> <script>alert(2)</script> "
    "[click](javascript:alert(3)) <a href='javascript:alert(4)'>five</a> &lt;b&gt;"
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def acting() -> AsyncIterator[tuple[Stage, Bot, str]]:
    """A stage with a bot of the test's own, whose `/act` does what a test says."""
    async with open_stage(1.0) as stage:
        server = PageServer(stage, 0)
        async with server.open(), running(stage.discord) as bot:
            yield stage, bot, server.address


@asynccontextmanager
async def acted(acting: tuple[Stage, Bot, str], browser: Browser, how: Any) -> AsyncIterator[Page]:
    """Open the page and let the bot answer a command in some way."""
    _, bot, address = acting
    bot.acts["it"] = how
    async with open_page(browser, address) as page:
        await page.get_by_label("Message or command").fill("/act")
        await page.get_by_role("option", name="/act").click()
        await page.get_by_role("textbox", name="how").fill("it")
        await page.keyboard.press("Enter")
        yield page


async def test_words_from_elsewhere_are_words(acting: tuple[Stage, Bot, str], browser: Browser) -> None:
    async def answer(interaction: discord.Interaction[Any]) -> None:
        embed = discord.Embed(title=HOSTILE, description=HOSTILE, url="https://example.com/", colour=0x00FF00)
        embed.add_field(name=HOSTILE, value=HOSTILE).set_footer(text=HOSTILE)
        embed.set_image(url="https://example.com/beacon.png")
        view = discord.ui.View(timeout=None)
        view.add_item(discord.ui.Button(label=HOSTILE[:80], custom_id="hostile"))
        await interaction.response.send_message(HOSTILE, embed=embed, view=view)

    async with acted(acting, browser, answer) as page:
        message = page.get_by_role("listitem").filter(has_text="<script>alert(2)</script>").last
        await expect(message).to_contain_text("<img src=x onerror=alert(1)>")
        await expect(message).to_contain_text("&lt;b&gt;")
        assert await message.locator("img, script, a[href^=javascript]").count() == 0
        assert await message.locator("a").evaluate_all("all => all.map(one => one.protocol)") == ["https:", "https:"]
        assert await violations(page) == []


async def test_an_answer_that_takes_longer_is_waited_for(acting: tuple[Stage, Bot, str], browser: Browser) -> None:
    seen = asyncio.Event()

    async def answer(interaction: discord.Interaction[Any]) -> None:
        await interaction.response.defer(thinking=True)
        await seen.wait()
        await interaction.edit_original_response(content="Here it is.")

    async with acted(acting, browser, answer) as page:
        await expect(page.get_by_text("is thinking…")).to_be_visible()
        seen.set()
        await expect(page.get_by_text("Here it is.")).to_be_visible()
        await expect(page.get_by_text("is thinking…")).to_have_count(0)


async def test_a_menu_is_chosen_from_and_a_form_filled_in(acting: tuple[Stage, Bot, str], browser: Browser) -> None:
    class Form(discord.ui.Modal, title="A new song"):
        about: discord.ui.TextInput[Form] = discord.ui.TextInput(label="What is it about?", max_length=40)
        lyrics: discord.ui.TextInput[Form] = discord.ui.TextInput(
            label="Lyrics", style=discord.TextStyle.paragraph, required=False
        )

        async def on_submit(self, interaction: discord.Interaction[Any]) -> None:
            await interaction.response.send_message(f"about {self.about.value}: {self.lyrics.value!r}", ephemeral=True)

    class Menu(discord.ui.Select[Any]):
        async def callback(self, interaction: discord.Interaction[Any]) -> None:
            assert self.values == ["slow"]
            await interaction.response.send_modal(Form())

    async def answer(interaction: discord.Interaction[Any]) -> None:
        options = [discord.SelectOption(label="Fast", value="fast"), discord.SelectOption(label="Slow", value="slow")]
        view = discord.ui.View(timeout=None).add_item(Menu(placeholder="How shall it be?", options=options))
        await interaction.response.send_message("Choose.", view=view)

    async with acted(acting, browser, answer) as page:
        await page.get_by_role("combobox", name="How shall it be?").select_option("Slow")
        form = page.get_by_role("dialog", name="A new song")
        await expect(form.get_by_label("What is it about?")).to_be_focused()
        assert await violations(page) == []
        await page.keyboard.press("Enter")
        await expect(form).to_be_visible()  # what is required is missing
        await page.keyboard.type("a lantern")
        await form.get_by_label("Lyrics").fill("la\nla")
        await form.get_by_role("button", name="Submit").click()
        await expect(page.get_by_text("about a lantern: 'la\\nla'")).to_be_visible()
        await expect(form).to_have_count(0)
        await page.get_by_role("button", name="Menu of the message").first.click()
        await page.get_by_role("menuitem", name="Cover this track").click()
        await expect(page.get_by_text(re.compile(r"^covering \d+$"))).to_be_visible()


async def test_a_layout_is_laid_out(acting: tuple[Stage, Bot, str], browser: Browser) -> None:
    async def answer(interaction: discord.Interaction[Any]) -> None:
        class Layout(discord.ui.LayoutView):
            box: discord.ui.Container[Any] = discord.ui.Container(
                discord.ui.Section("## Harbour Lights", accessory=discord.ui.Thumbnail("attachment://cover.jpg")),
                discord.ui.Separator(),
                discord.ui.ActionRow(discord.ui.Button(label="Post", custom_id="post")),
                discord.ui.ActionRow(discord.ui.ChannelSelect(placeholder="Where to?", custom_id="where")),
                accent_colour=0x5B8DEF,
            )

        picture = discord.File(io.BytesIO(paint("Harbour Lights")), "cover.jpg")
        await interaction.response.send_message(view=Layout(timeout=None), file=picture)

    async with acted(acting, browser, answer) as page:
        message = page.get_by_role("listitem").filter(has_text="Harbour Lights").last
        await expect(message.locator(".head-2")).to_have_text("Harbour Lights")
        await expect(message.get_by_role("img")).to_have_js_property("naturalWidth", 512)
        await expect(message.get_by_role("button", name="Post")).to_be_enabled()
        places = message.get_by_role("combobox", name="Where to?").get_by_role("option")
        await expect(places).to_have_text(["Where to?", "#music", "#listening-room", "#late-night"])
        assert await violations(page) == []
