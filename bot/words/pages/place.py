"""A page of a member's library, and how its place there stands in custom ids."""

from __future__ import annotations

import base64
import binascii
import math
import re
import struct
from dataclasses import dataclass, field
from pathlib import Path

from bot.words.text import Text, clean
from storage.songs.library import Key, Song

SEARCH_LIMIT = 50
"""So that a place fits into a custom id, which has 100 characters."""

_PLACE = re.compile(
    r"(?:(?P<way>[bf])(?P<at>[A-Za-z0-9_-]{11})(?P<task>[0-9a-z]{24})(?:\.(?P<position>\d{1,4}))?)?:(?P<search>.*)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: at a place, or with the newest; with `before` it ends right before the place."""

    search: str = ""
    key: Key | None = None
    before: bool = False

    def encode(self) -> str:
        """Return the place as it stands in custom ids."""
        if self.key is None:
            return f":{self.search}"
        at = base64.urlsafe_b64encode(struct.pack("!d", self.key.added_at)).decode().rstrip("=")
        position = f".{self.key.position}" if self.key.position else ""
        return f"{'b' if self.before else 'f'}{at}{self.key.task_id}{position}:{self.search}"

    @classmethod
    def decode(cls, text: str) -> Place:
        """Read a place; what is none is the beginning."""
        match = _PLACE.fullmatch(text)
        if match is None:
            return cls()
        search = clean(match["search"], SEARCH_LIMIT)
        if match["way"] is None:
            return cls(search)
        try:
            (added_at,) = struct.unpack("!d", base64.urlsafe_b64decode(match["at"] + "="))
        except (binascii.Error, struct.error):
            return cls(search)
        if not math.isfinite(added_at):
            return cls(search)
        return cls(search, Key(added_at, match["task"], int(match["position"] or 0)), before=match["way"] == "b")


@dataclass(frozen=True, slots=True)
class Page:
    """Some of a member's songs: how many there are in all, how many come before, and what can be turned to.

    `pictures` is the artwork that is at hand, by place on the page, as path and file name. `said` is what was just
    done; with `undo` it can be taken back for the song of that value.
    """

    songs: list[Song]
    place: Place
    total: int = 0
    first: int = 0
    previous: Place | None = None
    following: Place | None = None
    chosen: Song | None = None
    pictures: dict[int, tuple[Path, str]] = field(default_factory=dict)
    said: Text | None = None
    undo: str | None = None
