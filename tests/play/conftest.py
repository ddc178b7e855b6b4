"""The stage and the browser that tests of one file share."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest_asyncio

from sandbox.play.server import PageServer
from sandbox.play.stage import Life, Stage, open_stage
from tests.patience import patient
from tests.play.browser import open_browser

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser

COVER_SECONDS = 0.8


@dataclass
class Play:
    """What `coverbot play` runs: the stage, and the page's address."""

    stage: Stage
    address: str


async def turns(stage: Stage, life: Life) -> None:
    """Wait until the bot lives, or is dead."""
    turned = asyncio.Event()
    stage.onlookers.append(turned.set)
    try:
        async with asyncio.timeout(patient(20)):
            while stage.life != life:
                turned.clear()
                await turned.wait()
    finally:
        stage.onlookers.remove(turned.set)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def play() -> AsyncIterator[Play]:
    """A stage on which the bot starts."""
    async with open_stage(COVER_SECONDS) as stage:
        server = PageServer(stage, 0)
        async with server.open():
            stage.start()
            yield Play(stage, server.address)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """A browser, started once for all pages."""
    async with open_browser() as browser:
        yield browser
