"""Reading a task: what VidGo says about it, and when that is believed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import astuple

from sqlalchemy.exc import IntegrityError

from bot.logs import about
from bot.metrics import Metrics
from bot.settings import Settings
from bot.tasks.ending import Ending
from bot.tasks.new import ANSWER_SECONDS
from bot.tasks.schedule import LAGS, Schedule
from bot.tasks.submission import CONFIRM_SECONDS, EXISTS, UNCONFIRMED, Submission
from bot.vidgo import Busy, CoverArt, Nonsense, Report, Status, UnknownTask, VidGo, VidGoError
from storage import notifications
from storage import tasks as rows
from storage.database import Database
from storage.planned import Gone
from storage.schema import Acknowledgement, TaskStatus
from storage.tasks import Task

log = logging.getLogger(__name__)

BELIEF_SECONDS = 120.0
"""For how long a bad word about a task must have been repeated until it is believed."""

BELIEF_READS = 3
"""And how often."""

SILENCE_SECONDS = 1800.0
"""For how long VidGo must have given no usable answer about a task that is past its time until it is given up."""

UNKNOWN, NO_FILES, ADDRESS, TIME, SILENCE = "unknown", "no_files", "address", "time", "silence"
"""The bad words: VidGo does not know the task, has finished it without files or with an address that cannot be used,
takes too long, or says nothing."""


class Reading:
    """Does what a due task needs: send it, read it, or end its waiting."""

    def __init__(
        self,
        database: Database,
        vidgo: VidGo,
        submission: Submission,
        ending: Ending,
        schedule: Schedule,
        settings: Settings,
        *,
        clock: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        self._database = database
        self._vidgo = vidgo
        self._submission = submission
        self._ending = ending
        self._schedule = schedule
        self._settings = settings
        self._clock = clock
        self._metrics = metrics

    async def look(self, task_id: str) -> None:
        """Do what a due task needs."""
        about(task_id)
        async with self._database.read() as snapshot:
            task = await rows.get(snapshot, task_id)
        if task is None or task.status.is_final:
            return
        if task.poll_at is not None:
            self._metrics.poll_lag.observe(max(self._clock() - task.poll_at, 0.0))
        if task.vidgo_id is not None:
            await self._read(task, task.vidgo_id)
        elif self._submission.is_answering(task.id):
            await self._plan(task, self._settings.poll_max_seconds)
        elif task.status is TaskStatus.QUEUED:
            await self._order(task)
        else:
            await self._confirm(task)

    async def _order(self, task: Task) -> None:
        """Send a task, unless nobody who asked for it has an answer yet."""
        async with self._database.read() as snapshot:
            is_kept_back = await notifications.is_kept_back(snapshot, task.id)
        if is_kept_back:
            await self._plan(task, ANSWER_SECONDS)
        else:
            await self._submission.submit(task.id)

    async def ring(self, task_id: str, vidgo_id: str, *, finished: bool) -> bool:
        """Make a task due because its callback came; tell whether the callback can be this task's.

        `finished` says that the callback speaks of a result: then even a task that had failed or was given up is
        read again.
        """
        try:
            await self._ring(task_id, vidgo_id, finished=finished)
        except IntegrityError:  # the id is another task's, or another one has taken this one's place
            if not (finished and (await self._pass_on(task_id, vidgo_id) or await self._revive(task_id, vidgo_id))):
                log.warning("task %s: a callback names an id that is another task's", task_id)
                return False
        except Gone:
            async with self._database.read() as snapshot:
                task = await rows.get(snapshot, task_id)
            return task is not None and task.vidgo_id in (None, vidgo_id)
        await self._database.sync()
        return True

    async def _ring(self, task_id: str, vidgo_id: str, *, finished: bool, beside: bool = False) -> None:
        is_answering = self._submission.is_answering(task_id)
        async with self._database.write(durable=False) as transaction:
            await rows.ring(
                transaction,
                task_id,
                vidgo_id,
                self._clock(),
                len(LAGS),
                is_finished=finished,
                is_answering=is_answering,
                beside=beside,
            )

    async def _revive(self, task_id: str, vidgo_id: str) -> bool:
        """Read what was called lost or failed though the same was ordered once more: both were paid for."""
        try:
            await self._ring(task_id, vidgo_id, finished=True, beside=True)
        except (Gone, IntegrityError):
            return False
        log.info("task %s comes after all, beside another order for the same", task_id)
        return True

    async def _pass_on(self, task_id: str, vidgo_id: str) -> bool:
        """Give the cover that was called lost to the order that has taken its place, for VidGo makes it once."""
        now = self._clock()
        try:
            async with self._database.write(durable=False) as transaction:
                lost = await rows.get(transaction, task_id)
                if lost is None or lost.model != CoverArt.model or lost.source_id is None:
                    return False
                live = await rows.cover_of(transaction, lost.source_id)
                if live is None or live.vidgo_id is not None:
                    return False
                is_answering = self._submission.is_answering(live.id)
                await rows.ring(
                    transaction, live.id, vidgo_id, now, len(LAGS), is_finished=True, is_answering=is_answering
                )
                await notifications.tell_again(transaction, lost.id, now, with_task=live.id)
        except (Gone, IntegrityError):
            return False
        log.info("task %s: the cover that was called lost comes to task %s", lost.id, live.id)
        return True

    async def _confirm(self, task: Task) -> None:
        """Go on with a task that VidGo may have taken."""
        exists = task.doubt == EXISTS
        if task.model == CoverArt.model and not exists:
            await self._submission.submit(task.id)
            return
        since = task.doubt_since if exists else task.submitted_at
        waited = self._clock() - (since or task.created_at)
        if waited >= CONFIRM_SECONDS or self._settings.public_url is None:
            await self._ending.lose(task, "duplicate" if exists else "lost", None)
        else:
            async with self._database.write(durable=False) as transaction:
                current = await rows.lock(transaction, task.id)
                if current is None or (current.status, current.tries) != (task.status, task.tries):
                    return  # its sender has heard of it since
                if current.doubt is None:  # its process died before it knew
                    await rows.doubt(transaction, current, UNCONFIRMED, self._clock(), repeated=False)
                    if task.tries:  # they were told of the line
                        await notifications.want(transaction, task.id, Acknowledgement.ORDERED)
            # A clock that was set back makes it no longer.
            await self._plan(task, min(max(CONFIRM_SECONDS - waited, 1.0), CONFIRM_SECONDS))

    async def _read(self, task: Task, vidgo_id: str) -> None:
        try:
            report = await self._vidgo.detail(vidgo_id)
            if report.task_id != vidgo_id:
                await self._check_alias(task, report.task_id)
        except UnknownTask as error:
            await self._doubt(task, UNKNOWN, error.reason, BELIEF_SECONDS)
            return
        except VidGoError as error:
            log.info("task %s could not be read: %s", task.id, error.reason)
            hinted = error.retry_after if isinstance(error, Busy) else None
            await self._still_unfinished(
                task, SILENCE, error.reason, pause=self._schedule.pause(hinted) if hinted else 0
            )
            return
        if report.status is Status.FINISHED:
            await self._finished(task, report)
        elif report.status is Status.FAILED:
            await self._ending.fail(task, "failed", report.error_message)
        else:
            await self._under_way(task, report)

    async def _check_alias(self, task: Task, vidgo_id: str) -> None:
        """Raise `Nonsense` where an answer is about another task of ours, as a cache's may be.

        Any other id may be one more of the same task's: VidGo's documents show two kinds of them.
        """
        async with self._database.read() as snapshot:
            other = await rows.by_vidgo_id(snapshot, vidgo_id)
        if other is not None and other.id != task.id:
            raise Nonsense(f"the answer is about {vidgo_id}, which is task {other.id}")

    async def _finished(self, task: Task, report: Report) -> None:
        for one in report.unusable:
            log.warning("task %s: VidGo names an address of its %s that cannot be used: %s", task.id, *astuple(one))
        is_whole = report.has_audio or (report.usable and task.model == CoverArt.model)
        if is_whole and not report.hides_audio:
            await self._ending.finish(task, report)
        else:  # files may follow some seconds later
            doubt = ADDRESS if report.unusable else NO_FILES
            await self._doubt(task, doubt, report.error_message, BELIEF_SECONDS)

    async def _under_way(self, task: Task, report: Report) -> None:
        if report.status is Status.UNKNOWN:
            log.warning("task %s has the unknown status %r", task.id, report.raw_status)
        elif report.status is Status.RUNNING and task.status is TaskStatus.WAITING:
            with suppress(Gone):
                async with self._database.write(durable=False) as transaction:
                    await rows.run(transaction, task.id)
        if report.credits is not None and task.credits is None:  # the result may not say it any more
            with suppress(Gone):
                async with self._database.write(durable=False) as transaction:
                    await rows.quote(transaction, task.id, report.credits)
        await self._still_unfinished(task, TIME, None)

    async def _still_unfinished(self, task: Task, doubt: str, reason: str | None, *, pause: float = 0.0) -> None:
        """Say once that a task takes long, and give it up when its time is over and it stays as it is.

        Else it is read again, after `pause` seconds at the earliest.
        """
        age = self._clock() - (task.submitted_at or task.created_at)
        if task.late_at is None and age > await self._schedule.slow_seconds(task.model):
            with suppress(Gone):
                async with self._database.write() as transaction:
                    await rows.late(transaction, task.id, self._clock())
                    await notifications.want(transaction, task.id, Acknowledgement.LATE)
                log.warning("task %s is late", task.id)
        if age > self._settings.task_give_up_seconds:
            await self._doubt(task, doubt, reason, BELIEF_SECONDS if doubt == TIME else SILENCE_SECONDS)
            return
        if task.doubt is not None and doubt == TIME:
            with suppress(Gone):
                async with self._database.write(durable=False) as transaction:
                    await rows.trust(transaction, task)
        await self._plan(task, max(pause, await self._schedule.delay(task)))

    async def _doubt(self, task: Task, doubt: str, reason: str | None, seconds: float) -> None:
        """Believe a bad word when it was repeated for some seconds in which somebody looked; else note it."""
        now = self._clock()
        # A gap in which nobody looked proves nothing.
        gap = 3 * self._settings.poll_max_seconds + 60.0
        repeated = task.doubt == doubt and task.doubt_at is not None and 0 <= now - task.doubt_at <= gap
        since = task.doubt_since if repeated and task.doubt_since is not None else now
        if repeated and task.doubts + 1 >= BELIEF_READS and now - since >= seconds:
            if doubt in (TIME, SILENCE):
                ended = await self._ending.give_up(task, "time", reason)
            else:
                ended = await self._ending.fail(task, doubt, reason)
            if ended:
                log.error("task %s ends, for it was said %d times: %s (%s)", task.id, task.doubts + 1, doubt, reason)
            return
        log.info("task %s: %s (%s); asked again before it is believed", task.id, doubt, reason)
        with suppress(Gone):
            async with self._database.write(durable=False) as transaction:
                await rows.doubt(transaction, task, doubt, now, repeated=repeated)
        await self._plan(task, min(await self._schedule.delay(task), seconds / BELIEF_READS))

    async def _plan(self, task: Task, delay: float) -> None:
        with suppress(Gone):  # ended meanwhile, or rung while it was being read and due already
            async with self._database.write(durable=False) as transaction:
                await rows.plan(transaction, task.id, self._clock() + delay, rereads=task.rereads)
