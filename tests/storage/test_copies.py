"""Backups: whole, private, never over something else; and the way back, which leaves one database or the other."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import stat
import sys
from contextlib import closing
from pathlib import Path

import pytest

from storage.database import Database, DatabaseError
from storage.schema import HEAD
from storage.songs import files, library
from storage.sqlite.copies import Contents, back_up, inspect, restore
from storage.sqlite.opening import hold_alone
from tests.killed import die_at_each_step
from tests.storage import old
from tests.storage.rows import NOW, a_file, a_notification, a_task, add

GONE = "words that were forgotten"


@pytest.fixture
def engine() -> str:
    """SQLite alone: a server has tools of its own."""
    return "sqlite"


def titles(path: Path) -> set[str]:
    """Return what a database holds, read as the program would: with its log."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return {title for (title,) in connection.execute("SELECT title FROM tasks")}


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def content(path: Path) -> bytes:
    return path.read_bytes()


def left_behind(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"bot.db.lock"}


@pytest.fixture
async def backup(database: Database, path: Path, tmp_path: Path) -> Path:
    """A backup of a database with one task; afterwards the database, which stays open, gets another."""
    await add(database, [a_task(title="before")])
    made = tmp_path / "made" / "backup.db"
    made.parent.mkdir()
    back_up(url_of(path), made, replace=False)
    await add(database, [a_task(title="after")])
    return made


# Making one


async def test_a_backup_is_one_state_while_others_write(database: Database, path: Path, tmp_path: Path) -> None:
    written = 0

    async def write() -> None:
        nonlocal written
        while True:
            await add(database, [a_task(), a_notification()])
            written += 1

    writing = asyncio.create_task(write())
    for number in range(5):
        at_least = written
        made = tmp_path / f"{number}.backup"
        contents = await asyncio.to_thread(back_up, url_of(path), made, replace=False)
        with closing(sqlite3.connect(made)) as connection:
            assert connection.execute("SELECT count(*) FROM notifications").fetchone() == (contents.tasks,)
        assert at_least <= contents.tasks <= written
    assert written > 5
    writing.cancel()
    await asyncio.wait([writing])


async def test_a_backup_holds_everything_and_nothing_that_was_forgotten(
    database: Database, path: Path, tmp_path: Path
) -> None:
    task, forgotten = a_task(), a_task(title=GONE, request={"prompt": GONE * 400})
    await add(database, [task, forgotten])
    async with database.write() as transaction:
        rows = [a_file(task.id)]
        await files.add(transaction, rows)
        await library.add(transaction, [1, 2], rows, "song", NOW)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO media (sha256, kind, size, used_at) VALUES (?, 'mp3', 1234, 0)", ("a" * 64,))
        connection.execute("DELETE FROM tasks WHERE id = ?", (forgotten.id,))
        connection.commit()
    made = tmp_path / "made.db"
    assert back_up(url_of(path), made, replace=False) == Contents(HEAD, 1, 2, 1, 1234)
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert GONE.encode() not in content(made)
    logs = path.with_name(f"{path.name}-wal")
    assert GONE.encode() in content(path) + content(logs), "the test itself sees nothing"


async def test_what_is_there_is_replaced_only_when_told_to(backup: Path, path: Path) -> None:
    before = content(backup)
    with pytest.raises(FileExistsError):
        back_up(url_of(path), backup, replace=False)
    assert content(backup) == before
    back_up(url_of(path), backup, replace=True)
    assert titles(backup) == {"before", "after"}
    assert left_behind(backup.parent) == {"backup.db"}


async def test_a_link_stays_one_and_what_it_leads_to_is_replaced(backup: Path, path: Path) -> None:
    link = backup.with_name("newest.db")
    link.symlink_to(backup.name)
    back_up(url_of(path), link, replace=True)
    assert link.is_symlink()
    assert titles(backup) == {"before", "after"}
    link.unlink()
    link.symlink_to("to-be-made.db")
    back_up(url_of(path), link, replace=False)
    assert titles(backup.with_name("to-be-made.db")) == {"before", "after"}
    link.unlink()
    link.symlink_to(link.name)
    with pytest.raises(DatabaseError, match="it is a link that leads to itself"):
        back_up(url_of(path), link, replace=False)


@pytest.mark.skipif(sys.platform == "darwin", reason="names are text there")
async def test_a_name_need_not_be_text(backup: Path, path: Path) -> None:
    made = backup.with_name(os.fsdecode(b"k\xfcste %?#.db"))
    back_up(url_of(path), made, replace=False)
    assert inspect(made, shown=made).tasks == 2


