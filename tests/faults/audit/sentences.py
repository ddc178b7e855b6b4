"""Finds out which sentences of the bot's words a message says, by their templates in English."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING

from babel.messages.extract import extract_from_dir

import bot.words

if TYPE_CHECKING:
    from collections.abc import Mapping

WORDS = Path(bot.words.__file__).parent
MARKERS = ("Text", "_n")

MENTION = re.compile(r"<@(\d+)> ")

_COMMAND = r"(?:</[^>]+:\d+>|`/[^`]+`)"
_SHAPES = {
    "bring": _COMMAND,
    "cover": _COMMAND,
    "generate": _COMMAND,
    "library": _COMMAND,
    "title": r"(?:\\.|[^*\\])+?",
    "link": r"https://discord\.com/channels/\S+",
    "when": r"<t:-?\d+(?::\w)?>",
    "until": r"<t:-?\d+(?::\w)?>",
    "since": r"<t:-?\d+(?::\w)?>",
    "count": r"\d+",
    "limit": r"\d+",
    "number": r"\d+",
    "seconds": r"\d+",
    "minutes": r"\d+",
    "megabytes": r"\d+",
}
"""What can stand in the place of a value, where that is known by its name; anything else is some text."""


@dataclass(frozen=True)
class Sentence:
    """One sentence that was said: its template, and the values in it as they were shown."""

    template: str
    values: Mapping[str, str]


@cache
def templates() -> dict[str, str]:
    """Return every template of the bot's words, with the name of the file that it stands in."""
    found: dict[str, str] = {}
    for file, _, template, *_ in extract_from_dir(WORDS, keywords=dict.fromkeys(MARKERS)):
        assert isinstance(template, str)
        found.setdefault(template, Path(file).stem)
    return found


def parse(content: str) -> tuple[int | None, list[Sentence] | None]:
    """Return whom a message addresses and the sentences that it consists of, None where some of it is none."""
    mention = MENTION.match(content)
    said = _split(content[mention.end() :] if mention else content)
    return int(mention[1]) if mention else None, None if said is None else list(said)


@cache
def _split(text: str) -> tuple[Sentence, ...] | None:
    if (alone := _known(text)) is not None:
        return (alone,)
    for gap in re.finditer(r"\s", text):
        first = _known(text[: gap.start()])
        if first is not None and (rest := _split(text[gap.end() :])) is not None:
            return (first, *rest)
    return None


@cache
def _known(text: str) -> Sentence | None:
    matches = ((pattern.fullmatch(text), template) for pattern, template in _patterns())
    return next((Sentence(template, found.groupdict()) for found, template in matches if found is not None), None)


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """Return what each template looks like, those with the most words of their own first."""
    ordered = sorted(templates(), key=lambda template: -sum(len(part) for part, *_ in Formatter().parse(template)))
    return [(re.compile(_pattern(template)), template) for template in ordered]


def _pattern(template: str) -> str:
    pattern, seen = "", set[str]()
    for words, name, _, _ in Formatter().parse(template):
        pattern += re.escape(words)
        if name in seen:
            pattern += f"(?P={name})"
        elif name is not None:
            seen.add(name)
            pattern += f"(?P<{name}>{_SHAPES.get(name, '.+?')})"
    return pattern
