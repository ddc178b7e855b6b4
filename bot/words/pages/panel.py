"""The panel of a server's settings, and the forms that it opens."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import discord
from discord import ui

from bot.words.cards import COLOUR
from bot.words.sentences.limits import NO_LIMIT
from bot.words.text import Raw, Text, _n, escape
from storage.members.forget import NOBODY
from storage.servers.settings import Change, RoleLimits, Server
from storage.servers.usage import Kind

CUSTOM_ID = "settings:"
"""How the custom id of everything on the panel begins."""

CHANNEL_TYPES = [
    discord.ChannelType.text,
    discord.ChannelType.news,
    discord.ChannelType.voice,
    discord.ChannelType.stage_voice,
    discord.ChannelType.forum,
]
MOST_CHANNELS = 25
"""As many as one menu of Discord's can hold."""

SHOWN_ROLES = 20
CHANGE_LIMIT = 80
WELCOME_LIMIT = 500

OWN_LANGUAGE = "own"
LANGUAGE_NAMES = {"en-US": "English", "de": "Deutsch", "es-ES": "Español", "ja": "日本語", "pt-BR": "Português (BR)"}
"""As those who speak them write them."""

SWITCHES = ("covers_of_others", "recordings", "mentions")
"""Settings that are on or off."""

Items = list[ui.Item[ui.LayoutView]]


@dataclass(frozen=True, slots=True)
class Panel:
    """What the panel shows: what is set, who changed something lately, and what holds where nothing is set."""

    server: Server
    changes: Sequence[Change]
    defaults: Mapping[Kind, int]
    there: Collection[int] | None = None
    """The channels that the server has, None where they are not known."""


_SETTINGS = {
    # Translators: what was changed, in a list of changes
    "channels": _n("Channels"),
    "limits": _n("Limits"),
    "roles": _n("Limits by role"),
    "covers_of_others": _n("Covers of others' posts"),
    "recordings": _n("Recordings"),
    "mentions": _n("Mentions"),
    "language": _n("Language"),
    "welcome": _n("Message in /help"),
}


def shown_limit(number: int | None) -> str:
    """Write a limit down in signs."""
    return "·" if number is None else "∞" if number == NO_LIMIT else str(number)


def view(panel: Panel) -> ui.LayoutView:
    """Make the panel; discord.py does not keep it, for it works through its custom ids alone."""
    server = panel.server
    items: Items = [
        ui.TextDisplay("## " + str(Text("Settings in this server"))),
        *_channels(server, panel.there),
        ui.Separator(),
        *_limits(panel),
        ui.Separator(),
        _switch(
            "covers_of_others",
            Text("**Covers of others' posts**: may members cover a song that somebody else has posted?"),
            is_on=server.covers_of_others,
        ),
        _switch(
            "recordings",
            Text("**Recordings**: may members have recordings covered that they upload?"),
            is_on=server.recordings,
        ),
        _switch(
            "mentions",
            Text("**Mentions**: does a finished song notify whoever asked for it?"),
            is_on=server.mentions,
        ),
        *_language(server),
        _section(
            Text(
                "**Message in /help**: {welcome}",
                welcome=Raw(escape(server.welcome) if server.welcome else str(Text("nothing"))),
            ),
            _button("welcome"),
        ),
        ui.Separator(),
        ui.TextDisplay(_changes(panel.changes)),
    ]
    made = ui.LayoutView(timeout=None)
    made.add_item(ui.Container(*items, accent_colour=COLOUR))
    made.stop()
    return made


def _channels(server: Server, there: Collection[int] | None) -> Items:
    chosen = [channel for channel in server.channels if there is None or channel in there]
    are_gone = bool(server.channels) and not chosen
    menu: Any = ui.ChannelSelect(
        custom_id=f"{CUSTOM_ID}channels",
        channel_types=CHANNEL_TYPES,
        placeholder=str(Text("Nowhere: the channels that were chosen are gone") if are_gone else Text("Everywhere")),
        min_values=0,
        max_values=MOST_CHANNELS,
        default_values=[
            discord.SelectDefaultValue(id=channel, type=discord.SelectDefaultValueType.channel) for channel in chosen
        ],
    )
    return [ui.TextDisplay(str(Text("**Channels** in which songs may be ordered"))), ui.ActionRow(menu)]


