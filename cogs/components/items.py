"""What all buttons and menus have in common: they are known again, after every restart, by their custom ids."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import Any, Self

import discord

from bot.gateway.client import Client, tell_of
from bot.words import cards
from storage.notifications.posts import PostMessage

NOTIFICATION = r"(?P<notification>[0-9a-z]{24})"
"""A notification's id in a custom id."""

TRACK = r"(?P<track>[0-9a-z]{24}(?:\.\d{1,3})?)"
"""The value of a song in a custom id."""


class Component(discord.ui.DynamicItem[discord.ui.Item[Any]], ABC, template=r"(?!)"):
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
        """Do what was pressed, and tell of an error, which discord.py would only log."""
        try:
            await self.press(interaction)
        except Exception as error:
            await tell_of(error, interaction)

    @abstractmethod
    async def press(self, interaction: discord.Interaction[Client]) -> None:
        """Do what was pressed; our own client is the only one there is."""


def post_message(message: discord.Message | None) -> PostMessage:
    """Return which message of ours was pressed or chosen; its id is 0 where there is none, as with a command's form."""
    if message is None:
        return PostMessage(0)
    rows = [row for row in message.components if isinstance(row, discord.ActionRow)]
    named = [cards.notification_in(getattr(child, "custom_id", None)) for row in rows for child in row.children]
    return PostMessage(message.id, next((one for one in named if one is not None), None))
