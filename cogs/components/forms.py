"""Forms in which an order is typed, the buttons that open them, and those under what came to nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar, cast

import discord

from bot.gateway.client import Client
from bot.songs.drafts import filled_in
from bot.songs.orders import Ordered, Requester
from bot.words import forms
from bot.words.forms import CUSTOM_ID
from bot.words.sentences import errors
from bot.words.sentences.errors import MemberError
from cogs.components.items import NOTIFICATION, TRACK, Component, message_id
from storage.notifications.drafts import Draft, Making


class _SongFormButton(Component, template=r"(?!)"):
    """Opens a form for an order from the song of a post, or of the presser's library."""

    making: ClassVar[Making]

    async def press(self, interaction: discord.Interaction[Client]) -> None:
        """Open the form, unless its order would be refused."""
        use = interaction.client.use_cases

        async def make() -> discord.ui.Modal:
            track = self._match["track"]
            title = await use.drafts.check_song(interaction.user.id, message_id(interaction), track)
            return forms.form(Draft(self.making, track=track), title=title)

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
            return forms.form(draft, after=self._match["notification"])

        await use.interactions.open(interaction, make)


async def take_form(interaction: discord.Interaction[Client], match: re.Match[str]) -> None:
    """Order what was typed into a form."""
    use = interaction.client.use_cases
    making = Making(match["making"])
    before: Draft | None = Draft(making, track=match["track"])
    if match["notification"] is not None and making is not Making.SONG:
        # Which song it is about stands with the order that came to nothing.
        before = await use.drafts.before(interaction.user.id, match["notification"], making)
    fields = dict(_fields(cast("dict[str, Any]", interaction.data or {}).get("components")))
    draft = None if before is None else filled_in(before, fields)

    async def work(requester: Requester) -> Ordered:
        if draft is None:
            raise MemberError(errors.stale_form())
        if match["track"] is not None:
            return await use.drafts.order_from_post(requester, message_id(interaction), draft)
        return await use.drafts.order(requester, draft)

    await use.interactions.order(interaction, work, draft)


def _fields(components: Any) -> Iterator[tuple[str, object]]:
    """Read a form's fields, whatever was sent in their place."""
    for item in components if isinstance(components, list) else ():
        field = item.get("component") if isinstance(item, dict) else None
        if isinstance(field, dict):
            yield str(field.get("custom_id")), field.get("value")


async def setup(client: Client) -> None:
    """Make the buttons and forms known."""
    client.add_dynamic_items(StyleButton, LengthenButton, RetryButton, ChangeButton)
    client.add_form(re.compile(CUSTOM_ID), take_form)
