"""The loop of the rooms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

pytest.register_assert_rewrite("tests.end_to_end.world", "tests.end_to_end.process", "tests.tasks.room")

from tests.tasks.room import JumpingLoop  # noqa: E402 (its assertions are rewritten)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], JumpingLoop]]:
    """Run these tests in a loop whose time can be set forward."""
    return {"jumping": JumpingLoop}
