"""The buttons under a posted song; their state is in the database, so they outlive every restart."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Self
from weakref import WeakValueDictionary

import discord

from bot.gateway.client import Client
from bot.songs.orders import Answer, Ordered, Requester
from bot.words import posted
from bot.words.sentences import answers, errors
from bot.words.sentences.errors import MemberError

_turns: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
"""One heart of a message after another, so that the last number that it shows is the one that is so."""


class _PostButton(discord.ui.DynamicItem[discord.ui.Button[Any]], template=r"(?!)"):
    """A button under a post, which says whose notification the post is; the use case asks whether that is so."""

    def __init__(self, notification_id: str, custom_id: str) -> None:
        super().__init__(discord.ui.Button(label="-", custom_id=custom_id))
        self._notification_id = notification_id

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Read the notification from the custom id."""
        return cls(match["notification"], match[0])


class LikeButton(_PostButton, template=r"like:(?P<notification>[0-9a-z]{24})"):
    """The heart."""

    async def callback(self, interaction: discord.Interaction[Client]) -> None:  # type: ignore[override]  # narrower on purpose: our own client
        """Like the song, or take that back, and show how many like it now."""
        use, message = interaction.client.use_cases, interaction.message

        async def work() -> None:
            if message is None:
                return
            await use.posted.like(interaction.user.id, self._notification_id, message.id)
            async with _turns.setdefault(message.id, asyncio.Lock()):
                view = posted.with_likes(message, self._notification_id, await use.posted.likes_of(message.id))
                await interaction.edit_original_response(view=view)

        await use.interactions.update(interaction, work)


class KeepButton(_PostButton, template=r"keep:(?P<notification>[0-9a-z]{24})"):
    """*Keep*."""

    async def callback(self, interaction: discord.Interaction[Client]) -> None:  # type: ignore[override]  # narrower on purpose: our own client
        """Take the song into the library of whoever presses."""
        use = interaction.client.use_cases

        async def work() -> Answer:
            title, versions = await use.posted.keep(
                interaction.user.id, self._notification_id, _message_id(interaction)
            )
            return Answer(answers.imported([title] * versions))

        await use.interactions.reply(interaction, work)


class AgainButton(_PostButton, template=r"again:(?P<notification>[0-9a-z]{24})"):
    """*Again*."""

    async def callback(self, interaction: discord.Interaction[Client]) -> None:  # type: ignore[override]  # narrower on purpose: our own client
        """Order the same once more."""
        use = interaction.client.use_cases

        async def work(requester: Requester) -> Ordered:
            return await use.posted.again(requester, self._notification_id, _message_id(interaction))

        await use.interactions.order(interaction, work)


class VersionButton(_PostButton, template=r"version:(?P<notification>[0-9a-z]{24})"):
    """*Version 2*."""

    async def callback(self, interaction: discord.Interaction[Client]) -> None:  # type: ignore[override]  # narrower on purpose: our own client
        """Post the version that this post does not have."""
        use = interaction.client.use_cases

        async def work(requester: Requester) -> Ordered:
            return await use.posted.other_version(requester, self._notification_id, _message_id(interaction))

        await use.interactions.order(interaction, work)


class PictureButton(_PostButton, template=r"picture:(?P<notification>[0-9a-z]{24}):(?P<number>\d{1,2})"):
    """*Use picture 1*."""

    async def callback(self, interaction: discord.Interaction[Client]) -> None:  # type: ignore[override]  # narrower on purpose: our own client
        """Have the song carry another of the pictures; the post then shows it."""
        use = interaction.client.use_cases
        number = int(str(self.item.custom_id).rpartition(":")[2])

        async def work() -> None:
            message_id = _message_id(interaction)
            if interaction.guild_id is None or (
                interaction.message is not None and interaction.message.flags.ephemeral
            ):
                raise MemberError(errors.pictures_in_channels())
            await use.posted.choose_picture(interaction.user.id, self._notification_id, message_id, number)

        await use.interactions.update(interaction, work)


class PostAgainButton(
    discord.ui.DynamicItem[discord.ui.Button[Any]], template=r"repost:(?P<track>[0-9a-z]{24}(?:\.\d{1,3})?)"
):
    """*Post again*, under the answer that a member has a song's cover."""

    def __init__(self, track: str) -> None:
        super().__init__(posted.post_again_button(track))
        self._track = track

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Read the song from the custom id; the use case asks whether it is in the library of whoever presses."""
        return cls(match["track"])

    async def callback(self, interaction: discord.Interaction[Client]) -> None:  # type: ignore[override]  # narrower on purpose: our own client
        """Post the cover of the song once more."""
        use = interaction.client.use_cases
        await use.interactions.order(
            interaction, lambda requester: use.covers.cover(requester, self._track, once_more=True)
        )


def _message_id(interaction: discord.Interaction[Client]) -> int:
    return interaction.message.id if interaction.message is not None else 0


async def setup(client: Client) -> None:
    """Make the buttons known."""
    client.add_dynamic_items(LikeButton, KeepButton, AgainButton, VersionButton, PictureButton, PostAgainButton)
