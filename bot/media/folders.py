"""The folder of a process in which files wait to be posted."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
import uuid
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import make_url

from bot.settings import Settings, SettingsError
from storage.database import is_postgresql
from storage.sqlite.opening import reason_of

_LOCK = ".lock"


def posting_folder(settings: Settings, stack: ExitStack) -> Path:
    """Make the folder in which files wait to be posted; raises `SettingsError`."""
    setting, directory = _place(settings)
    try:
        if is_postgresql(settings.database_url):
            return one_of_many(directory, stack)
        return emptied(directory)
    except OSError as error:
        raise SettingsError(f"{setting}: its directory cannot be used: {directory}: {reason_of(error)}") from error


def look_at_posting_folder(settings: Settings) -> None:
    """Raise `SettingsError` where that folder could not be made; what is in it stays, for a program may run."""
    setting, directory = _place(settings)
    try:
        if not is_postgresql(settings.database_url):
            _see_own(directory)
        is_new = not directory.exists()
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
        if is_new:
            directory.rmdir()
    except OSError as error:
        raise SettingsError(f"{setting}: its directory cannot be used: {directory}: {reason_of(error)}") from error


def _place(settings: Settings) -> tuple[str, Path]:
    """Return by which setting the folder is where it is, and where."""
    if is_postgresql(settings.database_url):
        # Beside the archive, whose files are then linked and not copied.
        return "ARCHIVE_DIR", settings.archive_dir.with_name(f"{settings.archive_dir.name}-posting")
    database = Path(make_url(settings.database_url).database or "coverbot.db")
    directory = database.with_name(f"{database.name}-posting")
    if Path(os.path.realpath(settings.archive_dir)).is_relative_to(os.path.realpath(directory)):
        raise SettingsError(f"ARCHIVE_DIR lies in {directory}, which is emptied at each start; name another folder")
    return "DATABASE_URL", directory


def emptied(directory: Path) -> Path:
    """Make a folder that nobody else uses, without what an earlier process left there; raises `OSError`."""
    _see_own(directory)
    if directory.exists():
        shutil.rmtree(directory)
    directory.mkdir(parents=True)
    return directory


def _see_own(directory: Path) -> None:
    """Raise `OSError` for something in a folder's place that is none, or leads to one that others may use."""
    if directory.is_symlink() or (directory.exists() and not directory.is_dir()):
        raise FileExistsError(errno.EEXIST, "File exists", str(directory))


def one_of_many(parent: Path, stack: ExitStack) -> Path:
    """Make a folder beside those of other processes, and remove those whose processes are gone; raises `OSError`.

    The operating system keeps the lock that tells, for as long as the process lives.
    """
    parent.mkdir(parents=True, exist_ok=True)
    for lock in parent.glob(f"*{_LOCK}"):
        with lock.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
            lock.unlink(missing_ok=True)
    directory = parent / uuid.uuid4().hex
    file = stack.enter_context(directory.with_suffix(_LOCK).open("w"))
    fcntl.flock(file, fcntl.LOCK_EX)
    directory.mkdir()
    return directory
