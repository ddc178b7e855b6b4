"""The database file before anything is read from it: whether it can be used, by nobody else, and by its owner alone.

A path that looks fine may still be of no use: a network share without shared memory, a disk without room for one more
file, a folder where nothing may be made. So what the program will need is tried out, and what stands in the way is said
in one sentence.
"""

from __future__ import annotations

import errno
import fcntl
import glob
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

from storage.database import DatabaseError, is_postgresql
from storage.schema import HEAD, metadata
from storage.sqlite.connection import BUSY_SECONDS

MIGRATIONS = Path(__file__).parents[1] / "migrations"

OWNER_ONLY = 0o600
COMPANIONS = ("", "-wal", "-shm", "-journal", "-asked")
"""What lies beside the file, by the end of its name; all of it holds tokens of interactions."""

_REASONS = {
    sqlite3.SQLITE_FULL: "there is no room left on its disk",
    sqlite3.SQLITE_READONLY: "it, or one of the files beside it, may not be written",
    sqlite3.SQLITE_PERM: "it, or one of the files beside it, may not be written",
    sqlite3.SQLITE_CANTOPEN: "it, or one of the files beside it, cannot be made or opened",
    sqlite3.SQLITE_IOERR: "its disk reports an error; is it full, broken, or a network share, which is of no use here?",
    sqlite3.SQLITE_PROTOCOL: "its file system has no locks; a local disk is needed",
    sqlite3.SQLITE_BUSY: "another program holds its lock",
    sqlite3.SQLITE_NOTADB: "it is no SQLite database",
    sqlite3.SQLITE_CORRUPT: "it is damaged; restore a backup",
}
"""What SQLite's primary result codes mean for an owner."""


def path_of(url: str) -> Path:
    """Return the file that an address names, not a link to it: what lies beside it, its lock above all, is there.

    Raises `DatabaseError` where that cannot be seen, as of a link that leads to itself.
    """
    path = Path(make_url(url).database or "")
    try:
        return path.resolve() if path.is_symlink() else path
    except (OSError, RuntimeError) as error:
        raise unusable(path, error) from None


def existing(url: str) -> Path:
    """Return the file that an address names, where it is there, for none shall be made; raises `DatabaseError`."""
    path = path_of(url)
    if not path.is_file():
        raise DatabaseError(f"there is no database {path.absolute()}")
    return path


def unusable(path: Path, error: Exception) -> DatabaseError:
    """Return an error in words for the owner."""
    return DatabaseError(f"the database {path} cannot be used: {reason_of(error)}")


def reason_of(error: Exception) -> str:
    """Return what stands in the way, as far as it is known what SQLite's codes mean for an owner."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if (code := primary_code(cause)) in _REASONS:
        return f"{_REASONS[code]} ({getattr(cause, 'sqlite_errorname', code)})"
    if isinstance(cause, FileExistsError):
        what = "a link" if Path(str(cause.filename)).is_symlink() else "a file"
        return f"{cause.filename} is {what}, where a folder is needed"
    if isinstance(cause, IsADirectoryError):
        return f"{cause.filename} is a folder, where a file is needed"
    if isinstance(cause, NotADirectoryError):
        return f"{cause.filename} lies in something that is no folder"
    if isinstance(cause, RuntimeError) or (isinstance(cause, OSError) and cause.errno == errno.ELOOP):
        return "it is a link that leads to itself"  # the first is what Python said before 3.13
    return str(cause.strerror if isinstance(cause, OSError) else cause)


def primary_code(error: object) -> int | None:
    """Return the primary result code of an error of SQLite's, None for any other."""
    code = getattr(error, "sqlite_errorcode", None)
    return code & 0xFF if isinstance(error, sqlite3.Error) and isinstance(code, int) else None


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn whatever a database raises into a `DatabaseError` with one sentence."""
    try:
        yield
    except (OSError, sqlite3.Error, DBAPIError) as error:
        raise unusable(path, error) from error


@contextmanager
def hold_alone(url: str) -> Iterator[None]:
    """Keep other processes from running on the same file; the operating system lets go even after a crash.

    Raises `DatabaseError` when another one is running on it.
    """
    path = path_of(url)
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = lock_of(path).open("w", encoding="ascii")
    with file:
        with explained(path):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DatabaseError(
                    f"the database {path} is in use by another running Coverbot; stop that one first"
                ) from None
        yield


def look_at_lock(url: str) -> None:
    """Raise `DatabaseError` where the lock's file could not be opened; none is made, for it would be the caller's."""
    path = path_of(url)
    with explained(path):
        if lock_of(path).exists():
            lock_of(path).open("a").close()


def lock_of(path: Path) -> Path:
    """Return the file by which one program knows of another on the same database."""
    return path.with_name(f"{path.name}.lock")


@contextmanager
def hold_to_migrate(url: str) -> Iterator[None]:
    """Keep the file from being brought up to date under a program that runs on it, and let it be where it is so.

    A server is held by whoever migrates it, and its changes let an older program go on: nothing is held here.
    Raises `DatabaseError` when an older program is running on the file.
    """
    if is_postgresql(url):
        yield
        return
    path = path_of(url)
    with explained(path):
        found = revision_of(path) if path.is_file() else None
    with hold_alone(url) if found not in (None, HEAD) and is_known(str(found)) else nullcontext():
        yield


def prepare(path: Path) -> None:
    """Make the file or bring it up to date, readable by its owner alone, and try out all that the program needs.

    Raises `DatabaseError` for a path that cannot be used, a file that is no database, and one written by a newer
    program.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, OWNER_ONLY))
        see_one_name(path)
        # SQLite gives the files beside it the same permissions.
        _keep_private(path)
        _migrate(path)
        # What version 0.1.0 kept beside the database is in it now.
        path.with_name(f"{path.name}-asked").unlink(missing_ok=True)
        _probe(path)


