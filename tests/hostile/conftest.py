"""What the tests of hostile input share."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

pytest.register_assert_rewrite("tests.end_to_end.world", "tests.hostile.siege")

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print a figure although the test passes."""

    def write(text: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{text}")

    return write
