"""How long the listener takes to answer, measured so that two kinds of requests can be told apart if at all."""

from __future__ import annotations

import random
import socket
import time
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Comparison:
    """Seconds that two kinds of requests took, pair by pair."""

    first: list[float]
    second: list[float]

    @property
    def advantage(self) -> float:
        """Return how often the first of a pair took longer, ties counted half: 0.5 means that the time tells nothing.

        This is the chance of an observer who sees one answer of each kind to say which is which. It asks only for the
        order of two neighbours, so neither outliers nor a machine that gets busier move it: both requests of a pair
        meet the same conditions. For n pairs that do not differ, its standard deviation is 0.5/sqrt(n).
        """
        pairs = zip(self.first, self.second, strict=True)
        return sum((first > second) + (first == second) / 2 for first, second in pairs) / len(self.first)

    def __str__(self) -> str:
        low, high = median(self.first) * 1e6, median(self.second) * 1e6
        return f"medians {low:.0f} and {high:.0f} µs, advantage {self.advantage:.3f} over {len(self.first)} pairs"


def compare(port: int, first: bytes, second: bytes, pairs: int) -> Comparison:
    """Send two requests in turn over one connection, in random order within each pair, and time the answers."""
    order = random.Random(1)
    taken: tuple[list[float], list[float]] = ([], [])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(pairs):
            for kind in order.sample((0, 1), 2):
                started = time.perf_counter()
                connection.sendall((first, second)[kind])
                _read_answer(connection)
                taken[kind].append(time.perf_counter() - started)
    return Comparison(*taken)


def _read_answer(connection: socket.socket) -> None:
    received = b""
    while b"\r\n\r\n" not in received or not received.endswith(b"}"):
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionError("the listener ended the connection")
        received += piece
