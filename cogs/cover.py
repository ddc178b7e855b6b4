"""`/cover`."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Client
from cogs.options import Track


class Cover(commands.Cog):
    """The main job: a song in, its cover out."""

    def __init__(self, client: Client) -> None:
        self._use = client.use_cases

    @app_commands.command(description="Make a cover of one of your songs")
    @app_commands.describe(track="One of your songs, or a VidGo task id; left out: your newest song")
    @app_commands.guild_only()
    async def cover(self, interaction: discord.Interaction, track: Track | None = None) -> None:
        """Order the cover of a song, or bring the one that exists."""
        async with self._use.interactions.asked(interaction, ephemeral=False) as asked:
            ordered = await self._use.covers.cover(asked.requester, track)
            await self._use.interactions.acknowledge(asked, ordered.task, ordered.song.title, joined=ordered.joined)


async def setup(client: Client) -> None:
    """Add the cog."""
    await client.add_cog(Cover(client))
