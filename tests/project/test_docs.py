"""The documentation against the program: what is not documented, or no longer true, fails here."""

from __future__ import annotations

import argparse
import ast
import re
import string
import tomllib
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import discord
import pytest
from aiohttp import hdrs
from discord import app_commands

from bot.cli.commands import parser
from bot.gateway.client import COGS, PERMISSIONS, Client, UseCases
from bot.metrics import Metrics
from bot.settings import Settings, SettingsError, load_settings
from bot.words import cards, forms, posted
from bot.words.pages import guide, library, panel
from bot.words.pages.panel import Panel
from bot.words.pages.place import Page, Place
from bot.words.posted import Offers
from bot.words.sentences import errors, labels
from bot.words.text import LANGUAGES, LOCALE_DIR
from storage.database import Database
from storage.schema import metadata
from storage.servers.settings import Server
from storage.servers.usage import Kind
from storage.songs.library import Song
from tests.faults.troubles import TROUBLES
from tests.project import configuration
from tests.project.configuration import default_of
from tests.project.pages import COMMANDS, DOCS, INSTALL, OPERATING, README, ROOT, rows, written

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGES = [
    *(
        ROOT / name
        for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "requirements/README.md")
    ),
    *sorted(DOCS.glob("*.md")),
]
PROMISED = (
    "architecture.md",
    "commands.md",
    "configuration.md",
    "deploying.md",
    "install.md",
    "operating.md",
    "prices.md",
    "privacy.md",
    "reliability.md",
    "scaling.md",
    "security.md",
    "troubleshooting.md",
)

LANGUAGE_NAMES = {"de": "German", "es": "Spanish", "ja": "Japanese", "pt_BR": "Brazilian Portuguese"}

_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_NAME = re.compile(r"`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)`")


# Settings


SETTINGS = [name.upper() for name in Settings.model_fields]


