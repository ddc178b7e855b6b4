"""What an interaction asks for: the row that notes it, and whether its result could be posted."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

import discord
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from bot.words.sentences import errors
from bot.words.sentences.errors import MemberError
from storage import notifications
from storage.database import Database
from storage.notifications import Notification
from storage.notifications.drafts import Draft
from storage.schema import NotificationState
from storage.servers import settings as servers

log = logging.getLogger(__name__)

RECORD_AGAIN_SECONDS = 0.3

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


async def check_place(database: Database, interaction: discord.Interaction) -> None:
    """Refuse where the managers of the server want no songs."""
    async with database.read() as snapshot:
        channels = (await servers.get(snapshot, interaction.guild_id)).channels
    here = {interaction.channel_id, getattr(interaction.channel, "parent_id", None)}
    if channels and here.isdisjoint(channels):
        there = channels_of(interaction)
        left = [channel for channel in channels if there is None or channel in there]
        raise MemberError(errors.not_in_this_channel(left) if left else errors.no_channel_left())


def channels_of(interaction: discord.Interaction) -> set[int] | None:
    """Return the ids of the channels that the server has, None where they are not known."""
    return None if interaction.guild is None else {one.id for one in interaction.guild.channels} or None


async def record(database: Database, row: Notification) -> Notification:
    """Write a command down, again for as long as the database may be out of reach in passing."""
    loop = asyncio.get_running_loop()
    until, again = loop.time() + database.passing_seconds, False
    while True:
        try:
            return await _write_down(database, row, again=again)
        except OperationalError as error:
            if loop.time() >= until:
                raise
            log.warning("interaction %s cannot be written down yet: %s", row.id, told(error))
        again = True
        await asyncio.sleep(RECORD_AGAIN_SECONDS)


async def _write_down(database: Database, row: Notification, *, again: bool) -> Notification:
    # The operating system keeps a commit through the death of this process, which is what the row is for. Should
    # the power fail in this very moment, Discord ends the "thinking…" by itself after 15 minutes.
    async with database.write(durable=False) as transaction:
        # What seems to have failed may have been committed.
        if again and (written := await notifications.get(transaction, row.id)) is not None:
            return written
        if not row.ephemeral:
            server = await servers.get(transaction, row.guild_id)
            if server.language is not None:
                row = replace(row, locale=server.language, own_locale=row.locale)
        await notifications.add(transaction, row)
    return row


def told(error: SQLAlchemyError) -> str:
    """Return what the database or the way to it has said, without the statement."""
    return f"{type(error).__name__}: {getattr(error, 'orig', error)}"
