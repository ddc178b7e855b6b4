"""What the owner of the bot is told, and who brings it into a server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.words.commands import mention
from bot.words.text import Raw, Text, _n
from storage.schema import AlarmKind

_BEGINS = {
    AlarmKind.KEY: _n(
        "VidGo refuses this bot's key, first seen {since}, so nothing can be ordered. Make a new key in VidGo's "
        "dashboard, put it into `VIDGO_API_KEY`, and restart me."
    ),
    AlarmKind.CREDITS_LOW: _n(
        "This bot's VidGo account has {credits} credits left, fewer than {warning}. Top it up before members are "
        "refused; `CREDITS_WARNING` sets from when on I tell you."
    ),
    AlarmKind.CREDITS_GONE: _n(
        "This bot's VidGo account has too few credits left for orders: {credits}. Top it up; I need no restart."
    ),
    AlarmKind.VERSION: _n(
        "VidGo refuses the model version that I ask for, first seen {since}, so songs cannot be ordered. Set another "
        "one in `VIDGO_MUSIC_VERSION`, and restart me."
    ),
    AlarmKind.VIDGO: _n(
        "VidGo has given me no usable answer since {since}. I keep trying, and tell you when it answers again."
    ),
    AlarmKind.DISK: _n(
        "The disk that I keep my files on is nearly full: {free} MB are free. Make room, or lower `ARCHIVE_MAX_BYTES`; "
        "when it is full I can take no orders."
    ),
}

_ENDS = {
    AlarmKind.KEY: _n("VidGo takes this bot's key again."),
    AlarmKind.CREDITS_LOW: _n("This bot's VidGo account has enough credits again: {credits}."),
    AlarmKind.CREDITS_GONE: _n("This bot's VidGo account has credits again: {credits}."),
    AlarmKind.VERSION: _n("VidGo takes the model version that I ask for again."),
    AlarmKind.VIDGO: _n("VidGo answers again. It gave me no usable answer from {since} to {until}."),
    AlarmKind.DISK: _n("There is room again on the disk that I keep my files on: {free} MB are free."),
    AlarmKind.GIVEN_UP: _n("What I had given up on has come after all."),
}


def begins(kind: AlarmKind, since: float, details: Mapping[str, Any]) -> Text:
    if kind is AlarmKind.GIVEN_UP:
        # Translators: a result is a song or cover that a member has ordered
        one = Text(
            "I have given up on a result for which VidGo may have charged. The log says why: look for task {task}.",
            task=details["task"],
        )
        more = Text(
            "I have given up on {count} results for which VidGo may have charged. The log says why; the last of them "
            "is task {task}.",
            count=details["count"],
            task=details["task"],
        )
        return one if details["count"] == 1 else more
    if kind is AlarmKind.CREDITS_GONE and details.get("credits") is None:
        return Text(
            "VidGo refuses orders because this bot's account has too few credits. Top it up; I need no restart."
        )
    return Text(_BEGINS[kind], **_values(since, details))


def ends(kind: AlarmKind, since: float, details: Mapping[str, Any]) -> Text:
    if kind is AlarmKind.CREDITS_GONE and details.get("credits") is None:
        return Text("VidGo takes orders again.")
    return Text(_ENDS[kind], **_values(since, details))


def plain(number: float) -> str:
    """Write a number as people do, with two places at most."""
    return f"{number:.2f}".rstrip("0").rstrip(".")


def _values(since: float, details: Mapping[str, Any]) -> dict[str, Raw]:
    numbers = {
        name: Raw(plain(details[name])) for name in ("credits", "warning", "free") if details.get(name) is not None
    }
    times = {"since": since, "until": details.get("until", since)}
    return numbers | {name: Raw(f"<t:{int(value)}:f>") for name, value in times.items()}


def hello() -> Text:
    return Text("Hello! I make songs with VidGo, and covers of them.")


def first_steps() -> Text:
    return Text(
        "Begin with {generate}, or import a song with {bring}. Then {cover} makes a cover of it.",
        generate=mention("music generate"),
        bring=mention("music import"),
        cover=mention("cover"),
    )


def nowhere(server: str) -> Text:
    return Text("I may not write in any channel of **{server}**, so I tell you instead.", server=server)


def lacking(channels: list[str], more: int, names: list[str]) -> Text:
    """Say what the bot lacks in some channels, and in so many `more`."""
    where, what = Raw(", ".join(channels)), Raw(", ".join(f"**{Text(name)}**" for name in names))
    if not more:
        return Text(
            "In {channels} I lack {names}. Whoever manages the server can grant it.", channels=where, names=what
        )
    return Text(
        "In {channels} and in {count} more channels I lack {names}. Whoever manages the server can grant it.",
        channels=where,
        count=more,
        names=what,
    )
