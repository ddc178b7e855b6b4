"""Acknowledgements: what a command's own message says while its task lives, and what it turns into.

An acknowledgement is a courtesy. It may be refused or lost, and no result ever waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress

import discord

from bot.answers import first_answers
from bot.answers.first_answers import Sent
from bot.answers.places import Places
from bot.answers.private import ORIGINAL, QUIET, webhook_of
from bot.logs import about
from bot.refusals import FAILURES, Refusal, explain, meaning_of
from bot.songs.orders import Answer, Ordered
from bot.tasks.schedule import Schedule
from bot.tasks.submission import Submission
from bot.tasks.unwanted import as_left
from bot.words import cards
from bot.words.sentences import limits, waiting
from bot.words.text import Text, speaking
from bot.worker import TryLater, Worker
from storage import notifications
from storage import tasks as rows
from storage.database import Database, Transaction
from storage.notifications import Notification
from storage.planned import Due, Gone
from storage.schema import Acknowledgement, TaskStatus
from storage.tasks import Task
from storage.wakeups import Queue

log = logging.getLogger(__name__)

PLACES = 16

SHOW_SECONDS = 10.0
"""How long an acknowledgement is tried before a result may come without it."""

KEEP_TRYING_SECONDS = 86400.0
"""How long the words of an acknowledgement are tried again where nobody says no to them."""


class Acknowledgements:
    """Writes acknowledgements, and is the work of the worker that changes them."""

    def __init__(
        self,
        database: Database,
        client: discord.Client,
        schedule: Schedule,
        submission: Submission,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._client = client
        self._schedule = schedule
        self._submission = submission
        self._clock = clock
        self._places = Places(database, submission, clock)

    async def acknowledge(self, interaction: discord.Interaction, notification_id: str, ordered: Ordered) -> None:
        """Replace "thinking…" by what is being made; from here on the task's end answers."""
        text, is_over = await self._ordered(ordered), ordered.task.status.is_final
        await self._acknowledge(interaction.followup, notification_id, text, ordered.task, is_over=is_over)
        await self._correct(ordered)

    async def answer_first(self, interaction: discord.Interaction, notification_id: str, ordered: Ordered) -> Sent:
        """Say publicly, as the first answer, what is being made; where that has arrived the task's end answers."""
        text = await self._ordered(ordered)
        is_over, is_private = ordered.task.status.is_final, False
        for words in (text, waiting.plain()):  # what the member has typed may be refused
            sent = await self._say_first(interaction, notification_id, words, is_over=is_over)
            if sent.refusal is not Refusal.REFUSED:
                break
        else:
            is_private = True  # what nobody else sees is not
            with speaking(str(interaction.locale)):
                words = waiting.plain()
                sent = await self._say_first(interaction, notification_id, words, is_over=is_over, is_private=True)
        if sent.has_arrived:
            message_id = None if is_private else sent.message_id
            # Whose id was lost is asked for by being said again.
            is_unknown = sent.message_id is None and not is_private
            await self._hand_over(interaction.followup, notification_id, message_id, ordered.task, later=is_unknown)
            await self._correct(ordered)
        return sent

    async def _say_first(
        self,
        interaction: discord.Interaction,
        notification_id: str,
        words: Text | str,
        *,
        is_over: bool,
        is_private: bool = False,
    ) -> Sent:
        view = None if is_over else cards.waiting_buttons(notification_id)
        return await first_answers.say(interaction, notification_id, Answer(words, view), ephemeral=is_private)

    async def _ordered(self, ordered: Ordered) -> Text | str:
        # Nobody reads of an order that a power cut could still take.
        text, _ = await asyncio.gather(
            self.words(ordered.task, ordered.title, joined=ordered.joined), self._database.sync()
        )
        return text if ordered.left is None else f"{text} {limits.left(ordered.left)}"

    async def seen(self, row: Notification, task: Task, message_id: int | None) -> None:
        """Go on with what somebody else has acknowledged who did not live to note it."""
        await self._hand_over(webhook_of(self._client, row), row.id, message_id, task)

    async def answer(self, row: Notification, task: Task) -> None:
        """Acknowledge in the place of a process that did not live to do it."""
        webhook = webhook_of(self._client, row)
        if not self._has_token(row):
            await self._hand_over(webhook, row.id, None, task)
            return
        with speaking(row.locale):
            if task.status in rows.ENDED_BADLY:
                text = waiting.ended(task, row.guild_id, row.channel_id, None)
            else:
                text = await self.words(task, task.title)
            await self._acknowledge(webhook, row.id, text, task, is_over=task.status.is_final)

    async def _correct(self, ordered: Ordered) -> None:
        """Have acknowledgements of somebody else's task changed whose turn has come while they were written."""
        if not ordered.joined or ordered.task.status is not TaskStatus.QUEUED:
            return
        async with self._database.read() as snapshot:
            task = await rows.get(snapshot, ordered.task.id)
        if task is not None and task.status is not TaskStatus.QUEUED and not task.status.is_final:
            async with self._database.write(durable=False) as transaction:
                await notifications.want(transaction, task.id, Acknowledgement.ORDERED)

    async def words(self, task: Task, subject: str, *, joined: bool = False) -> Text:
        """Return what to say about a task that is under way or just ended."""
        async with self._database.read() as snapshot:
            if task.status is TaskStatus.QUEUED and (
                task.tries or not self._submission.has_room or await rows.is_held_up(snapshot, task.id)
            ):
                return waiting.held_up(subject, await rows.ahead_of(snapshot, task.id))
            usual = await self._schedule.usual_seconds(snapshot, task.model)
        if task.status is TaskStatus.SUBMITTING and task.tries:
            return waiting.unanswered(subject)
        if task.late_at is not None and not task.status.is_final:
            return waiting.late(task)
        return waiting.acknowledgement(task, subject, joined=joined, usual=usual)

    async def _acknowledge(
        self, webhook: discord.Webhook, notification_id: str, text: Text | str, task: Task, *, is_over: bool
    ) -> None:
        view = None if is_over else cards.waiting_buttons(notification_id)
        message_id, later = None, False
        try:
            async with asyncio.timeout(SHOW_SECONDS):
                message_id = await _show(webhook, [text, waiting.plain()], view)
        except FAILURES as error:
            log.info("interaction %s cannot be acknowledged: %s", notification_id, explain(error))
            later = meaning_of(error) is Refusal.LATER
        await self._hand_over(webhook, notification_id, message_id, task, later=later)

    async def _hand_over(
        self, webhook: discord.Webhook, notification_id: str, message_id: int | None, task: Task, *, later: bool = False
    ) -> None:
        """Leave a notification to its task's end, which may have come already; `later` tries the words again.

        From here on the task may be sent. `webhook` reaches the acknowledgement of whoever is forgotten by now.
        """

        async def write() -> None:
            async with self._database.write() as transaction:
                now = self._clock()
                await notifications.acknowledge(transaction, notification_id, message_id, now, later=later)
                if task.status is TaskStatus.QUEUED:
                    await rows.let_go(transaction, task.id, now)

        try:
            await self._database.retry(write)
            # One that VidGo had no room for is sent when it is planned.
            if task.status is TaskStatus.QUEUED and not task.tries:
                self._submission.begin(task.id)
        except Gone:  # stopped or forgotten meanwhile
            async with self._database.write() as transaction:
                is_forgotten = await notifications.get(transaction, notification_id) is None
                if message_id is not None:
                    await notifications.cancelled_after_all(transaction, notification_id, message_id)
                task = await as_left(transaction, task)
            if is_forgotten:
                await self._say_cancelled(webhook, notification_id, task)

    async def take_back(self, waited: Sequence[tuple[Notification, Task]]) -> None:
        """Let no acknowledgement of somebody who was just forgotten promise anything.

        Nothing of it is written down any more, so that it is tried for a while, and then left.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(SHOW_SECONDS):
                await asyncio.gather(*(self._take_back(row, task) for row, task in waited))

    async def _take_back(self, row: Notification, task: Task) -> None:
        with speaking(row.locale):
            if row.ack_message_id is None:  # it may have arrived, and only its answer has not
                await self._say_cancelled(webhook_of(self._client, row), row.id, task)
                return
            text = str(waiting.cancelled(task))
        try:
            await self._edit(row, row.ack_message_id, text, None)
        except FAILURES as error:
            log.info("acknowledgement of %s cannot be changed: %s", row.id, explain(error))

    async def _say_cancelled(self, webhook: discord.Webhook, notification_id: str, task: Task) -> None:
        """Have the first answer to an interaction say that nothing comes of it, where there is a way to it."""
        if webhook.token is None:
            return
        text = cards.fitting(str(waiting.cancelled(task)))
        try:
            async with asyncio.timeout(SHOW_SECONDS):
                await webhook.edit_message(ORIGINAL, content=text, view=None, allowed_mentions=QUIET)
        except FAILURES as error:
            log.info("acknowledgement of %s cannot be changed: %s", notification_id, explain(error))

    def _has_token(self, row: Notification) -> bool:
        return row.interaction_token is not None and row.token_expires_at > self._clock()

    # The worker's part

    async def claim(self, skip: Collection[str], limit: int) -> list[Due]:
        """Return notifications whose acknowledgement should say something else."""
        await self._places.renew()
        async with self._database.claiming() as snapshot:
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
            about(task.id)
            try:
                message_id = await self._change(row, task)
            except FAILURES as error:
                if meaning_of(error) is Refusal.LATER and self._clock() - row.created_at < KEEP_TRYING_SECONDS:
                    raise TryLater(explain(error)) from error
                # Deleted, or in a channel that is closed: nobody misses the edit.
                log.info("acknowledgement of %s cannot be changed: %s", row.id, explain(error))
        async with self._database.write() as transaction:
            if task is not None and await _has_been_answered(transaction, task):
                return  # while the words were on their way, and what is wanted now is not what was shown
            await notifications.shown(transaction, row.id, row.ack_wanted, message_id)

    async def _change(self, row: Notification, task: Task) -> int | None:
        with speaking(row.locale):
            ordered = row.ack_wanted in (Acknowledgement.ORDERED, Acknowledgement.LATE) and not task.status.is_final
            under_way = ordered or row.ack_wanted in (Acknowledgement.NOT_YET, Acknowledgement.STILL_NOT)
            text, view = await self._text(row, task), cards.waiting_buttons(row.id) if under_way else None
            if row.ack_message_id is not None:
                await self._edit(row, row.ack_message_id, str(text), view)
                return row.ack_message_id
            if not self._has_token(row):
                return None
            return await _show(webhook_of(self._client, row), [text, *([waiting.plain()] if under_way else [])], view)

    async def _edit(self, row: Notification, message_id: int, text: str, view: discord.ui.View | None) -> None:
        channel = self._client.get_partial_messageable(row.channel_id, guild_id=row.guild_id)
        content = cards.fitting(text)
        try:
            await channel.get_partial_message(message_id).edit(content=content, view=view, allowed_mentions=QUIET)
        except discord.HTTPException as error:
            if meaning_of(error) not in (Refusal.CLOSED, Refusal.GONE) or not self._has_token(row):
                raise
            # To an interaction Discord lets the bot go on answering where its channel is closed to the bot by now. And
            # what its requester alone sees is found through it alone.
            webhook = webhook_of(self._client, row)
            await webhook.edit_message(ORIGINAL, content=content, view=view, allowed_mentions=QUIET)

    async def _text(self, row: Notification, task: Task) -> Text:
        posted_here = None if row.ack_wanted == Acknowledgement.ELSEWHERE else row.message_id
        if row.ack_wanted == Acknowledgement.CANCELLED:
            return waiting.cancelled(task)
        if task.status is TaskStatus.FINISHED:
            if row.ack_wanted == Acknowledgement.DONE and row.message_id is not None:
                return waiting.done(task.title, row.guild_id, row.channel_id, row.message_id)
            if row.ack_wanted == Acknowledgement.WITHOUT_IT and row.message_id is not None:
                return waiting.done_without_it(task.title, row.guild_id, row.channel_id, row.message_id)
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
            return waiting.ended(task, row.guild_id, row.channel_id, posted_here)
        return await self.words(task, task.title)


async def _has_been_answered(transaction: Transaction, task: Task) -> bool:
    """Tell whether VidGo has answered an order since its task was read."""
    current = await rows.lock(transaction, task.id)
    return current is not None and (current.vidgo_id, current.tries) != (task.vidgo_id, task.tries)


async def _show(webhook: discord.Webhook, choices: Sequence[Text | str], view: discord.ui.View | None) -> int | None:
    """Replace "thinking…" by the first of some words that Discord takes, or by nothing; return the message's id.

    Raises what Discord says where not the words are the reason.
    """
    for text in choices:
        try:
            message = await webhook.edit_message(
                ORIGINAL, content=cards.fitting(str(text)), view=view, allowed_mentions=QUIET
            )
        except discord.HTTPException as error:
            if meaning_of(error) is not Refusal.REFUSED:
                raise
            log.info("the words of an acknowledgement are refused: %s", explain(error))
        else:
            return message.id
    # Better nothing than "thinking…" for good.
    with suppress(*FAILURES):
        await webhook.delete_message(ORIGINAL)
    return None


def make_acknowledger(work: Acknowledgements, database: Database, clock: Callable[[], float]) -> Worker:
    """Make the worker that changes acknowledgements."""
    release = database.releasing(notifications.release_acknowledgements)
    return Worker(Queue.ACKNOWLEDGEMENTS, work, database.wakeups, places=PLACES, clock=clock, release=release)
