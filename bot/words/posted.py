"""How a posted song looks: its card, and the buttons under it, whose custom ids `cogs` understands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import discord

from bot.words import cards
from bot.words.sentences import labels
from bot.words.text import TITLE_LIMIT, clean, escape

STYLE_LIMIT = 200
"""How much of a style is shown on a card; VidGo describes some in a paragraph."""

LINE_LIMIT = 120
"""How much of the first line of the words."""


class Colour(IntEnum):
    """The colours of cards, by what made the song."""

    SONG = 0x5B8DEF
    COVER = 0xE0699F
    ARTWORK = 0xE5A93C
    EXTENSION = 0x4CB782
    IMPORTED = 0x8A94A6


@dataclass(frozen=True, slots=True)
class Card:
    """What a card says. `lengths` are those of the versions in the post, in seconds.

    `order` is the command with which it was made, `user_id` whose order that was, where that is the member to whom
    the post is addressed. `versions` has the number of the version in the post and how many were made. `thumbnail` and
    `images` are names of attachments. `credits` is what it cost, where VidGo has told.
    """

    title: str
    colour: Colour
    order: str
    user_id: int | None = None
    style: str = ""
    words: str = ""
    lengths: Sequence[float | None] = ()
    versions: tuple[int, int] = (1, 1)
    is_artwork: bool = False
    thumbnail: str | None = None
    images: Sequence[str] = ()
    gallery: str | None = None
    credits: float | None = None


def embeds(card: Card) -> list[discord.Embed]:
    """Make a card; with several pictures an embed each, which Discord shows as one because they share an address."""
    embed = discord.Embed(
        title=escape(clean(card.title, TITLE_LIMIT)) or str(labels.untitled()),
        description="\n".join(_lines(card)),
        colour=card.colour,
    )
    if footer := _footer(card):
        embed.set_footer(text=footer)
    if card.thumbnail is not None:
        embed.set_thumbnail(url=f"attachment://{card.thumbnail}")
    shown = [embed]
    for number, image in enumerate(card.images):
        if number > 0:
            shown.append(discord.Embed(url=card.gallery))
            embed.url = card.gallery
        shown[number].set_image(url=f"attachment://{image}")
    return shown


def _lines(card: Card) -> list[str]:
    who = [f"<@{card.user_id}>"] if card.user_id is not None else []
    style, words = escape(clean(card.style, STYLE_LIMIT)), escape(clean(card.words, LINE_LIMIT))
    return [
        " · ".join([*who, card.order]),
        *([style] if style else []),
        *([f"> {words}"] if words else []),
        *([str(labels.original_music())] if card.is_artwork and card.lengths else []),
    ]


def _footer(card: Card) -> str:
    parts = []
    if known := [cards.in_minutes(seconds) for seconds in card.lengths if seconds]:
        parts.append(" / ".join(known))
    number, count = card.versions
    if len(card.lengths) > 1:
        parts.append(str(labels.two_versions()))
    elif count > 1:
        parts.append(str(labels.version_of(number, count)))
    if card.credits:
        parts.append(str(labels.credits_used(card.credits)))
    return " · ".join(parts)


def first_line(text: object) -> str:
    """Return the first line of a song's words that says something, and is no mark of a section such as `[Verse]`."""
    lines = (clean(line, LINE_LIMIT) for line in text.splitlines()) if isinstance(text, str) else iter(())
    return next((line for line in lines if line and not (line.startswith("[") and line.endswith("]"))), "")


@dataclass(frozen=True, slots=True)
class Offers:
    """What a post's buttons offer.

    `track` is the song that it carries, by what stands for it in custom ids; with `anew` it is only a new artwork's.
    `other` is the number of a version that is not in the post. `pictures` are the numbers of those to choose from,
    `chosen` is the one that the song carries. `likes` is how many like it, None where there is nothing to like.
    """

    track: str | None = None
    cover: bool = False
    anew: bool = False
    lengthen: bool = False
    again: bool = False
    likes: int | None = None
    other: int | None = None
    pictures: Sequence[int] = ()
    chosen: int | None = None
    link: str | None = None


