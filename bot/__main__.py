"""The `coverbot` command: what has to be there before anything else is loaded."""

from __future__ import annotations

import io
import os
import signal
import sys
from contextlib import suppress


def main(arguments: list[str] | None = None) -> int:
    """Run one of the program's commands and return its exit code."""
    _prepare_streams()
    # Loading takes most of a second. A signal that comes meanwhile waits until somebody is there to obey it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    from bot.cli.commands import run_command  # noqa: PLC0415 (see above)

    return run_command(arguments)


def _prepare_streams() -> None:
    """Put nothing in the place of a standard stream that was closed, else the next file or connection takes it."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)  # the lowest that is free
            setattr(sys, name, os.fdopen(descriptor, "r" if name == "stdin" else "w"))
    if isinstance(sys.stdout, io.TextIOWrapper):
        with suppress(OSError):  # which it may be about already
            sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may not know each letter of a server's name


if __name__ == "__main__":
    sys.exit(main())
