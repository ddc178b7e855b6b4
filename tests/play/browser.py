"""A real browser: Debian's Chromium, which sees nothing but this machine."""

from __future__ import annotations

import shutil
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from playwright.async_api import async_playwright, expect

from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, ConsoleMessage, Page, Request

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")

FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SECONDS = 10.0

expect.set_options(timeout=patient(SECONDS) * 1000)


@dataclass
class Watch:
    """What a page must not do: complain in its console, or ask anybody but its own server."""

    origin: str
    wrong: list[str] = field(default_factory=list)

    def console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.wrong.append(f"{message.type}: {message.text}")

    def request(self, request: Request) -> None:
        if not request.url.startswith(self.origin):
            self.wrong.append(f"asked elsewhere: {request.url}")


@asynccontextmanager
async def open_browser() -> AsyncIterator[Browser]:
    """Start a browser with a profile of its own."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, chromium_sandbox=False)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def open_page(
    browser: Browser, address: str, width: int = 1440, scheme: Literal["light", "dark"] = "light"
) -> AsyncIterator[Page]:
    """Open the page of `coverbot play` and, at the end, see that it did nothing that it must not."""
    context = await browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
    page = await context.new_page()
    page.set_default_timeout(patient(SECONDS) * 1000)
    watch = Watch(address.rsplit("/", 2)[0] + "/")
    page.on("console", watch.console)
    page.on("pageerror", lambda error: watch.wrong.append(str(error)))
    page.on("request", watch.request)
    try:
        await page.goto(address)
        yield page
        assert watch.wrong == []
    finally:
        await context.close()


async def violations(page: Page) -> list[str]:
    """Return what the usual checker of accessibility, axe, finds wrong with a page as it is now."""
    await page.evaluate(AXE_FILE_PATH.read_text("utf-8"))
    found = await page.evaluate("axe.run({ resultTypes: ['violations'] })")  # who asks for all waits twice as long
    return [
        f"{one['id']}: {node['html']} ({node['failureSummary']})"
        for one in found["violations"]
        for node in one["nodes"]
    ]
