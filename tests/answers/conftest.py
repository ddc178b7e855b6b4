"""The loop of the rooms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.tasks.room import JumpingLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], JumpingLoop]]:
    """Run these tests in a loop whose time can be set forward."""
    return {"jumping": JumpingLoop}
