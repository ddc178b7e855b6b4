"""The worker that brings every file into the archive, wanted or not, as VidGo deletes it after a day."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import Callable, Collection
from enum import StrEnum
from pathlib import Path

from bot.fetching.fetch import FetchError, FetchProblem
from bot.fetching.patience import Failures, is_hopeless
from bot.logs import about
from bot.media.files import WAIT_SECONDS, Files
from bot.metrics import Metrics
from bot.worker import Worker
from storage import tasks as rows
from storage.archive import index
from storage.archive.archive import Archive
from storage.archive.index import AUDIO, PICTURE, What
from storage.database import Database, Transaction
from storage.planned import Due
from storage.songs import files as file_rows
from storage.songs.files import File
from storage.wakeups import Queue

log = logging.getLogger(__name__)

UNDER_WAY_SECONDS = 5.0
"""After how long a file is looked for again that is still coming."""

PAUSES = (60.0, 300.0, 1800.0, 7200.0, 21600.0)
"""Seconds until a file is tried again, the last of them for good."""

TIDY = "tidy"
"""What stands for tidying up among the files to try."""

TIDY_SECONDS = 3600.0
PLACES = 16


class _End(StrEnum):
    """What trying to archive a file came to."""

    KEPT = "kept"
    UNDER_WAY = "under_way"
    LATER = "later"
    GIVEN_UP = "given_up"


class Archiver:
    """Tries what is due, plans what has failed anew, and tidies up now and then."""

    def __init__(
        self,
        database: Database,
        archive: Archive,
        files: Files,
        *,
        directory: Path,
        clock: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        self._database = database
        self._archive = archive
        self._files = files
        self._directory = directory
        self._clock = clock
        self._metrics = metrics
        # A disk of one's own was tidied when it was opened; what may be slow keeps no start waiting.
        self._tidied_at = -TIDY_SECONDS if archive.is_shared else clock()

    async def claim(self, skip: Collection[str], limit: int) -> list[Due]:
        """Return which files to try now, and whether to tidy up."""
        if not self._archive.is_on:
            return []
        now = self._clock()
        is_late = not 0 <= now - self._tidied_at < TIDY_SECONDS
        must_tidy = self._database.leads and is_late and TIDY not in skip
        async with self._database.claiming() as snapshot:
            due = await index.claim(snapshot, now, now + 2 * PAUSES[-1], skip, limit - must_tidy)
        return [Due(TIDY, now), *due] if must_tidy else due

    async def next_due(self, skip: Collection[str]) -> float | None:
        """Return when to try the next one."""
        if not self._archive.is_on:
            return None
        async with self._database.read() as snapshot:
            return await index.next_due(snapshot, skip)

    async def _tidy(self) -> None:
        self._tidied_at = self._clock()
        try:
            await self._archive.tidy()
        except OSError as error:
            log.warning("the archive cannot be tidied: %s", error)

    async def do(self, item: str) -> None:
        """Bring into the archive what it lacks of a file, or tidy up."""
        if item == TIDY:
            await self._tidy()
            return
        task_id, _, position = item.partition(".")
        about(task_id)
        async with self._database.read() as snapshot:
            file = await file_rows.one(snapshot, task_id, int(position))
            task = await rows.get(snapshot, task_id)
        if file is None or task is None:
            return
        made_at = task.finished_at or task.created_at
        wanted = []
        if file.audio_url is not None and file.audio_sha256 is None:
            wanted.append(AUDIO)
        if file.image_urls and file.image_sha256 is None:
            wanted.append(PICTURE)
        ends = [await self._keep(file, what, made_at) for what in wanted]
        again_at = None
        if _End.UNDER_WAY in ends:
            again_at = self._clock() + UNDER_WAY_SECONDS
        elif _End.LATER in ends:
            again_at = self._clock() + PAUSES[min(file.archive_tries, len(PAUSES) - 1)]
        tries = file.archive_tries + (_End.UNDER_WAY not in ends)
        async with self._database.write(durable=False) as transaction:
            await index.tried(transaction, file, again_at, tries)

    async def _keep(self, file: File, what: What, made_at: float) -> _End:
        """Bring a part of a file into the archive."""
        get = self._files.audio if what is AUDIO else self._files.picture
        try:
            with tempfile.TemporaryDirectory(dir=self._directory, ignore_cleanup_errors=True) as place:
                fetched = await get(file, Path(place), wait=WAIT_SECONDS)
                path = await asyncio.to_thread(fetched.store)
                await self._archive.put(path, file, what, fetched.kind.value)
        except FetchError as error:
            if error.kind is FetchProblem.UNDER_WAY:
                return _End.UNDER_WAY
            if self._may_come(file, error.kind, made_at):
                end = _End.LATER
                log.info("task %s: its %s is not archived yet: %s", file.task_id, what, error.reason)
            else:
                end = _End.GIVEN_UP
                log.warning("task %s: its %s will not be archived: %s", file.task_id, what, error.reason)
        except OSError as error:  # a full disk: tried again for as long as anybody else has the file
            end = _End.LATER
            log.error("the archive cannot keep a file of task %s: %s", file.task_id, error)
        else:
            end = _End.KEPT
            self._files.is_archived(file, what)
        self._metrics.archived.labels(end).inc()
        return end

    def _may_come(self, file: File, problem: FetchProblem, made_at: float) -> bool:
        now, tries = self._clock(), file.archive_tries + 1
        since = now - sum(PAUSES[: file.archive_tries])
        return not is_hopeless(Failures(since, now, tries, problem, since, tries), made_at, now)


async def _release(transaction: Transaction, names: Collection[str]) -> None:
    await index.release(transaction, set(names) - {TIDY})  # which nobody holds


def make_archiver(archiver: Archiver, database: Database, clock: Callable[[], float]) -> Worker:
    """Make the worker."""
    release = database.releasing(_release)
    return Worker(Queue.ARCHIVER, archiver, database.wakeups, places=PLACES, clock=clock, release=release)
