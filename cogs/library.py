"""The pages of `/music library` and the buttons on them; what they stand for is in their custom ids."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any, Self

import discord

from bot.gateway.client import Client
from bot.songs.orders import Answer, Ordered, Requester
from bot.words import answers, cards
from bot.words.pages import Page

_TRACK = r"[0-9a-z]{24}(?:\.\d{1,3})?"


def page_answer(page: Page) -> Answer:
    """Show a page of songs."""
    text, embeds, view = cards.library_page(page)
    return Answer(text, view, embeds, list(page.pictures.values()))


class TurnButton(
    discord.ui.DynamicItem[discord.ui.Button[Any]],
    template=re.compile(r"library:(?P<number>\d{1,5}):(?P<search>.*)", re.DOTALL),
):
    """Turns to another page."""

    def __init__(self, number: int, search: str) -> None:
        super().__init__(cards.turn("▶", number, search))
        self._number = number
        self._search = search

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Read the page from the custom id."""
        return cls(int(match["number"]), match["search"])

    async def callback(self, interaction: discord.Interaction[Client]) -> None:  # type: ignore[override]  # narrower on purpose: our own client
        """Show the other page in the place of this one."""
        use = interaction.client.use_cases
        with tempfile.TemporaryDirectory(dir=use.directory) as directory:

            async def work() -> Answer:
                user_id = interaction.user.id
                return page_answer(await use.library.page(user_id, self._search, self._number, Path(directory)))

            await use.interactions.update(interaction, work)


class SongButton(
    discord.ui.DynamicItem[discord.ui.Button[Any]],
    template=rf"song:(?P<action>post|cover|extend|remove):(?P<track>{_TRACK})",
):
    """Does something with a song of the caller's library."""

    def __init__(self, action: str, track: str) -> None:
        super().__init__(discord.ui.Button(label=action, custom_id=f"song:{action}:{track}"))
        self._action = action
        self._track = track

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Read the action and the song from the custom id; the use case checks whose it is."""
        return cls(match["action"], match["track"])

    async def callback(self, interaction: discord.Interaction[Client]) -> None:  # type: ignore[override]  # narrower on purpose: our own client
        """Post, cover or extend the song in the channel, or take it out of the library."""
        use = interaction.client.use_cases

        async def remove() -> Answer:
            return Answer(answers.removed(await use.library.remove(interaction.user.id, self._track)))

        async def order(requester: Requester) -> Ordered:
            if self._action == "post":
                return await use.library.post(requester, self._track)
            if self._action == "cover":
                return await use.covers.cover(requester, self._track)
            return await use.performances.extend(requester, self._track, None, None)

        if self._action == "remove":
            await use.interactions.reply(interaction, remove)
        else:
            await use.interactions.order(interaction, order)


async def setup(client: Client) -> None:
    """Make the buttons known."""
    client.add_dynamic_items(TurnButton, SongButton)
