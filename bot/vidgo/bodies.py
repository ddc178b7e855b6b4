"""Bodies of HTTP messages as they come: compressed without being asked, in another encoding, with a number too long."""

from __future__ import annotations

import json
import math
import zlib
from typing import Any

_GZIP = b"\x1f\x8b\x08"
_ZLIB = tuple(bytes((0x78, level)) for level in (0x01, 0x5E, 0x9C, 0xDA))
_MOST_LAYERS = 2
_LONGEST_NUMBER = 300
"""Digits of a number; Python reads no more than 4300, and refuses the rest of the text with it."""


class Unpacking:
    """Unpacks gzip or deflate piece by piece, for whoever knows how much is enough. Raises `ValueError` for rubbish."""

    def __init__(self, *, is_bare: bool = False) -> None:
        self._made = -zlib.MAX_WBITS if is_bare else zlib.MAX_WBITS | 32  # 32: gzip or zlib, by its beginning
        self._inflate = zlib.decompressobj(self._made)
        self._packed = b""

    @property
    def is_whole(self) -> bool:
        """Tell whether the end that the body itself names has come."""
        return self._inflate.eof

    def feed(self, packed: bytes) -> None:
        """Add what has come in."""
        self._packed += packed

    def read(self, most: int) -> bytes:
        """Return at most so many bytes of what is fed so far, b"" where that is all."""
        while self._packed:
            if self._inflate.eof:
                if not self._packed.startswith(_GZIP[:1]):  # padding
                    self._packed = b""
                    break
                self._inflate = zlib.decompressobj(self._made)  # gzip may be several, one after the other
            try:
                piece = self._inflate.decompress(self._packed, most)
            except zlib.error:
                raise ValueError("this cannot be unpacked") from None
            self._packed = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
            if piece:
                return piece
        return b""


def unpacking(head: bytes, encoding: str) -> Unpacking | None:
    """Return what unpacks a body with such a beginning, None for one that is not packed in a known way.

    The beginning decides: servers compress what was not to be compressed, and do not say so, or say so of what is not.
    """
    if head.startswith(_GZIP):
        return Unpacking()
    if "deflate" not in encoding.lower():
        return None
    return Unpacking(is_bare=not head.startswith(_ZLIB))


def unpacked(body: bytes, encoding: str, limit: int) -> bytes | None:
    """Return a whole body unpacked, None where it is more than `limit` bytes or broken; as it is if not packed."""
    for _ in range(_MOST_LAYERS):
        packing = unpacking(body, encoding)
        if packing is None:
            break
        packing.feed(body)
        plain = bytearray()
        try:
            while piece := packing.read(limit + 1 - len(plain)):
                plain += piece
                if len(plain) > limit:
                    return None
            is_whole = packing.is_whole
        except ValueError:
            is_whole = False
        if not is_whole:  # a short text can be the beginning of what is packed without a head, but for its end
            return None if body.startswith(_GZIP) else body
        body, encoding = bytes(plain), ""
    return body


def json_of(body: bytes, charset: str | None = None) -> Any:
    """Return the value of a body of JSON, which may not be in the UTF-8 that JSON wants; `charset` is what it says.

    A letter that cannot be read is no reason to lose the rest. Raises `ValueError`, and `RecursionError` as `json`
    does.
    """
    known_as = json.detect_encoding(body)
    try:
        text = body.decode(known_as, "surrogatepass")
    except UnicodeDecodeError:
        try:
            text = body.decode(charset or known_as)
        except (ValueError, LookupError):  # also of encodings that are none, such as "undefined"
            text = body.decode(known_as, "replace")
    return json.loads(text, parse_int=_whole)


def _whole(digits: str) -> float:
    return int(digits) if len(digits) <= _LONGEST_NUMBER else math.inf
