"""A page of a member's library."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from storage.library import Song


@dataclass(frozen=True, slots=True)
class Page:
    """Some of a member's songs. `pictures` are the paths of those whose artwork is at hand, by place on the page."""

    songs: list[Song]
    pictures: dict[int, Path]
    number: int
    search: str
    has_more: bool
