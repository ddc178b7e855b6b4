"""The buttons under a posted song; their state is in the database, so they outlive every restart."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import cast
from weakref import WeakValueDictionary

import discord

from bot.gateway.client import Client
from bot.gateway.events import shows
from bot.refusals import FAILURES
from bot.songs.orders import Answer, Ordered, Requester
from bot.words import posted
from bot.words.sentences import answers, errors
from bot.words.sentences.errors import MemberError
from cogs.components.items import NOTIFICATION, TRACK, Component, post_message

_turns: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
"""One heart of a message after another, so that the last number that it shows is the one that is so."""


class LikeButton(Component, template=rf"like:{NOTIFICATION}"):
    """The heart."""

    async def press(self, interaction: discord.Interaction[Client]) -> None:
        """Like the song, or take that back, and show how many like it now."""
        use, message = interaction.client.use_cases, interaction.message

        async def work() -> None:
            if message is None:
                return
            await use.posted.like(interaction.user.id, self._match["notification"], post_message(message))
            if not shows(message, cast("dict[str, object]", interaction.data or {})):
                return  # the message is told without its buttons, and would lose them
            async with _turns.setdefault(message.id, asyncio.Lock()):
                count = await use.posted.likes_of(post_message(message))
                view = posted.with_likes(message, self._match["notification"], count)
                with suppress(*FAILURES):  # it counts all the same: told to try again, one would take it back
                    await interaction.edit_original_response(view=view)

        await use.interactions.update(interaction, work)


class KeepButton(Component, template=rf"keep:{NOTIFICATION}"):
    """*Keep*."""

    async def press(self, interaction: discord.Interaction[Client]) -> None:
        """Take the song into the library of whoever presses."""
        use = interaction.client.use_cases

        async def work() -> Answer:
            title, versions = await use.posted.keep(
                interaction.user.id, self._match["notification"], post_message(interaction.message)
            )
            return Answer(answers.imported([title] * versions))

        await use.interactions.reply(interaction, work)


class AgainButton(Component, template=rf"again:{NOTIFICATION}"):
    """*Again*."""

    async def press(self, interaction: discord.Interaction[Client]) -> None:
        """Order the same once more."""
        use = interaction.client.use_cases

        async def work(requester: Requester) -> Ordered:
            return await use.posted.again(requester, self._match["notification"], post_message(interaction.message))

        await use.interactions.order(interaction, work)


class VersionButton(Component, template=rf"version:{NOTIFICATION}"):
    """*Version 2*."""

    async def press(self, interaction: discord.Interaction[Client]) -> None:
        """Post the version that this post does not have."""
        use = interaction.client.use_cases

        async def work(requester: Requester) -> Ordered:
            return await use.posted.other_version(
                requester, self._match["notification"], post_message(interaction.message)
            )

        await use.interactions.order(interaction, work)


class PictureButton(Component, template=rf"picture:{NOTIFICATION}:(?P<number>\d{{1,2}})"):
    """*Use picture 1*."""

    async def press(self, interaction: discord.Interaction[Client]) -> None:
        """Have the song carry another of the pictures; the post then shows it."""
        use = interaction.client.use_cases
        notification_id, number = self._match["notification"], int(self._match["number"])

        async def work() -> None:
            if interaction.guild_id is None or (
                interaction.message is not None and interaction.message.flags.ephemeral
            ):
                raise MemberError(errors.pictures_in_channels())
            await use.posted.choose_picture(
                interaction.user.id, notification_id, post_message(interaction.message), number
            )

        await use.interactions.update(interaction, work)


class PostAgainButton(Component, template=rf"repost:{TRACK}"):
    """*Post again*, under the answer that a member has a song's cover."""

    async def press(self, interaction: discord.Interaction[Client]) -> None:
        """Post the cover of the song once more."""
        use = interaction.client.use_cases
        await use.interactions.order(
            interaction, lambda requester: use.covers.cover(requester, self._match["track"], once_more=True)
        )


async def setup(client: Client) -> None:
    """Make the buttons known."""
    client.add_dynamic_items(LikeButton, KeepButton, AgainButton, VersionButton, PictureButton, PostAgainButton)
