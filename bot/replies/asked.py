"""What an interaction asks for: the row that notes it, and whether its result could be posted."""

from __future__ import annotations

import discord

from bot.words import errors
from bot.words.errors import MemberError
from storage.drafts import Draft
from storage.notifications import Notification
from storage.schema import NotificationState

TOKEN_SECONDS = 15 * 60
"""How long Discord keeps an interaction's token."""

_NEEDED = ("view_channel", "send_messages", "embed_links", "attach_files", "read_message_history")


def row_of(
    interaction: discord.Interaction, notification_id: str, *, ephemeral: bool, now: float, draft: Draft | None
) -> Notification:
    """Return the row that notes an interaction, with what was typed."""
    return Notification(
        id=notification_id,
        interaction_id=interaction.id,
        task_id=None,
        position=0,
        user_id=interaction.user.id,
        guild_id=interaction.guild_id,
        channel_id=interaction.channel_id or 0,
        application_id=interaction.application_id,
        interaction_token=interaction.token,
        token_expires_at=now + TOKEN_SECONDS,
        ephemeral=ephemeral,
        upload_limit=interaction.filesize_limit,
        locale=str(interaction.locale)[:10],
        ack_message_id=None,
        ack_wanted=None,
        state=NotificationState.ASKED,
        attempts=0,
        attempt_at=None,  # nobody has to look after a command that lives
        sent_at=None,
        failures=None,
        message_id=None,
        error=None,
        created_at=now,
        delivered_at=None,
        draft=draft,
    )


def check_permissions(interaction: discord.Interaction) -> None:
    """Refuse before anything is paid for where the result could not be posted."""
    if interaction.guild_id is None or not interaction.is_guild_integration():
        raise MemberError(errors.server_only())
    granted = interaction.app_permissions
    in_thread = isinstance(interaction.channel, discord.Thread)
    needed = ["send_messages_in_threads" if in_thread and name == "send_messages" else name for name in _NEEDED]
    missing = [name.replace("_", " ").title() for name in needed if not getattr(granted, name)]
    if missing and not granted.administrator:
        raise MemberError(errors.missing_permissions(missing))
