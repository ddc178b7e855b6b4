"""The process that forks the program."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.nursery import shared

if TYPE_CHECKING:
    from tests.nursery import Nursery


@pytest.fixture(scope="session")
def nursery() -> Nursery:
    """What starts the program."""
    return shared()
