"""What is kept about one person: all of it, nothing that is secret, and nothing about anybody else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, BigInteger, insert

from storage.members.export import PEOPLE, SECRETS, export_member
from storage.schema import HEAD, alarms, metadata
from storage.songs import files, library
from tests.storage.rows import NOW, a_file, a_notification, a_task, add

if TYPE_CHECKING:
    from storage.database import Database

ADA, BOB = 400_000_000_000_000_001, 400_000_000_000_000_002

NO_PERSON = {
    "channels",
    "details",
    "roles",
    "application_id",
    "channel_id",
    "guild_id",
    "interaction_id",
    "message_id",
    "ack_message_id",
    "size",
    "upload_limit",
    "image_urls",
    "request",
    "draft",
}
"""Whatever else stands in a column that has room for Discord's ids: a wide number, or JSON."""

NO_SECRET = {"order_key"}
"""Columns whose name sounds like one. It is a hash, by which the same order is known."""


async def exported(database: Database, user_id: int) -> dict[str, Any]:
    async with database.read() as snapshot:
        return dict(json.loads(json.dumps(await export_member(snapshot, user_id))))


def test_every_column_that_may_hold_a_person_is_known_as_one_or_as_none() -> None:
    roomy = {column.name for table in metadata.sorted_tables for column in table.columns if _has_room(column)}
    assert roomy - NO_PERSON == PEOPLE | {"told"}  # which has a test of its own


def test_every_column_that_sounds_secret_is_known_as_one_or_as_none() -> None:
    names = {column.name for table in metadata.sorted_tables for column in table.columns}
    sounding = {name for name in names if any(word in name for word in ("token", "key", "secret", "password"))}
    assert sounding - NO_SECRET - {"token_expires_at"} == SECRETS


async def test_no_table_that_holds_a_person_is_forgotten(database: Database) -> None:
    """Each such table gets a row about one person and another about somebody else, made from the schema alone."""
    holding = [table for table in metadata.sorted_tables if PEOPLE & {column.name for column in table.columns}]
    assert len(holding) >= 3
    async with database.write() as transaction:
        for user_id in (ADA, BOB):
            for table in holding:
                await transaction.execute(insert(table).values({c.name: _filler(c, user_id) for c in table.columns}))
    found = await exported(database, ADA)
    assert {table.name: len(found[table.name]) for table in holding} == {table.name: 1 for table in holding}
    text = json.dumps(found)
    assert str(BOB) not in text
    assert f"of {BOB}" not in text
    for table in holding:
        assert set(found[table.name][0]) == {column.name for column in table.columns} - SECRETS
        for name in SECRETS & set(table.columns.keys()):
            assert f"{name} of {ADA}"[:20] not in text
    assert (await exported(database, BOB)).keys() == found.keys()


async def test_what_is_exported_can_be_read(database: Database) -> None:
    mine, theirs = a_task(user_id=ADA, title="Mine", request={"prompt": "海"}), a_task(user_id=BOB, title="Theirs")
    await add(database, [mine, theirs, a_notification(user_id=ADA, task_id=theirs.id), a_notification(user_id=BOB)])
    async with database.write() as transaction:
        await files.add(
            transaction, [a_file(mine.id), a_file(theirs.id, title="Theirs", audio_url="https://b.example")]
        )
        await library.add(transaction, [BOB], [a_file(mine.id)], "song", NOW)
        await library.add(transaction, [ADA], [a_file(theirs.id)], "song", NOW)
    found = await exported(database, ADA)
    assert (found["user_id"], found["schema"]) == (str(ADA), HEAD)
    [task] = found["tasks"]
    assert (task["user_id"], task["title"], task["request"]) == (str(ADA), "Mine", {"prompt": "海"})
    assert task["created_at"] == "2026-09-21T14:13:20.000+00:00"
    assert [row["task_id"] for row in found["files"]] == [mine.id]
    assert [row["task_id"] for row in found["library"]] == [theirs.id]
    assert [row["task_id"] for row in found["notifications"]] == [theirs.id]
    assert "Theirs" not in json.dumps(found["tasks"]) + json.dumps(found["files"])


async def test_an_owner_reads_what_they_were_told_and_not_who_else_was(database: Database) -> None:
    row = {"state": "told", "since": NOW, "details": {}, "told": {str(ADA): True, str(BOB): False}}
    async with database.write() as transaction:
        await transaction.execute(insert(alarms).values(kind="key", **row))
        await transaction.execute(insert(alarms).values(kind="disk", **row | {"told": {str(BOB): True}}))
    found = await exported(database, ADA)
    assert [(one["kind"], one["told"]) for one in found["alarms"]] == [("key", {str(ADA): True})]
    assert str(BOB) not in json.dumps(found)


async def test_of_whom_nothing_is_kept_nothing_is_said(database: Database) -> None:
    await add(database, [a_task(user_id=BOB)])
    found = await exported(database, ADA)
    rows = {name: value for name, value in found.items() if name not in ("user_id", "schema")}
    assert len(rows) >= 4
    assert {name: value for name, value in rows.items() if value != []} == {}


def _has_room(column: Any) -> bool:
    return isinstance(column.type, BigInteger | JSON)


def _filler(column: Any, user_id: int) -> Any:
    """Return a value that names its person, of the column's kind; one that refers to a row refers to that person's."""
    if column.name in PEOPLE:
        return user_id
    if isinstance(column.type, JSON):
        return {"of": f"of {user_id}"}
    kind = column.type.python_type
    if kind is str:
        name = "id" if column.foreign_keys or column.primary_key else column.name
        return f"{name} of {user_id}"[: column.type.length or 1000]
    return kind(user_id % 10)
