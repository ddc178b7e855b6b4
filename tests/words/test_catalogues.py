"""Every sentence of the code is in every catalogue, complete, unbroken and compiled."""

from __future__ import annotations

import ast
import gettext
import importlib
import inspect
import re
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING, Any

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po
from discord import app_commands
from discord.ext import commands

from bot.answers import asked
from bot.gateway.client import COGS
from bot.words.pages import panel
from bot.words.sentences import answers, errors, labels, limits, owners, posts, reasons, waiting
from bot.words.text import DOMAIN, LANGUAGES, LOCALE_DIR, REASON_LIMIT, TITLE_LIMIT, Raw, Text, speaking, translate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import ModuleType

    from babel.messages.catalog import Catalog

ROOT = LOCALE_DIR.parents[2]
PACKAGES = ("bot", "cogs")
MARKERS = ("Text", "_n", "_")
SENTENCES = (answers, errors, labels, limits, owners, posts, waiting)
DESCRIPTION_LIMIT = 100
LABEL_LIMIT = 80
MESSAGE_LIMIT = 2000

languages = pytest.mark.parametrize("language", sorted(set(LANGUAGES.values())))


def read_catalogue(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, abort_invalid=True)


def catalogue(language: str) -> Catalog:
    return read_catalogue(LOCALE_DIR / language / "LC_MESSAGES" / f"{DOMAIN}.po")


def words(catalog: Catalog) -> dict[str, str]:
    """Return what each template of a catalogue is translated to."""
    return {str(message.id): str(message.string) for message in catalog if message.id}


@cache
def templates() -> dict[str, str]:
    """Return every template in the code, with the first file that has it."""
    found: dict[str, str] = {}
    for package in PACKAGES:
        for file, _, template, *_ in extract_from_dir(ROOT / package, keywords=dict.fromkeys(MARKERS)):
            assert isinstance(template, str)
            found.setdefault(template, f"{package}/{file}")
    return found


def descriptions() -> set[str]:
    """Return the descriptions of all commands, groups and options, as discord.py would register them."""
    found: set[str] = set()
    for name in COGS:
        for thing in vars(importlib.import_module(name)).values():
            if not isinstance(thing, type) or not issubclass(thing, commands.Cog) or thing is commands.Cog:
                continue
            if thing.__cog_is_app_commands_group__:
                found.add(str(thing.__cog_group_description__))
            for command in thing.__cog_app_commands__:
                found |= {item.description for item in _tree(command)}
    return found - {""}


def _tree(
    command: app_commands.Command[commands.Cog, ..., object] | app_commands.Group,
) -> Iterator[app_commands.Command[commands.Cog, ..., object] | app_commands.Group | app_commands.Parameter]:
    yield command
    if isinstance(command, app_commands.Command):
        yield from command.parameters
    else:
        for child in command.commands:
            yield from _tree(child)


def fields(template: str) -> list[str]:
    """Return the placeholders, with conversion and format; raises ValueError where braces do not match."""
    return sorted(f"{name}!{cast}:{spec}" for _, name, spec, cast in Formatter().parse(template) if name is not None)


def code_spans(template: str) -> list[str]:
    return sorted(re.findall(r"`[^`]*`", template))


def fixed_words(template: str) -> set[str]:
    """Return the words that are the same in every language: names, settings, the head of a list's line."""
    return set(re.findall(r"VidGo|[A-Z]+(?:_[A-Z]+)+|\A- ", template))


# The code


def test_the_template_file_holds_what_the_code_says() -> None:
    assert set(words(read_catalogue(LOCALE_DIR / f"{DOMAIN}.pot"))) == set(templates()), "run `make words`"


def test_every_sentence_is_a_literal_that_can_be_found() -> None:
    """What is no literal must stand here, and is held by one of the tests below."""
    found: list[str] = []
    for file in sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MARKERS:
                argument = node.args[0]
                if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
                    found.append(f"{file.relative_to(ROOT).as_posix()}: {ast.unparse(argument)}")
    assert sorted(found) == sorted(
        [
            "bot/words/sentences/errors.py: name",
            "bot/words/sentences/errors.py: known.get(kind, _FAILURES['nonsense'])",
            "bot/words/sentences/reasons.py: template",
            "bot/words/sentences/reasons.py: _WITHOUT[kind]",
            "bot/words/sentences/reasons.py: _WITH_REASON[kind]",
            "bot/words/sentences/labels.py: _ACTIONS[action]",
            "bot/words/pages/panel.py: _SETTINGS[one.setting]",
            *(
                "bot/words/sentences/owners.py: _BEGINS[kind]",
                "bot/words/sentences/owners.py: _ENDS[kind]",
                "bot/words/sentences/owners.py: name",
            ),
        ]
    )


def test_every_sentence_that_is_looked_up_is_in_the_catalogues() -> None:
    named: list[Mapping[Any, str]] = [
        errors._FAILURES,
        reasons._WITH_REASON,
        reasons._WITHOUT,
        labels._ACTIONS,
        panel._SETTINGS,
        owners._BEGINS,
        owners._ENDS,
    ]
    looked_up = [*(template for names in named for template in names.values()), *errors.PERMISSION_NAMES]
    assert [template for template in looked_up if template not in templates()] == []


def test_every_permission_that_may_be_missing_has_a_name() -> None:
    needed = [*asked._NEEDED, "send_messages_in_threads"]
    assert {name.replace("_", " ").title() for name in needed} == set(errors.PERMISSION_NAMES)


