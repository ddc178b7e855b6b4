"""The folder of a process in which files wait to be posted."""

from __future__ import annotations

import fcntl
import shutil
import uuid
from contextlib import ExitStack
from pathlib import Path

_LOCK = ".lock"


def emptied(directory: Path) -> Path:
    """Make a folder that nobody else uses, without what an earlier process left there; raises `OSError`."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory


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
