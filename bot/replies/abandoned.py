"""Answers to interactions that the process which took them did not live to give."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import discord

from bot.refusals import FAILURES, Refusal, explain, meaning_of
from bot.replies.acknowledgements import Acknowledgements
from bot.replies.private import ORIGINAL, QUIET, tell_directly, webhook_of
from bot.words import cards, errors
from bot.words.text import speaking
from storage import notifications
from storage.database import Database
from storage.notifications import Notification
from storage.tasks import Task

log = logging.getLogger(__name__)


class Abandoned:
    """Answers `asked` notifications; raises what Discord says where another try may help."""

    def __init__(
        self,
        database: Database,
        client: discord.Client,
        acknowledgements: Acknowledgements,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._client = client
        self._acknowledgements = acknowledgements
        self._clock = clock

    async def answer(self, row: Notification, task: Task | None) -> None:
        """Acknowledge what was ordered, or say that nothing was."""
        if task is not None:
            await self._acknowledgements.answer(row, task)
            return
        # From here on nothing can be ordered for it any more, so the sentence is true whatever comes.
        async with self._database.write() as transaction:
            row = await notifications.abandon(transaction, row.id)
        # What a private command does it may have done, but it orders nothing.
        text = errors.answer_lost() if row.ephemeral else errors.interrupted()
        if row.token_expires_at > self._clock():  # else Discord itself has told the member
            try:
                with speaking(row.private_locale):
                    await self._say(row, cards.fitting(str(text)), cards.refusal_view(row, None, None))
            except FAILURES as error:
                if meaning_of(error) is Refusal.LATER:
                    raise
                log.info("interaction %s cannot be answered any more: %s", row.id, explain(error))
        async with self._database.write() as transaction:
            await notifications.answer(transaction, row.id)

    async def _say(self, row: Notification, text: str, view: discord.ui.View | None) -> None:
        try:
            await self._follow_up(webhook_of(self._client, row), text, view, ephemeral=row.ephemeral)
        except discord.HTTPException as error:
            if meaning_of(error) in (Refusal.LATER, Refusal.EXPIRED):
                raise
            await tell_directly(self._client, row.user_id, text, nonce=row.id)

    @staticmethod
    async def _follow_up(webhook: discord.Webhook, text: str, view: discord.ui.View | None, *, ephemeral: bool) -> None:
        if ephemeral:
            await webhook.edit_message(ORIGINAL, content=text, allowed_mentions=QUIET)
            return
        try:
            await webhook.delete_message(ORIGINAL)
        except discord.HTTPException as error:  # whoever died after this still owes the sentence
            if meaning_of(error) is not Refusal.GONE:
                raise
        options: dict[str, Any] = {} if view is None else {"view": view}
        await webhook.send(text, ephemeral=True, allowed_mentions=QUIET, **options)
