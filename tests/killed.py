"""Does something again and again in a process that dies one step later each time.

A step is whatever Python announces to its audit hooks about files and databases: each open, link, rename, removal.
"""

from __future__ import annotations

import os
import signal
import sys
import warnings
from itertools import count
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

STEPS = ("open", "os.", "shutil.", "sqlite3.", "tempfile.")


def die_at_each_step(work: Callable[[], object], look: Callable[[], T]) -> list[T]:
    """Return what `look` finds after each death, and at last after the work has come to its end."""
    found = []
    for fatal in count():
        with warnings.catch_warnings():
            # Newer Pythons warn of threads; what is done in the child needs none of them.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            _work(work, fatal)
        _, status = os.waitpid(child, 0)
        found.append(look())
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0, "it failed by itself"
            assert fatal > 0, "nothing was a step"
            return found
        assert os.WTERMSIG(status) == signal.SIGKILL
    raise AssertionError("there is always a next step")


def _work(work: Callable[[], object], fatal: int) -> None:
    step = count()

    def die(event: str, _arguments: object) -> None:
        if event.startswith(STEPS) and next(step) == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    code = 1
    try:
        sys.addaudithook(die)
        work()
        code = 0
    finally:
        os._exit(code)
