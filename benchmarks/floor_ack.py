"""The least that acknowledges: bare discord.py with the bot's commands, each of which only defers.

It takes the same intents as the bot and keeps no messages, so that nothing but the bot's own work is the difference.
Says "ready" on stdout once discord.py calls it so.
"""

from __future__ import annotations

import os

import discord
from discord import app_commands
from discord.ext import commands


class Floor(commands.AutoShardedBot):
    """A client that knows three commands and nothing else."""

    def __init__(self) -> None:
        super().__init__(
            command_prefix=(),
            help_command=None,
            intents=discord.Intents(guilds=True),
            member_cache_flags=discord.MemberCacheFlags.none(),
            max_messages=None,
            chunk_guilds_at_startup=False,
        )

    async def setup_hook(self) -> None:
        """Tell Discord the commands."""
        self.tree.add_command(cover)
        self.tree.add_command(music)
        await self.tree.sync()

    async def on_ready(self) -> None:
        """Tell the benchmark."""
        print("ready", flush=True)


music = app_commands.Group(name="music", description="Make songs, and bring in songs made elsewhere")


@app_commands.command(description="Make a cover of one of your songs")
async def cover(interaction: discord.Interaction[Floor], track: str | None = None) -> None:
    """Defer."""
    await interaction.response.defer(thinking=True)


@music.command(name="import", description="Bring in a song made elsewhere with VidGo")
async def import_(interaction: discord.Interaction[Floor], task_id: str) -> None:
    """Defer."""
    await interaction.response.defer(thinking=True)


@music.command(description="Make a new song")
async def generate(interaction: discord.Interaction[Floor], prompt: str) -> None:
    """Defer."""
    await interaction.response.defer(thinking=True)


if __name__ == "__main__":
    discord.http.Route.BASE = os.environ["DISCORD_API_URL"]
    Floor().run(os.environ["DISCORD_TOKEN"], log_handler=None)
