"""`/help` and `/coverbot`."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.app_commands import locale_str as _
from discord.ext import commands

from bot.answers.interactions import role_ids
from bot.gateway.client import Client
from bot.songs.orders import Answer
from bot.words import cards
from bot.words.pages import guide
from bot.words.pages import usage as usage_words
from cogs.components.settings import require_manager, show_panel


async def show_help(interaction: discord.Interaction, client: Client) -> None:
    """Show privately what there is, and what is left to the caller."""
    use = client.use_cases

    async def work() -> Answer:
        left = await use.limits.left(interaction.guild_id, interaction.user.id, role_ids(interaction))
        server = await use.servers.get(interaction.guild_id)
        first = [guide.welcome(server.welcome)] if server.welcome else []
        page = guide.page(client.mention, left, use.limits.starts_anew())
        return Answer("", cards.support_view(use.support_url), [*first, page])

    await use.interactions.reply(interaction, work)


class Help(commands.Cog):
    """`/help`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @app_commands.command(description=_("How to get a cover, what there is, and what you have left today"))
    @app_commands.guild_only()
    async def help(self, interaction: discord.Interaction) -> None:
        """Show the page of help."""
        await show_help(interaction, self._client)


@app_commands.guild_only()
class Coverbot(commands.GroupCog, group_name="coverbot", group_description=_("About this bot, and its settings here")):
    """What is about the bot itself."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @app_commands.command(description=_("What this bot is, and what you have left today"))
    async def about(self, interaction: discord.Interaction) -> None:
        """Show the same page."""
        await show_help(interaction, self._client)

    @app_commands.command(description=_("For managers of this server: who may do what, and where"))
    async def settings(self, interaction: discord.Interaction) -> None:
        """Show the panel of this server's settings."""
        await self._client.use_cases.interactions.reply(interaction, lambda: show_panel(interaction, self._client))

    @app_commands.command(description=_("For managers of this server: who has ordered how much"))
    async def usage(self, interaction: discord.Interaction) -> None:
        """Show what was ordered in this server, today and in the last days."""
        use = self._client.use_cases

        async def work() -> Answer:
            return Answer("", embeds=[usage_words.page(await use.report.of(require_manager(interaction)))])

        await use.interactions.reply(interaction, work)

    @commands.Cog.listener()
    async def on_guild_remove(self, guild: discord.Guild) -> None:
        """Forget the settings of a server that the bot has left."""
        await self._client.use_cases.servers.forget(guild.id)


async def setup(client: Client) -> None:
    """Add the cogs."""
    await client.add_cog(Help(client))
    await client.add_cog(Coverbot(client))
