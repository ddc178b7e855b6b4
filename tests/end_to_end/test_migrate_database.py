"""An SQLite installation comes over to PostgreSQL, and goes on there."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from storage.database import Database, DatabaseError
from storage.postgresql import moving
from storage.postgresql.moving import move
from storage.schema import metadata
from storage.songs import files as file_rows
from storage.songs import library, recordings, removed
from storage.songs.recordings import Recording
from storage.sqlite.opening import hold_alone
from tests.end_to_end.process import Ended, run_program
from tests.end_to_end.shell import rows
from tests.end_to_end.world import World, eventually, open_world
from tests.postgresql import PASSWORD, shared_server
from tests.storage.rows import a_file, a_task, add
from tests.stores.stand_in import BUCKET, Fault, stand_in

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


async def bring_over_with_the_archive(world: World, url: str) -> Ended:
    kept = {row["sha256"] for row in world.rows("SELECT sha256 FROM media")}
    assert kept
    async with stand_in() as store:
        settings = world.bot.settings | {
            "ARCHIVE_URL": f"s3://{BUCKET}/covers",
            "AWS_ENDPOINT_URL": store.url,
            "AWS_ACCESS_KEY_ID": "AKIATESTS",
            "AWS_SECRET_ACCESS_KEY": "a-secret-of-nobody",
        }
        command = ("migrate-database", "--to", url)
        store.fault(Fault.FORBIDDEN, "PUT")
        refused = await run_program(world.bot.directory, settings, *command)
        assert (refused.code, "ARCHIVE_URL cannot be used: access is refused (403)" in refused.err) == (2, True)
        store.mend()
        done = await run_program(world.bot.directory, settings, *command)
        assert (done.code, done.err) == (0, "")
        assert f"has {len(kept)} files, {len(kept)} of them new" in done.out
        assert {key.rpartition("/")[2] for key in store.objects} == kept
    return done


async def test_what_was_under_way_goes_on_and_what_was_there_is_there(tmp_path: Path) -> None:
    server = shared_server()
    url = await server.new_database(migrated=False)
    async with open_world(tmp_path, callbacks=False) as world:
        anna = world.person("anna")
        song = await anna.imports("Sea")
        await anna.covered()
        world.vidgo.seconds = 3.0
        other = await anna.imports("Storm")
        call = await anna.cover(other.id)
        await eventually(lambda: world.submitted(other) == 1)
        await world.bot.stop()
        before = world.rows("SELECT id, source_id, request, status FROM tasks ORDER BY id")

        sqlite = world.bot.settings["DATABASE_URL"]
        with hold_alone(sqlite):
            refused = await run_program(tmp_path, world.bot.settings, "migrate-database", "--to", url)
            assert (refused.code, "in use by another running Coverbot" in refused.err) == (2, True), refused.err
        done = await bring_over_with_the_archive(world, url)
        assert f"{len(before)} tasks" in done.out
        assert PASSWORD not in done.out
        again = await run_program(tmp_path, world.bot.settings, "migrate-database", "--to", url)
        assert (again.code, "is not empty" in again.err) == (2, True), again.err
        assert PASSWORD not in again.err

        world.bot.settings["DATABASE_URL"] = url
        found = await rows(world, "SELECT id, source_id, request::text, status FROM tasks ORDER BY id")
        assert [row["id"] for row in found] == [row["id"] for row in before]
        assert [row["source_id"] for row in found] == [row["source_id"] for row in before]
        world.vidgo.seconds = 0.3
        await world.bot.start()
        assert (await anna.result(call)).attachments
        assert world.submitted(other) == 1
        assert (await anna.covered(song.id)).attachments
        assert world.submitted(song) == 1
    await server.drop(url)


async def test_every_table_comes_over_but_those_of_processes_that_live(tmp_path: Path) -> None:
    source, target = [await Database.open(f"sqlite:///{tmp_path}/{name}.db") for name in ("old", "new")]
    song = a_task()
    await add(source, [song])
    recording = Recording("1" * 24, song.user_id, "Demo.mp3", "https://cdn.example.com/1", 5, 1.0)
    async with source.write() as transaction:
        await file_rows.add(transaction, [a_file(song.id)])
        await library.add(transaction, [song.user_id], [a_file(song.id)], "song", 1.0)
        await removed.remove(transaction, song.user_id, song.id, 0, 2.0)
        await recordings.add(transaction, recording)
    counts = await move(source, target)
    assert metadata.tables.keys() - counts.keys() == {"processes", "leases", "turns", "shard_blocks"}
    async with target.write() as transaction:
        assert await recordings.get(transaction, recording.id) == recording
        assert await removed.restore(transaction, song.user_id, song.id, 0, 3.0)
    for database in (source, target):
        await database.close()


async def test_everything_comes_over_to_where_letters_come_in_another_order(tmp_path: Path) -> None:
    """As with a server's locale: Czech has "ch" after "h", Estonian "z" after "s"."""
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    await (await Database.open(f"sqlite:///{new}")).close()
    with closing(sqlite3.connect(new)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        found = connection.execute(
            "UPDATE sqlite_master SET sql = replace(sql, 'id VARCHAR(24) NOT NULL', 'id VARCHAR(24) COLLATE NOCASE"
            " NOT NULL') WHERE name = 'tasks'"
        )
        assert found.rowcount == 1
        connection.commit()
    with closing(sqlite3.connect(new)) as connection:
        connection.execute("REINDEX")
        connection.commit()
    source, target = [await Database.open(f"sqlite:///{path}") for path in (old, new)]
    await add(source, [a_task(id=letter * 24) for letter in "aB"])
    assert (await move(source, target))["tasks"] == 2
    async with target.read() as snapshot:
        found_ids = (await snapshot.execute(text("SELECT id FROM tasks ORDER BY id"))).scalars()
        assert list(found_ids) == ["a" * 24, "B" * 24]
    for database in (source, target):
        await database.close()


async def test_what_has_not_become_the_same_is_not_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = [await Database.open(f"sqlite:///{tmp_path}/{name}.db") for name in ("old", "new")]
    await add(source, [a_task() for _ in range(moving.PAGE + 1)])
    copy = moving._copy

    async def spoil(snapshot: Any, transaction: Any, table: Any) -> None:
        await copy(snapshot, transaction, table)
        await transaction.execute(text("UPDATE tasks SET title = 'Another' WHERE id = (SELECT max(id) FROM tasks)"))

    with monkeypatch.context() as spoiling:
        spoiling.setattr(moving, "_copy", spoil)
        with pytest.raises(DatabaseError, match="the table tasks has not become the same"):
            await move(source, target)
    assert (await move(source, target))["tasks"] == moving.PAGE + 1
    for database in (source, target):
        await database.close()
