"""Migrates a copy of a database again and again, and is killed each time one statement later.

`python -m tests.storage.interrupted DATABASE FOLDER` says how often, and fails where a kill has left anything.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from storage.schema import HEAD
from storage.sqlite.opening import prepare, revision_of
from tests.storage.old import dump


def migrate(path: Path, kill_at: int) -> None:
    """Migrate, and die by SIGKILL before the statement or commit with a number."""
    step = count()

    def die(*_: Any) -> None:
        if next(step) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", die)
    event.listen(Engine, "commit", die)
    prepare(path)
    os._exit(0)


def main(source: Path, folder: Path) -> None:
    """Kill until a migration comes to its end."""
    before, journal = dump(source), source.with_name(f"{source.name}-asked").read_bytes()
    for kill_at in count():
        path = folder / f"{kill_at}.db"
        shutil.copy(source, path)
        path.with_name(f"{path.name}-asked").write_bytes(journal)
        child = os.fork()
        if child == 0:
            migrate(path, kill_at)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0
            assert revision_of(path) == HEAD
            sys.stdout.write(f"{kill_at}\n")
            return
        assert os.WTERMSIG(status) == signal.SIGKILL
        assert dump(path) == before, kill_at
        assert path.with_name(f"{path.name}-asked").read_bytes() == journal, kill_at


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
