"""Posting a message to a channel, or privately where the channel is closed; and finding one that was posted before."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import discord

from bot.answers.private import ORIGINAL, QUIET, webhook_of
from bot.refusals import FAILURES, Refusal, explain, meaning_of
from bot.replies.posts import Post
from bot.words import cards
from bot.words.sentences import errors
from bot.words.text import speaking
from storage.notifications import Notification
from storage.tasks import Task

log = logging.getLogger(__name__)

LOOK_BACK = 1000
"""How many messages after the first sending are searched for one that was posted before a crash."""

MARGIN_SECONDS = 30.0
"""How far the search begins before that moment."""


class Posting:
    """Speaks to Discord for the delivery; every method raises what Discord says."""

    def __init__(self, client: discord.Client, clock: Callable[[], float], support_url: str | None = None) -> None:
        self._client = client
        self._clock = clock
        self._support_url = support_url

    async def send(self, row: Notification, post: Post) -> int:
        """Post in the notification's channel, as a reply to its acknowledgement, and return the message's id."""
        channel = self._client.get_partial_messageable(row.channel_id, guild_id=row.guild_id)
        reference = None
        if row.ack_message_id is not None:
            reference = discord.MessageReference(
                message_id=row.ack_message_id,
                channel_id=row.channel_id,
                guild_id=row.guild_id,
                fail_if_not_exists=False,
            )
        try:
            return await self._send(channel, row, post, reference)
        except discord.HTTPException as error:
            if reference is None or meaning_of(error) is not Refusal.NO_HISTORY:
                raise
        return await self._send(channel, row, post, None)

    async def send_privately(self, row: Notification, post: Post) -> int:
        """Reach the requester in their own language, through the interaction while its token lives, else directly."""
        with speaking(row.private_locale):
            post = post if post.anew is None else post.anew()
            direct = replace(post, view=cards.in_direct_message(post.view))
        if self.can_follow_up(row):
            try:
                with ExitStack() as stack:
                    content = _content(post, row, stack)
                    return (await webhook_of(self._client, row).send(**content, ephemeral=True, wait=True)).id
            except discord.HTTPException as error:
                if meaning_of(error) in (Refusal.LATER, Refusal.TOO_LARGE):
                    raise
                log.info("notification %s cannot be told through its interaction: %s", row.id, explain(error))
        channel = await self._client.create_dm(discord.Object(row.user_id))
        return await self._send(channel, row, direct, None)

    def can_follow_up(self, row: Notification) -> bool:
        """Tell whether the requester can be reached through the interaction."""
        return row.interaction_token is not None and row.token_expires_at > self._clock()

    async def tell_failure(self, row: Notification, task: Task) -> int:
        """Tell the requester alone, through the interaction, why there is no result, and return the message's id."""
        with speaking(row.private_locale):
            text, view = str(errors.failure(task)), cards.refusal_view(row, task, self._support_url)
        webhook = webhook_of(self._client, row)
        if row.ack_message_id is None:
            # What follows a "thinking…" takes its place, and everybody could read it.
            try:
                await webhook.delete_message(ORIGINAL)
            except discord.HTTPException as error:
                if meaning_of(error) is not Refusal.GONE:
                    raise
        options: dict[str, Any] = {} if view is None else {"view": view}
        sent = await webhook.send(cards.fitting(text), ephemeral=True, wait=True, allowed_mentions=QUIET, **options)
        return sent.id

    async def edit(self, row: Notification, post: Post) -> None:
        """Put another message in the place of the one that was posted, with its files."""
        channel = self._client.get_partial_messageable(row.channel_id, guild_id=row.guild_id)
        with ExitStack() as stack:
            content = _content(post, row, stack)
            files = content.pop("files")
            await channel.get_partial_message(row.message_id or 0).edit(**content, attachments=files)

    async def find(self, row: Notification) -> discord.Message | None:
        """Return the message that this notification was posted as, if it was."""
        try:
            return await find_by_button(self._client, row, cards.remove_id(row.id))
        except discord.HTTPException as error:
            if meaning_of(error) is Refusal.LATER:
                raise
            log.info("notification %s cannot be looked for: %s", row.id, explain(error))
        return None

    async def find_directly(self, row: Notification) -> discord.Message | None:
        """Return the direct message that this notification was sent as, if it was."""
        try:
            channel = await self._client.create_dm(discord.Object(row.user_id))
            return await _find_in(channel, row, cards.remove_id(row.id))
        except discord.HTTPException as error:
            if meaning_of(error) is Refusal.LATER:
                raise
            log.info("notification %s cannot be looked for directly: %s", row.id, explain(error))
        return None

    async def take_back(self, row: Notification, message_id: int) -> None:
        """Remove a message that nobody wants any more, as far as Discord lets us."""
        channel = self._client.get_partial_messageable(row.channel_id, guild_id=row.guild_id)
        with suppress(*FAILURES):
            await channel.get_partial_message(message_id).delete()

    async def take_back_told(self, row: Notification, message_id: int) -> None:
        """Remove what a requester was told alone and is not true any more, as far as Discord lets us."""
        with suppress(*FAILURES):
            await webhook_of(self._client, row).delete_message(message_id)

    @staticmethod
    async def _send(
        channel: discord.abc.Messageable, row: Notification, post: Post, reference: discord.MessageReference | None
    ) -> int:
        options: dict[str, Any] = {} if reference is None else {"reference": reference}
        with ExitStack() as stack:
            return (await channel.send(**_content(post, row, stack), nonce=row.id, **options)).id


async def find_by_button(client: discord.Client, row: Notification, custom_id: str) -> discord.Message | None:
    """Return the message of a notification in its channel that has a button; raises what Discord says."""
    return await _find_in(client.get_partial_messageable(row.channel_id, guild_id=row.guild_id), row, custom_id)


async def _find_in(channel: discord.abc.Messageable, row: Notification, custom_id: str) -> discord.Message | None:
    async for message in channel.history(after=_sent_after(row), limit=LOOK_BACK, oldest_first=True):
        for component in message.components:
            if isinstance(component, discord.ActionRow) and any(
                getattr(child, "custom_id", None) == custom_id for child in component.children
            ):
                return message
    return None


def _sent_after(row: Notification) -> discord.Object:
    """Return the moment of the first sending on Discord's clock, which the interaction's id tells."""
    waited = max((row.sent_at or row.created_at) - row.created_at - MARGIN_SECONDS, 0.0)
    if row.interaction_id is None:
        asked = datetime.fromtimestamp(row.created_at, UTC) - timedelta(minutes=1)
    else:
        asked = discord.utils.snowflake_time(row.interaction_id)
    return discord.Object(discord.utils.time_snowflake(asked + timedelta(seconds=waited)))


def _content(post: Post, row: Notification, stack: ExitStack) -> dict[str, Any]:
    files = [
        discord.File(
            stack.enter_context(file.open_to_send()),
            filename=name,
            description=post.pictures if file.kind.is_image else None,
        )
        for file, name in post.files
    ]
    content: dict[str, Any] = {
        "content": cards.fitting(post.content),
        "view": post.view,
        "files": files,
        "allowed_mentions": discord.AllowedMentions(
            everyone=False,
            roles=False,
            users=[discord.Object(row.user_id)] if post.notifies else False,
            replied_user=False,
        ),
    }
    if post.embeds:
        content["embeds"] = post.embeds
    return content
