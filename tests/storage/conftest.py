"""A database of its own for each test, and what can be observed about it from below."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage.database import Database
from storage.sqlite import connection
from tests.storage.observed import Disk, Driver
from tests.stores.places import bucket, moto, place

__all__ = ["bucket", "moto", "place"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bot.db"


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    """What stands between the database and SQLite's driver; to be named before `database`."""
    driver = Driver()
    monkeypatch.setattr(connection, "_connect", driver.connect)
    return driver


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr(os, "fdatasync", disk.sync)
    return disk


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    database = await Database.open(f"sqlite:///{path}")
    yield database
    await database.close()
