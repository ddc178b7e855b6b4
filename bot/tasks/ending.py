"""The end of a task: its result or its failure, and everybody who waits for it, in one transaction."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from sqlalchemy.exc import IntegrityError

from bot.metrics import Metrics
from bot.vidgo import MODELS, CoverArt, Report, ResultFile
from bot.words.text import REASON_LIMIT, TITLE_LIMIT, clean
from storage import notifications
from storage import tasks as rows
from storage.database import Database, Transaction
from storage.members.forget import NOBODY
from storage.planned import Gone
from storage.schema import TaskStatus
from storage.servers import alarms, usage
from storage.songs import files as file_rows
from storage.songs import library
from storage.songs.files import File
from storage.tasks import Task

log = logging.getLogger(__name__)

End = Callable[[Transaction, Task, str, str | None, float], Awaitable[Task]]
"""A transition to an end without a result."""

ARCHIVE_SECONDS = 2.0
"""How long the archive leaves a new file to those who were waiting for it; what they fetch is archived too."""

MOST_PICTURES = 4
"""How many pictures of one cover are kept; it is two where VidGo does as it says."""

PAID_FOR_NOTHING = {"no_files", "address", "unknown"}
"""Failures that VidGo has not told as such, so that it may have charged for them."""


class Ending:
    """Ends tasks; applying an end twice is the same as applying it once."""

    def __init__(self, database: Database, *, clock: Callable[[], float], metrics: Metrics) -> None:
        self._database = database
        self._clock = clock
        self._metrics = metrics
        # A series that begins with its first event is one whose first event no query sees.
        for model in MODELS:
            for status in (TaskStatus.FINISHED, TaskStatus.FAILED, TaskStatus.GIVEN_UP):
                metrics.tasks_ended.labels(model, status)

    async def finish(self, task: Task, report: Report) -> None:
        """Store a result, also for a task that was called failed or given up before."""
        now = self._clock()
        files = _files_of(task, report, now)
        try:
            # A power cut in this moment costs one more read.
            async with self._database.write(durable=False) as transaction:
                before = await rows.lock(transaction, task.id)
                finished = await rows.finish(transaction, task.id, report.task_id, now, report.credits)
                await usage.spend(transaction, finished)
                await file_rows.drop_recording(transaction, task.id)
                await file_rows.add(transaction, files)
                # Who waits for it is asked here, where nobody can be forgotten in between.
                requesters = await notifications.requesters_of(transaction, task.id)
                members = {finished.user_id, *requesters} - {NOBODY}
                kind = "cover" if task.model == CoverArt.model else "song"
                await library.add(transaction, members, files, kind, now)
                if before is not None and before.error_kind is not None:
                    await notifications.tell_again(transaction, task.id, now)
                await notifications.make_due(transaction, task.id, now)
                if before is not None and before.error_kind is not None:
                    await alarms.come_after_all(transaction, task.id, now)
        except Gone:
            return
        except IntegrityError:
            log.warning("task %s is finished, but another has taken its place meanwhile", task.id)
            return
        self._metrics.tasks_ended.labels(task.model, TaskStatus.FINISHED).inc()
        log.info("task %s is finished", task.id)

    async def fail(self, read: Task, kind: str, reason: str | None) -> bool:
        """End a task that cannot have a result, and tell so: not where its callback came since, or somebody read it."""
        return await self._end(rows.fail, read, kind, reason)

    async def give_up(self, read: Task, kind: str, reason: str | None) -> bool:
        """End a task of which nobody knows what became of it, and tell so: not after what `fail` names."""
        return await self._end(rows.give_up, read, kind, reason)

    async def refuse(self, sent: Task, kind: str, reason: str | None) -> None:
        """End a task that VidGo has not taken, unless it has been confirmed or sent again meanwhile."""
        await self._end(rows.refuse, sent, kind, reason)

    async def lose(self, sent: Task, kind: str, reason: str | None) -> None:
        """End a task of whose order nobody knows whether VidGo took it; not after what `refuse` names."""
        await self._end(rows.lose, sent, kind, reason)

    async def _end(self, end: End, seen: Task, kind: str, reason: str | None) -> bool:
        now = self._clock()
        try:
            async with self._database.write() as transaction:
                task = await end(transaction, seen, kind, reason, now)
                await usage.give_back(transaction, task, failed=True)
                await file_rows.drop_recording(transaction, task.id)
                await notifications.make_due(transaction, task.id, now)
                if task.status is TaskStatus.GIVEN_UP or kind in PAID_FOR_NOTHING:
                    await alarms.give_up(transaction, task.id, now)
        except Gone:
            return False
        self._metrics.tasks_ended.labels(task.model, task.status).inc()
        log.info("task %s ended as %s (%s): %s", task.id, task.status, kind, reason)
        return True


def wanted_first(task: Task, report: Report, now: float) -> list[File]:
    """Return the files that the requesters of a result will want first: two versions of a song, or two pictures."""
    files = _files_of(task, report, now)
    versions = [file for file in files if file.audio_url][:2]
    # The picture of the second version is not shown.
    return [versions[0], *(replace(file, image_urls=[]) for file in versions[1:])] if versions else files[:2]


def _files_of(task: Task, report: Report, now: float) -> list[File]:
    # VidGo names songs made from another after their style or not at all, and takes no title without a style.
    named = task.title if task.source_id is not None or "title" in task.request else None
    files = list(report.files)
    if task.model == CoverArt.model and not report.has_audio:
        # Each picture is one that its requester may choose, and is archived.
        files = [replace(file, image_urls=(url,)) for file in files for url in file.image_urls][:MOST_PICTURES]
    return to_files(task.id, files, named or task.title, now + ARCHIVE_SECONDS, rename=named is not None)


def to_files(
    task_id: str, files: Sequence[ResultFile], title: str, archive_at: float, *, rename: bool = False
) -> list[File]:
    """Turn VidGo's files into rows that the archive looks after from `archive_at` on.

    `title` stands in where VidGo gives none, or everywhere with `rename`.
    """
    return [
        File(
            archive_at=archive_at,
            task_id=task_id,
            position=position,
            audio_url=file.audio_url,
            image_urls=list(file.image_urls),
            title=("" if rename else clean(file.title or "", TITLE_LIMIT)) or clean(title, TITLE_LIMIT),
            tags=clean(file.tags or "", REASON_LIMIT),
            duration=file.duration,
            audio_id=file.audio_id,
        )
        for position, file in enumerate(files)
    ]
