"""The buttons under posted messages; their state is in the custom id, so they outlive every restart."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any, Self

import discord

from bot.gateway.client import Client
from bot.songs.orders import Answer
from bot.words import cards
from bot.words.sentences import answers, errors, limits
from bot.words.sentences.errors import MemberError


class CoverButton(
    discord.ui.DynamicItem[discord.ui.Button[Any]], template=r"cover:(?P<track>[0-9a-z]{24}(?:\.\d{1,3})?)"
):
    """*Cover* under a posted song."""

    def __init__(self, track: str) -> None:
        super().__init__(cards.cover_button(track))

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Know the button again."""
        return cls(match["track"])

    async def callback(self, interaction: discord.Interaction[Client]) -> None:  # type: ignore[override]  # narrower on purpose: our own client
        """Do what `/cover` does with the song of this message; a custom id altered by hand changes nothing."""
        use = interaction.client.use_cases

        await use.interactions.order(
            interaction, lambda requester: use.drafts.cover_post(requester, _message_id(interaction))
        )


class StopButton(discord.ui.DynamicItem[discord.ui.Button[Any]], template=r"stop:(?P<notification>[0-9a-z]{24})"):
    """*Don't post* under an acknowledgement."""

    def __init__(self, notification_id: str) -> None:
        super().__init__(cards.stop_button(notification_id))
        self._notification_id = notification_id

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Read the notification from the custom id."""
        return cls(match["notification"])

    async def callback(self, interaction: discord.Interaction[Client]) -> None:  # type: ignore[override]  # narrower on purpose: our own client
        """Stop the post; the acknowledgement then says so."""
        use = interaction.client.use_cases

        async def work() -> None:
            await use.library.stop(interaction.user.id, self._notification_id, _message_id(interaction))

        await use.interactions.update(interaction, work)


class ForgetButton(
    discord.ui.DynamicItem[discord.ui.Button[Any]], template=r"forget:(?P<user>\d{1,20})(?P<cancel>:cancel)?"
):
    """*Forget everything*, the confirmation, and *Cancel* beside it."""

    def __init__(self, user_id: int, *, cancel: bool) -> None:
        super().__init__(cards.keep_button(user_id) if cancel else cards.forget_button(user_id))
        self._user_id = user_id
        self._cancel = cancel

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Read the member from the custom id."""
        return cls(int(match["user"]), cancel=match["cancel"] is not None)

    async def callback(self, interaction: discord.Interaction[Client]) -> None:  # type: ignore[override]  # narrower on purpose: our own client
        """Forget everything about the member who presses, who must be the one who was asked, or leave it."""
        use = interaction.client.use_cases

        async def work() -> Answer:
            if interaction.user.id != self._user_id:
                raise MemberError(errors.stale_button())
            if self._cancel:
                return Answer(answers.nothing_forgotten())
            forgotten = await use.library.forget_member(interaction.user.id)
            await use.acknowledgements.take_back(forgotten.waited)
            if forgotten.counted_until is None:
                return Answer(answers.all_forgotten())
            return Answer(f"{answers.all_forgotten()} {limits.counted_until(forgotten.counted_until)}")

        await use.interactions.update(interaction, work)


class RemoveButton(discord.ui.DynamicItem[discord.ui.Button[Any]], template=r"remove:(?P<notification>[0-9a-z]{24})"):
    """*Remove* under a posted message."""

    def __init__(self, notification_id: str) -> None:
        super().__init__(cards.remove_button(notification_id))
        self._notification_id = notification_id

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Read the notification from the custom id."""
        return cls(match["notification"])

    async def callback(self, interaction: discord.Interaction[Client]) -> None:  # type: ignore[override]  # narrower on purpose: our own client
        """Delete the message if the presser asked for it or manages messages here."""
        use = interaction.client.use_cases
        message = interaction.message

        async def work() -> None:
            await use.library.remove_post(
                interaction.user.id,
                self._notification_id,
                _message_id(interaction),
                manages=interaction.permissions.manage_messages,
            )
            with suppress(discord.NotFound):
                if message is not None and not message.flags.ephemeral:
                    await message.delete()
                else:  # only the interaction's own token reaches a message that nobody else sees
                    await interaction.delete_original_response()

        await use.interactions.update(interaction, work)


def _message_id(interaction: discord.Interaction[Client]) -> int:
    return interaction.message.id if interaction.message is not None else 0


async def setup(client: Client) -> None:
    """Make the buttons known."""
    client.add_dynamic_items(CoverButton, StopButton, ForgetButton, RemoveButton)
