"""The life of any task: submit it, apply its result, give it up.

Everything here is idempotent and may be interrupted between any two lines: the rows say what to do next.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import astuple, replace
from functools import partial

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.metrics import Metrics
from bot.settings import Settings
from bot.tasks.schedule import LAGS, Schedule
from bot.vidgo import (
    AnswerLost,
    Busy,
    ContentRefused,
    CoverArt,
    Duplicate,
    InvalidRequest,
    KeyRefused,
    NoCredits,
    Report,
    ResultFile,
    SourceNotReady,
    Status,
    SubmitRequest,
    UnknownTask,
    VidGo,
    VidGoError,
    load_request,
)
from bot.words import errors
from bot.words.errors import MemberError
from bot.words.text import REASON_LIMIT, TITLE_LIMIT, clean
from storage import library, notifications
from storage import tasks as rows
from storage.database import Database
from storage.forget import NOBODY
from storage.ids import new_id
from storage.notifications import Notification
from storage.schema import Face, NotificationState, TaskStatus
from storage.tasks import File, Task

log = logging.getLogger(__name__)

UNKNOWN_GRACE_SECONDS = 120.0
"""How long after its submission VidGo may deny knowing a task."""

ARCHIVE_SECONDS = 2.0
"""How long the archive leaves a new file to those who were waiting for it; what they fetch is archived too."""

ORDER_SECONDS = 5.0
"""How long a command waits for VidGo's answer to its order before it is acknowledged without."""

DRAIN_SECONDS = 2.0

_ERROR_KINDS: dict[type[VidGoError], str] = {
    KeyRefused: "key",
    NoCredits: "credits",
    SourceNotReady: "source",
    ContentRefused: "content",
    InvalidRequest: "invalid",
    UnknownTask: "source",
}


