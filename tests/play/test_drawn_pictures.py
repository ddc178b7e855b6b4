"""The pictures of the README and the docs: they can be drawn, and those that are there show what is said today."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from sandbox.pictures import draw, film
from sandbox.pictures.gallery import FOLDER
from tests.patience import patient
from tests.play.browser import needs_browser
from tests.project.pages import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

_OF_THE_MOMENT = re.compile(r"[AP]M$|^Limits reset in |^\d\d-\d\d|\d\d-\d\d$|^$")
"""Lines that say when it is."""


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def shown(folder: Path) -> dict[str, list[str]]:
    """Return what the pictures in a folder show, but for times."""
    found = json.loads((folder / "shown.json").read_text("utf-8"))
    return {name: [line for line in lines if not _OF_THE_MOMENT.search(line)] for name, lines in found.items()}


@needs_browser
async def test_they_can_be_drawn_and_show_what_is_said_today(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = ROOT / draw.FOLDER
    monkeypatch.setattr(draw, "FOLDER", tmp_path)
    monkeypatch.setattr(draw, "EVENT_SECONDS", patient(draw.EVENT_SECONDS))
    monkeypatch.setattr(film, "EFFORT", "0")
    sheets = await draw.draw(["en-US"])  # the other languages are laid out and read in the gallery's own tests
    assert sheets.keys() == {path.name for path in (ROOT / FOLDER).glob("en-US*")}
    assert names(tmp_path) == names(there)
    assert shown(tmp_path) == shown(there), "`make pictures` draws them anew"
