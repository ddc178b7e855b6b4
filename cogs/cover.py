"""`/cover`, and the message menu that does the same."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.app_commands import locale_str as _
from discord.ext import commands

from bot.gateway.client import Client
from bot.songs.orders import Requester
from bot.words import recordings as words
from bot.words.sentences.errors import MemberError
from cogs.components.items import post_message
from cogs.components.recordings import ask_style, audio_of, upload_of
from cogs.options import Style, Track
from storage.notifications.drafts import Draft, Making


class Cover(commands.Cog):
    """The main job: a song in, its cover out."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._use = client.use_cases
        self._menu = app_commands.ContextMenu(name=_("Cover this track"), callback=self.cover_message)
        self._menu.guild_only = True

    async def cog_load(self) -> None:
        """Add the message menu, which discord.py does not take from a cog by itself."""
        self._client.tree.add_command(self._menu)

    async def cog_unload(self) -> None:
        """Take the message menu away again."""
        self._client.tree.remove_command(self._menu.name, type=self._menu.type)

    @app_commands.command(description=_("Make a cover of one of your songs"))
    @app_commands.describe(
        track=_("One of your songs, or a VidGo id; left out: your newest song"),
        style=_("Make a new version in this style, such as: acoustic folk, female voice"),
        file=_("A recording that is yours to use, in place of a song; it becomes a new version in the style"),
    )
    @app_commands.guild_only()
    async def cover(
        self,
        interaction: discord.Interaction[Client],
        track: Track | None = None,
        style: Style | None = None,
        file: discord.Attachment | None = None,
    ) -> None:
        """Order the cover of a song, or bring the one that exists; with a style, order a new performance."""
        if file is not None and track is None and style is None:
            await self._use.interactions.open(interaction, lambda: ask_style(interaction, file))
            return
        if file is not None:
            await self._cover_file(interaction, file, track, style)
            return
        draft = Draft(Making.COVER, track) if style is None else Draft(Making.STYLE, track, style=style)
        await self._use.interactions.order(
            interaction, lambda requester: self._use.drafts.order(requester, draft), draft
        )

    async def _cover_file(
        self, interaction: discord.Interaction[Client], file: discord.Attachment, track: str | None, style: str | None
    ) -> None:
        async def keep(requester: Requester) -> None:
            if track is not None:
                raise MemberError(words.track_and_file())
            await self._use.recordings.keep(requester, upload_of(file), style or "")

        await self._use.interactions.order(interaction, self._use.drafts.order_kept, first=keep)

    async def cover_message(self, interaction: discord.Interaction[Client], message: discord.Message) -> None:
        """Order the cover of the song that a message carries, or ask for the style of a recording in it."""
        if message.author != self._client.user:
            await self._use.interactions.open(interaction, lambda: _ask_style_of(interaction, message))
            return

        await self._use.interactions.order(
            interaction, lambda requester: self._use.drafts.cover_post(requester, post_message(message))
        )


async def _ask_style_of(interaction: discord.Interaction[Client], message: discord.Message) -> discord.ui.Modal:
    return await ask_style(interaction, audio_of(message))


async def setup(client: Client) -> None:
    """Add the cog."""
    await client.add_cog(Cover(client))
