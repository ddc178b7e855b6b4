"""The buttons under posted messages; their state is in the custom id, so they outlive every restart."""

from __future__ import annotations

import logging
import re
from typing import Any

import discord

from bot import messages
from bot.client import Client
from bot.messages import MemberError
from storage import notifications

log = logging.getLogger(__name__)


class CoverButton(discord.ui.DynamicItem[discord.ui.Button[Any]], template=r"cover:(?P<track>[0-9a-z]{24})"):
    """*Cover* under a posted song."""

    def __init__(self, track: str) -> None:
        super().__init__(discord.ui.Button(label="Cover", custom_id=f"cover:{track}"))
        self._track = track

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> CoverButton:
        """Read the song from the custom id."""
        return cls(match["track"])

    async def callback(self, interaction: discord.Interaction[Client]) -> None:  # type: ignore[override]
        """Do what `/cover` does."""
        use = interaction.client.use_cases
        async with use.interactions.asked(interaction, ephemeral=False) as asked:
            ordered = await use.covers.cover(asked.requester, self._track)
            await use.interactions.acknowledge(asked, ordered.task, ordered.song.title, joined=ordered.joined)


class RemoveButton(discord.ui.DynamicItem[discord.ui.Button[Any]], template=r"remove:(?P<notification>[0-9a-z]{24})"):
    """*Remove* under a posted message."""

    def __init__(self, notification_id: str) -> None:
        super().__init__(discord.ui.Button(label="Remove", custom_id=messages.remove_id(notification_id)))
        self._notification_id = notification_id

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> RemoveButton:
        """Read the notification from the custom id."""
        return cls(match["notification"])

    async def callback(self, interaction: discord.Interaction[Client]) -> None:  # type: ignore[override]
        """Delete the message if the presser asked for it or manages messages here."""
        try:
            await self._remove(interaction)
        except MemberError as error:
            await interaction.response.send_message(str(error.text), ephemeral=True)

    async def _remove(self, interaction: discord.Interaction[Client]) -> None:
        async with interaction.client.use_cases.database.read() as connection:
            row = await notifications.get(connection, self._notification_id)
        message = interaction.message
        if row is None or message is None or row.message_id not in (None, message.id):
            raise MemberError(messages.stale_button())
        if interaction.user.id != row.user_id and not interaction.permissions.manage_messages:
            raise MemberError(messages.not_your_button())
        await interaction.response.defer()
        try:
            await message.delete()
        except discord.NotFound:
            log.debug("message %s was removed already", message.id)


async def setup(client: Client) -> None:
    """Make the buttons known."""
    client.add_dynamic_items(CoverButton, RemoveButton)
