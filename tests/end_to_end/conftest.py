"""The worlds that tests of one file share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.end_to_end.world import World, open_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def calling(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A bot that VidGo calls back."""
    async with open_world(tmp_path_factory.mktemp("calling")) as world:
        yield world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def polling(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A bot without a public address, which has to ask."""
    async with open_world(tmp_path_factory.mktemp("polling"), callbacks=False) as world:
        yield world
