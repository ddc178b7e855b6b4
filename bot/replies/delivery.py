"""The worker that posts due notifications to Discord, each exactly once.

`sending` is written before Discord is asked. A notification that may have been sent before is first looked for among
the bot's own messages: its id stands in the custom id of the *Remove* button, and in the nonce, by which Discord
itself drops a repeat within a few minutes.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from pathlib import Path
from weakref import WeakValueDictionary

from bot.fetching.patience import Failures, Stage
from bot.logs import about
from bot.metrics import Metrics
from bot.refusals import FAILURES, Refusal, asked_to_wait, explain, meaning_of
from bot.replies.abandoned import Abandoned
from bot.replies.parts import NotYet
from bot.replies.posting import Posting
from bot.replies.posts import Composer, Post
from bot.words.text import speaking
from bot.worker import Worker
from storage import notifications
from storage import tasks as rows
from storage.database import Database
from storage.notifications import Notification
from storage.planned import Due, Gone
from storage.schema import Acknowledgement, NotificationState, TaskStatus
from storage.servers import alarms
from storage.tasks import Task
from storage.wakeups import Queue

log = logging.getLogger(__name__)

PLACES = 256
"""How many are worked on at once. Most of them wait: for a file, for their channel's turn, for Discord."""

PER_CHANNEL = 4
"""How many of one channel; they are posted one after another, so more would only hold places."""

GIVE_UP_SECONDS = 2 * 86400.0
LONGEST_PAUSE_SECONDS = 300.0

UNBOOSTED_LIMIT = 10 * 1024 * 1024
"""What Discord accepts in any server."""


_Way = tuple[Callable[[Notification, Post], Awaitable[int]], Acknowledgement | None]
"""A way to send a message, and what the acknowledgement says then."""

_NEWS = {
    Stage.NOTHING: None,
    Stage.NOT_YET: Acknowledgement.NOT_YET,
    Stage.STILL_NOT: Acknowledgement.STILL_NOT,
}