class Tasks:
    """Submits tasks, applies their results and plans when to look at them next."""

    def __init__(
        self,
        database: Database,
        vidgo: VidGo,
        settings: Settings,
        schedule: Schedule,
        *,
        clock: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        self._database = database
        self._vidgo = vidgo
        self._settings = settings
        self._clock = clock
        self._schedule = schedule
        self._metrics = metrics
        self._submissions: dict[str, asyncio.Task[None]] = {}
        self._told_owner: set[type[VidGoError]] = set()
        self.on_due: Callable[[], None] = lambda: None
        """Called after a commit that made a notification due."""
        self.on_result: Callable[[Notification, Task, list[File]], None] = lambda *_: None
        """Called with each notification that a result made due, which is `sending` already, the task and its files."""
        self.on_wanted: Callable[[File], None] = lambda _: None
        """Called with the file that requesters of a result will want, before anybody is told."""
        self.on_face: Callable[[], None] = lambda: None
        """Called after a commit that wants acknowledgements to change."""
        self.on_planned: Callable[[], None] = lambda: None
        """Called after a commit that planned to look at a task, perhaps sooner than at any other."""
        self.on_files: Callable[[], None] = lambda: None
        """Called after a commit that brought files which the archive lacks."""

    @property
    def _expects_callbacks(self) -> bool:
        return self._settings.public_url is not None

    # Submitting

    async def submit(self, task_id: str) -> None:
        """Send a queued task to VidGo once, however many ask for it at the same time; returns when it was answered.

        What became of it stands in the task's row. An interrupted caller does not interrupt the submission.
        """
        submission = self._submissions.get(task_id)
        if submission is None:
            submission = asyncio.create_task(self._submit(task_id), name=f"submit {task_id}")
            self._submissions[task_id] = submission
            submission.add_done_callback(lambda _: self._submissions.pop(task_id, None))
        await asyncio.shield(submission)

    async def order(self, task: Task) -> Task:
        """Submit a task and return it as soon as VidGo has answered, or as it is when that takes long.

        Raises `MemberError` with the reason when it ended without a result.
        """
        if task.status is TaskStatus.QUEUED or task.id in self._submissions:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.submit(task.id), ORDER_SECONDS)
            async with self._database.read() as connection:
                task = await rows.get(connection, task.id) or task
        if task.status in (TaskStatus.FAILED, TaskStatus.GIVEN_UP):
            raise MemberError(errors.failure(task))
        return task

    async def drain(self) -> None:
        """Wait a moment for the submissions under way; one that is left is treated as lost at the next start."""
        if self._submissions:
            await asyncio.wait(list(self._submissions.values()), timeout=DRAIN_SECONDS)

    async def _submit(self, task_id: str) -> None:
        now = self._clock()
        async with self._database.write() as connection:
            before = await rows.get(connection, task_id)
            claimed = await rows.change(
                connection,
                task_id,
                only=[TaskStatus.QUEUED],
                status=TaskStatus.SUBMITTING,
                submitted_at=now,
                poll_at=now + self._settings.poll_max_seconds,
            )
            task = await rows.get(connection, task_id)
        if not claimed or task is None:
            return
        try:
            vidgo_id = await self._vidgo.submit(load_request(task.model, task.request), self._callback_url(task))
        except VidGoError as error:
            self._metrics.vidgo_errors.labels(type(error).__name__).inc()
            await self._database.insist(partial(self._refused, task, error))
        else:
            self._told_owner.clear()
            was_held_up = before is not None and before.submitted_at is not None
            await self._database.insist(partial(self._accept, task, vidgo_id, was_held_up=was_held_up))

    async def _refused(self, task: Task, error: VidGoError) -> None:
        if isinstance(error, Busy):
            await self._requeue(task, error)
        elif isinstance(error, Duplicate):
            await self._adopt(task, error)
        elif isinstance(error, AnswerLost):
            await self._lose(task, error)
        else:
            self.tell_owner(error, task)
            await self.fail(task.id, _ERROR_KINDS.get(type(error), "nonsense"), error.reason)

    def _callback_url(self, task: Task) -> str | None:
        if self._settings.public_url is None:
            return None
        return f"{self._settings.public_url}/callbacks/vidgo/{task.id}/{task.token}"

    async def _accept(self, task: Task, vidgo_id: str, *, was_held_up: bool = False) -> None:
        now = self._clock()
        delay = await self._schedule.delay(task)
        try:
            async with self._database.write() as connection:
                await rows.release_vidgo_id(connection, vidgo_id)
                current = await rows.get(connection, task.id)
                rung = current is not None and current.bells > 0  # the callback overtook the answer
                await rows.change(
                    connection,
                    task.id,
                    only=[TaskStatus.SUBMITTING],
                    status=TaskStatus.WAITING,
                    vidgo_id=vidgo_id,
                    poll_at=now + (0.0 if rung else delay),
                )
                if was_held_up:
                    await notifications.want_face(connection, task.id, Face.ORDERED)
        except IntegrityError:
            log.error("task %s: VidGo gave the id %s, which another task has", task.id, vidgo_id)
            await self.fail(task.id, "nonsense", None)
        else:
            log.info("task %s is VidGo's %s", task.id, vidgo_id)
            self.on_planned()
            if was_held_up:
                self.on_face()

    async def _requeue(self, task: Task, error: Busy) -> None:
        """Put a task back that VidGo certainly did not take."""
        delay = self._schedule.pause(error.retry_after)
        async with self._database.write() as connection:
            await rows.change(
                connection,
                task.id,
                only=[TaskStatus.SUBMITTING],
                status=TaskStatus.QUEUED,
                poll_at=self._clock() + delay,
            )
        log.info("task %s waits %.0f s for VidGo: %s", task.id, delay, error.reason)
        self.on_planned()

    async def _adopt(self, task: Task, error: Duplicate) -> None:
        """Take over the cover that exists at VidGo already, if VidGo knows it."""
        candidates = [error.task_id]
        if task.source_id is not None:
            async with self._database.read() as connection:
                candidates.append(await rows.lost_cover_id(connection, task.source_id, task.model))
        for vidgo_id in filter(None, candidates):
            try:
                await self._vidgo.detail(vidgo_id)
            except VidGoError as unknown:
                log.info("task %s: the earlier cover %s is of no use: %s", task.id, vidgo_id, unknown.reason)
                continue
            await self._accept(task, vidgo_id)
            return
        await self.fail(task.id, "duplicate", error.reason)

    async def _lose(self, task: Task, error: AnswerLost) -> None:
        """Leave a task that VidGo may have taken to its callback, or tell the truth where none can come."""
        log.warning("task %s: no answer to the submission (%s); it is not repeated", task.id, error.reason)
        if not self._expects_callbacks:
            await self._end(task.id, TaskStatus.GIVEN_UP, "lost", error.reason)
        self.on_planned()

    def tell_owner(self, error: VidGoError, task: Task | None = None) -> None:
        """Log why VidGo refuses, and as an error once where only the owner can mend it."""
        if not isinstance(error, KeyRefused | NoCredits):
            log.warning("task %s was refused: %s: %s", task and task.id, type(error).__name__, error.reason)
        elif type(error) not in self._told_owner:
            # Once, not for each request: the owner needs one line, and VidGo will say the same to all of them.
            self._told_owner.add(type(error))
            what = "refuses VIDGO_API_KEY" if isinstance(error, KeyRefused) else "has no credits left for this key"
            log.error("VidGo %s (%s); members are told that the owner has to act", what, error.reason)

    # Looking

    async def look(self, task_id: str, task: Task | None = None) -> bool:
        """Do what a due task needs: send it, read it, or end its waiting; tell whether VidGo's answer was its end.

        `task` is its row where it was read a moment ago.
        """
        if task is None:
            async with self._database.read() as connection:
                task = await rows.get(connection, task_id)
        if task is None or task.status.is_final:
            return False
        age = self._clock() - task.created_at
        if task.status is TaskStatus.QUEUED:
            if age > self._settings.task_timeout_seconds:
                await self.fail(task.id, "busy", None)
            else:
                await self.submit(task.id)
        elif task.vidgo_id is None:
            await self._look_at_lost(task, age)
        else:
            return await self._read(task, task.vidgo_id, age)
        return False

    async def _look_at_lost(self, task: Task, age: float) -> None:
        if task.id in self._submissions:
            return await self._plan(task, self._settings.poll_max_seconds)
        if age > self._settings.task_timeout_seconds or not self._expects_callbacks:
            return await self._end(task.id, TaskStatus.GIVEN_UP, "lost", None)
        return await self._plan(task, self._settings.poll_max_seconds)

    async def _read(self, task: Task, vidgo_id: str, age: float) -> bool:
        """Ask VidGo about a task and tell whether that was its end."""
        try:
            report = await self._vidgo.detail(vidgo_id)
        except Busy as error:
            hinted = self._schedule.pause(error.retry_after) if error.retry_after else 0.0
            await self._plan(task, max(hinted, await self._schedule.delay(task)))
            return False
        except UnknownTask as error:
            if self._clock() - (task.submitted_at or task.created_at) > UNKNOWN_GRACE_SECONDS:
                await self.fail(task.id, "unknown", error.reason)
                return True
        except VidGoError as error:
            if isinstance(error, KeyRefused | NoCredits):
                self.tell_owner(error, task)
            self._metrics.vidgo_errors.labels(type(error).__name__).inc()
            log.info("task %s could not be read: %s", task.id, error.reason)
        else:
            self._told_owner.discard(KeyRefused)
            if report.status in (Status.FINISHED, Status.FAILED):
                await self.apply(task, report)
                return True
            if report.status is Status.UNKNOWN:
                log.warning("task %s has the unknown status %r", task.id, report.raw_status)
            elif report.status is Status.RUNNING and task.status is TaskStatus.WAITING:
                async with self._database.write() as connection:
                    await rows.change(connection, task.id, only=[TaskStatus.WAITING], status=TaskStatus.RUNNING)
        if age > self._settings.task_give_up_seconds:
            await self._end(task.id, TaskStatus.GIVEN_UP, "time", None)
            return True
        if age > self._settings.task_timeout_seconds and task.late_at is None:
            await self._announce_late(task)
        await self._plan(task, await self._schedule.delay(task))
        return False

    async def ring(self, task_id: str, vidgo_id: str, *, looked: bool = False) -> bool:
        """Make a task due because its callback came; tell whether the callback can be this task's.

        With `looked` it is being read already, so that the next read is the one after that.

        An id that is not known yet, because the answer to the submission was lost or is still on its way, is taken
        from the callback: the read that follows proves it.
        """
        now = self._clock()
        async with self._database.once() as connection:
            due, bells = (now + LAGS[0], len(LAGS) - 1) if looked else (now, len(LAGS))
            if await rows.ring(connection, task_id, vidgo_id, due, bells):
                return True
        async with self._database.write() as connection:
            task = await rows.get(connection, task_id)
            if task is None or (task.vidgo_id or vidgo_id) != vidgo_id:
                return False
            if task.vidgo_id is not None:  # the answer to the submission came at this moment
                await rows.ring(connection, task_id, vidgo_id, due, bells)
                return True
            if task.status.is_final:
                return True
            if await rows.by_vidgo_id(connection, vidgo_id) is not None:
                return False
            answer_pending = task.id in self._submissions
            await rows.change(
                connection,
                task.id,
                bells=len(LAGS),
                poll_at=now + (LAGS[0] if answer_pending else 0.0),
                vidgo_id=vidgo_id,
                status=task.status if answer_pending else TaskStatus.WAITING,
            )
        return True

    def expect(self, task: Task, report: Report) -> None:
        """Begin to get the file that the requesters of a result will want."""
        if report.status is Status.FINISHED and report.files:
            self._expect(self._to_files(task, report, self._clock()))

    def _expect(self, files: list[File]) -> None:
        self.on_wanted(next((file for file in files if file.audio_url), files[0]))

    def _to_files(self, task: Task, report: Report, now: float) -> list[File]:
        # VidGo names songs made from another after their style or not at all, and takes no title without a style.
        named = task.title if task.source_id is not None or "title" in task.request else None
        return to_files(task.id, report.files, named or task.title, now + ARCHIVE_SECONDS, rename=named is not None)

    # Ending

    async def apply(self, task: Task, report: Report) -> None:
        """Store a final report and make its notifications due, in one transaction."""
        if report.status is Status.FAILED:
            return await self._end(task.id, TaskStatus.FAILED, "failed", report.error_message)
        for one in report.unusable:
            log.warning("task %s: VidGo names an address of its %s that cannot be used: %s", task.id, *astuple(one))
        if report.hides_audio or not (report.has_audio or (report.usable and task.model == CoverArt.model)):
            log.error("task %s is finished without files; VidGo may have charged it", task.id)
            kind = "address" if report.unusable else "no_files"
            return await self._end(task.id, TaskStatus.FAILED, kind, report.error_message)
        now = self._clock()
        files = self._to_files(task, report, now)
        self._expect(files)
        due: list[Notification] = []
        finished = replace(task, status=TaskStatus.FINISHED, finished_at=now, poll_at=None, error=None)
        async with self._database.write() as connection:
            if await rows.change(
                connection, task.id, status=TaskStatus.FINISHED, finished_at=now, poll_at=None, error=None
            ):
                await rows.add_files(connection, files)
                members = {task.user_id, *await notifications.requesters_of(connection, task.id)} - {NOBODY}
                kind = "cover" if task.model == CoverArt.model else "song"
                await library.add(connection, members, files, kind, now)
                due = await notifications.make_due(connection, task.id, now, sending=True)
                self._metrics.tasks_ended.labels(task.model, TaskStatus.FINISHED).inc()
        for row in due:
            self.on_result(row, finished, files)
        log.info("task %s is finished", task.id)
        self.on_files()
        return None

    async def fail(self, task_id: str, kind: str, reason: str | None) -> None:
        """End a task that cannot have a result, and make its notifications due."""
        await self._end(task_id, TaskStatus.FAILED, kind, reason)

    async def _end(self, task_id: str, status: TaskStatus, kind: str, reason: str | None) -> None:
        now = self._clock()
        async with self._database.write() as connection:
            ended = await rows.change(
                connection, task_id, status=status, error_kind=kind, error=reason, finished_at=now, poll_at=None
            )
            task = await rows.get(connection, task_id)
            if ended:
                await notifications.make_due(connection, task_id, now)
        if ended and task is not None:
            self._metrics.tasks_ended.labels(task.model, status).inc()
            log.info("task %s ended as %s (%s): %s", task_id, status, kind, reason)
        self.on_due()

    async def _announce_late(self, task: Task) -> None:
        now = self._clock()
        async with self._database.write() as connection:
            if await rows.change(connection, task.id, late_at=now):
                await _add_late_notices(connection, task.id, now)
                await notifications.want_face(connection, task.id, Face.LATE)
        log.warning("task %s is late", task.id)
        self.on_due()
        self.on_face()

    async def _plan(self, task: Task, delay: float) -> None:
        async with self._database.write() as connection:
            current = await rows.get(connection, task.id)
            if current is None or current.bells > task.bells:
                return  # rung while it was being read, so it is due already
            await rows.change(
                connection,
                task.id,
                poll_at=self._clock() + delay,
                polls=task.polls + 1,
                bells=max(task.bells - 1, 0),
            )


async def _add_late_notices(connection: AsyncConnection, task_id: str, now: float) -> None:
    for waiting in await notifications.waiting_for(connection, task_id):
        notice = replace(
            waiting, id=new_id(now), kind="late", state=NotificationState.DUE, attempt_at=now, created_at=now
        )
        await notifications.add(connection, notice)


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


def new_task(
    request: SubmitRequest,
    *,
    now: float,
    user_id: int,
    guild_id: int | None,
    title: str,
    source_id: str | None = None,
    style: str | None = None,
) -> Task:
    """Return a task that is ready to be sent."""
    return Task(
        id=new_id(now),
        vidgo_id=None,
        token=secrets.token_urlsafe(32),
        media_key=secrets.token_urlsafe(32),
        model=request.model,
        source_id=source_id,
        style=style,
        user_id=user_id,
        guild_id=guild_id,
        title=title,
        request=request.dump(),
        status=TaskStatus.QUEUED,
        error_kind=None,
        error=None,
        created_at=now,
        submitted_at=None,
        finished_at=None,
        poll_at=now,
        polls=0,
        bells=0,
        late_at=None,
    )
