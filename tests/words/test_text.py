"""Sentences in a member's language, and values from outside that cannot break out of them."""

from __future__ import annotations

import asyncio
import re
import unicodedata

import pytest
from discord import Locale
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.words.text import LANGUAGES, REASON_LIMIT, TITLE_LIMIT, Raw, Text, clean, escape, speak, speaking, translate

KNOWN = "Here comes **{title}**."
SPOKEN = {
    "es-ES": "Aquí va **Lied**.",
    "es-419": "Aquí va **Lied**.",
    "de": "Hier kommt **Lied**.",
    "ja": "**Lied** を投稿します。",
    "pt-BR": "Aí vai **Lied**.",
}
UNSAFE_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
NASTY = [
    "\x00",
    "\x1b",
    "\x7f",
    "\x85",
    "\t",
    "\r\n",
    "\v",
    "\u00a0",
    "\u00ad",  # soft hyphen
    "\u0301",
    "\u0489",
    "\u061c",
    "\u200b",
    "\u200d",
    "\u200e",
    "\u2028",
    "\u2029",
    "\u202e",
    "\u2066",
    "\u2069",
    "\u20dd",
    "\u3000",
    "\ud800",
    "\udfff",
    "\ue000",
    "\ufeff",
    "\ufffe",
    "\U000e0041",  # a tag character
    "\U0010ffff",
    "👩‍🚀",
    "한",
    "e\u0301",
    "@everyone",
    "<@1>",
    "<t:0:R>",
    "https://a.example",
    "[x](y)",
    "**",
    "__",
    "`",
    "||",
    "-# ",
    "- ",
    "1. ",
    "> ",
    "\\",
]
anything = st.lists(st.one_of(st.sampled_from(NASTY), st.characters()), max_size=400).map("".join)


# Cleaning


@given(anything, st.integers(1, 120))
@settings(deadline=None)
def test_whatever_comes_becomes_one_short_visible_line(text: str, limit: int) -> None:
    line = clean(text, limit)
    assert len(line) <= limit
    assert not {unicodedata.category(character) for character in line} & UNSAFE_CATEGORIES
    assert line == line.strip()
    assert not re.search(r"\s\s|[^\S ]", line)
    assert not re.search(r"[\u0300-\u036f\u0483-\u0489\u20d0-\u20f0]{4}", line)
    line.encode()


# What is a letter or a symbol by its category and shows nothing.
BLANK = "\u115f\u1160\u2800\u3164\uffa0"


@given(st.text(st.characters(categories=["L", "N", "P", "S"], exclude_characters=BLANK), min_size=1, max_size=30))
@settings(deadline=None)
def test_harmless_text_stays_as_it_is(text: str) -> None:
    assert clean(text, TITLE_LIMIT) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Harbour\x00 \x1b[31mLights\x7f", "Harbour [31mLights"),
        ("one\ntwo\r\n\tthree\u2028four\u2029five\x0bsix", "one two three four five six"),
        ("\u202egnp.exe\u202c \u2066left\u2069 \u200fright", "gnp.exe left right"),
        ("zero\u200bwidth\u200d\u2060\ufeff", "zerowidth"),
        ("Z\u0300\u0301\u0302\u0303\u0304\u0305\u0306algo", "Z\u0300\u0301\u0302algo"),
        ("\ud800lone\udc00", "lone"),
        ("tag\U000e0041\U000e0042 private\ue000", "tag private"),
        ("cafe\u0301", "café"),
        ("東京の夜 🎵", "東京の夜 🎵"),
        ("\u200b \x00", ""),
        ("", ""),
    ],
)
def test_control_direction_and_joining_characters_go(text: str, line: str) -> None:
    assert clean(text, TITLE_LIMIT) == line


def test_long_text_ends_in_an_ellipsis_at_the_limit() -> None:
    assert clean("x" * 300, TITLE_LIMIT) == "x" * (TITLE_LIMIT - 1) + "…"
    assert clean("x" * TITLE_LIMIT, TITLE_LIMIT) == "x" * TITLE_LIMIT
    assert clean("abc def", 5) == "abc…"


# Escaping


