"""How interactions end: what is said where nothing comes of one, or where Discord does not take what was to be said."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import discord
from sqlalchemy.exc import SQLAlchemyError

from bot.answers import first_answers
from bot.answers.asked import told
from bot.answers.private import QUIET, tell_directly, turn_private
from bot.refusals import FAILURES, Refusal, explain, meaning_of
from bot.songs.orders import Answer
from bot.tasks.unwanted import withdraw
from bot.words import cards
from bot.words.text import Text
from storage import notifications
from storage.database import Database
from storage.notifications import Notification
from storage.planned import Gone

log = logging.getLogger(__name__)


class Closing:
    """Says the last word on interactions, and writes down that it was said."""

    def __init__(self, database: Database, clock: Callable[[], float], support_url: str | None) -> None:
        self._database = database
        self._clock = clock
        self._support_url = support_url

    async def follow_up(
        self, interaction: discord.Interaction, name: str, text: Text | str, *, directly: bool = True
    ) -> None:
        """Say privately why a button or form did nothing: `directly` where Discord does not take that here."""
        view = cards.support_view(self._support_url)
        options: dict[str, Any] = {} if view is None else {"view": view}
        try:
            try:
                await interaction.followup.send(
                    cards.fitting(str(text)), ephemeral=True, allowed_mentions=QUIET, **options
                )
            except discord.HTTPException as error:
                if meaning_of(error) is Refusal.LATER or not directly:
                    raise
                await tell_directly(interaction.client, interaction.user.id, str(text), nonce=name)
        except FAILURES as error:
            log.info("interaction %s could not be answered: %s", name, explain(error))

    async def refuse(
        self,
        interaction: discord.Interaction,
        row: Notification,
        text: Text,
        view: discord.ui.View | None = None,
        *,
        is_deferred: bool,
    ) -> None:
        """Say privately why nothing comes of a command: as the first answer, or in the place of "thinking…"."""
        if view is None:
            view = cards.refusal_view(await self._as_kept(row), None, self._support_url)
        if not is_deferred:
            sent = await first_answers.say(interaction, row.id, Answer(text, view), ephemeral=True)
            if sent.has_arrived:
                await self.close(row.id)
            else:
                await self.not_taken(interaction, row, sent.refusal, text)
            return
        try:
            await turn_private(interaction, str(text), view)
        except FAILURES as error:
            await self.not_told(interaction, row, error, text)
        else:
            await self.close(row.id)

    async def _as_kept(self, row: Notification) -> Notification:
        """Return a notification with what is kept of its draft by now: what is tried again has taken that over."""
        try:
            async with self._database.read() as snapshot:
                return await notifications.get(snapshot, row.id) or row
        except SQLAlchemyError as error:
            log.error("interaction %s: the database does not answer: %s", row.id, told(error))
            return row

    async def not_taken(
        self, interaction: discord.Interaction, row: Notification, refusal: Refusal | None, text: Text | str
    ) -> None:
        """Do what is left where Discord has not taken the first answer; nothing is ordered for it."""
        if refusal is Refusal.LATER:
            # It may have arrived all the same: the delivery asks Discord, and goes on or takes it back.
            log.warning("interaction %s: nobody knows whether its first answer has arrived", row.id)
            await self.leave(row.id)
            return
        try:
            async with self._database.write() as transaction:
                await withdraw(transaction, row.id, self._clock())
        except Gone:
            return
        except SQLAlchemyError as error:
            log.error("interaction %s: the database does not answer: %s", row.id, told(error))
            await self.leave(row.id)
            return
        if refusal is Refusal.GONE:  # too late: Discord itself has told the member
            log.warning("interaction %s came too late to be answered", row.id)
            await self.close(row.id)
        else:
            await self._tell_directly(interaction, row, text)

    async def not_told(
        self, interaction: discord.Interaction, row: Notification, error: Exception, text: Text | str
    ) -> None:
        """Say directly what the interaction does not take, or leave it to the delivery where nobody has said no."""
        if meaning_of(error) is Refusal.LATER:
            log.warning("interaction %s could not be answered yet: %s", row.id, explain(error))
            await self.leave(row.id)
            return
        log.info("interaction %s could not be answered: %s", row.id, explain(error))
        await self._tell_directly(interaction, row, text)

    async def _tell_directly(self, interaction: discord.Interaction, row: Notification, text: Text | str) -> None:
        try:
            await tell_directly(interaction.client, row.user_id, str(text), nonce=row.id)
        except FAILURES as error:
            log.info("interaction %s: its member cannot be reached: %s", row.id, explain(error))
            if meaning_of(error) is Refusal.LATER:
                await self.leave(row.id)
                return
        await self.close(row.id)

    async def leave(self, notification_id: str) -> None:
        """Let the delivery answer, in the place of who could not."""

        async def plan() -> None:
            with suppress(Gone):
                async with self._database.write() as transaction:
                    await notifications.leave(transaction, notification_id, self._clock())

        await self._database.retry(plan)

    async def close(self, notification_id: str) -> None:
        """Note that everything has been said to the member who asked, who else would be told once more."""

        async def close() -> None:
            async with self._database.write() as transaction:
                await notifications.answer(transaction, notification_id)

        try:
            await self._database.retry(close)
        except Gone:
            log.debug("interaction %s is closed already", notification_id)
