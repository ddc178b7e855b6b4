"""Buttons, fields and headings."""

from __future__ import annotations

from bot.vidgo import CoverAudio, ExtendMusic
from bot.words.text import Text, _n
from storage.library import Song


def kind_of(song: Song) -> Text:
    if song.model == CoverAudio.model:
        # Translators: what a song in the library is.
        return Text("new performance")
    if song.model == ExtendMusic.model:
        return Text("extended song")
    if song.kind == "cover":
        return Text("cover")
    return Text("song")


_ACTIONS = {
    # Translators: buttons under the library, for the song that is chosen; all are verbs.
    "play": _n("Play for me"),
    "post": _n("Post"),
    "cover": _n("Cover"),
    "extend": _n("Extend"),
    "remove": _n("Remove"),
    "undo": _n("Undo"),
}


def song_action(action: str) -> Text:
    return Text(_ACTIONS[action])


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


def untitled() -> Text:
    return Text("Untitled")
