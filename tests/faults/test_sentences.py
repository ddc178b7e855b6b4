"""The audit knows every sentence that the bot can say, and when each is true."""

from __future__ import annotations

from string import Formatter

import pytest

from bot.words.text import Raw, Text
from tests.faults.audit.sentences import parse, templates
from tests.faults.audit.truths import PARTS, PROVISIONAL, TRUTHS, sentences

LINK = "https://discord.com/channels/1/2/3"
TIME = "<t:1800000000:R>"
VALUES = {
    "link": LINK,
    "when": TIME,
    "until": TIME,
    "since": TIME,
    "count": "2",
    "limit": "2",
    "number": "1",
    "seconds": "61",
    "minutes": "8",
    "megabytes": "4",
    "bring": "</music import:1>",
    "cover": "`/cover`",
    "generate": "</music generate:1>",
    "library": "</music library:1>",
}
TITLES = ["Sea Song", "**A** is done: no", "I have forgotten you.", "ein *Lied* - [x](https://x)"]


def said(template: str, title: str) -> str:
    """Say a sentence with values such as the bot has them."""
    names = {name for _, name, _, _ in Formatter().parse(template) if name is not None}
    known = {name: Raw(VALUES[name]) for name in names & VALUES.keys()}
    return str(Text(template, **dict.fromkeys(names - known.keys(), title), **known))


def test_each_sentence_has_its_truth() -> None:
    assert sorted(sentences() - TRUTHS.keys()) == []


def test_no_truth_is_of_a_sentence_that_is_said_no_more() -> None:
    assert sorted((TRUTHS.keys() | PARTS | PROVISIONAL) - templates().keys()) == []


@pytest.mark.parametrize("title", TITLES)
def test_each_sentence_is_known_again(title: str) -> None:
    for template in TRUTHS:
        addressed, found = parse(said(template, title))
        assert addressed is None
        assert found is not None
        assert [one.template for one in found] == [template]


@pytest.mark.parametrize("between", [" ", "\n"])
def test_several_sentences_in_one_message_are_told_apart(between: str) -> None:
    wanted = [
        "here is your song **{title}**.",
        "Its quality is reduced to fit this server's upload limit.",
        "Sorry that it took so long.",
    ]
    addressed, found = parse("<@77> " + between.join(said(template, "Sea. Song") for template in wanted))
    assert addressed == 77
    assert [one.template for one in found or ()] == wanted


def test_the_values_are_those_that_were_shown() -> None:
    _, found = parse(said("-# **{title}** is done: {link}", "Sea Song"))
    assert found is not None
    assert found[0].values == {"title": "Sea Song", "link": LINK}


def test_words_of_nobodys_are_no_sentence() -> None:
    assert parse("Everything is fine.") == (None, None)
    assert parse(said("Sorry that it took so long.", "") + " And thanks.") == (None, None)
