"""What `/cover` means: find the song, one cover per original, who is told."""

from __future__ import annotations

from collections.abc import Callable

from bot.servers.limits import Limits
from bot.songs.finding import Songs
from bot.songs.orders import Ordered, Requester
from bot.tasks.new import new_task
from bot.vidgo import CoverArt
from bot.words import errors
from bot.words.errors import MemberError
from bot.words.limits import Left
from storage import notifications
from storage import tasks as rows
from storage.database import Database


class Covers:
    """Orders covers, each song's once."""

    def __init__(
        self,
        database: Database,
        songs: Songs,
        limits: Limits,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._songs = songs
        self._limits = limits
        self._clock = clock

    async def cover(self, requester: Requester, track: str | None) -> Ordered:
        """Order the cover of a member's song, or join the one that is under way or finished.

        Raises `MemberError` where there is no such song, or a limit is reached.
        """
        song = await self._songs.find(requester.user_id, track)
        if song.vidgo_id is None:
            raise MemberError(errors.not_a_song())
        left: Left | None = None
        async with self._database.write() as transaction:
            task = await rows.cover_of(transaction, song.task_id)
            joined = task is not None
            if task is None:
                task = new_task(
                    CoverArt(task_id=song.vidgo_id),
                    now=self._clock(),
                    user_id=requester.user_id,
                    guild_id=requester.guild_id,
                    title=song.title,
                    source_id=song.task_id,
                )
                left = await self._limits.order(transaction, task, requester.roles)
            await notifications.tie(transaction, requester.notification_id, task.id, song.position)
        return Ordered(task, song.title, joined, left)
