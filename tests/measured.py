"""What is run without a measure of coverage, for that doubles the time that it takes."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import coverage

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def unmeasured() -> Iterator[None]:
    """Measure nothing meanwhile in this process, for what runs none of the program or runs the same of it again."""
    measured = coverage.Coverage.current()
    if measured is None:
        yield
        return
    measured.stop()
    try:
        yield
    finally:
        measured.start()
