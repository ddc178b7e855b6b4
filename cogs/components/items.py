"""What all buttons and menus have in common: they are known again, after every restart, by their custom ids."""

from __future__ import annotations

import re
from typing import Any, Self

import discord

from bot.gateway.client import Client

NOTIFICATION = r"(?P<notification>[0-9a-z]{24})"
"""A notification's id in a custom id."""

TRACK = r"(?P<track>[0-9a-z]{24}(?:\.\d{1,3})?)"
"""The value of a song in a custom id."""


class Component(discord.ui.DynamicItem[discord.ui.Item[Any]], template=r"(?!)"):
    """A button or menu that was pressed; all that it needs is in its custom id, and whose that is the use case asks."""

    def __init__(self, item: discord.ui.Item[Any], match: re.Match[str]) -> None:
        super().__init__(item)
        self._match = match

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Know the item again."""
        return cls(item, match)

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Do what was pressed; our own client is the only one there is."""
        await self.press(interaction)

    async def press(self, interaction: discord.Interaction[Client]) -> None:
        """Do what was pressed."""
        raise NotImplementedError


def message_id(interaction: discord.Interaction[Client]) -> int:
    """Return the id of the message that was pressed; 0 where there is none, as with a form of a command."""
    return interaction.message.id if interaction.message is not None else 0
