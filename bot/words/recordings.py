"""What is said about members' own recordings, and the form that asks for their style."""

from __future__ import annotations

import discord
from discord import ui

from bot.words.text import Text, clean

CUSTOM_ID = "recording:"
"""How the custom id of the form begins; the recording's own id follows."""

STYLE_LIMIT = 1000
NAME_LIMIT = 80


def name_of(file_name: str, title: str | None) -> str:
    """Return what a recording is called: by its file's name, without the ending."""
    return clean(title or file_name.rpartition(".")[0] or file_name, NAME_LIMIT) or str(Text("Untitled"))


def style_form(recording_id: str, name: str, style: str = "") -> ui.Modal:
    """Make the form that asks in which style a recording is performed, with what was typed before."""
    form = ui.Modal(title=str(Text("Cover this recording")), custom_id=f"{CUSTOM_ID}{recording_id}", timeout=None)
    form.add_item(ui.TextDisplay(str(yours_to_use(name))))
    field: ui.TextInput[ui.Modal] = ui.TextInput(
        custom_id="style",
        style=discord.TextStyle.paragraph,
        default=style[:STYLE_LIMIT] or None,
        max_length=STYLE_LIMIT,
    )
    hint = str(Text("Such as: acoustic folk, female voice"))
    form.add_item(ui.Label(text=str(Text("Style")), description=hint, component=field))
    form.stop()  # discord.py need not keep it
    return form


def yours_to_use(name: str) -> Text:
    return Text(
        "**{title}** becomes a new version in the style that you give. The recording must be yours to use: your own, "
        "or one whose owner allows it. VidGo gets it.",
        title=name,
    )


def track_and_file() -> Text:
    return Text("Choose either one of your songs or a recording, not both. No credits were used.")


def switched_off() -> Text:
    return Text("In this server recordings that members upload may not be covered. No credits were used.")


def nothing_to_cover() -> Text:
    return Text("That message carries no song of mine that I still know, and no audio file.")


def not_audio(name: str) -> Text:
    return Text(
        "**{title}** is not an MP3, WAV, FLAC, Ogg or M4A file by its content, so I cannot have it covered. No credits "
        "were used.",
        title=name,
    )


def of_unknown_length(name: str) -> Text:
    return Text(
        "I cannot tell how long **{title}** is; its file may be damaged. No credits were used; try another file.",
        title=name,
    )


def too_long(name: str, seconds: float) -> Text:
    if seconds <= 60:
        return Text(
            "**{title}** is longer than a minute, the longest that VidGo takes here. No credits were used.", title=name
        )
    return Text(
        "**{title}** is longer than {minutes} minutes, the longest that VidGo takes. No credits were used.",
        title=name,
        minutes=round(seconds / 60),
    )


def too_large(name: str, limit: int) -> Text:
    return Text(
        "**{title}** is larger than {megabytes} MB, the most that I take. No credits were used.",
        title=name,
        megabytes=max(limit // 1_000_000, 1),
    )


def not_fetched(name: str) -> Text:
    return Text(
        "I could not get **{title}** from Discord. No credits were used; try again, or upload it anew.", title=name
    )


def no_longer_known() -> Text:
    return Text("I no longer know that recording. No credits were used; choose the file again.")
