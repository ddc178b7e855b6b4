"""Members' own recordings: the form that asks in which style one is performed."""

from __future__ import annotations

import re
from itertools import chain

import discord

from bot.gateway.client import Client
from bot.songs.recordings import Upload
from bot.words import recordings as words
from bot.words.sentences.errors import MemberError
from cogs.components.fields import texts_of

_SOUND = (".mp3", ".wav", ".flac", ".ogg", ".oga", ".opus", ".m4a", ".aac")
"""Names that look like sound; what a file really is, its content says when it is ordered."""


def upload_of(attachment: discord.Attachment) -> Upload:
    """Return an attachment as a recording."""
    return Upload(words.name_of(attachment.filename, attachment.title), attachment.url, attachment.size)


def audio_of(message: discord.Message) -> discord.Attachment:
    """Return the first file that looks like sound of a message or of what it forwards.

    Raises `MemberError` where there is none.
    """
    for attachment in chain(message.attachments, *(one.attachments for one in message.message_snapshots)):
        if (attachment.content_type or "").startswith("audio/") or attachment.filename.lower().endswith(_SOUND):
            return attachment
    raise MemberError(words.nothing_to_cover())


async def ask_style(interaction: discord.Interaction[Client], attachment: discord.Attachment) -> discord.ui.Modal:
    """Return the form for a recording; raises `MemberError` where it could not be ordered."""
    use = interaction.client.use_cases
    await use.interactions.check_order(interaction)
    upload = upload_of(attachment)
    kept = await use.recordings.ask_style(interaction.user.id, interaction.guild_id, upload)
    return words.style_form(kept, upload.name)


async def take_style(interaction: discord.Interaction[Client], match: re.Match[str]) -> None:
    """Order what a form was filled in for."""
    use = interaction.client.use_cases
    style = texts_of(interaction).get("style", "")
    await use.interactions.order(
        interaction,
        use.drafts.order_kept,
        first=lambda requester: use.recordings.keep_style(requester, match["recording"], style),
    )


async def setup(client: Client) -> None:
    """Make the form known."""
    client.add_form(re.compile(rf"{words.CUSTOM_ID}(?P<recording>[0-9a-z]{{24}})"), take_style)
