"""What the documents say of the log, of readiness and of limits, against the program."""

from __future__ import annotations

import ast
import re
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

from bot import app, shutdown
from bot.formats import decoder
from bot.gateway import shards
from bot.media import sources
from bot.vidgo import client as vidgo
from bot.web import connections, listener
from storage.postgresql import pool
from storage.processes import blocks, leases, process
from storage.schema import metadata
from storage.sqlite import connection
from tests.project.pages import DOCS, INSTALL, OPERATING, PACKAGES, ROOT, rows, written

if TYPE_CHECKING:
    from collections.abc import Iterator

SCALING = (DOCS / "scaling.md").read_text("utf-8")
_SEVERAL = re.compile("…(?: …)+")


def logged_errors() -> Iterator[str]:
    """Every text that can stand in an ERROR line of the program's own, with "…" where a value goes."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if not isinstance(node, ast.Call) or not node.args:
                    continue
                called = ast.unparse(node.func)
                if called in ("log.error", "log.exception", "log.critical", "_log.error", "_log.exception", "Failed"):
                    yield _SEVERAL.sub("…", written(node.args[0]))


def logged_lines() -> Iterator[re.Pattern[str]]:
    """Every line that the program itself can log, as a pattern."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call) and re.fullmatch(r"log\.(info|warning)", ast.unparse(node.func)):
                    text = _SEVERAL.sub("…", written(node.args[0]))
                    if re.search("[a-z]", text):
                        yield re.compile(".+".join(re.escape(part) for part in text.split("…")))


@pytest.mark.parametrize(
    ("page", "heading"),
    [(OPERATING, "### Lines of a good day"), (OPERATING, "### Warnings"), (SCALING, "## In the log")],
)
def test_every_line_of_the_log_that_is_explained_can_be_there(page: str, heading: str) -> None:
    # What stands in the second place of a hint is a sentence of its own.
    hints = {"… in … is no setting; did you mean …?"}
    lines = {line for cell in rows(page, heading) for line in cell.split("` / `")} - hints
    known = list(logged_lines())
    assert len(lines) > 4
    assert sorted(line for line in lines if not any(pattern.fullmatch(line) for pattern in known)) == []


@cache
def texts() -> set[str]:
    """Every text that stands in the code, with "…" where a value goes."""
    trees = [
        ast.parse(path.read_text("utf-8")) for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))
    ]
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant | ast.JoinedStr)]
    return {written(node) for node in nodes}


def is_said(words: str) -> bool:
    """Tell whether the program says these words, whatever the values in them."""
    known = {text for text in texts() if len(re.findall("[a-z]", text)) > 5}
    # What begins otherwise is told apart without a pattern of its own: there are thousands.
    near = [text.split("…") for text in known if words.startswith(text.partition("…")[0])]
    return any(re.fullmatch(".+".join(map(re.escape, parts)), words) for parts in near)


def test_what_the_page_of_installing_shows_of_check_is_what_it_says() -> None:
    [shown] = re.findall(r"^A good `check` looks like this:\n\n```text\n(.*?)```", INSTALL, re.MULTILINE | re.DOTALL)
    lines = [re.fullmatch(r"ok     ([\w ]+): (.+)", line) for line in shown.splitlines()]
    assert len(lines) > 8
    parts = list(rows(INSTALL, "| Part | Is wrong where |"))
    assert [line[1] for line in lines if line] == parts[1:]
    assert [line and line[2] for line in lines if not (line and is_said(line[2]))] == []


def test_what_the_page_of_troubles_quotes_is_said_by_the_program() -> None:
    first = " ".join(rows((DOCS / "troubleshooting.md").read_text("utf-8"), "| What you see |"))
    quoted = [one for pair in re.findall(r'"([^"]+)"|coverbot: ([^`]+)`', first) for one in pair if one]
    everything = "\n".join(texts()).replace("**", "")
    assert len(quoted) > 8
    others = {"The application did not respond"}  # Discord's
    parts = {part.strip() for one in set(quoted) - others for part in one.split("…")}
    assert [part for part in sorted(parts) if part not in everything and not is_said(part)] == []


def test_the_page_of_architecture_has_every_worker_and_how_much_each_does_at_once() -> None:
    known: dict[str, int] = {}
    for path in sorted((ROOT / "bot").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Worker":
                scope = vars(import_module(module))
                [places] = [keyword.value for keyword in node.keywords if keyword.arg == "places"]
                known[str(eval(ast.unparse(node.args[0]), scope))] = eval(ast.unparse(places), scope)
    table = rows((DOCS / "architecture.md").read_text("utf-8"), "| Worker | Asks for |")
    assert {name: int(re.findall(r"\d+", cells[2])[0]) for name, cells in table.items()} == known


def test_every_reason_that_readyz_is_said_to_give_is_one_that_it_gives() -> None:
    reasons = {re.findall(r"`([^`]+)`", f"`{cell}`")[-1] for cell in rows(OPERATING, "| Reason | What to do |")}
    assert len(reasons) > 3
    assert reasons - texts() == set()


FIGURES = {
    "security.md": [
        f"{decoder.MEMORY_BYTES >> 30} GiB of memory",
        f"A body may have {listener.MAX_BODY >> 10} KiB, also when unpacked, and {listener.BODY_SECONDS:.0f} s;",
        f"a header {connections.MAX_HEADER_BYTES >> 10} KiB, a request {connections.MAX_HEADERS} headers",
        f"{connections.MAX_CONNECTIONS} may be open;",
        f"A connection has {connections.IDLE_SECONDS:.0f} s to send a request,",
        f"an answer {connections.STUCK_SECONDS:.0f} s to find room at its reader",
        f"a download {listener.DOWNLOAD_SECONDS / 60:.0f} minutes; {listener.DOWNLOADS} downloads run at once",
        f"{sources.PICTURE_SECONDS:.0f} s for its pictures",
        f"Answers are bounded to {vidgo.MAX_BODY >> 20} MiB",
    ],
    "operating.md": [
        f"gives what is under way {shutdown.SECONDS - app.RESERVED_SECONDS:g} s to end",
    ],
    "architecture.md": [
        f"gets {shutdown.SECONDS - app.RESERVED_SECONDS:g} s; then",
        f"{len(metadata.tables)} tables, in",
        f"held the event loop for more than {1000 * connection.LONG_SECONDS:.0f} ms",
    ],
    "scaling.md": [
        f"a lease of {leases.LEASE_SECONDS:.0f} s, one row, renewed every {process.RENEW_SECONDS:.0f} s",
        f"stops {process.MARGIN_SECONDS:.0f} s before its lease ends",
        f"its lease of {blocks.BLOCK_SECONDS:.0f} s, renewed every {shards.RENEW_SECONDS:.0f} s",
        f"This has {shutdown.SECONDS - app.RESERVED_SECONDS - app.COMMAND_SECONDS:g} s",
        f"end a statement after {pool.STATEMENT_SECONDS} s,",
        f"a transaction that does nothing after {pool.IDLE_SECONDS} s",
    ],
}


@pytest.mark.parametrize("page", FIGURES)
def test_figures_are_those_of_the_program(page: str) -> None:
    text = " ".join((DOCS / page).read_text("utf-8").split())
    assert [figure for figure in FIGURES[page] if figure not in text] == []


def test_every_error_in_the_log_is_documented_with_what_to_do() -> None:
    table = rows(OPERATING, "### Errors, and what to do")
    errors = set(logged_errors())
    assert len(errors) > 10
    assert sorted(table) == sorted(errors)
    assert [line for line, cells in table.items() if not cells[0]] == []
