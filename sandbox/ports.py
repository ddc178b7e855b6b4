"""A port for a program that has to be told its own address before it listens."""

from __future__ import annotations

import errno
import random
import socket
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = "127.0.0.1"
ELSEWHERE = range(20_000, 30_000)
"""Ports that no system gives away by itself."""


@contextmanager
def reserved_port() -> Iterator[int]:
    """Keep a port of this machine for a listener that comes and goes as it likes.

    On Linux a socket that is bound and never listens keeps the kernel from giving the port to anybody else, and lets a
    listener in beside it (socket(7), SO_REUSEADDR). Other systems let nobody in: there it is a port that was free.
    """
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sys.platform == "linux":
            bound.bind((HOST, 0))
            yield bound.getsockname()[1]
            return
    yield _free_elsewhere()


def _free_elsewhere() -> int:
    while True:
        port = random.choice(ELSEWHERE)
        try:
            with socket.create_server((HOST, port)):
                return port
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
