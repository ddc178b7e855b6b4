"""PostgreSQL's tables are brought up to date under programs that use them, and nobody is ended for it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import asyncpg
import pytest

from storage.database import Server
from storage.postgresql import opening
from storage.postgresql.opening import prepare
from storage.schema import HEAD
from tests.patience import patient
from tests.postgresql import shared_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SECONDS = 20.0


@pytest.fixture
async def older(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """A database as the version before has left it."""
    server = shared_server()
    url = await server.new_database(migrated=False)
    with monkeypatch.context() as before:
        before.setattr(opening, "HEAD", "0010")
        await prepare(url, Server())
    yield url
    await server.drop(url)


async def is_waited_for(program: asyncpg.Connection) -> None:
    """Wait until somebody wants a table of which another has locked something."""
    until = time.monotonic() + patient(SECONDS)
    while not await program.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
        assert time.monotonic() < until, "nobody waits"
        await asyncio.sleep(0.01)


async def test_who_wants_one_table_after_another_is_let_by(older: str) -> None:
    slow, quick = [await asyncpg.connect(older) for _ in range(2)]
    async with slow.transaction():
        await slow.execute("UPDATE tasks SET polls = 0")
        migration = asyncio.create_task(prepare(older, Server()))
        await is_waited_for(slow)
        async with asyncio.timeout(patient(SECONDS)):
            await quick.execute("UPDATE alarms SET since = 0")  # while the other goes on
            await is_waited_for(slow)
            await slow.execute("UPDATE alarms SET since = 0")
        assert not migration.done()
    async with asyncio.timeout(patient(SECONDS)):
        await migration
    assert await quick.fetchval("SELECT version_num FROM alembic_version") == HEAD
    for program in (slow, quick):
        await program.close()
