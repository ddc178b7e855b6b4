"""Sentences that can be put into a member's language, with values from outside made harmless.

A `Text` is a template with values, so that it can travel inside an exception and be put into words where it is shown:
`str()` renders it in the language of the `speaking` block around it. Templates are the keys of gettext catalogues in
`bot/words/locale`; a template without a translation is shown in English.
"""

from __future__ import annotations

import gettext
import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path

TITLE_LIMIT = 100
REASON_LIMIT = 300

DOMAIN = "coverbot"
LOCALE_DIR = Path(__file__).with_name("locale")

LANGUAGES = {"es-ES": "es", "es-419": "es", "de": "de", "ja": "ja", "pt-BR": "pt_BR"}
"""The catalogue for each of Discord's locales that has one; all others get English."""

_MARKDOWN = re.compile(r"([\\*_~`|>#<\[\]])")
_LIST = re.compile(r"^(\d*)([-+.])(?= |$)")
# Discord's clients make a card of an invitation, or of a gift, wherever one stands, also without "https://".
_INVITATION = re.compile(r"(?i)(discord(?:app)?)\.(?=gg|gift|new|com)")
# Also letters and symbols that show nothing: the fillers of Hangul, and braille without a dot.
_SPACE = re.compile(r"[\s\u115f\u1160\u2800\u3164\uffa0]+")
# Formatting characters that hide, join or turn text around (category Cf) go; so do control characters, surrogates and
# private-use ones. Combining marks beyond a few on one letter are "zalgo" text that covers its neighbours.
_DROPPED = {"Cc", "Cf", "Cs", "Co", "Cn"}
_MARKS_IN_A_ROW = 3

_locale: ContextVar[str] = ContextVar("locale", default="en-US")


def clean(text: str, limit: int) -> str:
    """Return text from outside as one harmless line of at most `limit` characters, without markdown escapes."""
    kept: list[str] = []
    marks = 0
    for character in unicodedata.normalize("NFC", _SPACE.sub(" ", text[: limit * 8])):
        category = unicodedata.category(character)
        if category in _DROPPED:
            continue
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if marks <= _MARKS_IN_A_ROW:
            kept.append(character)
    line = _SPACE.sub(" ", "".join(kept)).strip()
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def escape(text: str) -> str:
    """Return a cleaned line so that Discord shows it as it stands: no markdown, mentions, timestamps or links."""
    escaped = _LIST.sub(r"\1\\\2", _MARKDOWN.sub(r"\\\1", text))
    return _INVITATION.sub("\\1\u200b.", escaped).replace("@", "@\u200b").replace("://", ":\u200b//")


class Raw(str):
    """A value that the bot made itself, such as a timestamp or a mention, and that is shown as it stands."""

    __slots__ = ()


class Text:
    """A sentence with its values; `str()` renders it in the language of the block around it."""

    def __init__(self, template: str, **values: str | int | Text) -> None:
        self._template = template
        self._values = values

    def __str__(self) -> str:
        values = {name: _shown(name, value) for name, value in self._values.items()}
        return translate(self._template, _locale.get()).format(**values)

    @property
    def template(self) -> str:
        """The English template, by which one kind of sentence can be told from another."""
        return self._template


class Sentences(Text):
    """Several sentences, one after the other."""

    def __init__(self, *texts: Text) -> None:
        super().__init__(texts[0].template)
        self._texts = texts

    def __str__(self) -> str:
        return " ".join(map(str, self._texts)).replace("。 ", "。")  # as Japanese has it


def _n(template: str) -> str:
    """Mark a template for the catalogues."""
    return template


def speak(locale: str) -> None:
    """Render texts in the language of one of Discord's locales from here on, to the end of the asyncio task."""
    _locale.set(locale)


@contextmanager
def speaking(locale: str) -> Iterator[None]:
    """Render texts in the language of one of Discord's locales, such as `pt-BR`, within the block."""
    token = _locale.set(locale)
    try:
        yield
    finally:
        _locale.reset(token)


def translate(template: str, locale: str) -> str:
    """Return a template in the language of one of Discord's locales."""
    language = LANGUAGES.get(locale)
    return template if language is None else _catalogue(language).gettext(template)


@cache
def _catalogue(language: str) -> gettext.NullTranslations:
    return gettext.translation(DOMAIN, LOCALE_DIR, [language], fallback=True)


def _shown(name: str, value: str | int | Text) -> str | int:
    if isinstance(value, Text):
        return str(value)
    if not isinstance(value, str) or isinstance(value, Raw):
        return value
    return escape(clean(value, REASON_LIMIT if name == "reason" else TITLE_LIMIT))
