"""Files and functions are short enough to be read at once."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("bot", "cogs", "storage", "sandbox", "tests", "benchmarks")
FILE_LINES = 450
FUNCTION_LINES = 60

LONG = {
    "bot/app.py: _assemble",
    "storage/migrations/versions/0001_first.py: upgrade",
}
"""Functions that say themselves, or their module, why they are long."""


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def long_functions(text: str) -> list[str]:
    """Return the names of the functions of a file that are too long."""
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [one.name for one in functions if (one.end_lineno or 0) - one.lineno + 1 > FUNCTION_LINES]


def test_no_file_is_too_long() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in sources(*FOLDERS)}
    assert len(lengths) > 400
    assert {name: length for name, length in lengths.items() if length > FILE_LINES} == {}


def test_no_function_is_too_long_without_a_reason() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in sources("bot", "cogs", "storage", "sandbox", "benchmarks")
        for name in long_functions(path.read_text("utf-8"))
    }
    assert found == LONG


def test_a_long_function_is_found() -> None:
    assert long_functions("def f():\n" + "    pass\n" * FUNCTION_LINES) == ["f"]
    assert long_functions("def f():\n" + "    pass\n" * (FUNCTION_LINES - 1)) == []