def test_the_page_of_settings_is_what_the_settings_class_says() -> None:
    grouped = [name for names in configuration.GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(Settings.model_fields)
    assert configuration.PAGE.read_text("utf-8") == configuration.page(), "`make docs` writes it anew"
    # What is said of a setting is a cell of a table.
    assert [name for name, text in configuration.meanings().items() if "|" in text or not text.endswith(".")] == []


def test_the_example_of_a_settings_file_has_every_setting_with_its_default_and_no_other() -> None:
    found: dict[str, str | None] = {}
    for line in (ROOT / ".env.example").read_text("utf-8").splitlines():
        entry = re.fullmatch(r"(#?)([A-Z][A-Z0-9_]*)=(.*)", line)
        if entry is not None:
            assert entry[2] not in found, f"{entry[2]} stands there twice"
            # Only what is required is not commented out: there is nothing to fall back to.
            found[entry[2]] = entry[3] if entry[1] else None
            assert entry[1] or entry[3] == "", f"{entry[2]} has a value"
    assert found == {name: default_of(name.lower()) for name in SETTINGS}


def test_the_example_works_as_it_is_once_the_two_keys_are_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    example = (ROOT / ".env.example").read_text("utf-8")
    path = tmp_path / ".env"
    path.write_text(example, "utf-8")
    with pytest.raises(SettingsError):
        load_settings(file=path)
    filled = re.sub(r"^(DISCORD_TOKEN|VIDGO_API_KEY)=$", r"\1=abc.def", example, flags=re.MULTILINE)
    path.write_text(filled, "utf-8")
    as_shipped = load_settings(file=path)
    path.write_text(re.sub(r"^#([A-Z][A-Z0-9_]*=)", r"\1", filled, flags=re.MULTILINE), "utf-8")
    assert load_settings(file=path) == as_shipped


def test_no_page_names_a_setting_that_does_not_exist() -> None:
    # Constants of the code are named by their files' paths, never bare; these are others' environment variables.
    others = {"HEAD", "V4_5", "V4_5PLUS", "V4_5ALL"}
    unknown = {
        (page.name, name)
        for page in [
            ROOT / "README.md",
            *(
                DOCS / f"{name}.md"
                for name in ("deploying", "install", "operating", "prices", "privacy", "troubleshooting")
            ),
        ]
        for name in _NAME.findall(page.read_text("utf-8"))
        if name not in SETTINGS and name not in others
    }
    assert unknown == set()


# What people see in Discord


@pytest.fixture
async def client() -> Client:
    """discord.py's client with every cog loaded and no network; what the cogs would hand over to is never called."""
    settings = Settings(discord_token="a.b.c", vidgo_api_key="abc")
    client = Client(settings)
    unused: Any = None
    client.use_cases = UseCases(**dict.fromkeys(UseCases.__dataclass_fields__, unused))
    for cog in COGS:
        await import_module(cog).setup(client)
    return client


def documented_options(cell: str) -> set[str]:
    return set(re.findall(r"(?:^|· ?)`(\w+)`", cell))


async def test_every_command_is_documented_with_its_options_and_no_other(client: Client) -> None:
    known: dict[str, set[str]] = {}
    for command in client.tree.walk_commands():
        if isinstance(command, app_commands.Command):
            known[f"/{command.qualified_name}"] = {option.display_name for option in command.parameters}
    menus = {
        f"*{menu.name}*": set[str]()
        for kind in (discord.AppCommandType.message, discord.AppCommandType.user)
        for menu in client.tree.get_commands(type=kind)
    }
    assert known
    assert menus
    table = rows(COMMANDS, "| Command | Options |")
    assert {name: documented_options(cells[0]) for name, cells in table.items()} == known | menus


HELP_ITSELF = ("help", "coverbot")
SPEAKS_FOR_ITSELF = r"(settings|forget|songs?):|library$"
"""Buttons whose page says what they do, or which open one that /help tells of."""

ALL_OFFERS = [
    Offers("0" * 24, cover=True, lengthen=True, again=True, likes=0, other=2, link="https://example.com/song.mp3"),
    Offers("0" * 24, anew=True, likes=3, pictures=[1], chosen=1),
]
"""All that posts can offer."""


def shown_buttons() -> Iterator[discord.ui.Button[Any]]:
    """Every button that the bot can show."""
    task = "0" * 24
    song = Song(task, 0, "id", "generate-music", "song", "Harbour Lights", "folk", 20.0, 0.0)
    cover = Song(task, 1, "id", "generate-music-cover", "cover", "Harbour Lights", "folk", 20.0, 0.0)
    place = Place("", song.key)
    page = Page([song, cover], place, previous=place, following=place, chosen=song, said=labels.remove(), undo=task)
    for view in (
        cards.waiting_buttons(task),
        *(posted.buttons(task, offers) for offers in ALL_OFFERS),
        posted.have_this_one(task),
        cards.forget_confirmation(1),
        cards.support_view("https://example.com"),
        library.view(page),
        *(panel.view(Panel(Server(1, mentions=on), [], dict.fromkeys(Kind, 5))) for on in (True, False)),
    ):
        assert view is not None
        for item in view.walk_children():
            if isinstance(item, discord.ui.Button):
                yield item
    yield from (forms.retry_button(task), forms.change_button(task), cards.songs_button())


async def test_every_button_is_documented_and_no_other(client: Client) -> None:
    buttons = list(shown_buttons())
    # Were there a button that this test does not make, nothing made here would fit its custom id.
    for template in client._connection._view_store._dynamic_items:
        assert any(button.custom_id and template.fullmatch(button.custom_id) for button in buttons), template.pattern
    labels = {(button.label or "").lstrip(string.digits + " ") for button in buttons}
    labels.discard("")  # a number alone
    table = rows(COMMANDS, "| Button | Where |")
    assert {label for first in table for label in re.findall(r"\*\*(.+?)\*\*", first)} == labels


async def test_help_says_what_each_command_and_button_of_members_does(client: Client) -> None:
    told = guide.page(lambda name: f"/{name}", [], 0.0).description or ""
    for command in client.tree.walk_commands():
        # Its own page, and what only managers see.
        if isinstance(command, app_commands.Command) and command.qualified_name.partition(" ")[0] not in HELP_ITSELF:
            assert f"/{command.qualified_name} " in told
    for menu in client.tree.get_commands(type=discord.AppCommandType.message):
        assert f"**{menu.name}** " in told
    for button in shown_buttons():
        if button.custom_id and not re.match(SPEAKS_FOR_ITSELF, button.custom_id):
            label = (button.label or "").lstrip(string.digits + " ")
            assert not label or f"**{label}** " in told, label


def test_the_page_of_installing_names_the_permissions_that_the_invitation_asks_for() -> None:
    names = [name.replace("_", " ").title().replace(" In ", " in ") for name, wanted in PERMISSIONS if wanted]
    # discord.py's old name of what Discord shows as "View Channel".
    names = [{"Read Messages": "View Channel"}.get(name, name) for name in names]
    sentence = re.search(r"The invitation asks for six permissions and no more: ([^.]+)\.", INSTALL)
    assert sentence is not None
    assert sorted(re.split(r",\s+", sentence[1])) == sorted(names)


def test_the_page_of_commands_names_the_languages_that_have_a_catalogue() -> None:
    sentence = next(line for line in COMMANDS.splitlines() if line.startswith("The bot speaks English"))
    for language in set(LANGUAGES.values()):
        assert LANGUAGE_NAMES[language] in sentence
        assert (LOCALE_DIR / language / "LC_MESSAGES" / "coverbot.mo").is_file()


def test_sentences_that_the_page_of_troubles_quotes_are_the_bots() -> None:
    page = (DOCS / "troubleshooting.md").read_text("utf-8")
    spoken = {
        errors.owner_must_act(key=True): "VidGo does not let this bot in",
        errors.owner_must_act(key=False): "has run out of credits",
        errors.missing_permissions(["…"]): "I may not post here: I lack …",
        errors.unknown_task_id(): "VidGo has no song with that id that this bot may use",
        errors.internal_error("…"): "Something went wrong on my side",
    }
    for text, quoted in spoken.items():
        assert quoted in page
        assert quoted in str(text).replace("**", "")


# The program


def test_every_command_of_the_program_is_documented_and_no_other() -> None:
    usages = [
        " ".join(["coverbot", name, *(str(action.metavar) for action in command._actions if not action.option_strings)])
        for name, command in commands().items()
    ]
    assert sorted(rows(COMMANDS, "| Command of the program |")) == sorted(usages)


def test_every_option_of_a_command_is_documented() -> None:
    pages = "".join(page.read_text("utf-8") for page in PAGES)
    options = {
        (name, option)
        for name, command in commands().items()
        for action in command._actions
        for option in action.option_strings
        if action.dest != "help"
    }
    assert len(options) > 5
    assert [(name, option) for name, option in sorted(options) if option not in pages] == []


def commands() -> dict[str, argparse.ArgumentParser]:
    """Return the parsers of the program's commands."""
    choices: Any = next(action.choices for action in parser()._actions if action.dest == "command")
    return dict(choices)


def test_every_route_of_the_listener_is_documented_and_no_other() -> None:
    tree = ast.parse((ROOT / "bot" / "web" / "listener.py").read_text("utf-8"))
    routes = {
        f"{node.func.attr.upper()} {written(node.args[0])}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and ast.unparse(node.func) in {f"web.{method.lower()}" for method in hdrs.METH_ALL}
    }
    assert len(routes) > 3
    assert set(rows((DOCS / "deploying.md").read_text("utf-8"), "| Route | Answers |")) == routes


def test_every_metric_is_documented_and_no_other() -> None:
    known = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in Metrics().registry.collect()
        if family.name.startswith("coverbot_")
    }
    assert set(rows(OPERATING, "| Metric | Labels |")) == known
    assert set(re.findall(r"coverbot_[a-z_]+", OPERATING)) == known


