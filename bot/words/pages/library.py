"""How a member's library looks: cards, a menu to choose a song, and what can be done with the chosen one."""

from __future__ import annotations

from typing import Any

import discord
from discord import ui

from bot.words import posted
from bot.words.cards import COLOUR, in_minutes, track_value, variant
from bot.words.commands import mention
from bot.words.pages.place import Page, Place
from bot.words.sentences import answers, errors, labels
from bot.words.text import TITLE_LIMIT, Raw, Text, clean, escape
from storage.songs.library import Song

CHOOSE = "songs:c:"
TURN = "songs:t:"
"""How the custom ids of the menu and of the buttons that turn begin; a place in the library follows."""

ACTIONS = ("play", "post", "cover", "extend", "remove", "undo")

_TAGS_LIMIT = 100
_OPTION_LIMIT = 100
_KEPT_LATER_SECONDS = 60.0
"""What came into a library this long after it was made was added there."""

_SIGNS = {"play": "🎧", "post": "📣", "cover": "🎨", "remove": "🗑️", "undo": "↩️"}

Items = list[ui.Item[ui.LayoutView]]


def view(page: Page) -> ui.LayoutView:
    """Make a page; discord.py does not keep it, for it works through its custom ids alone."""
    items: Items = [ui.TextDisplay(_head(page)), *_said(page)]
    items += [_card(page, place, song) for place, song in enumerate(page.songs)]
    if page.chosen is not None:
        items += [ui.Separator(), ui.ActionRow(_menu(page)), ui.ActionRow(*_actions(page.chosen))]
    turns = [
        _button(label, f"{TURN}{place.encode()}", sign)
        for label, sign, place in ((Text("Newer"), "◀️", page.previous), (Text("Older"), "▶️", page.following))
        if place is not None
    ]
    if turns:
        items.append(ui.ActionRow(*turns))
    made = ui.LayoutView(timeout=None)
    made.add_item(ui.Container(*items, accent_colour=COLOUR))
    made.stop()
    return made


def page_was_old() -> Text:
    return Text("That page was of an earlier version of me; here are your songs from the newest on.")


def brought_back(title: str) -> Text:
    return Text("**{title}** is back in your library.", title=title)


def too_late_to_undo() -> Text:
    return Text(
        "That song cannot be brought back any more. Import it again with {bring}, or make it again.",
        bring=mention("music import"),
    )


def played(title: str) -> Text:
    return Text("**{title}**, for you alone.", title=title)


def nothing_to_play(title: str) -> Text:
    return Text("Nobody has the audio of **{title}** any more, so I cannot play it.", title=title)


def too_large_to_play(title: str) -> Text:
    return Text("**{title}** is too large for Discord to take it here, so I cannot play it.", title=title)


def _head(page: Page) -> str:
    search = page.place.search
    numbers = {"first": page.first + 1, "last": page.first + len(page.songs), "total": page.total}
    if not page.total:
        what = answers.no_match(search) if search else errors.no_songs()
    elif search:
        # Translators: which songs are on the page, of how many: "1 to 5 of 12"
        what = Text("{first} to {last} of {total} with “{search}” in the title", **numbers, search=search)
    else:
        what = Text("{first} to {last} of {total}", **numbers)
    return "\n".join(["## " + str(Text("Your songs and covers")), str(what)])


def _said(page: Page) -> Items:
    if page.said is None:
        return []
    if page.undo is None:
        return [ui.TextDisplay(str(page.said))]
    return [ui.Section(str(page.said), accessory=_action("undo", page.undo))]


def _card(page: Page, place: int, song: Song) -> ui.Item[ui.LayoutView]:
    title = escape(clean(song.title, TITLE_LIMIT)) or str(labels.untitled())
    facts = [str(labels.kind_of(song)), *([in_minutes(song.duration)] if song.duration else [])]
    lines = [f"**{page.first + place + 1}. {title}**{variant(song)}", " · ".join(facts)]
    if tags := escape(clean(song.tags, _TAGS_LIMIT)):
        lines.append(tags)
    text = "\n".join([*lines, f"-# {' · '.join(_times(song))}"])
    if place not in page.pictures:
        return ui.TextDisplay(text)
    about = str(Text("Artwork of {title}", title=Raw(clean(song.title, TITLE_LIMIT))))
    return ui.Section(text, accessory=ui.Thumbnail(f"attachment://{page.pictures[place][1]}", description=about))


def _times(song: Song) -> list[str]:
    """Say when a song was made, and when it came into the library where that is something else."""
    times = [] if song.made_at is None else [str(Text("Made {when}", when=_when(song.made_at)))]
    if song.made_at is None or song.added_at - song.made_at > _KEPT_LATER_SECONDS:
        times.append(str(Text("Added {when}", when=_when(song.added_at))))
    return times


def _when(seconds: float) -> Raw:
    return Raw(f"<t:{int(seconds)}:R>")


def _menu(page: Page) -> ui.Select[Any]:
    options = []
    for place, song in enumerate(page.songs):
        number = f"{page.first + place + 1}. "
        length = f" · {in_minutes(song.duration)}" if song.duration else ""
        title = clean(song.title, _OPTION_LIMIT - len(number + variant(song))) or str(labels.untitled())
        options.append(
            discord.SelectOption(
                label=number + title + variant(song),
                value=track_value(song),
                description=f"{labels.kind_of(song)}{length}",
                default=song == page.chosen,
            )
        )
    return ui.Select(
        custom_id=f"{CHOOSE}{page.place.encode()}", options=options, placeholder=str(Text("Choose a song"))
    )


def _actions(song: Song) -> list[ui.Button[Any]]:
    track = track_value(song)
    if song.kind != "song":
        return [_action(name, track) for name in ("play", "post", "remove")]
    made = [_action(name, track) for name in ("play", "post", "cover")]
    return [*made, posted.lengthen_button(track), _action("remove", track)]


def _action(name: str, track: str) -> ui.Button[Any]:
    return _button(labels.song_action(name), f"song:{name}:{track}", _SIGNS[name])


def _button(label: Text, custom_id: str, sign: str) -> ui.Button[Any]:
    return ui.Button(label=str(label), custom_id=custom_id, emoji=sign)


def place_of(custom_id: str) -> Place | None:
    """Return the place of a page whose menu has this custom id, None for another custom id."""
    return Place.decode(custom_id.removeprefix(CHOOSE)) if custom_id.startswith(CHOOSE) else None
