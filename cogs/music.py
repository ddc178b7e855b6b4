"""`/music`."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.ext import commands

from bot import messages
from bot.client import Client

Prompt = app_commands.Range[str, 1, 3000]
Style = app_commands.Range[str, 1, 1000]
Title = app_commands.Range[str, 1, 80]


@app_commands.guild_only()
class Music(commands.GroupCog, group_name="music", group_description="Make songs, and bring in songs made elsewhere"):
    """Everything around the songs."""

    def __init__(self, client: Client) -> None:
        self._use = client.use_cases

    @app_commands.command(name="import", description="Bring in a song made elsewhere with VidGo")
    @app_commands.describe(task_id="VidGo's id of the finished music task")
    async def import_(self, interaction: discord.Interaction, task_id: app_commands.Range[str, 1, 200]) -> None:
        """Add a song to the caller's library."""
        async with self._use.interactions.asked(interaction, ephemeral=True) as asked:
            songs = await self._use.songs.bring_in(interaction.user.id, interaction.guild_id, task_id.strip())
            await asked.answer(str(messages.imported([song.title for song in songs])))

    @app_commands.command(description="Make a new song")
    @app_commands.describe(
        prompt="What the song is about, or its lyrics when you give a style",
        style="The style, such as: folk, warm, female voice",
        title="The song's title",
        instrumental="Without singing",
    )
    async def generate(
        self,
        interaction: discord.Interaction,
        prompt: Prompt,
        style: Style | None = None,
        title: Title | None = None,
        instrumental: bool = False,
    ) -> None:
        """Order a new song."""
        async with self._use.interactions.asked(interaction, ephemeral=False) as asked:
            task = await self._use.songs.generate(
                asked.requester, prompt=prompt, style=style, title=title, instrumental=instrumental
            )
            await self._use.interactions.acknowledge(asked, task, task.title, joined=False)


async def setup(client: Client) -> None:
    """Add the cog."""
    await client.add_cog(Music(client))
