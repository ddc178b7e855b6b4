"""What `/help` and `/coverbot about` say."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import discord

from bot.words.cards import COLOUR
from bot.words.sentences import labels, limits
from bot.words.sentences.limits import Left
from bot.words.text import Raw, Text, escape

Mention = Callable[[str], str]
"""Names a command so that it can be pressed."""


def welcome(text: str) -> discord.Embed:
    """Show what a server says to its members, above the page."""
    return discord.Embed(title=str(Text("This server says")), description=escape(text), colour=COLOUR)


def page(mention: Mention, left: Sequence[Left], starts_anew: float) -> discord.Embed:
    """Show all that a member has to know, with what is left to them today."""
    parts = [
        *_steps(mention),
        "",
        str(Text("**Commands**")),
        *(f"{mention(name)} {text}" for name, text in _commands()),
        "**{}** {}".format(*_menu()),
        "",
        str(Text("**Buttons**")),
        *(f"**{label}** {text}" for label, text in _buttons()),
    ]
    embed = discord.Embed(title=str(Text("A cover in three steps")), description="\n".join(parts), colour=COLOUR)
    embed.add_field(name=str(Text("Your limits")), value=_limits(left, starts_anew), inline=False)
    embed.add_field(name=str(Text("Privacy")), value=str(_privacy(mention)), inline=False)
    return embed


def _steps(mention: Mention) -> list[str]:
    steps = [
        Text(
            "Make a song with {generate}, or import one that you made with VidGo: {bring}.",
            generate=Raw(mention("music generate")),
            bring=Raw(mention("music import")),
        ),
        Text(
            "Type {cover} and choose the song. What is posted is new artwork for it or a new version; each post "
            "says which.",
            cover=Raw(mention("cover")),
        ),
        Text("With a style, such as “acoustic folk”, {cover} makes a new version in it.", cover=Raw(mention("cover"))),
    ]
    return [f"{number}. {step}" for number, step in enumerate(steps, 1)]


def _commands() -> list[tuple[str, Text]]:
    return [
        ("cover", Text("covers a song, without a choice the newest, or a recording of yours")),
        ("music generate", Text("makes a new song")),
        ("music extend", Text("continues a song")),
        ("music import", Text("imports a song by its VidGo id")),
        ("music library", Text("shows your songs and covers")),
        ("music status", Text("shows what you are waiting for")),
        ("music forget", Text("forgets a song, or everything about you")),
    ]


def _menu() -> tuple[Text, Text]:
    # Translators: about the entry "Cover this track" in the menu of a message
    how = Text("in a message's menu, under Apps: covers its song, or its audio file in a style that you type")
    return Text("Cover this track"), how


def _buttons() -> list[tuple[Text, Text]]:
    return [
        (labels.cover(), Text("under a song: covers it for you")),
        (labels.other_style(), Text("under a song: makes a new version in a style that you type")),
        (labels.new_version(), Text("under new artwork: the same")),
        (labels.lengthen(), Text("under a song: asks how it goes on, and continues it")),
        (labels.again(), Text("under a song: makes another one of the same words")),
        (labels.version(2), Text("under a song: posts the other version that was made")),
        (labels.like(), Text("under a post: gives it a heart, or takes yours back")),
        (labels.keep(), Text("under a song: takes it into your library")),
        (labels.use_picture(1), Text("under two pictures: gives the song that one")),
        (labels.post_again(), Text("where you have a cover already: posts it once more")),
        (labels.try_again(), Text("where nothing came of an order: orders the same once more")),
        (labels.change_words(), Text("where nothing came of an order: opens the form with your words")),
        (labels.stop(), Text("while you wait: nothing is posted")),
        (labels.remove(), Text("under a post of yours: deletes it")),
        (labels.download(), Text("where a file is too large to be posted: fetches it")),
    ]


def _limits(left: Sequence[Left], starts_anew: float) -> str:
    lines = [str(limits.left(one)) for one in left]
    lines += [str(limits.left_in_server(one.in_server)) for one in left if one.in_server is not None]
    lines = list(dict.fromkeys(lines))  # the server's is said once
    # Where all that is limited is not allowed at all, there is nothing that a new day would bring.
    if any(one.limit > 0 or (one.in_server is not None and one.in_server.limit > 0) for one in left):
        lines.append(str(Text("Limits reset {when}.", when=Raw(f"<t:{int(starts_anew)}:R>"))))
    lines.append(str(Text("A cover with a style counts as a song. What fails is given back.")))
    return "\n".join(lines)


def _privacy(mention: Mention) -> Text:
    return Text(
        "I read no messages. What I keep about you is your songs and what you asked for, under your Discord id; "
        "{forget} removes it. VidGo gets your words, but not who you are.",
        forget=Raw(mention("music forget")),
    )
