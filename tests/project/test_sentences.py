"""Each sentence that people read is quoted by a test in which the real bot says it."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

from babel.messages.pofile import read_po

from bot.words.text import DOMAIN, LOCALE_DIR
from tests.project.pages import written

TESTS = Path(__file__).parents[1]
DRIVES = re.compile(r"^ *from tests\.(end_to_end|tasks\.room|hostile)\b", re.MULTILINE)
"""What a module imports whose tests talk to the real bot over its sockets."""

STRETCH = 12
"""So many characters that no other sentence has are enough to know one by."""

EXEMPT = {
    "**{title}** was not wanted any more, so it was not made. No credits were used.": (
        "only for whoever joins an order in the very moment in which the last one who waited for it stops it"
    ),
}
"""What no test can bring about through the bot's sockets, and why."""


def sentences() -> set[str]:
    """Return the templates of all that people read."""
    with (LOCALE_DIR / f"{DOMAIN}.pot").open("rb") as file:
        return {str(message.id) for message in read_po(file) if message.id}


def fixed(template: str) -> list[str]:
    """Return what stands in a template around the values."""
    return re.split(r"\{\w+\}", template)


def whole(template: str) -> re.Pattern[str]:
    """Return what finds all that is fixed in a template, as words of their own."""
    return re.compile(r"(?<!\w)" + ".+".join(map(re.escape, fixed(template))) + r"(?!\w)", re.DOTALL)


def stretches(text: str) -> set[str]:
    return {text[start : start + STRETCH] for start in range(len(text) - STRETCH + 1)}


@cache
def quoted() -> frozenset[str]:
    """Return every text that stands in a test which talks to the real bot."""
    sources = (path.read_text("utf-8") for path in sorted(TESTS.rglob("test_*.py")))
    nodes = [node for source in sources if DRIVES.search(source) for node in ast.walk(ast.parse(source))]
    notes = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    texts = (node for node in nodes if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in notes)
    return frozenset(written(node) for node in texts if isinstance(node, ast.JoinedStr) or isinstance(node.value, str))


def never_quoted(templates: set[str], texts: frozenset[str]) -> set[str]:
    """Return the templates of which no text holds what no other template has, or all that is fixed."""
    having: dict[str, set[str]] = {}
    for template in templates:
        for stretch in (stretch for part in fixed(template) for stretch in stretches(part)):
            having.setdefault(stretch, set()).add(template)
    known: set[str] = set()
    for text in texts:
        found = [having[stretch] for stretch in stretches(text) if stretch in having]
        # A text may hold several sentences, or one by stretches that it has in common with different others.
        for one in [*found, set.intersection(*found or [set()])]:
            known |= one if len(one) == 1 else set()
    return {one for one in templates - known if not any(map(whole(one).search, texts))}


def test_every_sentence_is_quoted_by_a_test_of_the_real_bot() -> None:
    assert sorted(never_quoted(sentences(), quoted())) == sorted(EXEMPT)


def test_a_sentence_is_known_by_a_stretch_of_its_own() -> None:
    templates = {"**{title}** is done: {link}", "**{title}** is done, but lost.", "Done"}
    for text, known in {
        "**Sea** is done, but": {"**{title}** is done, but lost."},
        "**Sea** is done": set(),
        "It is Done.": {"Done"},
        "Undone": set(),
    }.items():
        assert templates - never_quoted(templates, frozenset({text})) == known
