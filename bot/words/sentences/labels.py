"""Buttons, fields and headings."""

from __future__ import annotations

from bot.vidgo import CoverAudio, ExtendMusic
from bot.words.text import Text, _n
from storage.songs.library import Song


def kind_of(song: Song) -> Text:
    if song.model == CoverAudio.model:
        # Translators: what a song in the library is.
        return Text("new version")
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
    "remove": _n("Remove"),
    "undo": _n("Undo"),
}


def song_action(action: str) -> Text:
    return Text(_ACTIONS[action])


def cover() -> Text:
    # Translators: a button; what pressing it does
    return Text("Cover")


def other_style() -> Text:
    # Translators: a button under a song; it opens a form that asks in which style to make a new version
    return Text("Other style…")


def new_version() -> Text:
    # Translators: a button under new artwork; it opens the same form
    return Text("New version…")


def lengthen() -> Text:
    # Translators: a button under a song; it opens a form that asks how the song goes on
    return Text("Extend…")


def again() -> Text:
    # Translators: a button under a song; it orders the same once more, which makes another song of the same words
    return Text("Again")


def keep() -> Text:
    # Translators: a button under a song of anybody; it takes the song into one's own library
    return Text("Keep")


def like() -> Text:
    # Translators: a button with a heart; where somebody has pressed it, it shows how many instead
    return Text("Like")


def version(number: int) -> Text:
    # Translators: a button that posts the other of the two versions that were made of a song
    return Text("Version {number}", number=number)


def use_picture(number: int) -> Text:
    # Translators: a button under two pictures; it makes one of them the cover of the song
    return Text("Use picture {number}", number=number)


def artwork_of(title: str) -> Text:
    # Translators: describes a picture to those who cannot see it
    return Text("Artwork of {title}", title=title)


def two_versions() -> Text:
    # Translators: stands beside the lengths of a song's two versions, which are both in the post
    return Text("both versions")


def version_of(number: int, count: int) -> Text:
    # Translators: stands beside the length of a song of which more was made than is in the post
    return Text("version {number} of {count}", number=number, count=count)


def post_again() -> Text:
    # Translators: a button under the answer that a member has a song's cover; it posts that once more
    return Text("Post again")


def try_again() -> Text:
    # Translators: a button under what came to nothing; it orders the same once more
    return Text("Try again")


def change_words() -> Text:
    # Translators: a button under what came to nothing; it opens the form with what was typed
    return Text("Change the words…")


def credits_used(number: float) -> Text:
    # Translators: stands beside the length of a song: what it has cost
    if number == 1:
        return Text("1 credit")
    return Text("{number} credits", number=f"{number:g}")


def original_music() -> Text:
    # Translators: stands on a card below new artwork
    return Text("The music is the original's.")


def songs() -> Text:
    # Translators: a button under a message that says why there is no result; it opens the presser's own library
    return Text("My songs")


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


def untitled() -> Text:
    return Text("Untitled")
