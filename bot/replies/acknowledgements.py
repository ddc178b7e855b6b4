"""Acknowledgements: what a command's own message says while its task lives, and what it turns into.

An acknowledgement is a courtesy. It may be refused or lost, and no result ever waits for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any

import discord

from bot.refusals import FAILURES, Refusal, explain, meaning_of
from bot.replies.private import ORIGINAL, QUIET, webhook_of
from bot.songs.orders import Ordered
from bot.tasks.schedule import Schedule
from bot.words import cards, waiting
from bot.words.text import Text, speaking
from bot.worker import Worker
from storage import notifications
from storage import tasks as rows
from storage.database import Database
from storage.notifications import Notification
from storage.planned import Due, Gone
from storage.schema import Acknowledgement, TaskStatus
from storage.tasks import Task
from storage.wakeups import Queue

log = logging.getLogger(__name__)

PLACES = 16


class Acknowledgements:
    """Writes acknowledgements, and is the work of the worker that changes them."""

    def __init__(
        self, database: Database, client: discord.Client, schedule: Schedule, clock: Callable[[], float]
    ) -> None:
        self._database = database
        self._client = client
        self._schedule = schedule
        self._clock = clock

    async def acknowledge(self, interaction: discord.Interaction, notification_id: str, ordered: Ordered) -> None:
        """Say publicly what is being made; from here on the task's end answers."""
        text = await self.words(ordered.task, ordered.title, joined=ordered.joined)
        view = None if ordered.task.status.is_final else cards.waiting_buttons(notification_id)
        message_id, later = await self._show(interaction, text, view)
        await self.hand_over(notification_id, message_id, later=later)

    async def words(self, task: Task, subject: str, *, joined: bool = False) -> Text:
        """Return what to say about a task that is under way or just ended."""
        if task.status is TaskStatus.QUEUED:
            async with self._database.read() as snapshot:
                return waiting.held_up(subject, await rows.ahead_of(snapshot, task.id))
        if task.status is TaskStatus.SUBMITTING and task.tries:
            return waiting.unanswered(subject)
        usual = await self._schedule.usual_seconds(task.model)
        return waiting.acknowledgement(task, subject, joined=joined, usual=usual)

    async def status_line(self, task: Task) -> Text:
        """Return one line about something that a member waits for."""
        return waiting.status_line(task, await self._schedule.usual_seconds(task.model))

    async def hand_over(self, notification_id: str, message_id: int | None, *, later: bool = False) -> None:
        """Leave a notification to its task's end, which may have come already; `later` tries the words again."""

        async def write() -> None:
            async with self._database.write() as transaction:
                await notifications.acknowledge(transaction, notification_id, message_id, self._clock(), later=later)

        with suppress(Gone):  # stopped or forgotten meanwhile
            await self._database.insist(write)

    async def answer(self, row: Notification, task: Task) -> None:
        """Acknowledge in the place of a process that did not live to do it; raises what Discord says for now."""
        with speaking(row.locale):
            if task.status in rows.ENDED_BADLY:
                text = waiting.ended(task.title, row.guild_id, row.channel_id, None)
            else:
                text = await self.words(task, task.title)
            view = None if task.status.is_final else cards.waiting_buttons(row.id)
            message_id = None
            try:
                message = await webhook_of(self._client, row).edit_message(
                    ORIGINAL, content=cards.fitting(str(text)), view=view, allowed_mentions=QUIET
                )
                message_id = message.id
            except FAILURES as error:
                log.info("interaction %s cannot be acknowledged: %s", row.id, explain(error))
                later = meaning_of(error) is Refusal.LATER
            else:
                later = False
        await self.hand_over(row.id, message_id, later=later)

    async def _show(
        self, interaction: discord.Interaction, text: Text, view: discord.ui.View | None
    ) -> tuple[int | None, bool]:
        """Replace "thinking…"; return the message's id, and whether it is to be tried again."""
        for words in (str(text), str(waiting.plain())):
            try:
                message = await interaction.edit_original_response(
                    content=cards.fitting(words), view=view, allowed_mentions=QUIET
                )
            except FAILURES as error:
                meaning = meaning_of(error)
                log.info("interaction %s cannot be acknowledged: %s", interaction.id, explain(error))
                if meaning is Refusal.LATER:
                    return None, True
                if meaning is not Refusal.REFUSED:
                    return None, False
            else:
                return message.id, False
        # Not even the plain words: better nothing than "thinking…" for good.
        with suppress(*FAILURES):
            await interaction.delete_original_response()
        return None, False

    # The worker's part

    async def claim(self, skip: Collection[str], limit: int) -> list[Due]:
        """Return notifications whose acknowledgement should say something else."""
        async with self._database.read() as snapshot:
            return await notifications.acknowledgements_to_change(snapshot, skip, limit)

    async def next_due(self, _skip: Collection[str]) -> float | None:
        """Return nothing: what is wanted is wanted now."""
        return None

    async def do(self, item: str) -> None:
        """Let an acknowledgement say what is wanted; the same edit twice does no harm."""
        async with self._database.read() as snapshot:
            row = await notifications.get(snapshot, item)
            task = await rows.get(snapshot, row.task_id) if row is not None and row.task_id is not None else None
        if row is None or row.ack_wanted is None:
            return
        message_id = row.ack_message_id
        if task is not None:
            try:
                message_id = await self._change(row, task)
            except FAILURES as error:
                if meaning_of(error) is Refusal.LATER:
                    raise
                # Deleted, or in a channel that is closed: nobody misses the edit.
                log.info("acknowledgement of %s cannot be changed: %s", row.id, explain(error))
        async with self._database.write() as transaction:
            await notifications.shown(transaction, row.id, row.ack_wanted, message_id)

    async def _change(self, row: Notification, task: Task) -> int | None:
        under_way = row.ack_wanted in (Acknowledgement.ORDERED, Acknowledgement.LATE)
        with speaking(row.locale):
            options: dict[str, Any] = {
                "content": cards.fitting(str(await self._text(row, task))),
                "view": cards.waiting_buttons(row.id) if under_way and not task.status.is_final else None,
                "allowed_mentions": QUIET,
            }
        if row.ack_message_id is not None:
            channel = self._client.get_partial_messageable(row.channel_id, guild_id=row.guild_id)
            await channel.get_partial_message(row.ack_message_id).edit(**options)
            return row.ack_message_id
        if row.interaction_token is None or row.token_expires_at < self._clock():
            return None
        return (await webhook_of(self._client, row).edit_message(ORIGINAL, **options)).id

    async def _text(self, row: Notification, task: Task) -> Text:
        posted_here = None if row.ack_wanted == Acknowledgement.ELSEWHERE else row.message_id
        if row.ack_wanted == Acknowledgement.CANCELLED:
            return waiting.cancelled(task)
        if task.status is TaskStatus.FINISHED:
            if row.ack_wanted == Acknowledgement.DONE and row.message_id is not None:
                return waiting.done(task.title, row.guild_id, row.channel_id, row.message_id)
            if row.ack_wanted == Acknowledgement.ELSEWHERE:
                return waiting.done_elsewhere(task.title)
            if row.ack_wanted == Acknowledgement.FAILED:
                return waiting.not_posted(task.title)
            if row.ack_wanted == Acknowledgement.NOT_YET:
                return waiting.not_yet(task.title)
            if row.ack_wanted == Acknowledgement.STILL_NOT:
                return waiting.still_not(task.title)
            return waiting.acknowledgement(task, task.title, joined=False, usual=0)
        if task.status.is_final:
            return waiting.ended(task.title, row.guild_id, row.channel_id, posted_here)
        if row.ack_wanted == Acknowledgement.LATE:
            return waiting.late(task)
        return await self.words(task, task.title)


def make_acknowledger(work: Acknowledgements, database: Database, clock: Callable[[], float]) -> Worker:
    """Make the worker that changes acknowledgements."""
    return Worker(Queue.ACKNOWLEDGEMENTS, work, database.wakeups, places=PLACES, clock=clock)