def test_the_privacy_page_names_every_table_and_column() -> None:
    page = (DOCS / "privacy.md").read_text("utf-8")
    parts = re.split(r"^\*\*`(\w+)`\*\*", page.split("## For how long")[0], flags=re.MULTILINE)
    described = {name: set(re.findall(r"`(\w+)`", text)) for name, text in zip(parts[1::2], parts[2::2], strict=True)}
    tables = {table.name: {column.name for column in table.columns} for table in metadata.sorted_tables}
    assert sorted(described) == sorted(tables)
    assert {name: columns - described[name] for name, columns in tables.items()} == {name: set() for name in tables}


async def test_the_way_to_forget_a_member_by_hand_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    page = (DOCS / "privacy.md").read_text("utf-8")
    script = re.search(r"<<'END'\n(.*?)^END$", page, re.MULTILINE | re.DOTALL)
    assert script is not None
    code = script[1].replace("asyncio.run(main())", "")
    monkeypatch.chdir(tmp_path)
    scope: dict[str, Any] = {}
    exec(compile(code, "privacy.md", "exec"), scope)
    await scope["main"]()
    database = await Database.open("sqlite:///data/coverbot.db")
    await database.close()
    assert capfd.readouterr().err == ""


# The files


def test_every_page_is_there() -> None:
    assert [name for name in PROMISED if not (DOCS / name).is_file()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = _FENCE.sub("", page.read_text("utf-8"))
    dead = []
    for target in _LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or not file.is_relative_to(ROOT) or (anchor and anchor not in anchors(file)):
            dead.append(target)
    assert dead == []


def anchors(page: Path) -> set[str]:
    """Return what headings can be linked to by, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_found_from_the_readme() -> None:
    linked = set(re.findall(r"\(docs/(\w+\.md)", README))
    reached = {name for page in linked for name in re.findall(r"\((\w+\.md)", (DOCS / page).read_text("utf-8"))}
    assert {page.name for page in DOCS.glob("*.md")} - linked - reached == set()


def test_what_each_trouble_did_is_told_of_every_trouble() -> None:
    table = rows((DOCS / "reliability.md").read_text("utf-8"), "## What outsiders broke")
    assert sorted(table) == sorted(trouble.name for trouble in TROUBLES)


def test_every_module_has_its_place_in_the_architecture_and_none_is_named_that_is_not_there() -> None:
    page = (DOCS / "architecture.md").read_text("utf-8")
    paths = set(re.findall(r"`((?:bot|cogs|storage|sandbox|tests)/[\w/.]*)`", page))
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []
    rooms = {
        room.strip("`"): set(re.findall(r"`(\w+)`", files)) for room, [files] in rows(page, "## Every file").items()
    }
    there: dict[str, set[str]] = {}
    for package in ("bot", "storage", "cogs"):
        for path in (ROOT / package).rglob("*.py"):
            if path.name != "__init__.py" and "migrations" not in path.parts:
                there.setdefault(f"{path.parent.relative_to(ROOT).as_posix()}/", set()).add(path.stem)
    assert rooms == there


def test_the_map_of_rooms_has_every_room_and_no_other() -> None:
    page = (DOCS / "architecture.md").read_text("utf-8")
    drawn: list[Path] = []
    above: list[str] = []
    for line in page.split("## Rooms")[1].split("```")[1].splitlines()[1:]:
        indent, names = re.findall(r"^( *)((?:\w+/ *)+)", line)[0]
        found = [name.strip("/") for name in names.split()]
        above = [*above[: len(indent) // 2], found[0]]
        drawn += [Path(*above[:-1], name) for name in found]
    assert [str(room) for room in drawn if not (ROOT / room).is_dir()] == []
    assert len(drawn) == len(set(drawn))
    there = {
        path.parent.relative_to(ROOT)
        for package in ("bot", "cogs", "storage", "sandbox")
        for path in (ROOT / package).rglob("*.py")
        if path.parent.name != "versions"
    }
    assert there - set(drawn) == set()
    # It is seen at once, so it fits a screen.
    assert len(drawn) < 45


def test_make_has_every_target_that_is_documented() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    documented = {
        name for page in PAGES for name in re.findall(r"(?:`|^)make ([a-z]+)", page.read_text("utf-8"), re.MULTILINE)
    }
    assert documented - targets == set()


def test_the_changelog_has_an_entry_for_this_version() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        version = tomllib.load(file)["project"]["version"]
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    entry = re.search(
        rf"^## \[?{re.escape(version)}\]? - (Unreleased|\d{{4}}-\d\d-\d\d)$(.*?)(?=^## |\Z)",
        text,
        re.MULTILINE | re.DOTALL,
    )
    assert entry is not None
    assert re.search(r"^### (Added|Changed|Fixed)\n\n- ", entry[2], re.MULTILINE)
