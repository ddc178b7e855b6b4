"""Pages and forms at their largest, in every language: Discord would refuse what is beyond its limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bot.words.pages import guide, panel, usage
from bot.words.pages.panel import Panel
from bot.words.sentences.limits import Left, LeftInServer
from bot.words.text import LANGUAGES, speaking
from sandbox.discord.state.content import texts, walk_components
from sandbox.discord.state.rules import COMPONENTS_V2, check_message, check_modal
from storage.servers.settings import Change, RoleLimits, Server
from storage.servers.usage import Kind, Used

if TYPE_CHECKING:
    from collections.abc import Iterator

ID = (1 << 63) - 1
MOST = 1_000_000
locales = pytest.mark.parametrize("locale", ["en-US", *LANGUAGES])


def mention(name: str) -> str:
    return f"</{name}:{ID}>"


def a_full_server() -> Server:
    roles = {ID - number: RoleLimits(MOST, MOST) for number in range(panel.SHOWN_ROLES)}
    channels = tuple(ID - number for number in range(panel.MOST_CHANNELS))
    return Server(ID, MOST, MOST, roles, channels, language="pt-BR", welcome="*" * panel.WELCOME_LIMIT)


def long_changes() -> Iterator[Change]:
    """The longest that are shown."""
    for setting, words in (("welcome", "*" * 60), ("roles", f"<@&{ID}> {MOST} / {MOST}, " * 20)):
        for number in range(5):
            yield Change(str(number), ID, ID, 1e10, setting, words, words)


@locales
def test_the_panel_fits(locale: str) -> None:
    changes = list(long_changes())
    with speaking(locale):
        for shown in (changes[:5], changes[5:]):
            made = panel.view(Panel(a_full_server(), shown, dict.fromkeys(Kind, 5)))
            components: Any = made.to_components()  # type: ignore[no-untyped-call]  # discord.py has no types here
            check_message({"flags": COMPONENTS_V2, "components": components}, ())
            said = "\n".join(texts(components))
            assert "{" not in said
            # What is cut is no half of a mention.
            assert said.count("<") == said.count(">")


@locales
def test_the_forms_fit(locale: str) -> None:
    server = a_full_server()
    with speaking(locale):
        for form in (
            panel.limits_form(server),
            panel.role_form(ID, RoleLimits(-1, None)),
            panel.welcome_form(server),
        ):
            made: Any = form.to_dict()
            check_modal(made)
            fields = [item for item in walk_components(made["components"]) if item["type"] == 4]
            assert fields


@locales
def test_help_and_usage_fit(locale: str) -> None:
    left = [Left(kind, MOST, 0, LeftInServer(MOST, 0)) for kind in Kind]
    rows = [Used(ID - number, MOST, MOST, MOST, MOST + 0.25) for number in range(100)]
    counted = usage.Usage(20_000, rows, rows, [MOST] * usage.DAYS, MOST)
    with speaking(locale):
        helped = [guide.welcome("*" * panel.WELCOME_LIMIT), guide.page(mention, left, 1e10)]
        for pages in (helped, [usage.page(counted)]):
            check_message({"embeds": [page.to_dict() for page in pages]}, ())


def test_a_chart_has_a_column_for_each_day() -> None:
    assert usage.chart([0, 1, 2, 4], lines=2) == ["   █", " ▄██"]
    assert usage.chart([0, 0], lines=2) == ["  ", "  "]
    assert usage.chart([1, 1000], lines=1) == ["▁█"]
