"""The pages of `/music library` and the buttons on them; what they stand for is in their custom ids."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any, Self

import discord

from bot.client import Client
from bot.replies.interactions import Asked
from bot.words import answers, cards
from bot.words.pages import Page

_TRACK = r"[0-9a-z]{24}(?:\.\d{1,3})?"


async def answer_with_page(asked: Asked, page: Page) -> None:
    """Show a page of songs to the member who asked."""
    text, embeds, view = cards.library_page(page)
    files = [discord.File(path, filename=name) for path, name in page.pictures.values()]
    try:
        await asked.answer(text, view, embeds=embeds, attachments=files)
    finally:
        for file in files:
            file.close()


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
        async with use.interactions.updating(interaction) as asked:
            with tempfile.TemporaryDirectory(dir=use.directory) as directory:
                page = await use.library.page(interaction.user.id, self._search, self._number, Path(directory))
                await answer_with_page(asked, page)


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
        if self._action == "remove":
            async with use.interactions.asked(interaction, ephemeral=True) as asked:
                title = await use.library.remove(interaction.user.id, self._track)
                await asked.answer(str(answers.removed(title)))
            return
        async with use.interactions.asked(interaction, ephemeral=False) as asked:
            if self._action == "post":
                ordered = await use.library.post(asked.requester, self._track)
            elif self._action == "cover":
                ordered = await use.covers.cover(asked.requester, self._track)
            else:
                ordered = await use.performances.extend(asked.requester, self._track, None, None)
            await use.interactions.acknowledge(asked, ordered)


async def setup(client: Client) -> None:
    """Make the buttons known."""
    client.add_dynamic_items(TurnButton, SongButton)
