"""A database that cannot be used is one sentence, whatever stands in the way; one that can is its owner's alone."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from storage.database import Database, DatabaseError
from storage.sqlite import opening
from storage.sqlite.copies import back_up
from storage.sqlite.opening import hold_alone, path_of, prepare
from tests.end_to_end.process import ROOT, run_program

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = 65534


def modes(path: Path) -> dict[str, int]:
    """Return the permissions of a database and of what lies beside it."""
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.glob(f"{path.name}*")}


def refused(path: Path) -> str:
    """Return the sentence with which a database is refused."""
    with pytest.raises(DatabaseError) as caught:
        prepare(path)
    text = str(caught.value)
    assert text.startswith(f"the database {path} cannot be used: ")
    assert "\n" not in text
    return text


@pytest.fixture
def used(tmp_path: Path) -> Path:
    """A database that has been used."""
    path = tmp_path / "coverbot.db"
    prepare(path)
    return path


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
async def test_only_the_owner_may_read_what_is_made(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        database = await Database.open(f"sqlite:///{tmp_path}/data/coverbot.db")
        async with database.write():
            pass
        found = modes(tmp_path / "data" / "coverbot.db")
        await database.close()
    finally:
        os.umask(before)
    assert set(found) >= {"coverbot.db", "coverbot.db-wal", "coverbot.db-shm"}
    assert set(found.values()) == {0o600}


def test_what_others_may_read_is_closed_to_them(used: Path) -> None:
    # As an earlier version left it, one that was killed: with its log.
    with closing(sqlite3.connect(used, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("UPDATE alembic_version SET version_num = version_num")
        for file in used.parent.glob("coverbot.db*"):
            shutil.copy(file, used.parent / file.name.replace("coverbot", "killed"))
    killed = used.with_name("killed.db")
    killed.with_name("killed.db-asked").touch()
    for name in modes(killed):
        killed.with_name(name).chmod(0o644)
    assert len(modes(killed)) == 4
    prepare(killed)
    assert set(modes(killed).values()) == {0o600}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to give a file away")
def test_what_belongs_to_somebody_else_is_left_as_it_is(used: Path) -> None:
    used.chmod(0o640)
    os.chown(used, NOBODY, NOBODY)
    prepare(used)
    assert modes(used)["coverbot.db"] == 0o640


@pytest.mark.parametrize("ending", ["-shm", "-wal"])
def test_a_file_beside_it_that_cannot_be_made_is_told(used: Path, ending: str) -> None:
    used.with_name(used.name + ending).mkdir()
    assert "beside it" in refused(used)


def test_a_folder_in_its_place_and_a_file_that_is_none_are_told(tmp_path: Path) -> None:
    folder, letter = tmp_path / "folder.db", tmp_path / "letter.db"
    folder.mkdir()
    letter.write_text("This is a letter, not a database. " * 100)
    assert refused(folder).endswith("folder.db is a folder, where a file is needed")
    assert "it is no SQLite database" in refused(letter)


def test_a_damaged_database_is_told(used: Path) -> None:
    with used.open("r+b") as file:
        file.seek(100)
        file.write(os.urandom(used.stat().st_size - 100))
    assert "it is damaged; restore a backup" in refused(used)


def test_a_lock_of_another_program_is_told(used: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.05)
    with closing(sqlite3.connect(used)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "another program holds its lock" in refused(used)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, with 3 inodes and 16 KiB."""
    path = tmp_path / "disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16k,nr_inodes=3", "tmpfs", str(path)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("may not mount a file system")
    yield path
    subprocess.run(["umount", str(path)], check=True)


def test_a_disk_without_room_is_told(small_disk: Path) -> None:
    assert "there is no room left on its disk" in refused(small_disk / "coverbot.db")


