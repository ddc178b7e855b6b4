"""Forms in which an order is typed, the buttons that open them, and those under what came to nothing."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Self

import discord

from bot.gateway.client import Client
from bot.songs.drafts import filled_in
from bot.songs.orders import Ordered, Requester
from bot.words import forms, posted, recordings
from bot.words.forms import CUSTOM_ID, TRACK
from bot.words.sentences import errors
from bot.words.sentences.errors import MemberError
from cogs.components.fields import fields_of
from storage.notifications.drafts import Draft, Making

_NOTIFICATION = r"(?P<notification>[0-9a-z]{24})"


class _SongFormButton(discord.ui.DynamicItem[discord.ui.Button[Any]], template=r"(?!)"):
    """Opens a form for an order from the song of a post, or of the presser's library."""

    making: ClassVar[Making]

    def __init__(self, track: str) -> None:
        make = posted.style_button if self.making is Making.STYLE else posted.lengthen_button
        super().__init__(make(track))
        self._track = track

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Read the song from the custom id; the use case checks whose it is."""
        return cls(match["track"])

    async def callback(self, interaction: discord.Interaction[Client]) -> None:  # type: ignore[override]  # narrower on purpose: our own client
        """Open the form, unless its order would be refused."""
        await open_form(interaction, self.making, self._track)


async def open_form(interaction: discord.Interaction[Client], making: Making, track: str) -> None:
    """Open the form for an order from a song, unless it would be refused."""
    use = interaction.client.use_cases

    async def make() -> discord.ui.Modal:
        title = await use.drafts.check_song(interaction.user.id, _message_id(interaction), track)
        return forms.form(Draft(making, track=track), title=title)

    await use.interactions.open(interaction, make)


class StyleButton(_SongFormButton, template=rf"style:(?P<track>{TRACK})"):
    """*Other style…* under a posted song, or in the library."""

    making = Making.STYLE


class LengthenButton(_SongFormButton, template=rf"lengthen:(?P<track>{TRACK})"):
    """*Extend…* under a posted song, or in the library."""

    making = Making.EXTENSION


class RetryButton(discord.ui.DynamicItem[discord.ui.Button[Any]], template=rf"retry:{_NOTIFICATION}"):
    """*Try again* under what came to nothing."""

    def __init__(self, notification_id: str) -> None:
        super().__init__(forms.retry_button(notification_id))
        self._notification_id = notification_id

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Read the notification from the custom id."""
        return cls(match["notification"])

    async def callback(self, interaction: discord.Interaction[Client]) -> None:  # type: ignore[override]  # narrower on purpose: our own client
        """Order the same once more, if the presser asked for it and has not tried it again."""
        use = interaction.client.use_cases

        async def work(requester: Requester) -> Ordered:
            return await use.drafts.again(requester, self._notification_id)

        await use.interactions.order(interaction, work)


class ChangeButton(discord.ui.DynamicItem[discord.ui.Button[Any]], template=rf"change:{_NOTIFICATION}"):
    """*Change the words…* under what came to nothing."""

    def __init__(self, notification_id: str) -> None:
        super().__init__(forms.change_button(notification_id))
        self._notification_id = notification_id

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Read the notification from the custom id."""
        return cls(match["notification"])

    async def callback(self, interaction: discord.Interaction[Client]) -> None:  # type: ignore[override]  # narrower on purpose: our own client
        """Open the form with what was typed."""
        use = interaction.client.use_cases

        async def make() -> discord.ui.Modal:
            draft = await use.drafts.to_change(interaction.user.id, self._notification_id)
            if draft.making is Making.RECORDING:
                return recordings.style_form(draft.track or "", draft.title, draft.style)
            return forms.form(draft, after=self._notification_id)

        await use.interactions.open(interaction, make)


async def take_form(interaction: discord.Interaction[Client], match: re.Match[str]) -> None:
    """Order what was typed into a form."""
    use = interaction.client.use_cases
    making = Making(match["making"])
    before: Draft | None = Draft(making, track=match["track"])
    if match["notification"] is not None and making is not Making.SONG:
        # Which song it is about stands with the order that came to nothing.
        before = await use.drafts.before(interaction.user.id, match["notification"], making)
    draft = None if before is None else filled_in(before, fields_of(interaction))

    async def work(requester: Requester) -> Ordered:
        if draft is None:
            raise MemberError(errors.stale_form())
        if match["track"] is not None:
            return await use.drafts.order_from_post(requester, _message_id(interaction), draft)
        return await use.drafts.order(requester, draft)

    await use.interactions.order(interaction, work, draft)


def _message_id(interaction: discord.Interaction[Client]) -> int:
    return interaction.message.id if interaction.message is not None else 0


async def setup(client: Client) -> None:
    """Make the buttons and forms known."""
    client.add_dynamic_items(StyleButton, LengthenButton, RetryButton, ChangeButton)
    client.add_form(re.compile(CUSTOM_ID), take_form)
