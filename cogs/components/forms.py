"""Forms in which an order is typed, the buttons that open them, and those under what came to nothing."""

from __future__ import annotations

import re
from typing import ClassVar

import discord

from bot.gateway.client import Client
from bot.songs.drafts import filled_in
from bot.songs.orders import Ordered, Requester
from bot.words import forms, recordings
from bot.words.forms import CUSTOM_ID
from cogs.components.fields import fields_of
from cogs.components.items import NOTIFICATION, TRACK, Component, post_message
from storage.notifications.drafts import Draft, Making


class _SongFormButton(Component, template=r"(?!)"):
    """Opens a form for an order from the song of a post, or of the presser's library."""

    making: ClassVar[Making]

    async def press(self, interaction: discord.Interaction[Client]) -> None:
        """Open the form, unless its order would be refused."""
        await open_form(interaction, self.making, self._match["track"])


async def open_form(interaction: discord.Interaction[Client], making: Making, track: str) -> None:
    """Open the form for an order from a song, unless it would be refused."""
    use = interaction.client.use_cases

    async def make() -> discord.ui.Modal:
        title = await use.drafts.check_song(interaction.user.id, post_message(interaction.message), track)
        return forms.form(Draft(making, track=track), title=title)

    await use.interactions.open(interaction, make)


class StyleButton(_SongFormButton, template=rf"style:{TRACK}"):
    """*Other style…* under a posted song, or in the library."""

    making = Making.STYLE


class LengthenButton(_SongFormButton, template=rf"lengthen:{TRACK}"):
    """*Extend…* under a posted song, or in the library."""

    making = Making.EXTENSION


class RetryButton(Component, template=rf"retry:{NOTIFICATION}"):
    """*Try again* under what came to nothing."""

    async def press(self, interaction: discord.Interaction[Client]) -> None:
        """Order the same once more, if the presser asked for it and has not tried it again."""
        use = interaction.client.use_cases

        async def work(requester: Requester) -> Ordered:
            return await use.drafts.again(requester, self._match["notification"])

        await use.interactions.order(interaction, work)


class ChangeButton(Component, template=rf"change:{NOTIFICATION}"):
    """*Change the words…* under what came to nothing."""

    async def press(self, interaction: discord.Interaction[Client]) -> None:
        """Open the form with what was typed."""
        use = interaction.client.use_cases

        async def make() -> discord.ui.Modal:
            draft = await use.drafts.to_change(interaction.user.id, self._match["notification"])
            if draft.making is Making.RECORDING:
                return recordings.style_form(draft.track or "", draft.title, draft.style)
            return forms.form(draft, after=self._match["notification"])

        await use.interactions.open(interaction, make)


async def take_form(interaction: discord.Interaction[Client], match: re.Match[str]) -> None:
    """Order what was typed into a form."""
    use, fields = interaction.client.use_cases, fields_of(interaction)
    making = Making(match["making"])
    if match["notification"] is not None and making is not Making.SONG:
        # Which song it is about stands with the order that came to nothing.
        await use.interactions.order(
            interaction,
            use.drafts.order_kept,
            first=lambda requester: use.drafts.keep_changed(requester, match["notification"], making, fields),
        )
        return
    draft = filled_in(Draft(making, track=match["track"]), fields)

    async def work(requester: Requester) -> Ordered:
        if match["track"] is not None:
            return await use.drafts.order_from_post(requester, post_message(interaction.message), draft)
        return await use.drafts.order(requester, draft)

    await use.interactions.order(interaction, work, draft)


async def setup(client: Client) -> None:
    """Make the buttons and forms known."""
    client.add_dynamic_items(StyleButton, LengthenButton, RetryButton, ChangeButton)
    client.add_form(re.compile(CUSTOM_ID), take_form)
