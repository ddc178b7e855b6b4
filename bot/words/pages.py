"""A page of a member's library."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from storage.library import Song


@dataclass(frozen=True, slots=True)
class Page:
    """Some of a member's songs, with the artwork that is at hand, by place on the page, as path and file name."""

    songs: list[Song]
    pictures: dict[int, tuple[Path, str]]
    number: int
    search: str
    has_more: bool
