"""The `coverbot` command: what has to be there before anything else is loaded."""

from __future__ import annotations

import signal
import sys


def main(arguments: list[str] | None = None) -> int:
    """Run one of the program's commands and return its exit code."""
    # Loading takes most of a second. A signal that comes meanwhile waits until somebody is there to obey it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    from bot.cli.commands import run_command  # noqa: PLC0415 (see above)

    return run_command(arguments)


if __name__ == "__main__":
    sys.exit(main())
