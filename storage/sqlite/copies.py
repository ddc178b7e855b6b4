"""Copies of the database: one that is made while the program runs, and one that is put in its place.

A backup is one SQLite file. One transaction makes it, so that its rows and its list of archived files (`media`) cannot
disagree; it can be looked into and checked with any SQLite; and there is nothing to unpack. `VACUUM INTO` writes no
free pages, so what was forgotten is not in it, and it holds up nobody who writes meanwhile.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from storage.archive.disk import link_or_copy
from storage.database import DatabaseError, is_postgresql
from storage.schema import HEAD
from storage.sqlite.connection import BUSY_SECONDS
from storage.sqlite.opening import (
    COMPANIONS,
    OWNER_ONLY,
    hold_alone,
    is_known,
    lock_of,
    path_of,
    prepare,
    primary_code,
    read_revision,
    reason_of,
    see_one_name,
)

_LOGS = ("-wal", "-shm", "-journal")
_GATHER_SECONDS = 5.0
_COUNTED = """
SELECT (SELECT count(*) FROM tasks), (SELECT count(*) FROM library), count(*), coalesce(sum(size), 0) FROM media
"""
_IS_OPEN = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_IS_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


@dataclass(frozen=True, slots=True)
class Contents:
    """What a database holds, counted: rows, and files of the archive with their bytes."""

    revision: str
    tasks: int
    songs: int
    files: int
    file_bytes: int


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put in place; `files` are the hashes that it expects in the archive, `kept` is the database before."""

    contents: Contents
    files: list[str]
    kept: Path | None


def back_up(url: str, target: Path, *, replace: bool) -> Contents:
    """Copy the database that `url` names into a file that its owner alone can read, checked before it gets its name.

    Raises `FileExistsError` where there is one already that shall not be replaced, and `DatabaseError`.
    """
    source = _file_of(url)
    if not source.is_file():
        raise DatabaseError(f"there is no database {source.absolute()}")
    target = _behind(target)
    if target.is_dir():
        raise DatabaseError(f"{target} is a folder; name a file in it")
    if target.exists() and not target.is_file():  # a device, which would be gone for the whole machine
        raise DatabaseError(f"{target} is no file; name one")
    own = [source.with_name(source.name + ending) for ending in COMPANIONS]
    if any(_is_same(target, one) for one in (*own, lock_of(source))):
        raise DatabaseError(f"{target} belongs to the database itself; choose another name")
    with _explained(source):
        see_one_name(source)
    with _written(target):
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
        os.close(descriptor)
        part = Path(name)
        try:
            _copy(f"{source.absolute().as_uri()}?mode=rw", source, part)
            contents = inspect(part, shown=source)
            _publish(part, target, replace=replace)
        finally:
            part.unlink(missing_ok=True)
    return contents


def inspect(path: Path, *, shown: Path) -> Contents:
    """Read a copy from end to end and count what is in it.

    Raises `DatabaseError`, which names the file that is `shown`, for one that is damaged or not Coverbot's.
    """
    with _explained(shown), closing(sqlite3.connect(_reading(path), uri=True)) as connection:
        [(verdict,), *_] = connection.execute("PRAGMA integrity_check(1)")
        if verdict != "ok":
            raise DatabaseError(f"{shown} is damaged: {' '.join(verdict.split())}")
        revision = read_revision(connection)
        if revision is None:
            raise DatabaseError(f"{shown} is no database of Coverbot")
        return Contents(revision, *connection.execute(_COUNTED).fetchone())


def restore(backup: Path, url: str, *, suffix: str) -> Restored:
    """Put a backup in the place of the database that `url` names, which nothing may run on.

    It is copied, checked and brought up to date beside the database and takes its place in one step, so that whoever
    dies on the way leaves either the one or the other. The database before stays as `….replaced-` with a `suffix`.
    Raises `DatabaseError`.
    """
    path = _file_of(url)
    if not backup.is_file():
        raise DatabaseError(f"there is no file {backup}")
    if _is_same(backup, path):
        raise DatabaseError(f"{backup} is the database itself")
    with hold_alone(url):
        staged = path.with_name(f"{path.name}.restoring")
        _discard(staged)
        try:
            with _written(staged):
                _copy(_reading(backup), backup, staged)
                found = inspect(staged, shown=backup)
                if found.revision != HEAD and not is_known(found.revision):
                    raise DatabaseError(
                        f"{backup} was written by a newer version of Coverbot (schema {found.revision}, this version "
                        f"knows {HEAD}); restore it with that version"
                    )
                prepare(staged)
                _gather(staged)
                _sync(staged)
            contents, files = inspect(staged, shown=backup), _archived(staged)
            with _written(path):
                kept = _set_aside(path, _free_name(path.with_name(f"{path.name}.replaced-{suffix}")))
                staged.replace(path)
                _sync(path.parent)
        finally:
            _discard(staged)
    return Restored(contents, files, kept)


