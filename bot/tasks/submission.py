"""Submitting a task: once, or until VidGo answers where it cannot be paid twice."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from sqlalchemy.exc import IntegrityError

from bot.logs import about
from bot.metrics import Metrics
from bot.settings import Settings
from bot.tasks.ending import Ending
from bot.tasks.schedule import Schedule
from bot.tasks.unwanted import drop_unwanted
from bot.vidgo import (
    Accepted,
    AnswerLost,
    Busy,
    ContentRefused,
    CoverArt,
    Duplicate,
    InvalidRequest,
    KeyRefused,
    NoCredits,
    SourceNotReady,
    Turn,
    UnknownTask,
    VersionRefused,
    VidGo,
    VidGoError,
    load_request,
)
from storage import notifications
from storage import tasks as rows
from storage.database import Database, Transaction
from storage.planned import Gone
from storage.schema import Acknowledgement, TaskStatus
from storage.tasks import Task

log = logging.getLogger(__name__)

QUEUE_SECONDS = 5.0
"""From how long a wait for VidGo on a requester is told of the queue."""

CONFIRM_SECONDS = 300.0
"""How long an order without an answer may stay without its callback until the requester is told so."""

TRIES = 10
"""How often VidGo has to have no room for an order before it is given up for want of room."""

EXISTS = "exists"
"""The doubt about a cover that VidGo has already, as it says, but does not name."""

UNCONFIRMED = "unconfirmed"
"""The doubt about an order that is never sent again, and that VidGo has not confirmed."""

WITHHELD_SECONDS = 1.0
"""How long an order waits that may not be sent because this process has lost its lease."""

_SEND_AGAIN_SECONDS = (2.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0)

_ERROR_KINDS: dict[type[VidGoError], str] = {
    KeyRefused: "key",
    NoCredits: "credits",
    SourceNotReady: "source",
    VersionRefused: "version",
    ContentRefused: "content",
    InvalidRequest: "invalid",
    UnknownTask: "missing",
}


class Submission:
    """Sends tasks to VidGo.

    The turn is waited for before a task becomes `submitting`. So what is in doubt when the program dies is one request
    that was on its way, never a queue that was waiting.
    """

    def __init__(
        self,
        database: Database,
        vidgo: VidGo,
        ending: Ending,
        schedule: Schedule,
        settings: Settings,
        *,
        clock: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        self._database = database
        self._vidgo = vidgo
        self._ending = ending
        self._schedule = schedule
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._queued: dict[str, asyncio.Task[None]] = {}
        self._sending: set[str] = set()
        self._answering: set[str] = set()
        self._is_stopped = False

    @property
    def _expects_callbacks(self) -> bool:
        return self._settings.public_url is not None

    def is_answering(self, task_id: str) -> bool:
        """Tell whether VidGo's answer to a submission is being waited for."""
        return task_id in self._answering

    async def submit(self, task_id: str) -> None:
        """Send a task, however many ask for it at the same time; returns when VidGo has answered or will not.

        What became of it stands in the task's row. An interrupted caller does not interrupt the submission.
        """
        await asyncio.shield(self._begun(task_id, at_once=False))

    def begin(self, task_id: str) -> None:
        """Begin to send a task that was just acknowledged, and wait for nothing; what fails is left to the poller."""
        self._begun(task_id, at_once=True).add_done_callback(partial(_log_failure, task_id))

    @property
    def has_room(self) -> bool:
        """Return whether an order would be sent at once, as far as can be told."""
        return self._vidgo.waits() < QUEUE_SECONDS

    def _begun(self, task_id: str, *, at_once: bool) -> asyncio.Task[None]:
        submission = self._queued.get(task_id)
        if submission is None:
            submission = asyncio.create_task(self._submit(task_id, at_once=at_once), name=f"submit {task_id}")
            self._queued[task_id] = submission
            submission.add_done_callback(lambda _: self._queued.pop(task_id, None))
        return submission

    async def stop(self, deadline: float) -> None:
        """Leave in the queue what waits for its turn, and let the others end until `deadline` (event loop's clock).

        What is begun from now on, by a command that ends last, stays in the queue too.
        """
        self._is_stopped = True
        for task_id, submission in list(self._queued.items()):
            if task_id not in self._sending:
                submission.cancel()
        running = list(self._queued.values())
        if running:
            _, late = await asyncio.wait(running, timeout=max(deadline - asyncio.get_running_loop().time(), 0))
            for submission in late:
                submission.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _submit(self, task_id: str, *, at_once: bool) -> None:
        about(task_id)
        if self._is_stopped:  # nobody would wait for the answer
            return
        turn = await self._vidgo.turn()
        # From the intent on, a stop waits for it: what is noted as sent and was not would be in doubt for ever.
        self._sending.add(task_id)
        try:
            await self._send(task_id, turn, at_once=at_once)
        finally:
            self._sending.discard(task_id)

    async def _send(self, task_id: str, turn: Turn, *, at_once: bool) -> None:
        now = self._clock()
        poll_at = now + self._settings.poll_max_seconds
        task = None
        try:
            async with self._database.write() as transaction:
                before = await rows.lock(transaction, task_id)
                if before is None or before.status.is_final or before.vidgo_id is not None:
                    return
                # It goes in another one's turn, or another process sends it; VidGo's answer is being waited for.
                if self.is_answering(task_id) or before.holder not in (None, transaction.me):
                    return
                # What is noted as sent and withheld then would be in doubt for whoever has taken it over.
                if not self._database.may_act:
                    await rows.put_off(transaction, task_id, now + WITHHELD_SECONDS)
                    return
                again, is_new = before.status is TaskStatus.SUBMITTING, before.tries == 0
                if not again:
                    before = await _first(transaction, before)
                    task = await rows.submit(transaction, before.id, now, poll_at)
                    self._metrics.submit_wait.observe(max(now - before.created_at, 0.0))
                elif before.model == CoverArt.model and before.doubt != EXISTS:
                    task = await rows.submit_again(transaction, task_id, poll_at)
                else:
                    return
                self._answering.add(task.id)
            about(task.id)
            # Who waited for long was told of the queue; so was who waited for a process that is no more.
            says_so = not at_once or before.tries > 0 or now - before.created_at >= QUEUE_SECONDS / 2
            await self._ask(task, turn, again=again, says_so=says_so)
            if task.id != task_id and is_new:
                # Its requester is told of the place in the line, once that is known.
                async with self._database.write(durable=False) as transaction:
                    await notifications.want(transaction, task_id, Acknowledgement.ORDERED)
        finally:
            if task is not None:
                self._answering.discard(task.id)

    async def _ask(self, task: Task, turn: Turn, *, again: bool, says_so: bool) -> None:
        try:
            accepted = await self._vidgo.submit(load_request(task.model, task.request), self._callback_url(task), turn)
        except VidGoError as error:
            await self._database.retry(partial(self._refused, task, error, again=again))
        else:
            await self._database.retry(partial(self._accept, task, accepted, says_so=says_so))

    def _callback_url(self, task: Task) -> str | None:
        if self._settings.public_url is None:
            return None
        return f"{self._settings.public_url}/callbacks/vidgo/{task.id}/{task.token}"

    async def _accept(self, task: Task, accepted: Accepted, *, says_so: bool = False) -> None:
        now, vidgo_id = self._clock(), accepted.task_id
        delay = await self._schedule.delay(task)
        try:
            async with self._database.write() as transaction:
                await rows.accept(transaction, task.id, vidgo_id, now, now + delay, accepted.credits)
                if says_so:
                    await notifications.want(transaction, task.id, Acknowledgement.ORDERED)
        except IntegrityError:
            log.error("task %s: VidGo gave the id %s, which another task has", task.id, vidgo_id)
            await self._ending.refuse(task, "nonsense", None)
        except Gone:
            await self._come_after_all(task.id, vidgo_id)
        else:
            log.info("task %s is VidGo's %s", task.id, vidgo_id)

    async def _come_after_all(self, task_id: str, vidgo_id: str) -> None:
        """Read what VidGo has taken, where the order was called lost while its yes was on its way."""
        try:
            async with self._database.write() as transaction:
                task = await rows.lock(transaction, task_id)
                if task is None or task.status not in rows.ENDED_BADLY or task.vidgo_id is not None:
                    log.info("task %s: what VidGo's yes brings is known already", task_id)
                    return
                await rows.ring(
                    transaction,
                    task_id,
                    vidgo_id,
                    self._clock(),
                    0,
                    is_finished=True,
                    is_answering=False,
                    beside=task.model != CoverArt.model,
                )
        except IntegrityError:
            log.warning("task %s: VidGo gave the id %s, and another order has taken its place", task_id, vidgo_id)
        else:
            log.warning("task %s was called lost, and VidGo has taken it as %s", task_id, vidgo_id)

    async def _refused(self, task: Task, error: VidGoError, *, again: bool) -> None:
        """Do what a refusal means; `again` when an earlier submission of the task may have been taken."""
        async with self._database.read() as snapshot:
            current = await rows.get(snapshot, task.id)
        if (
            current is None
            or (current.status, current.tries) != (task.status, task.tries)
            or current.vidgo_id is not None
        ):
            log.info("task %s: its callback came before the answer, or it went on since (%s)", task.id, error.reason)
        elif isinstance(error, Duplicate):
            await self._adopt(task, error, again=again)
        elif isinstance(error, AnswerLost) or (again and isinstance(error, Busy)):
            await self._unanswered(task, error, again=again)
        elif isinstance(error, Busy):
            await self._hold(task, error)
        elif again and isinstance(error, KeyRefused | NoCredits):
            await self._ending.lose(task, "lost", error.reason)
        else:
            log.warning("task %s was refused: %s: %s", task.id, type(error).__name__, error.reason)
            await self._ending.refuse(task, _ERROR_KINDS.get(type(error), "nonsense"), error.reason)

    async def _hold(self, task: Task, error: VidGoError) -> None:
        """Leave a task in the queue, unless VidGo has had no room for it again and again for a long time."""
        now = self._clock()
        if task.tries + 1 >= TRIES and now - task.created_at > self._settings.task_timeout_seconds:
            await self._ending.refuse(task, "busy", error.reason)
            return
        delay = self._schedule.pause(_hint(error))
        try:
            async with self._database.write() as transaction:
                await rows.lock(transaction, task.id)  # whoever stops it was here before, or finds it in line
                await rows.hold(transaction, task, now + delay, shared=task.model == CoverArt.model)
                await drop_unwanted(transaction, task.id, now)
                if task.tries == 0:
                    await notifications.want(transaction, task.id, Acknowledgement.ORDERED)
        except Gone:
            log.info("task %s went on without an answer of VidGo's: %s", task.id, error.reason)
        else:
            log.info("task %s waits %.0f s for VidGo: %s", task.id, delay, error.reason)

    async def _unanswered(self, task: Task, error: VidGoError, *, again: bool) -> None:
        """Send a cover again in a while; leave anything else to its callback, or tell the truth where none can come.

        Its requester is told so the first time; `again` when an earlier submission may have been taken.
        """
        log.warning("task %s: no answer to the submission (%s)", task.id, error.reason)
        now = self._clock()
        waited = now - (task.submitted_at or task.created_at)
        is_sent_again = task.model == CoverArt.model
        if is_sent_again:
            if waited > self._settings.task_give_up_seconds:
                await self._ending.lose(task, "lost", error.reason)
                return
            pause = _hint(error) or _SEND_AGAIN_SECONDS[min(task.tries, len(_SEND_AGAIN_SECONDS) - 1)]
        elif self._expects_callbacks:
            pause = min(max(CONFIRM_SECONDS - waited, 1.0), CONFIRM_SECONDS)
        else:
            await self._ending.lose(task, "lost", error.reason)
            return
        with suppress(Gone):
            async with self._database.write() as transaction:
                unanswered = await rows.unanswered(transaction, task, now + pause)
                if not is_sent_again:
                    await rows.doubt(transaction, unanswered, UNCONFIRMED, now, repeated=False)
                if not again or task.tries == 0:
                    await notifications.want(transaction, task.id, Acknowledgement.ORDERED)

    async def _adopt(self, task: Task, error: Duplicate, *, again: bool) -> None:
        """Take over the cover that exists at VidGo already, if VidGo knows it."""
        candidates = [error.task_id]
        if task.source_id is not None:
            async with self._database.read() as snapshot:
                candidates.append(await rows.lost_cover_id(snapshot, task.source_id, task.model))
        for vidgo_id in filter(None, candidates):
            try:
                await self._vidgo.detail(vidgo_id)
            except UnknownTask as unknown:
                log.info("task %s: VidGo does not know the earlier cover %s: %s", task.id, vidgo_id, unknown.reason)
            except VidGoError as unclear:  # asked again later, it says "exists already" again
                await (self._unanswered(task, unclear, again=True) if again else self._hold(task, unclear))
                return
            else:
                await self._accept(task, Accepted(vidgo_id), says_so=task.tries > 0)
                return
        if not again:
            await self._ending.refuse(task, "duplicate", error.reason)
        elif not self._expects_callbacks:
            await self._ending.lose(task, "duplicate", error.reason)
        else:
            now = self._clock()
            with suppress(Gone):
                async with self._database.write() as transaction:
                    unanswered = await rows.unanswered(transaction, task, now + CONFIRM_SECONDS)
                    await rows.doubt(transaction, unanswered, EXISTS, now, repeated=False)


async def _first(transaction: Transaction, task: Task) -> Task:
    """Return who is sent in a task's turn: where there is a line, the first, whose next turn the task has in exchange.

    So everybody's place in the line is what they were told, though each one is tried again at a time of its own.
    """
    first = await rows.first_in_line(transaction, task.id)
    if first is None or first.poll_at is None:
        return task
    await rows.stand_back(transaction, task.id, first.poll_at)
    return first


def _log_failure(task_id: str, submission: asyncio.Task[None]) -> None:
    if not submission.cancelled() and (error := submission.exception()) is not None:
        log.error("task %s could not be sent: %s", task_id, getattr(error, "orig", error))


def _hint(error: VidGoError) -> float | None:
    return error.retry_after if isinstance(error, Busy) else None
