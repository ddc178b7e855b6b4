"""The documents' pages, their tables, and the texts that stand in the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text("utf-8")
OPERATING = (DOCS / "operating.md").read_text("utf-8")
COMMANDS = (DOCS / "commands.md").read_text("utf-8")
INSTALL = (DOCS / "install.md").read_text("utf-8")
PACKAGES = ("bot", "cogs", "storage")


def rows(text: str, heading: str) -> dict[str, list[str]]:
    """Return the rows of the first table under a heading's name or a table head, by their first cell."""
    lines = text[text.index(heading) :].splitlines()
    start = next(number for number, line in enumerate(lines) if re.match(r"\|[ -]+\|", line))
    found: dict[str, list[str]] = {}
    for line in lines[start + 1 :]:
        if not line.startswith("|"):
            break
        first, *others = (cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1])
        found[first.strip("`")] = others
    return found


def written(node: ast.expr) -> str:
    """Return a text as it stands in the code, with "…" where a value goes."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    assert isinstance(node, ast.Constant), f"no fixed text: {ast.unparse(node)}"
    return re.sub(r"%[-.\d]*[sdrfg]", "…", str(node.value))
