"""What is said about a server that works and will hurt."""

from __future__ import annotations

import asyncpg
import pytest

from storage.database import Database, Server
from storage.postgresql import doubts as module
from tests.patience import patient
from tests.postgresql import PASSWORD, shared_server


@pytest.fixture
def engine() -> str:
    return "postgresql"


async def test_settings_that_hurt_are_named_and_what_to_do(database: Database) -> None:
    said = await database.doubts()
    assert [words.partition(",")[0] for words in said] == ["fsync is off", "autovacuum is off"], (
        "as in the tests' server"
    )


async def test_a_server_that_confirms_what_a_crash_may_lose_is_named(address: str) -> None:
    owner = await asyncpg.connect(address)
    await owner.execute(
        f"ALTER DATABASE {await owner.fetchval('SELECT current_database()')} SET synchronous_commit = off"
    )
    await owner.close()
    database = await Database.open(address, Server())
    assert [words for words in await database.doubts() if "synchronous_commit is off, so a crash can lose" in words]
    await database.close()


async def test_too_few_connections_for_one_more_process_are_named(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CONNECTIONS", 1000)
    assert "1 processes may need 1001" in (await database.doubts())[-1]


async def test_a_transaction_that_nobody_ends_is_told(
    database: Database, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "OLD_MINUTES", 0)
    owner = await asyncpg.connect(address)
    try:
        async with owner.transaction():
            await owner.fetchval("SELECT 1")
            [found] = [words for words in await database.doubts() if "transaction" in words]
            assert found.startswith("1 transaction(s) are older than 0 minutes")
    finally:
        await owner.close()


async def test_a_pooler_that_nobody_has_named_is_noticed(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    database = await Database.open(address, Server())
    monkeypatch.setattr(module, "STATEMENT_SECONDS", 31)  # as if what a session is told had not arrived
    assert "set DATABASE_POOLED=true" in (await database.doubts())[-1]
    await database.close()


async def test_an_address_for_wake_ups_that_leads_elsewhere_is_told(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = address.replace(PASSWORD, "not-the-password-7a")
    for listen_url, words in {
        address: [],
        shared_server().url("postgres"): ["at DATABASE_LISTEN_URL nothing is heard of DATABASE_URL"],
        refused: ["DATABASE_LISTEN_URL: the database"],
    }.items():
        monkeypatch.setattr(module, "HEARD_SECONDS", patient(5) if listen_url == address else 1.0)
        database = await Database.open(address, Server(listen_url))
        said = [one for one in await database.doubts() if "DATABASE_LISTEN_URL" in one]
        await database.close()
        assert [one[: len(start)] for one, start in zip(said, words, strict=True)] == words
        assert "not-the-password" not in "".join(said)


async def test_of_a_file_there_is_nothing_to_say(tmp_path: object) -> None:
    database = await Database.open(f"sqlite:///{tmp_path}/bot.db")
    assert await database.doubts() == []
    await database.close()
