"""`/music`."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.app_commands import locale_str as _
from discord.ext import commands

from bot.gateway.client import Client
from bot.songs.orders import Answer
from bot.words import cards, forms
from bot.words.pages.place import SEARCH_LIMIT, Place
from bot.words.sentences import answers
from bot.words.text import clean
from cogs.components.library import show_library
from cogs.options import Owned, Prompt, Style, Title, Track
from storage.notifications.drafts import Draft, Making


@app_commands.guild_only()
class Music(commands.GroupCog, group_name="music", group_description=_("Make, import and find songs")):
    """Everything around the songs."""

    def __init__(self, client: Client) -> None:
        self._use = client.use_cases

    @app_commands.command(name="import", description=_("Import a song made elsewhere with VidGo"))
    @app_commands.describe(task_id=_("VidGo's id of the finished song"))
    async def import_(self, interaction: discord.Interaction, task_id: app_commands.Range[str, 1, 200]) -> None:
        """Add a song to the caller's library."""

        async def work() -> Answer:
            songs = await self._use.songs.bring_in(interaction.user.id, interaction.guild_id, task_id)
            return Answer(answers.imported([song.title for song in songs]))

        await self._use.interactions.reply(interaction, work)

    @app_commands.command(description=_("Make a new song"))
    @app_commands.describe(
        prompt=_("What the song is about, or its lyrics when you give a style; left out: a form opens"),
        style=_("The style, such as: folk, warm, female voice"),
        title=_("The song's title"),
        instrumental=_("Without singing"),
    )
    async def generate(
        self,
        interaction: discord.Interaction,
        prompt: Prompt | None = None,
        style: Style | None = None,
        title: Title | None = None,
        instrumental: bool = False,
    ) -> None:
        """Order a new song, or open the form for it where nothing says what it is about."""
        draft = Draft(Making.SONG, None, prompt or "", style or "", title or "", instrumental)
        if prompt is not None:
            await self._order(interaction, draft)
            return

        async def make() -> discord.ui.Modal:
            return forms.form(draft)

        await self._use.interactions.open(interaction, make)

    @app_commands.command(description=_("Continue one of your songs"))
    @app_commands.describe(
        track=_("One of your songs, or a VidGo id; left out: your newest song"),
        prompt=_("How it goes on, or more lyrics"),
        at=_("From which second of the song on; left out: from its end"),
    )
    async def extend(
        self,
        interaction: discord.Interaction,
        track: Track | None = None,
        prompt: Prompt | None = None,
        at: app_commands.Range[float, 1, 3600] | None = None,
    ) -> None:
        """Order a continuation of a song."""
        typed = "" if at is None else f"{at:.3f}".rstrip("0").rstrip(".")
        await self._order(interaction, Draft(Making.EXTENSION, track, prompt or "", at=typed))

    async def _order(self, interaction: discord.Interaction, draft: Draft) -> None:
        await self._use.interactions.order(
            interaction, lambda requester: self._use.drafts.order(requester, draft), draft
        )

    @app_commands.command(description=_("Page through your songs and covers"))
    @app_commands.describe(search=_("Only titles that contain this"))
    async def library(
        self, interaction: discord.Interaction[Client], search: app_commands.Range[str, 1, SEARCH_LIMIT] | None = None
    ) -> None:
        """Show the caller's songs, with what can be done with them."""
        await show_library(interaction, Place(clean(search or "", SEARCH_LIMIT)))

    @app_commands.command(description=_("See what you are waiting for"))
    async def status(self, interaction: discord.Interaction) -> None:
        """Show the caller's running tasks and when to expect them."""

        async def work() -> Answer:
            running = await self._use.library.running(interaction.user.id)
            lines = [str(await self._use.acknowledgements.words(task, task.title)) for task in running]
            return Answer("\n".join(lines) or answers.nothing_running())

        await self._use.interactions.reply(interaction, work)

    @app_commands.command(description=_("Remove a song, or everything that I keep about you"))
    @app_commands.describe(track=_("One of your songs; left out: everything, after a confirmation"))
    async def forget(self, interaction: discord.Interaction, track: Owned | None = None) -> None:
        """Forget a song at once, or ask before everything is forgotten."""

        async def work() -> Answer:
            if track is None or not clean(track, len(track)):  # not what shows nothing for the newest song
                return Answer(answers.confirm_forgetting(), cards.forget_confirmation(interaction.user.id))
            return Answer(answers.song_forgotten(await self._use.library.forget_song(interaction.user.id, track)))

        await self._use.interactions.reply(interaction, work)


async def setup(client: Client) -> None:
    """Add the cog."""
    await client.add_cog(Music(client))