def test_no_words_stand_inside_a_text_where_they_are_not_found() -> None:
    """Babel looks into no f-string."""
    hidden = [
        f"{file.relative_to(ROOT).as_posix()}: {ast.unparse(call)}"
        for package in PACKAGES
        for file in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.JoinedStr)
        for call in ast.walk(node)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in MARKERS
        if any(isinstance(argument, ast.Constant) for argument in call.args)
    ]
    assert hidden == []


@pytest.mark.parametrize("module", SENTENCES, ids=lambda module: module.__name__)
def test_no_words_for_people_are_left_unmarked(module: ModuleType) -> None:
    tree = ast.parse(inspect.getsource(module))
    marked: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MARKERS:
            marked |= set(ast.walk(node))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            marked.add(node.value)  # a docstring
    unmarked = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node not in marked
        and re.search(r"[A-Za-z]{2,} |[A-Z][a-z]+", node.value)
    ]
    assert unmarked == []


def test_every_description_is_marked_for_the_catalogues() -> None:
    found = descriptions()
    assert {"Make a cover of one of your songs", "Make, import and find songs", "Without singing"} <= found
    assert sorted(found - set(templates())) == []
    assert [text for text in found if len(text) > DESCRIPTION_LIMIT] == []


# The catalogues


@languages
def test_a_catalogue_translates_everything_and_nothing_else(language: str) -> None:
    catalog = catalogue(language)
    translated = words(catalog)
    assert set(translated) == set(templates()), "run `make words`"
    assert [template for template, text in translated.items() if not text.strip()] == []
    assert [str(message.id) for message in catalog if message.id and message.fuzzy] == []
    assert list(catalog.obsolete) == []
    assert [str(error) for _, errors in catalog.check() for error in errors] == []
    assert str(catalog.locale) == language


@languages
def test_translations_keep_what_is_not_words(language: str) -> None:
    for template, text in words(catalogue(language)).items():
        assert fields(text) == fields(template), text
        assert code_spans(text) == code_spans(template), text
        assert text.count("`") % 2 == 0, text
        assert text.count("**") == template.count("**"), text
        assert re.findall(r"\*\*\{\w+\}\*\*", text) == re.findall(r"\*\*\{\w+\}\*\*", template), text
        assert fixed_words(text) >= fixed_words(template), text
        assert text == text.strip(), text
        assert "\n" not in text, text
        assert not re.search(r"\s\s", text), text


@languages
def test_long_sentences_are_really_translated(language: str) -> None:
    translated = words(catalogue(language))
    assert [template for template, text in translated.items() if " " in template and text == template] == []


@languages
def test_descriptions_and_labels_are_short_enough(language: str) -> None:
    locale = next(locale for locale, name in LANGUAGES.items() if name == language)
    found = {description: translate(description, locale) for description in descriptions()}
    assert {text: len(text) for text in found.values() if len(text) > DESCRIPTION_LIMIT} == {}
    with speaking(locale):
        shown = [str(labels.song_action(action)) for action in labels._ACTIONS]
        makers = inspect.getmembers(labels, inspect.isfunction)
        plain = [make for _, make in makers if make.__module__ == labels.__name__ and not make.__code__.co_argcount]
        shown += [str(make()) for make in plain]
    assert len(plain) > 5
    assert {text: len(text) for text in shown if len(text) > LABEL_LIMIT} == {}


@pytest.mark.parametrize("locale", ["en-US", *LANGUAGES])
def test_every_sentence_fits_into_a_message_with_the_longest_values(locale: str) -> None:
    with speaking(locale):
        for template in templates():
            names = {name for _, name, _, _ in Formatter().parse(template) if name}
            values: dict[str, str | int | Text] = dict.fromkeys(names, "*" * 500)
            values |= {name: Raw("x" * 300) for name in names & {"names", "link", "when", "until"}}
            text = str(Text(template, **values))
            assert len(text) <= MESSAGE_LIMIT - 2 * (TITLE_LIMIT + REASON_LIMIT), template
            assert "{" not in text


@languages
def test_the_compiled_catalogue_is_current(language: str) -> None:
    path = LOCALE_DIR / language / "LC_MESSAGES" / f"{DOMAIN}.mo"
    with path.open("rb") as file:
        compiled = words(read_mo(file))
    expected = words(catalogue(language))
    assert compiled == expected, "run `make words`"
    with path.open("rb") as file:
        translations = gettext.GNUTranslations(file)
    assert {template: translations.gettext(template) for template in expected} == expected


def test_catalogues_name_no_machine_and_no_moment() -> None:
    files = sorted(LOCALE_DIR.rglob("*.po*"))
    assert len(files) == len(set(LANGUAGES.values())) + 1
    for file in files:
        text = file.read_text(encoding="utf-8")
        places = {place for line in re.findall(r"^#: (.*)$", text, re.MULTILINE) for place in line.split()}
        assert [place for place in places if not (ROOT / place).is_file() or place.startswith(("/", "."))] == []
        assert set(re.findall(r"\d{4}-\d\d-\d\d \d\d:\d\d.\d{4}", text)) <= {"2026-01-01 00:00+0000"}, file


def test_the_catalogues_are_in_the_wheel(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=300)
    [wheel] = tmp_path.glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    for language in set(LANGUAGES.values()):
        assert {f"bot/words/locale/{language}/LC_MESSAGES/{DOMAIN}.{kind}" for kind in ("mo", "po")} <= packed
