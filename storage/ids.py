"""Ids of the program's own rows."""

from __future__ import annotations

import secrets
from collections.abc import Callable

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
LENGTH = 24
"""Short enough for Discord's message nonce (25 characters)."""

_TIME_BITS = 48
_RANDOM_BITS = LENGTH * 5 - _TIME_BITS


def new_id(now: float, randbits: Callable[[int], int] = secrets.randbits) -> str:
    """Return an id of 24 characters that sorts by time: 48 bits of milliseconds, 72 random bits, in base 32."""
    number = (int(now * 1000) & ((1 << _TIME_BITS) - 1)) << _RANDOM_BITS | randbits(_RANDOM_BITS)
    return "".join(ALPHABET[number >> shift & 31] for shift in range((LENGTH - 1) * 5, -1, -5))


def is_id(value: str) -> bool:
    """Tell whether `value` has the form of an id made here."""
    return len(value) == LENGTH and all(character in ALPHABET for character in value)
