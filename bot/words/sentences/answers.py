"""What members are told when a private command is done."""

from __future__ import annotations

from bot.words.commands import mention
from bot.words.text import Raw, Text


def imported(titles: list[str]) -> Text:
    if len(titles) == 1:
        return Text("**{title}** is in your library. Cover it with {cover}.", title=titles[0], cover=mention("cover"))
    return Text(
        "**{title}** is in your library, in {count} versions. Cover it with {cover}.",
        title=titles[0],
        cover=mention("cover"),
        count=len(titles),
    )


def have_this_one(link: Raw) -> Text:
    return Text("You have this one: {link}", link=link)


def no_match(search: str) -> Text:
    return Text("None of your songs has “{search}” in its title.", search=search)


def removed(title: str) -> Text:
    return Text("**{title}** is no longer in your library.", title=title)


def nothing_running() -> Text:
    return Text("You are not waiting for anything at the moment.")


def song_forgotten(title: str) -> Text:
    return Text(
        "**{title}** is forgotten. What was posted stays in its channel until somebody removes it, and VidGo keeps its "
        "own records.",
        title=title,
    )


def confirm_forgetting() -> Text:
    return Text(
        "This removes everything I keep about you: your library, the files that nobody else needs, and what you are "
        "still waiting for. It cannot be undone. What I posted stays in its channels until somebody removes it, and "
        "VidGo keeps its own records."
    )


def nothing_forgotten() -> Text:
    return Text("Nothing was forgotten.")


def all_forgotten() -> Text:
    return Text(
        "I have forgotten you. What I posted stays in its channels until somebody removes it, and VidGo keeps its own "
        "records."
    )
