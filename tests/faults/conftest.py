"""The process that forks the program."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

_NAMES = ("audit", "harness", "members", "passing", "points", "program", "troubles")
pytest.register_assert_rewrite(*(f"tests.faults.{name}" for name in _NAMES))

from tests.nursery import shared  # noqa: E402 (what it imports of ours must be rewritten)

if TYPE_CHECKING:
    from tests.nursery import Nursery


@pytest.fixture(scope="session")
def nursery() -> Nursery:
    """What starts the program."""
    return shared()