async def test_a_file_system_without_second_names_will_do(
    backup: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(FileExistsError):
        back_up(url_of(path), backup, replace=False)
    back_up(url_of(path), backup.with_name("other.db"), replace=False)
    assert titles(backup.with_name("other.db")) == {"before", "after"}


async def test_a_backup_that_cannot_be_made_says_why_and_leaves_nothing(
    database: Database, path: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for ending in ("", "-wal", "-shm", ".lock"):
        with pytest.raises(DatabaseError, match="belongs to the database itself"):
            back_up(url_of(path), path.with_name(path.name + ending), replace=True)
    os.mkfifo(tmp_path / "pipe")
    for name in ("/dev/null", str(tmp_path / "pipe")):
        with pytest.raises(DatabaseError, match="is no file; name one"):
            back_up(url_of(path), Path(name), replace=True)
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)  # noqa: PTH116 (nothing waits)
    with pytest.raises(DatabaseError, match=r"nowhere/made\.db cannot be written: No such file or directory"):
        back_up(url_of(path), tmp_path / "nowhere" / "made.db", replace=False)
    with pytest.raises(DatabaseError, match=r"there is no database .*/other.db"):
        back_up(url_of(tmp_path / "other.db"), folder / "made.db", replace=False)
    with pytest.raises(DatabaseError, match="folder is a folder; name a file in it"):
        back_up(url_of(path), folder, replace=True)
    (tmp_path / "letter.db").write_text("This is a letter. " * 1000)
    with pytest.raises(DatabaseError, match=r"letter\.db cannot be read: it is no SQLite database"):
        back_up(url_of(tmp_path / "letter.db"), folder / "made.db", replace=False)
    with closing(sqlite3.connect(tmp_path / "foreign.db")) as connection:
        connection.execute("CREATE TABLE tasks (what TEXT)")
    with pytest.raises(DatabaseError, match=r"foreign\.db is no database of Coverbot"):
        back_up(url_of(tmp_path / "foreign.db"), folder / "made.db", replace=False)
    assert list(folder.iterdir()) == []
    assert not (tmp_path / "other.db").exists()
    server, cluster = "postgresql://coverbot@localhost/coverbot", "postgresql://one:5432,two:5432/coverbot"
    for work in (
        lambda: back_up(server, folder / "made.db", replace=False),
        lambda: back_up(cluster, folder / "made.db", replace=False),
        lambda: restore(path, server, suffix="then"),
    ):
        with pytest.raises(DatabaseError, match="pg_dump"):
            work()
    await database.close()


async def test_a_death_while_it_is_made_leaves_no_half_of_one(backup: Path, path: Path) -> None:
    made = backup.with_name("made.db")

    def look() -> set[str] | None:
        found = titles(made) if made.exists() else None
        made.unlink(missing_ok=True)
        return found

    ends = die_at_each_step(lambda: back_up(url_of(path), made, replace=False), look)
    assert [end for end in ends if end not in (None, {"before", "after"})] == []
    assert ends[0] is None
    assert ends[-1] == {"before", "after"}


# The way back


async def test_the_database_before_is_kept(database: Database, backup: Path, path: Path) -> None:
    await database.close()
    before = content(backup)
    await asyncio.to_thread(backup.chmod, 0o400)
    restored = restore(backup, url_of(path), suffix="then")
    assert restored.kept == path.with_name("bot.db.replaced-then")
    assert titles(path) == {"before"}
    assert titles(restored.kept) == {"before", "after"}
    assert {stat.S_IMODE(one.stat().st_mode) for one in (path, restored.kept)} == {0o600}
    assert content(backup) == before
    assert left_behind(backup.parent) == {"backup.db"}
    assert left_behind(path.parent) == {"bot.db", "bot.db.replaced-then", "made"}
    again = await Database.open(url_of(path))
    await add(again, [a_task(title="later")])
    await again.close()
    assert titles(restored.kept) == {"before", "after"}


async def test_two_databases_that_are_replaced_at_once_are_both_kept(
    database: Database, backup: Path, path: Path
) -> None:
    await database.close()
    first = restore(backup, url_of(path), suffix="now").kept
    second = restore(backup, url_of(path), suffix="now").kept
    assert first is not None
    assert second is not None
    assert (titles(first), titles(second)) == ({"before", "after"}, {"before"})


async def test_a_backup_goes_where_nothing_is(database: Database, backup: Path, tmp_path: Path) -> None:
    await database.close()
    path = tmp_path / "data" / "bot.db"
    assert restore(backup, url_of(path), suffix="then").kept is None
    assert titles(path) == {"before"}
    assert left_behind(path.parent) == {"bot.db"}


async def test_nothing_is_restored_under_a_program_that_runs(database: Database, backup: Path, path: Path) -> None:
    with hold_alone(url_of(path)), pytest.raises(DatabaseError, match="in use by another running Coverbot"):
        restore(backup, url_of(path), suffix="then")
    with pytest.raises(DatabaseError, match=r"another program has the database .* open; close that first"):
        restore(backup, url_of(path), suffix="then")  # the fixture's own connections
    await database.close()
    assert titles(path) == {"before", "after"}
    assert left_behind(path.parent) == {"bot.db", "made"}


async def test_an_older_backup_is_brought_up_to_date(path: Path, tmp_path: Path) -> None:
    backup = tmp_path / "old.db"
    old.make(backup)
    before = old.dump(backup)
    assert restore(backup, url_of(path), suffix="then").contents.revision == HEAD
    database = await Database.open(url_of(path))
    await database.close()
    assert len(titles(path)) > 0
    assert old.dump(backup) == before


async def test_what_is_no_good_backup_changes_nothing(database: Database, backup: Path, path: Path) -> None:
    await database.close()
    newer, damaged, letter = (backup.with_name(name) for name in ("newer.db", "damaged.db", "letter.db"))
    shutil.copy(backup, newer)
    with closing(sqlite3.connect(newer)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    data = bytearray(content(backup))
    data[4096:8192] = os.urandom(4096)
    damaged.write_bytes(data)
    letter.write_text("This is a letter. " * 1000)
    for bad, words in (
        (newer, r"newer\.db was written by a newer version of Coverbot \(schema 9999"),
        (damaged, r"damaged\.db (cannot be read: it is|is) damaged"),
        (letter, r"letter\.db cannot be read: it is no SQLite database"),
        (backup.with_name("none.db"), r"there is no file .*none\.db"),
        (path, r"bot\.db is the database itself"),
    ):
        with pytest.raises(DatabaseError, match=words):
            restore(bad, url_of(path), suffix="then")
    assert titles(path) == {"before", "after"}
    assert left_behind(path.parent) == {"bot.db", "made"}


async def test_a_copy_with_its_log_beside_it_is_restored_whole(
    database: Database, backup: Path, path: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "copied"
    folder.mkdir()
    for ending in ("", "-wal"):
        shutil.copy(path.with_name(path.name + ending), folder / f"copy.db{ending}")
    await database.close()
    restore(folder / "copy.db", url_of(tmp_path / "other.db"), suffix="then")
    assert titles(tmp_path / "other.db") == {"before", "after"}


@pytest.mark.parametrize("is_damaged", [False, True])
async def test_a_death_on_the_way_leaves_the_one_or_the_other(
    database: Database, backup: Path, path: Path, tmp_path: Path, is_damaged: bool
) -> None:
    """What was committed last before the restoration stands in the log alone."""
    folder, looked = tmp_path / "killed", tmp_path / "looked"
    target = folder / "bot.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
    await add(database, [a_task(title="the very last")])
    before = {"before", "after", "the very last"}
    saved = {ending: content(path.with_name(path.name + ending)) for ending in ("", "-wal")}
    assert b"the very last" in saved["-wal"]
    assert b"after" in saved[""]
    assert b"the very last" not in saved[""]
    await database.close()
    if is_damaged:
        saved = {"": b"damaged" * 4096, "-wal": b"no log" * 4096}

    def begin() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for ending, data in saved.items():
            target.with_name(target.name + ending).write_bytes(data)

    def look() -> str:
        # A look moves the log: it is a copy's.
        shutil.rmtree(looked, ignore_errors=True)
        shutil.copytree(folder, looked)
        try:
            there = titles(looked / "bot.db")
            assert there in (before, {"before"})
            found = "old" if there == before else "new"
        except sqlite3.DatabaseError:
            assert is_damaged
            assert content(target) == saved[""]
            found = "damaged"
        restored = restore(backup, url_of(target), suffix="again")
        assert titles(target) == {"before"}
        assert restored.kept is not None
        kept = sorted(folder.glob("bot.db.replaced-*"))
        if is_damaged:
            assert saved["-wal"] in [content(one) for one in kept if one.name.endswith("-wal")]
            assert saved[""] in [content(one) for one in kept]
        else:
            assert before in [titles(one) for one in kept]
        assert len({one.stat().st_ino for one in [target, *kept]}) == len(kept) + 1, "one file by two names"
        assert [name for name in left_behind(folder) if ".restoring" in name] == []
        begin()
        return found

    begin()
    ends = die_at_each_step(lambda: restore(backup, url_of(target), suffix="first"), look)
    assert set(ends) == {"damaged" if is_damaged else "old", "new"}
    assert ends[-1] == "new"
    assert len(ends) > 20


async def test_a_copy_is_read_from_end_to_end(backup: Path) -> None:
    assert inspect(backup, shown=backup).tasks == 1
    with closing(sqlite3.connect(backup)) as connection:
        connection.execute("DROP INDEX ix_tasks_user")
        connection.execute("PRAGMA writable_schema = 1")
        connection.execute("UPDATE sqlite_master SET rootpage = 3 WHERE name = 'ix_tasks_source'")
        connection.commit()
    with pytest.raises(DatabaseError, match=r"backup\.db (is damaged|cannot be read)"):
        inspect(backup, shown=backup)
