"""Buttons, fields and headings."""

from __future__ import annotations

from bot.vidgo import CoverAudio, ExtendMusic
from bot.words.text import Text, _n
from storage.library import Song


def kind_of(song: Song) -> Text:
    if song.model == CoverAudio.model:
        # Translators: values of the field "Kind" in the library.
        return Text("new performance")
    if song.model == ExtendMusic.model:
        return Text("extended song")
    if song.kind == "cover":
        return Text("cover")
    return Text("song")


def library_head(number: int, search: str) -> Text:
    if search:
        return Text("Your songs and covers with “{search}”, page {number}.", search=search, number=number)
    return Text("Your songs and covers, page {number}.", number=number)


_LABELS = {
    # Translators: buttons; {number} is the song's place on the page; "Post" and "Cover" are verbs.
    "post": _n("{number} Post"),
    "cover": _n("{number} Cover"),
    "extend": _n("{number} Extend"),
    "remove": _n("{number} Remove"),
}


def action_label(action: str, number: int) -> Text:
    return Text(_LABELS[action], number=number)


def cover() -> Text:
    # Translators: a button; what pressing it does
    return Text("Cover")


def remove() -> Text:
    # Translators: a button under a posted message
    return Text("Remove")


def stop() -> Text:
    return Text("Don't post")


def download() -> Text:
    return Text("Download")


def support() -> Text:
    # Translators: a button under an error; it leads to where members get help
    return Text("Get help")


def forget() -> Text:
    return Text("Forget everything")


def cancel() -> Text:
    # Translators: a button beside one that does something which cannot be undone
    return Text("Cancel")


def duration() -> Text:
    return Text("Duration")


def made() -> Text:
    # Translators: a field; its value is a time, such as "2 days ago"
    return Text("Made")


def kind() -> Text:
    # Translators: a field; its value is such as "cover" or "song"
    return Text("Kind")


def untitled() -> Text:
    return Text("Untitled")
