"""What is run without a measure of coverage, which doubles the time that anything takes, libraries too."""

from __future__ import annotations

from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

import coverage

if TYPE_CHECKING:
    from collections.abc import Iterator


LIBRARIES = (
    "aiohttp.web",
    "aiolimiter",
    "aiosqlite",
    "alembic.command",
    "alembic.runtime.migration",
    "alembic.script",
    "asyncpg",
    "av",
    "discord.ext.commands",
    "dotenv",
    "mutagen.id3",
    "obstore.store",
    "prometheus_client",
    "pydantic",
    "pythonjsonlogger.json",
    "sqlalchemy.dialects.postgresql.asyncpg",
    "sqlalchemy.dialects.sqlite.aiosqlite",
    "sqlalchemy.ext.asyncio",
)
"""What the program is made with."""


def import_libraries() -> None:
    """Import them unmeasured, before the program is: it takes longer than to import the program."""
    with unmeasured():
        for library in LIBRARIES:
            import_module(library)


def measure_once() -> None:
    """End the measures over which another one has begun: each costs as much, and goes on where the upper one stops.

    Coverage begins by itself in whatever a measured process starts, thus also in the workers of the tests. There
    pytest-cov begins as if there were no workers, and once more when it knows that there are.
    """
    current = coverage.Coverage.current()
    if current is None:
        return
    current.stop()
    while (below := coverage.Coverage.current()) is not None:
        _end(below)
    current.start()


def forget_coverage() -> None:
    """Measure nothing in this process any more and, above all, write nothing: it may be killed while it writes."""
    if (measured := coverage.Coverage.current()) is not None:
        _end(measured)


def _end(measured: coverage.Coverage) -> None:
    measured.stop()
    setattr(measured, "save", lambda: None)  # noqa: B010 (typed as a method); called at the process's end


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
