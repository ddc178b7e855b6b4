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