def _limits(panel: Panel) -> Items:
    server = panel.server
    own = {Kind.COVER: server.covers_per_user, Kind.SONG: server.songs_per_user}
    shown = {kind: own[kind] if own[kind] is not None else panel.defaults[kind] for kind in Kind}
    roles = [
        f"<@&{role}>: {shown_limit(given.covers)} / {shown_limit(given.songs)}"
        for role, given in list(server.roles.items())[:SHOWN_ROLES]
    ]
    menu: Any = ui.RoleSelect(custom_id=f"{CUSTOM_ID}role", placeholder=str(Text("Choose a role to set its limits")))
    return [
        _section(
            Text(
                "**Limits** of a member for a day: {covers} covers, {songs} new songs",
                covers=Raw(shown_limit(shown[Kind.COVER])),
                songs=Raw(shown_limit(shown[Kind.SONG])),
            ),
            _button("limits"),
        ),
        ui.TextDisplay("\n".join([str(Text("**Limits by role** (covers / new songs)")), *roles])),
        ui.ActionRow(menu),
    ]


def _switch(name: str, text: Text, *, is_on: bool) -> ui.Section[ui.LayoutView]:
    style = discord.ButtonStyle.success if is_on else discord.ButtonStyle.secondary
    label = str(Text("Yes")) if is_on else str(Text("No"))
    return _section(text, ui.Button(label=label, style=style, custom_id=f"{CUSTOM_ID}{name}:{int(not is_on)}"))


def _language(server: Server) -> Items:
    options = [
        discord.SelectOption(
            label=str(Text("Each member's own language")), value=OWN_LANGUAGE, default=server.language is None
        ),
        *(
            discord.SelectOption(label=name, value=code, default=server.language == code)
            for code, name in LANGUAGE_NAMES.items()
        ),
    ]
    menu: Any = ui.Select(custom_id=f"{CUSTOM_ID}language", options=options)
    return [ui.TextDisplay(str(Text("**Language** of what everybody can read"))), ui.ActionRow(menu)]


def _changes(changes: Sequence[Change]) -> str:
    lines = [
        f"-# <t:{int(one.at)}:R> {_who(one)}**{Text(_SETTINGS[one.setting])}**: {_cut(one, one.before)} → "
        f"{_cut(one, one.after)}"
        for one in changes
    ]
    return "\n".join([str(Text("**Last changes**")), *(lines or [str(Text("nothing"))])])


def _who(change: Change) -> str:
    return "" if change.user_id == NOBODY else f"<@{change.user_id}> "  # whoever was forgotten has no name


def _cut(change: Change, text: str) -> str:
    if change.setting == "welcome":
        return escape(text)
    # Within a mention nothing may be cut, so what is too long is cut at a space.
    return text if len(text) <= CHANGE_LIMIT else text[:CHANGE_LIMIT].rpartition(" ")[0] + " …"


def _section(text: Text, button: ui.Button[ui.LayoutView]) -> ui.Section[ui.LayoutView]:
    return ui.Section(str(text), accessory=button)


def _button(name: str) -> ui.Button[ui.LayoutView]:
    return ui.Button(label=str(Text("Change")), custom_id=f"{CUSTOM_ID}{name}")


# Forms


def limits_form(server: Server) -> ui.Modal:
    """Make the form for the limits of members."""
    given = RoleLimits(server.covers_per_user, server.songs_per_user)
    return _limits_form("limits", str(Text("Daily limits")), given)


def role_form(role: int, given: RoleLimits) -> ui.Modal:
    """Make the form for the limits of members with a role."""
    return _limits_form(f"role:{role}", str(Text("Daily limits for a role")), given)


def welcome_form(server: Server) -> ui.Modal:
    """Make the form for what the server says in `/help`."""
    field: ui.TextInput[ui.Modal] = ui.TextInput(
        custom_id="text",
        style=discord.TextStyle.paragraph,
        default=server.welcome,
        required=False,
        max_length=WELCOME_LIMIT,
    )
    hint = Text("Shown first in /help, for example your rules. Empty: nothing.")
    return _form(
        "welcome",
        str(Text("Message in /help")),
        [ui.Label(text=str(Text("Text")), description=str(hint), component=field)],
    )


def _limits_form(name: str, title: str, given: RoleLimits) -> ui.Modal:
    hint = str(Text("0 allows none, -1 as many as wanted. Empty: as it is otherwise."))
    labels = {"covers": Text("Covers a day"), "songs": Text("New songs a day")}
    fields = []
    for field, number in (("covers", given.covers), ("songs", given.songs)):
        typed: ui.TextInput[ui.Modal] = ui.TextInput(
            custom_id=field, required=False, max_length=7, default=None if number is None else str(number)
        )
        fields.append(ui.Label(text=str(labels[field]), description=hint, component=typed))
    return _form(name, title, fields)


def _form(name: str, title: str, fields: list[ui.Label[ui.Modal]]) -> ui.Modal:
    form = ui.Modal(title=title, custom_id=f"{CUSTOM_ID}{name}", timeout=None)
    for field in fields:
        form.add_item(field)
    form.stop()  # discord.py need not keep it
    return form
