"""What an expression of PromQL asks for: names, labels and values, without knowing what it computes."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""(?P<text>"(?:[^"\\]|\\.)*")
      | (?P<range>\[[^\]]*\])
      | (?P<number>\d[\w.]*)
      | (?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)
      | (?P<sign>=~|!~|!=|[={}(),])
      | (?P<other>\S)""",
    re.VERBOSE,
)
_WORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan"}
_GROUPING = {"by", "without", "on", "ignoring", "group_left", "group_right"}


@dataclass(frozen=True)
class Selector:
    """A metric, and for each label that is asked for which values would fit."""

    metric: str
    matchers: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Asked:
    """All that an expression asks for."""

    selectors: tuple[Selector, ...]
    grouped_by: frozenset[str]


def asked(expression: str) -> Asked:
    """Return what an expression asks for; raises ValueError where it is none that this knows."""
    tokens = [(str(match.lastgroup), match[0]) for match in _TOKEN.finditer(expression)]
    selectors: list[Selector] = []
    grouped: set[str] = set()
    place = 0
    while place < len(tokens):
        kind, word = tokens[place]
        following = tokens[place + 1][1] if place + 1 < len(tokens) else ""
        place += 1
        if kind != "name" or word.lower() in _WORDS:
            continue
        if word in _GROUPING:
            end = tokens.index(("sign", ")"), place)
            grouped |= {name for kind, name in tokens[place:end] if kind == "name"}
            place = end + 1
        elif following == "{":
            end = tokens.index(("sign", "}"), place)
            selectors.append(Selector(word, tuple(_matchers(tokens[place + 1 : end]))))
            place = end + 1
        elif following != "(" and following not in _GROUPING:
            selectors.append(Selector(word, ()))
    return Asked(tuple(selectors), frozenset(grouped))


def _matchers(tokens: list[tuple[str, str]]) -> list[tuple[str, str, str]]:
    words = [word for _, word in tokens if word != ","]
    if len(words) % 3:
        raise ValueError(f"no matchers: {words}")
    return [(words[n], words[n + 1], words[n + 2].strip('"')) for n in range(0, len(words), 3)]
