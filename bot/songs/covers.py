"""What `/cover` means: find the song, one cover per original, who is told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from bot.refusals import FAILURES, explain
from bot.servers.limits import Limits
from bot.songs.finding import Songs
from bot.songs.orders import Ordered, Requester
from bot.tasks.new import new_task
from bot.vidgo import CoverArt
from bot.words import cards, posted
from bot.words.sentences import answers, errors, waiting
from bot.words.sentences.errors import MemberError
from storage import notifications
from storage import tasks as rows
from storage.database import Database, Transaction
from storage.notifications import Notification, pictures, posts
from storage.schema import TaskStatus
from storage.songs.library import Song

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How long a member waits for Discord to say whether an earlier post is still there."""

FindPost = Callable[[int, int], Awaitable[object]]
"""Reads a message, given the ids of its channel and its own; raises what Discord says."""


class Covers:
    """Orders covers, each song's once."""

    def __init__(
        self,
        database: Database,
        songs: Songs,
        limits: Limits,
        clock: Callable[[], float],
        find_post: FindPost,
    ) -> None:
        self._database = database
        self._songs = songs
        self._limits = limits
        self._clock = clock
        self._find_post = find_post

    async def cover(self, requester: Requester, track: str | None, *, once_more: bool = False) -> Ordered:
        """Order the cover of a member's song, or join the one that is under way or finished.

        Raises `MemberError` where there is no such song, a limit is reached, or the member has a post of the
        cover and does not want it `once_more`.
        """
        song = await self._songs.find(requester.user_id, track)
        if song.vidgo_id is None:
            raise MemberError(errors.not_a_song())
        async with self._database.write(durable=False) as transaction:
            task = await rows.cover_of(transaction, song.task_id)
            if task is None:
                return await self._order(transaction, requester, song, song.vidgo_id)
            post = None
            if task.status is TaskStatus.FINISHED and not once_more:
                who = requester.user_id, requester.guild_id
                post = await posts.cover_for(transaction, *who, song.task_id, song.position)
            if post is None:
                picture = await pictures.chosen_by(transaction, requester.user_id, task.id)
                await notifications.tie(transaction, requester.notification_id, task.id, song.position, picture=picture)
                return Ordered(task, song.title, joined=True)
        await self._look_for(post, song)
        return await self.cover(requester, track, once_more=True)

    async def _order(self, transaction: Transaction, requester: Requester, song: Song, vidgo_id: str) -> Ordered:
        task = new_task(
            CoverArt(task_id=vidgo_id),
            now=self._clock(),
            user_id=requester.user_id,
            guild_id=requester.guild_id,
            title=song.title,
            source_id=song.task_id,
        )
        left = await self._limits.order(transaction, task, requester.roles)
        await notifications.tie(transaction, requester.notification_id, task.id, song.position)
        return Ordered(task, song.title, joined=False, left=left)

    async def _look_for(self, row: Notification, song: Song) -> None:
        """Raise `MemberError` where the post of a version's cover is still there."""
        message_id = row.message_id or 0
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await self._find_post(row.channel_id, message_id)
        except FAILURES as error:  # gone, or who knows: then it comes again
            log.info("message %s is not seen: %s", message_id, explain(error))
            return
        link = waiting.jump(row.guild_id, row.channel_id, message_id)
        raise MemberError(answers.have_this_one(link), posted.have_this_one(cards.track_value(song)))
