"""The process that forks the program, for all tests of a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

_NAMES = ("audit", "harness", "members", "passing", "points", "program", "troubles")
pytest.register_assert_rewrite(*(f"tests.faults.{name}" for name in _NAMES))

from tests.faults.program import Nursery, open_nursery  # noqa: E402 (its assertions are rewritten)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def nursery() -> AsyncIterator[Nursery]:
    """What starts the program."""
    async with open_nursery() as nursery:
        yield nursery