def test_a_file_that_may_not_grow_is_told(used: Path) -> None:
    script = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)); from pathlib import Path; "
        f"from storage.sqlite.opening import prepare; prepare(Path({str(used)!r}))"
    )
    ended = subprocess.run([sys.executable, "-Bc", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert f"DatabaseError: the database {used} cannot be used: its disk reports an error" in ended.stderr


@pytest.mark.parametrize("command", ["run", "check"])
async def test_the_program_says_it_in_one_line(tmp_path: Path, command: str) -> None:
    url = f"sqlite:///{tmp_path}/coverbot.db"
    (tmp_path / "coverbot.db-shm").mkdir()
    nowhere = "http://127.0.0.1:9"
    settings = {"DISCORD_TOKEN": "a.b.c", "VIDGO_API_KEY": "k", "DATABASE_URL": url, "LISTEN_PORT": "0"}
    settings |= {"DISCORD_API_URL": nowhere, "VIDGO_API_URL": nowhere}
    ended = await run_program(tmp_path, settings, command)
    assert "Traceback" not in ended.err + ended.out
    assert ended.code == (2 if command == "run" else 1)
    begin = "coverbot: DATABASE_URL" if command == "run" else "WRONG  Database: DATABASE_URL"
    [line] = [line for line in (ended.err + ended.out).splitlines() if "DATABASE_URL" in line]
    assert line.startswith(f"{begin}: the database {tmp_path}/coverbot.db cannot be used: ")
    assert command == "check" or ended.lines == [line]


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs to become somebody else")
@pytest.mark.parametrize("mode", [0o555, 0o000])
def test_a_folder_that_may_not_be_written_is_told(mode: int) -> None:
    # Not below pytest's own folder, which nobody else may enter.
    folder = Path("/tmp") / f"coverbot-{os.getpid()}-{mode:o}"
    folder.mkdir()
    try:
        prepare(folder / "coverbot.db")
        os.chown(folder / "coverbot.db", NOBODY, NOBODY)
        folder.chmod(mode)
        script = (
            "from pathlib import Path; from storage.sqlite.opening import prepare; "
            f"prepare(Path({str(folder / 'coverbot.db')!r}))"
        )
        ended = subprocess.run(
            ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", sys.executable, "-c", script],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if "ModuleNotFoundError" in ended.stderr or "Permission denied:" in ended.stderr.splitlines()[0]:
            pytest.skip("nobody else may run this Python")
        assert "DatabaseError: the database" in ended.stderr
        assert "may not be written" in ended.stderr or "Permission denied" in ended.stderr
    finally:
        folder.chmod(0o700)
        shutil.rmtree(folder)


def test_two_programs_do_not_share_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/coverbot.db"
    with hold_alone(url), pytest.raises(DatabaseError, match="in use by another running Coverbot"), hold_alone(url):
        pass
    with hold_alone(url):
        pass


def test_a_file_where_a_folder_is_needed_is_named(tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.touch()
    assert refused(file / "coverbot.db").endswith(f": {file} is a file, where a folder is needed")
    assert refused(file / "inner" / "coverbot.db").endswith("lies in something that is no folder")
    file.unlink()
    file.symlink_to("nowhere")
    assert refused(file / "coverbot.db").endswith(f": {file} is a link, where a folder is needed")


async def test_a_link_that_leads_to_itself_is_told(tmp_path: Path) -> None:
    path = tmp_path / "coverbot.db"
    path.symlink_to(path.name)
    settings = {"DISCORD_TOKEN": "a.b.c", "VIDGO_API_KEY": "k", "DATABASE_URL": f"sqlite:///{path}"}
    said = f"the database {path} cannot be used: it is a link that leads to itself"
    for command, code in (("run",), 2), (("export", "1234"), 1), (("migrate-database", "--to", "postgresql://h/d"), 2):
        ended = await run_program(tmp_path, settings, *command)
        assert (ended.code, len(ended.lines)) == (code, 1)
        assert ended.err.endswith(f"{said}\n")


async def test_a_database_that_has_lost_something_is_found_by_whoever_looks(used: Path) -> None:
    settings = {"DISCORD_TOKEN": "a.b.c", "VIDGO_API_KEY": "k", "DATABASE_URL": f"sqlite:///{used}"}
    with closing(sqlite3.connect(used)) as connection:
        connection.execute("ALTER TABLE likes RENAME COLUMN user_id TO nobody")
        ended = await run_program(used.parent, settings, "export", "1234")
        assert (ended.code, len(ended.lines)) == (1, 1)
        assert f"the database {used} cannot be used: no such column: likes.user_id" in ended.err
        connection.execute("DROP TABLE likes")
        connection.execute("DROP TABLE library")
    assert refused(used).endswith(": it has lost library, likes; restore a backup")


def test_only_a_link_that_leads_to_itself_is_called_one(used: Path) -> None:
    path = used.with_name("x" * 300)
    with pytest.raises(DatabaseError, match=r"cannot be used: File name too long$"):
        path_of(f"sqlite:///{path}")
    with pytest.raises(DatabaseError, match=r"cannot be written: File name too long$"):
        back_up(f"sqlite:///{used}", path, replace=False)


def test_a_second_name_would_let_two_programs_use_one_file(used: Path) -> None:
    other = used.with_name("other.db")
    other.hardlink_to(used)
    for path in (used, other):
        with pytest.raises(DatabaseError, match="has another name too") as caught:
            prepare(path)
        assert f"(find / -samefile {path})" in str(caught.value)
    with pytest.raises(DatabaseError, match="has another name too"):
        back_up(f"sqlite:///{other}", used.with_name("backup.db"), replace=False)
    # What a restoration that was killed has left does not stand in the way.
    other.replace(used.with_name(f"{used.name}.replaced-20260101T000000Z"))
    prepare(used)