def see_one_name(path: Path) -> None:
    """Raise `DatabaseError` for a file with a second name: under each, a log and a lock of its own would lie beside it.

    What a restoration that was broken off has left is no such name, for the next one takes it away.
    """
    there = path.stat()
    kept = (one.stat() for one in path.parent.glob(f"{glob.escape(path.name)}.replaced-*"))
    if there.st_nlink > 1 + sum(one.st_ino == there.st_ino for one in kept):
        raise DatabaseError(
            f"the database {path} has another name too (a hard link), and two programs on one file would damage it; "
            f"remove the other name (find / -samefile {path.absolute()}), or make it a copy"
        )


def _keep_private(path: Path) -> None:
    for ending in COMPANIONS:
        file = path.with_name(path.name + ending)
        if file.is_file() and file.stat().st_uid == os.geteuid():
            file.chmod(OWNER_ONLY)


def _probe(path: Path) -> None:
    """Read and write for real, in the way of the program; what is written is what was there."""
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
        [mode] = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise DatabaseError(
                f"the database {path} cannot be used: its file system has no shared memory; a local disk is needed"
            )
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE alembic_version SET version_num = version_num")
        connection.execute("COMMIT")
        there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if missing := metadata.tables.keys() - there:
        raise DatabaseError(
            f"the database {path} cannot be used: it has lost {', '.join(sorted(missing))}; restore a backup"
        )


def _migrate(path: Path) -> None:
    """Bring the file to `HEAD`; Alembic is imported only when there is something to do, for it is heavy."""
    found = revision_of(path)
    if found == HEAD:
        return
    from alembic import command  # noqa: PLC0415 (heavy)
    from alembic.config import Config  # noqa: PLC0415 (heavy)

    if found is not None and not is_known(found):
        raise DatabaseError(
            f"the database {path} was written by a newer version of Coverbot (schema {found}, this version knows "
            f"{HEAD}); start the newer version, or restore the backup made before the upgrade"
        )
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["path"] = path
    command.upgrade(config, HEAD)


def is_known(revision: str) -> bool:
    """Tell whether this program or an earlier one has written that revision."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415 (heavy)

    return revision in {script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}


def revision_of(path: Path) -> str | None:
    """Return which Alembic revision a file is at, None for one without; raises `sqlite3.Error`."""
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
        return read_revision(connection)


def read_revision(connection: sqlite3.Connection) -> str | None:
    """Return which Alembic revision an open file is at, None for one without; raises `sqlite3.Error`."""
    table = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone() if table else None
    return None if row is None else str(row[0])
