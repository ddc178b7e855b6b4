"""What the tests of hostile input share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

pytest.register_assert_rewrite("tests.end_to_end.world", "tests.hostile.siege")

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def show(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Keep a figure for the summary at the end of the run."""

    def keep(text: str) -> None:
        record_property("figure", text)

    return keep
