"""A database of its own for each test, and what can be observed about it from below."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage.database import Database
from storage.sqlite import connection
from tests.databases import lay_database
from tests.postgresql import shared_server
from tests.storage.observed import Disk, Driver, heard
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


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> str:
    """Which database a test runs on: on both, unless its file says otherwise."""
    return str(request.param)


@pytest.fixture
async def address(engine: str, path: Path) -> AsyncIterator[str]:
    if engine == "sqlite":
        lay_database(path)
        yield f"sqlite:///{path}"
        return
    server = shared_server()
    url = await server.new_database()
    yield url
    await server.drop(url)


@pytest.fixture
async def database(address: str) -> AsyncIterator[Database]:
    database = await Database.open(address)
    await heard(database)
    yield database
    await database.close()
