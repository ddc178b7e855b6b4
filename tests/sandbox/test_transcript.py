"""What a person would see of a message."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from sandbox.discord import Choice
from sandbox.transcript import Transcript, clock, relative, shown

NAMES = {7: "ada"}


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("plain", "plain"),
        ("<@7> and <@!7>, not <@8>", "@ada and @ada, not @8"),
        (r"**Harbour \*Lights\* @" + "\u200b" + "everyone**.", "Harbour *Lights* @everyone."),
        (r"**ends in \*** here", "ends in * here"),
        (r"a \\ and \_b\_ but C:\temp", r"a \ and _b_ but C:\temp"),
        ("use `/cover`", "use /cover"),
        ("2 ** 3 is 8", "2 ** 3 is 8"),
        ("soon: <t:1014:R>", "soon: in 14 seconds"),
        ("then: <t:0>", "then: 01 January 1970 00:00 UTC"),
        ("", ""),
    ],
)
def test_markdown_is_shown_as_discord_shows_it(written: str, seen: str) -> None:
    assert shown(written, NAMES, 1000.0).plain == seen


def test_bold_text_is_bold() -> None:
    text = shown("a **b** c", NAMES, 0.0)
    assert [(text.plain[span.start : span.end], span.style) for span in text.spans] == [("b", "bold")]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (14, "in 14 seconds"),
        (1, "in 1 second"),
        (59.4, "in 59 seconds"),
        (60, "in a minute"),
        (100, "in 2 minutes"),
        (3700, "in an hour"),
        (-30, "30 seconds ago"),
        (-86400 * 3, "3 days ago"),
    ],
)
def test_relative_times(seconds: float, words: str) -> None:
    assert relative(seconds) == words


def test_lengths() -> None:
    assert [clock(0), clock(59.6), clock(187)] == ["0:00", "1:00", "3:07"]


def test_long_lines_are_wrapped_under_their_beginning() -> None:
    file = io.StringIO()
    transcript = Transcript(Console(file=file, width=40), NAMES)
    transcript.types("ada", "/music generate prompt: " + "word " * 12)
    transcript.offers("ada", "/cover track: h", [Choice("Harbour Lights", "1"), Choice("Harvest", "2")])
    lines = file.getvalue().splitlines()
    assert lines[0].startswith("  ada       /music generate")
    assert lines[1].startswith(" " * 12 + "word")
    assert lines[-3:] == ["  ada       /cover track: h▏", "            ▸ Harbour Lights", "              Harvest"]
    assert max(map(len, lines)) <= 40
    assert not [line for line in lines if line != line.rstrip()]
    assert "\x1b" not in file.getvalue()
