"""The buttons under posted messages; their state is in the custom id, so they outlive every restart."""

from __future__ import annotations

from contextlib import suppress

import discord

from bot.gateway.client import Client
from bot.refusals import Refusal, meaning_of
from bot.songs.orders import Answer
from bot.words.sentences import answers, errors, limits
from bot.words.sentences.errors import MemberError
from cogs.components.items import NOTIFICATION, TRACK, Component, post_message


class CoverButton(Component, template=rf"cover:{TRACK}"):
    """*Cover* under a posted song."""

    async def press(self, interaction: discord.Interaction[Client]) -> None:
        """Do what `/cover` does with the song of this message; a custom id altered by hand changes nothing."""
        use = interaction.client.use_cases

        await use.interactions.order(
            interaction, lambda requester: use.drafts.cover_post(requester, post_message(interaction.message))
        )


class StopButton(Component, template=rf"stop:{NOTIFICATION}"):
    """*Don't post* under an acknowledgement."""

    async def press(self, interaction: discord.Interaction[Client]) -> None:
        """Stop the post; the acknowledgement then says so."""
        use = interaction.client.use_cases

        async def work() -> None:
            await use.library.stop(
                interaction.user.id, self._match["notification"], post_message(interaction.message).id
            )

        await use.interactions.update(interaction, work)


class ForgetButton(Component, template=r"forget:(?P<user>\d{1,20})(?P<cancel>:cancel)?"):
    """*Forget everything*, the confirmation, and *Cancel* beside it."""

    async def press(self, interaction: discord.Interaction[Client]) -> None:
        """Forget everything about the member who presses, who must be the one who was asked, or leave it."""
        use = interaction.client.use_cases

        async def work() -> Answer:
            if interaction.user.id != int(self._match["user"]):
                raise MemberError(errors.stale_button())
            if self._match["cancel"]:
                return Answer(answers.nothing_forgotten())
            forgotten = await use.library.forget_member(interaction.user.id)
            await use.acknowledgements.take_back(forgotten.waited)
            if forgotten.counted_until is None:
                return Answer(answers.all_forgotten())
            return Answer(f"{answers.all_forgotten()} {limits.counted_until(forgotten.counted_until)}")

        await use.interactions.update(interaction, work)


class RemoveButton(Component, template=rf"remove:{NOTIFICATION}"):
    """*Remove* under a posted message."""

    async def press(self, interaction: discord.Interaction[Client]) -> None:
        """Delete the message if the presser asked for it or manages messages here."""
        use = interaction.client.use_cases
        message = interaction.message
        is_ephemeral = message is None or message.flags.ephemeral

        async def work() -> None:
            await use.library.remove_post(
                interaction.user.id,
                self._match["notification"],
                post_message(message).id,
                manages=interaction.permissions.manage_messages,
                has_result=message is not None and bool(message.embeds or message.attachments),
                is_private=is_ephemeral or interaction.guild_id is None,
            )
            with suppress(discord.NotFound):
                if message is not None and not is_ephemeral:
                    try:
                        await message.delete()
                    except discord.HTTPException as error:
                        if meaning_of(error) is not Refusal.CLOSED:
                            raise
                    else:
                        return
                # The interaction's own token reaches what nobody else sees, and a channel that the bot has lost.
                await interaction.delete_original_response()

        await use.interactions.update(interaction, work)


async def setup(client: Client) -> None:
    """Make the buttons known."""
    client.add_dynamic_items(CoverButton, StopButton, ForgetButton, RemoveButton)
