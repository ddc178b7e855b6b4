"""The worker that changes an acknowledgement when the state of its task has changed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection

import discord

from bot.replies.delivery import NOT_NOW
from bot.replies.interactions import Interactions
from bot.words import cards, posts, waiting
from bot.words.text import Text, speaking
from bot.worker import Worker
from storage import notifications
from storage import tasks as rows
from storage.database import Database
from storage.notifications import Notification
from storage.schema import Face, TaskStatus
from storage.tasks import Task

log = logging.getLogger(__name__)

CONCURRENCY = 2


def make_acknowledgements(
    database: Database, client: discord.Client, interactions: Interactions, clock: Callable[[], float]
) -> Worker:
    """Make the worker; an edit is the same done twice, so it needs no more care than being asked for in a row."""

    async def find(skip: Collection[str], limit: int) -> list[str]:
        async with database.read() as connection:
            return await notifications.faces_wanted(connection, skip, limit)

    async def next_due(_skip: Collection[str]) -> float | None:
        return None

    async def text(row: Notification, task: Task) -> Text:
        if row.ack_wanted == Face.DONE and row.message_id is not None:
            return waiting.done(task.title, row.guild_id, row.channel_id, row.message_id)
        if task.status is TaskStatus.FINISHED and row.ack_wanted == Face.ELSEWHERE:
            return waiting.done_elsewhere(task.title)
        if task.status is TaskStatus.FINISHED and row.ack_wanted == Face.FAILED and row.message_id is None:
            return waiting.not_posted(task.title)
        if row.ack_wanted == Face.CANCELLED:
            return waiting.cancelled(task.title)
        if row.ack_wanted == Face.LATE:
            return posts.late(task)
        if row.ack_wanted == Face.NOT_YET:
            return waiting.not_yet(task.title)
        if row.ack_wanted == Face.STILL_NOT:
            return waiting.still_not(task.title)
        if row.ack_wanted == Face.ORDERED:
            return await interactions.acknowledgement(task, task.title, joined=False)
        posted_here = None if row.ack_wanted == Face.ELSEWHERE else row.message_id
        return waiting.ended(task.title, row.guild_id, row.channel_id, posted_here)

    async def work(notification_id: str) -> None:
        async with database.read() as connection:
            row = await notifications.get(connection, notification_id)
            task = await rows.get(connection, row.task_id) if row is not None and row.task_id is not None else None
        if row is None or row.ack_wanted is None:
            return
        if task is not None and row.ack_message_id is not None:
            channel = client.get_partial_messageable(row.channel_id, guild_id=row.guild_id)
            still = row.ack_wanted in (Face.ORDERED, Face.LATE, Face.NOT_YET, Face.STILL_NOT)
            try:
                with speaking(row.locale):
                    await channel.get_partial_message(row.ack_message_id).edit(
                        content=str(await text(row, task)),
                        view=cards.waiting_buttons(row.id) if still else None,
                        allowed_mentions=discord.AllowedMentions.none(),
                    )
            except discord.HTTPException as error:
                if error.status >= 500 or error.status in NOT_NOW:
                    raise
                # Deleted, or in a channel that is closed: nobody misses the edit.
                log.info("acknowledgement %s cannot be changed: %s", row.ack_message_id, error.text)
        async with database.write() as connection:
            await notifications.face_shown(connection, row.id, row.ack_wanted)

    return Worker("acknowledgements", find=find, next_due=next_due, work=work, concurrency=CONCURRENCY, clock=clock)
