"""A file in memory, when it is brought to its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.formats.fetched import Fetched
from bot.formats.kinds import MediaKind

if TYPE_CHECKING:
    from pathlib import Path


def test_what_an_earlier_try_has_left_at_the_place_is_replaced(tmp_path: Path) -> None:
    place = tmp_path / "arrived-picture"
    place.write_bytes(b"an absurd picture, too large for the memory")
    fetched = Fetched(place, 4, MediaKind.PNG, b"good")
    assert fetched.store().read_bytes() == b"good"
    assert fetched.store().read_bytes() == b"good"
    assert [path.name for path in tmp_path.iterdir()] == ["arrived-picture"]
