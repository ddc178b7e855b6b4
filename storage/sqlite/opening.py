"""The database file before anything is read from it: whether it can be used, by nobody else, and by its owner alone.

A path that looks fine may still be of no use: a network share without shared memory, a disk without room for one more
file, a folder where nothing may be made. So what the program will need is tried out, and what stands in the way is said
in one sentence.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

from storage.database import DatabaseError
from storage.schema import HEAD
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
    """Return the file that an address names."""
    return Path(make_url(url).database or "")


def unusable(path: Path, error: Exception) -> DatabaseError:
    """Return an error in words for the owner."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    reason = cause.strerror if isinstance(cause, OSError) else str(cause)
    code = getattr(cause, "sqlite_errorcode", None)
    if isinstance(cause, sqlite3.Error) and isinstance(code, int) and code & 0xFF in _REASONS:
        reason = f"{_REASONS[code & 0xFF]} ({cause.sqlite_errorname})"
    return DatabaseError(f"the database {path} cannot be used: {reason}")


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
        file = path.with_name(f"{path.name}.lock").open("w", encoding="ascii")
    with file:
        with explained(path):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DatabaseError(
                    f"the database {path} is in use by another running Coverbot; stop that one first"
                ) from None
        yield


def prepare(path: Path) -> None:
    """Make the file or bring it up to date, readable by its owner alone, and try out all that the program needs.

    Raises `DatabaseError` for a path that cannot be used, a file that is no database, and one written by a newer
    program.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, OWNER_ONLY))
        # SQLite gives the files beside it the same permissions.
        _keep_private(path)
        _migrate(path)
        # What version 0.1.0 kept beside the database is in it now.
        path.with_name(f"{path.name}-asked").unlink(missing_ok=True)
        _probe(path)


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


def _migrate(path: Path) -> None:
    """Bring the file to `HEAD`; Alembic is imported only when there is something to do, for it is heavy."""
    found = _revision(path)
    if found == HEAD:
        return
    from alembic import command  # noqa: PLC0415 (heavy)
    from alembic.config import Config  # noqa: PLC0415 (heavy)
    from alembic.script import ScriptDirectory  # noqa: PLC0415 (heavy)

    known = {script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}
    if found is not None and found not in known:
        raise DatabaseError(
            f"the database {path} was written by a newer version of Coverbot (schema {found}, this version knows "
            f"{HEAD}); start the newer version, or restore the backup made before the upgrade"
        )
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["path"] = path
    command.upgrade(config, HEAD)


def _revision(path: Path) -> str | None:
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
        table = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone() if table else None
        return None if row is None else str(row[0])
