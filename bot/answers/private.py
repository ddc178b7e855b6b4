"""Ways to one person alone: through an interaction while its token lives, or by a direct message."""

from __future__ import annotations

from typing import Any, cast

import discord

from bot.refusals import FAILURES, Refusal, meaning_of
from bot.words import cards
from storage.notifications import Notification

ORIGINAL = cast("int", "@original")
"""The name of an interaction's first answer, which Discord takes in the place of a message's id."""

QUIET = discord.AllowedMentions.none()


def webhook_of(client: discord.Client, row: Notification) -> discord.Webhook:
    """Return the webhook through which an interaction is answered while its token lives."""
    payload: Any = {"id": row.application_id, "type": 3, "token": row.interaction_token}
    return discord.Webhook.from_state(payload, client._connection)


async def turn_private(interaction: discord.Interaction, text: str, view: discord.ui.View | None = None) -> None:
    """Turn a public "thinking…" into a private sentence, which only what follows its deletion can be."""
    try:
        await interaction.delete_original_response()
    except FAILURES as error:
        if meaning_of(error) is Refusal.LATER:
            raise
    options: dict[str, Any] = {} if view is None else {"view": view}
    await interaction.followup.send(cards.fitting(text), ephemeral=True, allowed_mentions=QUIET, **options)


async def tell_directly(client: discord.Client, user_id: int, text: str, *, nonce: str) -> None:
    """Send a direct message; raises what Discord says."""
    channel = await client.create_dm(discord.Object(user_id))
    await channel.send(cards.fitting(text), nonce=nonce, allowed_mentions=QUIET)
