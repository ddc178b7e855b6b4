"""What the tests of hostile input share."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.end_to_end.world", "tests.hostile.siege")
