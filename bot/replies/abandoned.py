"""Answers to interactions that the process which took them did not live to give."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import discord

from bot.answers.acknowledgements import Acknowledgements
from bot.answers.private import ORIGINAL, QUIET, tell_directly, webhook_of
from bot.refusals import FAILURES, Refusal, explain, meaning_of
from bot.replies.posting import find_by_button
from bot.tasks.unwanted import withdraw
from bot.words import cards
from bot.words.sentences import errors
from bot.words.text import speaking
from storage import notifications
from storage.database import Database
from storage.notifications import Notification
from storage.tasks import Task

log = logging.getLogger(__name__)


UNANSWERED = (10015, 10062)
"""Error codes for the answer to an interaction that was never given."""

DEAD_SECONDS = 5.0
"""When nothing that is on its way can be the first answer any more, which Discord takes for 3 s."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """What a member was shown as the first answer, None for "thinking…", what was deleted and what nobody knows."""

    message: discord.Message | None = None
    is_unanswered: bool = False


class Abandoned:
    """Answers `asked` notifications; raises what Discord says where another try may help."""

    def __init__(
        self,
        database: Database,
        client: discord.Client,
        acknowledgements: Acknowledgements,
        clock: Callable[[], float],
        support_url: str | None = None,
    ) -> None:
        self._database = database
        self._client = client
        self._acknowledgements = acknowledgements
        self._clock = clock
        self._support_url = support_url

    async def answer(self, row: Notification, task: Task | None) -> None:
        """Acknowledge what was ordered, or say that nothing was, where nobody has done so already."""
        shown = await self._shown(row, task)
        if shown.is_unanswered:
            await self._take_back(row)
        elif task is not None and shown.message is not None:
            is_private = shown.message.flags.ephemeral
            await self._acknowledgements.seen(row, task, None if is_private else shown.message.id)
        elif task is not None:
            await self._acknowledgements.answer(row, task)
        elif shown.message is not None:
            await self._close(row)
        else:
            await self._explain(row)

    async def _shown(self, row: Notification, task: Task | None) -> _Shown:
        """Ask Discord what became of the first answer; raises what it says where another try may help."""
        if row.interaction_token is not None and row.token_expires_at > self._clock():
            try:
                message = await webhook_of(self._client, row).fetch_message(ORIGINAL)
            except discord.HTTPException as error:
                meaning = meaning_of(error)
                if meaning is Refusal.LATER:
                    raise
                if error.code in UNANSWERED or meaning is not Refusal.EXPIRED:
                    return _Shown(is_unanswered=error.code in UNANSWERED)
            else:
                return _Shown() if message.flags.loading else _Shown(message)
        # What nobody has answered in time Discord itself has told the member.
        return _Shown(is_unanswered=True) if task is None else await self._shown_in_channel(row, task)

    async def _shown_in_channel(self, row: Notification, task: Task) -> _Shown:
        """Look for the acknowledgement in the channel, where the token has expired by which to ask for it.

        Where there is none, nobody has answered. That of a task which is over may be there without its button; to post
        its result costs nothing.
        """
        try:
            found = await find_by_button(self._client, row, cards.stop_id(row.id))
        except discord.HTTPException as error:
            if meaning_of(error) is Refusal.LATER:
                raise
            log.info("the acknowledgement of %s cannot be looked for: %s", row.id, explain(error))
            return _Shown()
        return _Shown(found, is_unanswered=found is None and not task.status.is_final)

    async def _take_back(self, row: Notification) -> None:
        """Order nothing for a command that was never answered, as Discord itself has told the member."""
        if 0 <= self._clock() - row.created_at < DEAD_SECONDS:  # a clock that was set back makes it no longer
            async with self._database.write() as transaction:
                at = row.created_at + DEAD_SECONDS
                await notifications.postpone(transaction, row.id, at, "its first answer may be on its way")
            return
        async with self._database.write() as transaction:
            await withdraw(transaction, row.id, self._clock())
            await notifications.answer(transaction, row.id)
        log.info("interaction %s was never answered; nothing is ordered for it", row.id)

    async def _close(self, row: Notification) -> None:
        async def close() -> None:
            async with self._database.write() as transaction:
                await notifications.answer(transaction, row.id)

        # What was said is not said again because the database was away in that moment.
        await self._database.retry(close)

    async def _explain(self, row: Notification) -> None:
        # From here on nothing can be ordered for it any more, so the sentence is true whatever comes.
        async with self._database.write() as transaction:
            row = await notifications.abandon(transaction, row.id)
        # What a private command does it may have done, but it orders nothing.
        text = errors.answer_lost() if row.ephemeral else errors.interrupted()
        with speaking(row.private_locale):
            words, view = cards.fitting(str(text)), cards.refusal_view(row, None, self._support_url)
        try:
            await self._say(row, words, view)
        except FAILURES as error:
            if meaning_of(error) is Refusal.LATER:
                raise
            log.info("interaction %s cannot be answered any more: %s", row.id, explain(error))
            await self._take_back(row)
        else:
            await self._close(row)

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
            await webhook.edit_message(ORIGINAL, content=text, view=view, allowed_mentions=QUIET)
            return
        try:
            await webhook.delete_message(ORIGINAL)
        except discord.HTTPException as error:  # whoever died after this still owes the sentence
            if meaning_of(error) is not Refusal.GONE:
                raise
        options: dict[str, Any] = {} if view is None else {"view": view}
        await webhook.send(text, ephemeral=True, allowed_mentions=QUIET, **options)