@given(anything)
@settings(deadline=None)
def test_no_markdown_mention_or_link_survives(text: str) -> None:
    line = clean(text, REASON_LIMIT)
    shown = escape(line)
    unescaped = re.sub(r"\\[^0-9A-Za-z\s]", "", shown)  # what Discord takes for an escape
    assert not set(unescaped) & set("\\*_~`|>#<[]")
    assert "://" not in shown
    assert not re.search("@(?!\u200b)", shown)
    assert not re.match(r"(?:[-+*]|\d+\.) ", shown)
    assert re.sub(r"\\([^0-9A-Za-z\s])", r"\1", shown).replace("\u200b", "") == line


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("**bold** _it_ ~~no~~ `code` ||spoiler||", r"\*\*bold\*\* \_it\_ \~\~no\~\~ \`code\` \|\|spoiler\|\|"),
        ("@everyone <@1> <@&2> <#3>", "@\u200beveryone \\<@\u200b1\\> \\<@\u200b&2\\> \\<\\#3\\>"),
        ("<t:1700000000:R>", r"\<t:1700000000:R\>"),
        ("[click](https://evil.example)", "\\[click\\](https:\u200b//evil.example)"),
        ("join discord.gg/abc", "join discord\u200b.gg/abc"),
        ("DiscordApp.com/invite/abc", "DiscordApp\u200b.com/invite/abc"),
        ("a discord. Good", "a discord. Good"),
        ("# head", r"\# head"),
        ("> quote", r"\> quote"),
        ("-# small", r"-\# small"),
        ("- item", r"\- item"),
        ("12. item", r"12\. item"),
        ("a - b, No. 5", "a - b, No. 5"),
        ("back\\slash", r"back\\slash"),
    ],
)
def test_what_is_escaped_is_shown_as_it_stands(line: str, shown: str) -> None:
    assert escape(line) == shown


# Sentences


def test_values_are_cleaned_cut_and_escaped() -> None:
    text = str(Text("**{title}**: {reason}", title="*" * 300 + "\n", reason="a\u202eb\n" * 300))
    title, reason = text[2:].split("**: ")
    assert title == r"\*" * (TITLE_LIMIT - 1) + "…"
    assert reason == "ab " * 99 + "ab…"
    assert len(reason) == REASON_LIMIT


def test_values_are_never_templates() -> None:
    assert str(Text("**{title}**", title="{title} {0} {reason.__class__}")) == r"**{title} {0} {reason.\_\_class\_\_}**"


def test_what_the_bot_made_itself_is_shown_as_it_stands() -> None:
    text = Text("{when} {count} {link}", when=Raw("<t:1:R>"), count=3, link=Raw("https://discord.com/channels/1/2/3"))
    assert str(text) == "<t:1:R> 3 https://discord.com/channels/1/2/3"


def test_a_sentence_within_a_sentence_is_in_the_same_language() -> None:
    text = Text("**{title}** has come after all, so it was not made again.", title=Text("Title"))
    assert str(text) == "**Title** has come after all, so it was not made again."
    with speaking("de"):
        assert str(text) == "**Titel** ist doch noch gekommen und wurde deshalb nicht noch einmal gemacht."


# Languages


@pytest.mark.parametrize("locale", [locale.value for locale in Locale])
def test_every_locale_of_discord_has_words(locale: str) -> None:
    with speaking(locale):
        assert str(Text(KNOWN, title="Lied")) == SPOKEN.get(locale, "Here comes **Lied**.")
    assert (locale in LANGUAGES) is (locale in SPOKEN)


@pytest.mark.parametrize("locale", ["", "xx", "de-CH", "DE", "../de", "pt", "en-US\x00"])
def test_an_unknown_locale_gets_english(locale: str) -> None:
    assert translate(KNOWN, locale) == KNOWN


def test_an_unknown_template_stays_in_english() -> None:
    assert translate("Nobody has translated {this}.", "ja") == "Nobody has translated {this}."


def test_blocks_nest_and_end_even_in_an_error() -> None:
    text = Text(KNOWN, title="Lied")
    assert str(text) == "Here comes **Lied**."
    with speaking("de"):
        with speaking("ja"):
            assert str(text) == SPOKEN["ja"]
        with pytest.raises(ZeroDivisionError), speaking("es-419"):
            assert 1 / text.template.count("no such thing"), str(text)
        assert str(text) == SPOKEN["de"]
    assert str(text) == "Here comes **Lied**."


async def test_each_asyncio_task_speaks_for_itself() -> None:
    text = Text(KNOWN, title="Lied")
    barrier = asyncio.Barrier(len(SPOKEN))

    async def say(locale: str) -> list[str]:
        speak(locale)
        await barrier.wait()
        first = str(text)
        await barrier.wait()
        return [first, str(text), await asyncio.create_task(later())]

    async def later() -> str:
        return str(text)

    said = await asyncio.gather(*(asyncio.create_task(say(locale)) for locale in SPOKEN))
    assert said == [[words] * 3 for words in SPOKEN.values()]
    assert str(text) == "Here comes **Lied**."
