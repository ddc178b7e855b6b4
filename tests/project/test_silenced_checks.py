"""Whoever silences a check says why, in the same line."""

from __future__ import annotations

import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("bot", "cogs", "storage", "sandbox", "tests", "benchmarks")

MARK = re.compile(
    r"#\s*(?:ruff: )?(?:noqa|type: ignore|pragma)\b(?:: (?:[A-Z]+\d+(?:, )?)+|: no cover|\[[\w, -]+\])?(?P<reason>.*)"
)


def without_reason(path: Path) -> list[int]:
    """Return the lines of a file that silence a check and say nothing else."""
    with path.open("rb") as file:
        comments = [token for token in tokenize.tokenize(file.readline) if token.type == tokenize.COMMENT]
    marks = [(token.start[0], MARK.match(token.string)) for token in comments]
    return [line for line, mark in marks if mark is not None and not re.search(r"\w{2}", mark["reason"])]


def test_every_silenced_check_has_a_reason() -> None:
    found = {
        str(path.relative_to(ROOT)): lines
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        if (lines := without_reason(path))
    }
    assert found == {}


@pytest.mark.parametrize(
    "mark", ["# noqa: S101", "# noqa: S101, PTH123", "# type: ignore[misc]", "# noqa", "# pragma: no cover"]
)
def test_one_without_a_reason_is_found(tmp_path: Path, mark: str) -> None:
    file = tmp_path / "one.py"
    file.write_text(f"x = 1  {mark}\ny = 2  {mark} (it is known)\n")
    assert without_reason(file) == [1]