def _behind(target: Path) -> Path:
    """Return what a link leads to, so that the link stays one; raises `DatabaseError` where that cannot be seen."""
    try:
        return target.resolve() if target.is_symlink() else target
    except (OSError, RuntimeError) as error:  # the second before Python 3.13
        raise DatabaseError(f"{target} cannot be written: {reason_of(error)}") from None


def _file_of(url: str) -> Path:
    if is_postgresql(url):
        raise DatabaseError("only an SQLite database is one file; a server has tools of its own, such as pg_dump")
    return path_of(url)


def _copy(address: str, source: Path, target: Path) -> None:
    """Copy one consistent state into a new or empty file, and that onto the disk.

    Raises `DatabaseError` for what is wrong with the source, and `OSError` or `sqlite3.Error` for the target.
    """
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT, OWNER_ONLY))
    with closing(sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
        with _explained(source):
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        try:
            # As an address, for a name may be no text.
            connection.execute("VACUUM INTO ?", [target.absolute().as_uri()])
        except sqlite3.Error as error:
            if primary_code(error) not in (*_IS_DAMAGED, *_IS_OPEN):
                raise
            raise DatabaseError(f"{source} cannot be read: {reason_of(error)}") from error
    _sync(target)


def _reading(path: Path) -> str:
    """Return how to open a file that nobody writes, on whatever it lies, without leaving anything beside it."""
    logs = [path.with_name(path.name + ending) for ending in _LOGS]
    return f"{path.absolute().as_uri()}?{'mode=ro' if any(log.exists() for log in logs) else 'immutable=1'}"


def _publish(part: Path, target: Path, *, replace: bool) -> None:
    if replace:
        part.replace(target)
    else:
        try:
            target.hardlink_to(part)  # unlike a rename it replaces nothing
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            if target.exists():
                raise FileExistsError(target) from None
            part.replace(target)
    _sync(target.parent)


def _free_name(path: Path) -> Path:
    """Return a path at which nothing is, for a database that was replaced a moment ago shall stay too."""
    names = chain([path], (path.with_name(f"{path.name}-{number}") for number in count(2)))
    return next(one for one in names if not any(one.with_name(one.name + ending).exists() for ending in COMPANIONS))


def _set_aside(path: Path, kept: Path) -> Path | None:
    """Give the database a second name, whole, and leave nothing beside it that a new one could be mistaken for."""
    files = [path.with_name(path.name + ending) for ending in COMPANIONS]
    for earlier in path.parent.glob(f"{path.name}.replaced-*"):
        if any(file.exists() and earlier.samefile(file) for file in files):  # a restoration that was broken off
            earlier.unlink()
    if path.is_file():
        try:
            if _can_be_read(path):
                _gather(path)
        except sqlite3.OperationalError as error:
            if primary_code(error) not in _IS_OPEN:
                raise
            raise DatabaseError(f"another program has the database {path} open; close that first") from error
    there = [file for file in files if file.is_file()]
    for file in there:
        second = kept.with_name(kept.name + file.name.removeprefix(path.name))
        link_or_copy(file, second)
        second.chmod(OWNER_ONLY)
    _sync(path.parent)
    # Only what is damaged still has a log: it has been moved into any other. What else lies there the next start
    # removes, so that it is there as long as it may be needed.
    for ending in _LOGS:
        path.with_name(path.name + ending).unlink(missing_ok=True)
    return kept if there else None


def _gather(path: Path) -> None:
    """Move the log into the database, so that the file alone is all of it; fails where somebody else has it open."""
    with closing(sqlite3.connect(path, timeout=_GATHER_SECONDS, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")


def _can_be_read(path: Path) -> bool:
    """Tell whether SQLite takes a file for a database, in a way that leaves the log as it is where it does not."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("PRAGMA schema_version").fetchone()
    except sqlite3.DatabaseError as error:
        if primary_code(error) not in _IS_DAMAGED:
            raise
        return False
    return True


def _archived(path: Path) -> list[str]:
    with closing(sqlite3.connect(_reading(path), uri=True)) as connection:
        return [sha256 for (sha256,) in connection.execute("SELECT sha256 FROM media WHERE state = 'kept'")]


def _discard(staged: Path) -> None:
    for ending in COMPANIONS:
        staged.with_name(staged.name + ending).unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Bring a file, or the names in a directory, onto the disk."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _is_same(one: Path, other: Path) -> bool:
    return one.absolute() == other.absolute() or (one.exists() and other.exists() and one.samefile(other))


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise DatabaseError(f"{path} cannot be read: {reason_of(error)}") from error


@contextmanager
def _written(path: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise
    except (OSError, sqlite3.Error) as error:
        raise DatabaseError(f"{path} cannot be written: {reason_of(error)}") from error