def buttons(notification_id: str, offers: Offers) -> discord.ui.View:
    """Make the buttons under a post, in rows that fit a phone: what makes more, what is done with it, pictures."""
    makes: list[discord.ui.Button[Any]] = []
    does: list[discord.ui.Button[Any]] = []
    if offers.track is not None:
        if offers.cover:
            makes.append(cards.cover_button(offers.track))
        makes.append(style_button(offers.track, is_artwork=offers.anew))
        if offers.lengthen:
            makes.append(lengthen_button(offers.track))
    if offers.again:
        makes.append(again_button(notification_id))
    if offers.link is not None:
        does.append(discord.ui.Button(emoji="⬇️", label=str(labels.download()), url=offers.link))
    if offers.other is not None:
        does.append(version_button(notification_id, offers.other))
    if offers.likes is not None:
        does += [like_button(notification_id, offers.likes), keep_button(notification_id)]
    # What destroys never stands alone.
    if not makes and not does:
        makes.append(cards.songs_button())
    (does or makes).append(cards.remove_button(notification_id))
    chooses = [picture_button(notification_id, number, is_chosen=number == offers.chosen) for number in offers.pictures]
    return cards.finished([button for row, group in enumerate((makes, does, chooses)) for button in _in(row, group)])


def have_this_one(track: str) -> discord.ui.View:
    """Make the buttons under the answer that a member has the cover of a song."""
    return cards.finished([post_again_button(track), style_button(track, is_artwork=True)])


def post_again_button(track: str) -> discord.ui.Button[Any]:
    """Make the button that posts a song's cover once more."""
    return discord.ui.Button(emoji="📣", label=str(labels.post_again()), custom_id=f"repost:{track}")


def _in(row: int, group: list[discord.ui.Button[Any]]) -> list[discord.ui.Button[Any]]:
    for button in group:
        button.row = row
    return group


def style_button(track: str, *, is_artwork: bool = False) -> discord.ui.Button[Any]:
    """Make the button that asks in which style a song shall be sung anew."""
    label = labels.new_version() if is_artwork else labels.other_style()
    style = discord.ButtonStyle.primary if is_artwork else discord.ButtonStyle.secondary
    return discord.ui.Button(emoji="🎚️", label=str(label), custom_id=f"style:{track}", style=style)


def lengthen_button(track: str) -> discord.ui.Button[Any]:
    """Make the button that asks how a song goes on."""
    return discord.ui.Button(emoji="⏩", label=str(labels.lengthen()), custom_id=f"lengthen:{track}")


def again_button(notification_id: str) -> discord.ui.Button[Any]:
    """Make the button that orders the same once more."""
    return discord.ui.Button(emoji="🔁", label=str(labels.again()), custom_id=f"again:{notification_id}")


def version_button(notification_id: str, number: int) -> discord.ui.Button[Any]:
    """Make the button that posts the other version."""
    return discord.ui.Button(emoji="▶️", label=str(labels.version(number)), custom_id=f"version:{notification_id}")


def like_button(notification_id: str, likes: int) -> discord.ui.Button[Any]:
    """Make the heart, with how many have pressed it."""
    return discord.ui.Button(emoji="❤️", label=like_label(likes), custom_id=like_id(notification_id))


def like_id(notification_id: str) -> str:
    """Return the custom id of the heart."""
    return f"like:{notification_id}"


def like_label(likes: int) -> str:
    """Return what the heart says."""
    return str(likes) if likes else str(labels.like())


def with_likes(message: discord.Message, notification_id: str, likes: int) -> discord.ui.View:
    """Return a message's buttons as they are, but for what the heart says."""
    view = discord.ui.View.from_message(message, timeout=None)
    for item in view.children:
        if isinstance(item, discord.ui.Button) and item.custom_id == like_id(notification_id):
            item.label = like_label(likes)
    view.stop()
    return view


def keep_button(notification_id: str) -> discord.ui.Button[Any]:
    """Make the button that takes a song into one's own library."""
    return discord.ui.Button(emoji="📥", label=str(labels.keep()), custom_id=f"keep:{notification_id}")


def picture_button(notification_id: str, number: int, *, is_chosen: bool) -> discord.ui.Button[Any]:
    """Make the button that chooses one of several pictures."""
    return discord.ui.Button(
        emoji="🖼️",
        label=str(labels.use_picture(number)),
        custom_id=f"picture:{notification_id}:{number}",
        style=discord.ButtonStyle.success if is_chosen else discord.ButtonStyle.secondary,
        disabled=is_chosen,
    )
