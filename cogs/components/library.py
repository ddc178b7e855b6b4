"""The pages of `/music library` and what can be done there; all that they need is in their custom ids."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import discord

from bot.gateway.client import Client
from bot.songs.orders import Answer
from bot.words.pages import library as words
from bot.words.pages.place import Page, Place
from bot.words.sentences import answers
from bot.words.text import Text
from cogs.components.forms import open_form
from cogs.components.items import TRACK, Component
from storage.notifications.drafts import Draft, Making


def _answer(page: Page) -> Answer:
    return Answer("", words.view(page), files=list(page.pictures.values()))


async def show_library(interaction: discord.Interaction[Client], place: Place) -> None:
    """Show a page of the caller's songs, with what can be done with them."""
    use = interaction.client.use_cases
    with tempfile.TemporaryDirectory(dir=use.directory, ignore_cleanup_errors=True) as directory:

        async def work() -> Answer:
            return _answer(await use.library.page(interaction.user.id, place, Path(directory)))

        await use.interactions.reply(interaction, work)


class LibraryButton(Component, template="library"):
    """*My songs*, under a message that says why there is no result."""

    async def press(self, interaction: discord.Interaction[Client]) -> None:
        """Show the library of whoever presses, to them alone."""
        await show_library(interaction, Place())


class PageItem(
    Component,
    template=re.compile(
        rf"(?:{words.CHOOSE}|{words.TURN})(?P<place>.*)|library:\d{{1,5}}(?P<search>:.*)",
        re.DOTALL,
    ),
):
    """The menu of a page, and the buttons that turn it; also those from before, which found pages by their numbers."""

    async def press(self, interaction: discord.Interaction[Client]) -> None:
        """Show the other page in the place of this one, or the same with what can be done with the chosen song."""
        chosen = cast("dict[str, Any]", interaction.data or {}).get("values") or [None]
        is_old = self._match["place"] is None
        said = words.page_was_old() if is_old else None
        place = Place.decode(self._match["search"] if is_old else self._match["place"])
        await _redraw(interaction, place, chosen=chosen[0], said=said)


class SongButton(
    Component,
    template=rf"song:(?P<action>{'|'.join(words.ACTIONS)}):{TRACK}",
):
    """Does something with a song of the caller's library."""

    async def press(self, interaction: discord.Interaction[Client]) -> None:
        """Play, post or cover the song, take it out of the library, or bring it back there.

        Pages from before have a button to extend it, which opens the form as the one of now does.
        """
        use = interaction.client.use_cases
        action, track = self._match["action"], self._match["track"]

        cover = Draft(Making.COVER, track=track)

        if action == "play":
            await _play(interaction, track)
        elif action == "remove":
            await _redraw(interaction, _place_in(interaction.message), removed=track)
        elif action == "undo":
            await _redraw(interaction, _place_in(interaction.message), restored=track)
        elif action == "extend":
            await open_form(interaction, Making.EXTENSION, track)
        elif action == "cover":
            await use.interactions.order(interaction, lambda requester: use.drafts.order(requester, cover), cover)
        else:
            await use.interactions.order(interaction, lambda requester: use.library.post(requester, track))


async def _play(interaction: discord.Interaction[Client], track: str) -> None:
    use = interaction.client.use_cases
    with tempfile.TemporaryDirectory(dir=use.directory, ignore_cleanup_errors=True) as directory:
        await use.interactions.reply(
            interaction,
            lambda: use.playing.play(interaction.user.id, track, interaction.filesize_limit, Path(directory)),
        )


async def _redraw(
    interaction: discord.Interaction[Client],
    place: Place,
    *,
    chosen: str | None = None,
    said: Text | None = None,
    removed: str | None = None,
    restored: str | None = None,
) -> None:
    """Show a page of the library of whoever pressed, after what was to be done there."""
    use, user_id = interaction.client.use_cases, interaction.user.id
    with tempfile.TemporaryDirectory(dir=use.directory, ignore_cleanup_errors=True) as directory:

        async def work() -> Answer:
            words_said, shown = said, chosen
            if removed is not None:
                words_said = answers.removed(await use.library.remove(user_id, removed))
            elif restored is not None:
                words_said, shown = words.brought_back(await use.library.restore(user_id, restored)), restored
            page = await use.library.page(user_id, place, Path(directory), chosen=shown, said=words_said, undo=removed)
            return _answer(page)

        await use.interactions.update(interaction, work)


def _place_in(message: discord.Message | None) -> Place:
    """Return the place of the page that a message shows, by its menu; the beginning where it has none."""
    for custom_id in _custom_ids(message.components if message is not None else ()):
        place = words.place_of(custom_id)
        if place is not None:
            return place
    return Place()


def _custom_ids(components: Any) -> Iterator[str]:
    for item in components:
        custom_id = getattr(item, "custom_id", None)
        if isinstance(custom_id, str):
            yield custom_id
        yield from _custom_ids(getattr(item, "children", ()))


async def setup(client: Client) -> None:
    """Make the buttons and the menu known."""
    client.add_dynamic_items(LibraryButton, PageItem, SongButton)
