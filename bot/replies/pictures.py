"""The worker that puts another picture into a post, where its requester has chosen one of several.

The post is edited as a whole, so that the same edit twice does no harm.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path

from bot.logs import about
from bot.refusals import FAILURES, Refusal, explain, meaning_of
from bot.replies.parts import NotYet
from bot.replies.posting import Posting
from bot.replies.posts import Composer
from bot.words.text import speaking
from bot.worker import TryLater, Worker
from storage import notifications
from storage import tasks as rows
from storage.database import Database
from storage.notifications import Notification, pictures
from storage.planned import Due
from storage.schema import NotificationState
from storage.tasks import Task
from storage.wakeups import Queue

log = logging.getLogger(__name__)

PLACES = 4


class Pictures:
    """Shows chosen pictures."""

    def __init__(self, database: Database, posting: Posting, composer: Composer, *, directory: Path) -> None:
        self._database = database
        self._posting = posting
        self._composer = composer
        self._directory = directory

    async def claim(self, skip: Collection[str], limit: int) -> list[Due]:
        """Return posts that should carry another picture."""
        async with self._database.claiming() as transaction:
            return await pictures.claim(transaction, skip, limit)

    async def next_due(self, _skip: Collection[str]) -> float | None:
        """Return nothing: what is wanted is wanted now."""
        return None

    async def do(self, item: str) -> None:
        """Edit a post so that it carries the picture that is wanted, or leave it where that cannot be."""
        async with self._database.read() as snapshot:
            row = await notifications.get(snapshot, item)
            task = await rows.get(snapshot, row.task_id) if row is not None and row.task_id is not None else None
        if row is None or task is None or row.picture_wanted is None or row.state is not NotificationState.DELIVERED:
            return
        about(task.id)
        try:
            with speaking(row.locale):
                is_shown = await self._show(row, task)
        except NotYet as error:
            raise TryLater(error.reason) from error
        except FAILURES as error:
            if meaning_of(error) is Refusal.LATER:
                raise TryLater(explain(error)) from error
            log.info("post %s keeps its picture: %s", row.message_id, explain(error))
            is_shown = False
        async with self._database.write() as transaction:
            await (pictures.shown if is_shown else pictures.give_up)(transaction, row)

    async def _show(self, row: Notification, task: Task) -> bool:
        """Edit a post, and tell whether it carries what is wanted now."""
        with tempfile.TemporaryDirectory(dir=self._directory, ignore_cleanup_errors=True) as name:
            post = await self._composer.compose(row, task, Path(name), limit=row.upload_limit)
            if post.picture != row.picture_wanted:
                log.info("post %s keeps its picture: the other one is not to be had", row.message_id)
                return False
            await self._posting.edit(row, post)
            return True


def make_pictures(work: Pictures, database: Database, clock: Callable[[], float]) -> Worker:
    """Make the worker."""
    release = database.releasing(pictures.release)
    return Worker(Queue.PICTURES, work, database.wakeups, places=PLACES, clock=clock, release=release)
