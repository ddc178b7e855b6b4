"""Forms in which an order is typed, and the buttons that open them."""

from __future__ import annotations

from typing import Any

import discord
from discord import ui

from bot.words.sentences import labels
from bot.words.text import Raw, Text, clean
from storage.notifications.drafts import AT_LIMIT, PROMPT_LIMIT, STYLE_LIMIT, TITLE_LIMIT, Draft, Making

FORM_TITLE_LIMIT = 45
"""Discord's limit of a form's title."""

TRACK = r"[0-9a-z]{24}(?:\.\d{1,3})?"
"""What stands for a song in custom ids."""

CUSTOM_ID = rf"form:(?P<making>song|style|extension)(?::(?P<track>{TRACK})|@(?P<notification>[0-9a-z]{{24}}))?"
"""The custom id of a form: what it makes, and from which song, or after which order that came to nothing."""


def retry_button(notification_id: str) -> ui.Button[Any]:
    """Make the *Try again* button, under what came to nothing."""
    return ui.Button(
        label=str(labels.try_again()), custom_id=f"retry:{notification_id}", style=discord.ButtonStyle.primary
    )


def change_button(notification_id: str) -> ui.Button[Any]:
    """Make the *Change the words…* button, under what came to nothing."""
    return ui.Button(label=str(labels.change_words()), custom_id=f"change:{notification_id}")


def form(draft: Draft, *, title: str | None = None, after: str | None = None) -> ui.Modal:
    """Make the form for an order, with what was typed before; `title` is that of the song it is made from.

    `after` is the notification of an order that came to nothing.
    """
    place = f"@{after}" if after is not None else f":{draft.track}" if draft.track is not None else ""
    made = ui.Modal(title=_title(draft.making, title), custom_id=f"form:{draft.making}{place}", timeout=None)
    fields = {Making.SONG: _song_fields, Making.STYLE: _style_fields, Making.EXTENSION: _extension_fields}
    for field in fields[draft.making](draft):
        made.add_item(field)
    made.stop()  # discord.py need not keep it
    return made


def _title(making: Making, title: str | None) -> str:
    if making is Making.SONG:
        return str(Text("A new song"))
    known = {
        # Translators: titles of forms; what follows is the name of a song, if it is known
        Making.STYLE: Text("Other style"),
        Making.EXTENSION: Text("Extend"),
    }
    # Markdown means nothing in a form's title.
    return clean(str(known[making]) if title is None else f"{known[making]}: {Raw(title)}", FORM_TITLE_LIMIT)


def _song_fields(draft: Draft) -> list[ui.Label[ui.Modal]]:
    return [
        _label(
            Text("What it is about, or its lyrics"),
            _typed("prompt", draft.prompt, PROMPT_LIMIT, required=True, is_long=True),
            Text("With a style, this is sung word for word."),
        ),
        _label(Text("Style"), _typed("style", draft.style, STYLE_LIMIT), Text("Such as: acoustic folk, female voice.")),
        _label(Text("Title"), _typed("title", draft.title, TITLE_LIMIT)),
        _label(Text("Without singing"), ui.Checkbox(custom_id="instrumental", default=draft.instrumental)),
    ]


def _style_fields(draft: Draft) -> list[ui.Label[ui.Modal]]:
    return [
        _label(
            Text("Style"),
            _typed("style", draft.style, STYLE_LIMIT, required=True, is_long=True),
            Text("Such as: acoustic folk, female voice."),
        )
    ]


def _extension_fields(draft: Draft) -> list[ui.Label[ui.Modal]]:
    return [
        _label(
            Text("How it goes on, or more lyrics"),
            _typed("prompt", draft.prompt, PROMPT_LIMIT, is_long=True),
            Text("Empty: as it was."),
        ),
        _label(
            Text("Where to start"),
            _typed("at", draft.at, AT_LIMIT),
            Text("Seconds, or minutes and seconds such as 1:30. Empty: from its end."),
        ),
    ]


def _typed(
    name: str, before: str, limit: int, *, required: bool = False, is_long: bool = False
) -> ui.TextInput[ui.Modal]:
    return ui.TextInput(
        custom_id=name,
        style=discord.TextStyle.paragraph if is_long else discord.TextStyle.short,
        default=before[:limit] or None,
        required=required,
        max_length=limit,
    )


def _label(text: Text, field: ui.Item[ui.Modal], hint: Text | None = None) -> ui.Label[ui.Modal]:
    return ui.Label(text=str(text), description=None if hint is None else str(hint), component=field)