class Delivery:
    """Tells requesters what became of their tasks."""

    def __init__(
        self,
        database: Database,
        posting: Posting,
        composer: Composer,
        abandoned: Abandoned,
        *,
        directory: Path,
        clock: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        self._database = database
        self._posting = posting
        self._composer = composer
        self._abandoned = abandoned
        self._directory = directory
        self._clock = clock
        self._metrics = metrics
        self._started_at = clock()
        self._turns: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        self._channels: dict[str, int] = {}
        """The channel of each notification that is worked on."""
        self._left: set[int] = set()
        """The channels of those that were done lately."""

    # The worker's part

    async def claim(self, skip: Collection[str], limit: int) -> list[Due]:
        """Return notifications with something to do, outside of channels that have enough under way."""
        now = self._clock()
        self._channels = {item: channel for item, channel in self._channels.items() if item in skip}
        left, self._left = self._left.difference(self._channels.values()), set()
        async with self._database.claiming() as transaction:
            await transaction.leave_channels(left)
            found = await notifications.claim(
                transaction, now, now + 2 * LONGEST_PAUSE_SECONDS, skip, limit, busy=self._busy()
            )
            taken = Counter(self._channels.values())
            chosen: list[Due] = []
            open_here = await transaction.take_channels({due.channel_id for due in found}) if found else set()
            for due in found:
                if due.channel_id in open_here and taken[due.channel_id] < PER_CHANNEL:
                    taken[due.channel_id] += 1
                    self._channels[due.id] = due.channel_id
                    chosen.append(due)
            await notifications.release(transaction, {due.id for due in found} - {due.id for due in chosen})
        return chosen

    async def next_due(self, skip: Collection[str]) -> float | None:
        """Return when the next one is due."""
        async with self._database.read() as snapshot:
            return await notifications.next_due(snapshot, self._clock(), skip, busy=self._busy())

    async def do(self, item: str) -> None:
        """Answer an interaction that was left open, or tell what became of a task."""
        try:
            async with self._database.read() as snapshot:
                row = await notifications.get(snapshot, item)
                task = await rows.get(snapshot, row.task_id) if row is not None and row.task_id is not None else None
            if task is not None:
                about(task.id)
            if row is not None:
                with speaking(row.locale):
                    await self._do(row, task)
        finally:
            if (channel := self._channels.pop(item, None)) is not None:
                self._left.add(channel)

    def _busy(self) -> list[int]:
        return [channel for channel, count in Counter(self._channels.values()).items() if count >= PER_CHANNEL]

    async def _do(self, row: Notification, task: Task | None) -> None:
        try:
            if row.state is NotificationState.ASKED:
                await self._abandoned.answer(row, task)
            elif task is not None and row.state in (NotificationState.DUE, NotificationState.SENDING):
                await self._deliver(row, task)
        except NotYet as error:
            log.info("notification %s: its file comes later: %s", row.id, error.reason)
            await self._fetch_later(row, error)
        except FAILURES as error:
            log.warning("notification %s is not posted yet: %s", row.id, explain(error))
            await self._later(row, error)

    # Posting

    async def _deliver(self, row: Notification, task: Task) -> None:
        if not task.status.is_final and row.state is NotificationState.DUE:
            async with self._database.write() as transaction:
                await notifications.wait_again(transaction, row.id)
            return
        may_be_there = row.state is NotificationState.SENDING or row.created_at < self._started_at
        if may_be_there and (posted := await self._posting.find(row)) is not None:
            await self._delivered(row, task, posted.id, has_result=bool(posted.embeds or posted.attachments))
            return
        # A channel that had refused it may be open again.
        if row.state is NotificationState.SENDING and (sent := await self._posting.find_directly(row)) is not None:
            has_result = bool(sent.embeds or sent.attachments) or task.status is not TaskStatus.FINISHED
            says = Acknowledgement.ELSEWHERE if has_result else Acknowledgement.FAILED
            await self._delivered(row, task, sent.id, says, has_result=has_result)
            return
        if task.status is not TaskStatus.FINISHED and await self._tell_failure(row, task):
            return
        with tempfile.TemporaryDirectory(dir=self._directory, ignore_cleanup_errors=True) as name:
            directory, failures = Path(name), Failures.load(row.failures)
            post = await self._composer.compose(row, task, directory, limit=row.upload_limit, failures=failures)
            if await self._post(row, task, post):
                return
            # The server has lost its boosts since the command was typed.
            row = replace(row, upload_limit=min(row.upload_limit, UNBOOSTED_LIMIT))
            try:
                smaller = await self._composer.compose(
                    row, task, directory, limit=row.upload_limit, failures=failures, with_other=False
                )
            except NotYet as error:
                await self._fetch_later(row, error)
                return
            if await self._post(row, task, smaller):
                return
            await self._post(row, task, await self._composer.compose_link(row, task))

    async def _tell_failure(self, row: Notification, task: Task) -> bool:
        """Tell the requester alone that there is no result, where the interaction still takes that.

        What an interaction was sent cannot be looked for: after a crash in between it may be said once more.
        """
        if not self._posting.can_follow_up(row):
            return False
        row = await self._send(row, task)
        try:
            message_id = await self._posting.tell_failure(row, task)
        except FAILURES as error:
            if meaning_of(error) is Refusal.LATER:
                raise
            log.info("task %s: its end cannot be told through the interaction: %s", task.id, explain(error))
            return False
        await self._delivered(row, task, message_id, Acknowledgement.ELSEWHERE, told_alone=True)
        return True

    async def _send(self, row: Notification, task: Task) -> Notification:
        """Write down that Discord is about to be asked."""
        now = self._clock()
        # On a fresh row: it may have been stopped, removed or forgotten while its file was fetched.
        async with self._database.write(durable=False) as transaction:
            current = await rows.lock(transaction, task.id)
            row = await notifications.send(transaction, row.id, now, now + LONGEST_PAUSE_SECONDS)
            await transaction.take_channels({row.channel_id})  # for as long again, however long the file took
            if current is None or current.status is not task.status:
                raise Gone(f"what was to be said about task {task.id}")
        return row

    async def _post(self, row: Notification, task: Task, post: Post) -> bool:
        """Post, and tell whether that is all; it is not where the file is too large."""
        async with self._turns.setdefault(row.channel_id, asyncio.Lock()):
            row = await self._send(row, task)
            try:
                message_id = await self._posting.send(row, post)
            except FAILURES as error:
                meaning = meaning_of(error)
                if meaning is Refusal.LATER:
                    raise
                if meaning is Refusal.TOO_LARGE and post.files:
                    log.info("task %s: its file is too large for channel %s now", task.id, row.channel_id)
                    return False
                log.warning("task %s: channel %s refuses it: %s", task.id, row.channel_id, explain(error))
                return await self._post_elsewhere(row, task, post, is_open=meaning is not Refusal.CLOSED)
        await self._delivered(row, task, message_id, has_result=bool(post.embeds))
        return True

    async def _post_elsewhere(self, row: Notification, task: Task, post: Post, *, is_open: bool) -> bool:
        """Send privately what a channel refuses; where that is refused too, say so in one sentence where that goes.

        `is_open` tells that the channel has refused this message alone. Returns False where its file is too large.
        """
        try:
            message_id = await self._posting.send_privately(row, post)
        except FAILURES as error:
            meaning = meaning_of(error)
            if meaning is Refusal.LATER:
                raise
            if meaning is Refusal.TOO_LARGE and post.files:
                return False
            log.warning("task %s: it cannot be sent privately: %s", task.id, explain(error))
            ways: list[_Way] = [(self._posting.send, None)] if is_open else []
            if meaning is not Refusal.CLOSED:
                ways.append((self._posting.send_privately, Acknowledgement.FAILED))
            await self._say_plainly(row, task, ways if post.embeds else [], explain(error))
        else:
            await self._delivered(row, task, message_id, Acknowledgement.ELSEWHERE)
        return True

    async def _say_plainly(self, row: Notification, task: Task, ways: list[_Way], reason: str) -> None:
        """Say that Discord does not take the message in the first of some ways that is open, or give it up."""
        plain = self._composer.compose_plain(row, task)
        for send, says in ways:
            try:
                message_id = await send(row, plain)
            except FAILURES as error:
                if meaning_of(error) is Refusal.LATER:
                    raise
                reason = explain(error)
            else:
                await self._delivered(row, task, message_id, says, has_result=False)
                return
        log.warning("task %s: its requester cannot be reached: %s", task.id, reason)
        await self._give_up(row, reason)

    # Ends

    async def _delivered(
        self,
        row: Notification,
        task: Task,
        message_id: int,
        instead: Acknowledgement | None = None,
        *,
        has_result: bool = True,
        told_alone: bool = False,
    ) -> None:
        """Note that a message was sent, and let the acknowledgement say so, or something else `instead`.

        `told_alone` where its requester reads it alone, below the acknowledgement.
        """
        if task.status is TaskStatus.FINISHED:
            says = instead or (Acknowledgement.DONE if has_result else Acknowledgement.WITHOUT_IT)
        else:
            says = instead or Acknowledgement.FAILED

        async def write() -> None:
            async with self._database.write() as transaction:
                now = self._clock()
                keeps_draft = task.status is not TaskStatus.FINISHED
                await notifications.delivered(transaction, row.id, message_id, now, says, keeps_draft=keeps_draft)
                if task.status is TaskStatus.FINISHED and not has_result:
                    await alarms.give_up(transaction, task.id, now)

        try:
            await self._database.retry(write)
        except Gone:  # removed, forgotten, or not true any more in this very moment
            if told_alone and not await self._is_noted(row.id, message_id):
                await self._posting.take_back_told(row, message_id)
            elif instead is None and not await self._is_others(row.id, message_id):
                await self._posting.take_back(row, message_id)
            return
        log.info("task %s: its result is posted as message %s", task.id, message_id)
        self._metrics.deliveries.labels(NotificationState.DELIVERED).inc()
        if has_result and task.status is TaskStatus.FINISHED:
            self._metrics.post_seconds.labels(task.model).observe(max(self._clock() - row.created_at, 0.0))

    async def _is_others(self, notification_id: str, message_id: int) -> bool:
        """Tell whether another process posts it, or has found this very message."""
        async with self._database.read() as snapshot:
            row = await notifications.get(snapshot, notification_id)
        if row is None:
            return False
        if row.state is NotificationState.CANCELLED:
            return False
        return row.state in (NotificationState.DUE, NotificationState.SENDING) or row.message_id == message_id

    async def _is_noted(self, notification_id: str, message_id: int) -> bool:
        """Tell whether a message is noted after all: the answer of the database that took it may have been lost."""
        async with self._database.read() as snapshot:
            row = await notifications.get(snapshot, notification_id)
        return row is not None and row.message_id == message_id

    async def _give_up(self, row: Notification, error: str, *, is_outage: bool = False) -> None:
        now = self._clock()
        async with self._database.write() as transaction:
            await notifications.undeliverable(transaction, row.id, now, error)
            if is_outage and row.task_id is not None:
                await alarms.give_up(transaction, row.task_id, now)
        self._metrics.deliveries.labels(NotificationState.UNDELIVERABLE).inc()

    async def _later(self, row: Notification, error: Exception) -> None:
        self._metrics.deliveries.labels("discord_failed").inc()
        now = self._clock()
        # What is only asked ends with its token.
        if row.state is not NotificationState.ASKED and now - row.created_at > GIVE_UP_SECONDS:
            await self._give_up(row, explain(error), is_outage=True)
            return
        pause = asked_to_wait(error) or min(2.0 ** min(row.attempts + 1, 20), LONGEST_PAUSE_SECONDS)
        async with self._database.write() as transaction:
            await notifications.postpone(transaction, row.id, now + pause, explain(error))

    async def _fetch_later(self, row: Notification, error: NotYet) -> None:
        self._metrics.deliveries.labels("fetching_failed").inc()
        says = _NEWS[error.stage] if error.is_news else None
        async with self._database.write() as transaction:
            at = self._clock() + error.seconds
            await notifications.fetch_later(transaction, row, at, error.failures.dump(), says)


def make_delivery_worker(delivery: Delivery, database: Database, clock: Callable[[], float]) -> Worker:
    """Make the worker."""
    release = database.releasing(notifications.release)
    return Worker(Queue.DELIVERY, delivery, database.wakeups, places=PLACES, clock=clock, release=release)
