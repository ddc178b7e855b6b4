"""Options that several commands share."""

from __future__ import annotations

import logging

import discord
from discord import app_commands
from sqlalchemy.exc import SQLAlchemyError

from bot.answers.asked import told
from bot.gateway.client import Client
from bot.words import cards

log = logging.getLogger(__name__)

Prompt = app_commands.Range[str, 1, 3000]
Style = app_commands.Range[str, 1, 1000]
Title = app_commands.Range[str, 1, 80]


class TrackTransformer(app_commands.Transformer):
    """One of the caller's songs, offered by title while typing."""

    kind: str | None = "song"

    async def transform(self, interaction: discord.Interaction, value: str, /) -> str:
        """Hand over what was chosen or typed; only the use case can tell what it means."""
        return value

    async def autocomplete(  # type: ignore[override]  # our own client, and text as this option has
        self, interaction: discord.Interaction[Client], value: str, /
    ) -> list[app_commands.Choice[str]]:
        """Offer the caller's newest songs that contain what was typed; one indexed query, no network."""
        try:
            songs = await interaction.client.use_cases.songs.choices(interaction.user.id, value, kind=self.kind)
        except SQLAlchemyError as error:
            log.warning("nothing can be offered while somebody types: %s", told(error))
            return []
        return [app_commands.Choice(name=cards.choice(song), value=cards.track_value(song)) for song in songs]


class OwnedTransformer(TrackTransformer):
    """One of the caller's songs or covers."""

    kind = None


Track = app_commands.Transform[str, TrackTransformer]
Owned = app_commands.Transform[str, OwnedTransformer]
