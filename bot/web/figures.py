"""What Prometheus is shown: what was counted, and what is measured because somebody looks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from bot import version
from bot.media.files import Files
from bot.metrics import Figure, Figures, Metrics
from bot.vidgo import MODELS, VidGo
from bot.worker import Worker
from storage import figures
from storage.archive.archive import Archive
from storage.database import Database
from storage.figures import Live, Waiting
from storage.schema import LIVE_TASKS
from storage.wakeups import Queue

log = logging.getLogger(__name__)

FRESH_SECONDS = 5.0
"""For how long what was measured is shown again, however often somebody asks."""

PATIENCE_SECONDS = 5.0
"""How long database and disk may take; then they are left out."""

WATCHED_SECONDS = 300.0
"""For how long after the last look the event loop is watched."""

_BEAT_SECONDS = 1.0


class Exposition:
    """Measures at most every `FRESH_SECONDS`, in statements that read what is left to do and nothing else."""

    def __init__(
        self,
        metrics: Metrics,
        database: Database,
        archive: Archive,
        vidgo: VidGo,
        files: Files,
        workers: Sequence[Worker],
        *,
        not_ready: Callable[[], Mapping[str, str]],
        servers: Callable[[], int | None],
        shards: Callable[[], int],
        clock: Callable[[], float],
    ) -> None:
        self._metrics = metrics
        self._database = database
        self._archive = archive
        self._vidgo = vidgo
        self._files = files
        self._workers = workers
        self._not_ready = not_ready
        self._servers = servers
        self._shards = shards
        self._database_answers = False
        self._clock = clock
        self._turn = asyncio.Lock()
        self._measured: Figures = {}
        self._measured_at = float("-inf")
        self._asked_at = float("-inf")
        self._beat: asyncio.TimerHandle | None = None
        self._looking: asyncio.Task[Figures] | None = None

    async def text(self) -> bytes:
        """Return what Prometheus reads."""
        loop = asyncio.get_running_loop()
        self._asked_at = loop.time()
        if self._beat is None:
            self._beat = loop.call_later(_BEAT_SECONDS, self._watch, loop.time() + _BEAT_SECONDS)
        async with self._turn:
            if not 0 <= loop.time() - self._measured_at < FRESH_SECONDS:
                self._measured = await self._measure()
                self._measured_at = loop.time()
        self._metrics.show(self._measured | self._present())
        return self._metrics.text()

    def stop(self) -> None:
        """Watch the event loop no more."""
        if self._beat is not None:
            self._beat.cancel()

    def _watch(self, planned: float) -> None:
        """Note how late this was called; nobody is woken each second where nobody looks."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._metrics.loop_lag.observe(max(now - planned, 0.0))
        self._beat = None
        if now - self._asked_at < WATCHED_SECONDS:
            self._beat = loop.call_later(_BEAT_SECONDS, self._watch, now + _BEAT_SECONDS)

    def _present(self) -> Figures:
        """Return what needs no asking."""
        sizes: Figure = {(worker.name,): float(worker.places) for worker in self._workers}
        taken: Figure = {(worker.name,): float(worker.taken) for worker in self._workers}
        is_ready = not self._not_ready() and self._database_answers
        values: Figures = {
            "coverbot_info": {(version(),): 1.0},
            "coverbot_ready": {(): float(is_ready)},
            "coverbot_leads": {(): float(self._database.leads)},
            "coverbot_shards": {(): float(self._shards())},
            "coverbot_pool_size": sizes | {("database",): float(self._database.connections)},
            "coverbot_pool_taken": taken | {("database",): float(self._database.taken)},
            "coverbot_pool_full_seconds": {(worker.name,): worker.full_seconds for worker in self._workers},
            "coverbot_files_in_transit": {(): float(self._files.in_transit)},
        }
        if (servers := self._servers()) is not None:
            values["coverbot_servers"] = {(): float(servers)}
        if self._vidgo.credits is not None and self._database.leads:  # who leads asks for them again and again
            values["coverbot_vidgo_credits"] = {(): self._vidgo.credits}
        return values

    async def _measure(self) -> Figures:
        """Ask database and disk."""
        self._database_answers = False
        values: Figures = {}
        for measure in (self._work, self._room):
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    values |= await measure()
            except Exception as error:  # whatever is wrong with database or disk, the rest is shown
                # Without the statement and its values, which follow in lines of their own.
                log.warning("some metrics are left out: %s", next(iter(str(error).splitlines()), type(error).__name__))
        return values

    async def _work(self) -> Figures:
        now = self._clock()
        async with self._database.read() as snapshot:
            due = await figures.due(snapshot, now)
            self._database_answers = True
            if not self._database.leads:
                return {}  # what the database holds is shown once
            live = await figures.live(snapshot)
        return _of_tasks(live, now) | _of_queues(due, now)

    async def _room(self) -> Figures:
        # A disk that hangs holds one thread, not one more at each scrape.
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
            self._looking.add_done_callback(lambda looked: looked.cancelled() or looked.exception())
        return await asyncio.shield(self._looking)

    async def _look(self) -> Figures:
        disks: Figure = {}
        values: Figures = {"coverbot_disk_free_bytes": disks}
        if self._database.leads:
            size, free = await self._database.size()
            values["coverbot_database_bytes"] = {(): float(size)}
            if free is not None:
                disks["database",] = float(free)
        if self._archive.is_on:
            if self._database.leads:
                values["coverbot_archive_bytes"] = {(): float(self._archive.size)}
            if (room := await asyncio.to_thread(self._archive.free)) is not None:
                disks["archive",] = float(room)
        return values


def _of_tasks(live: Sequence[Live], now: float) -> Figures:
    # What there is none of is none, not unknown: a panel would go on showing what was there last.
    models = {*MODELS, *(one.model for one in live)}
    counts: Figure = {(model, str(status)): 0.0 for model in sorted(models) for status in LIVE_TASKS}
    counts |= {(one.model, one.status): float(one.count) for one in live}
    oldest = max((now - one.since for one in live), default=0.0)
    return {"coverbot_tasks_live": counts, "coverbot_oldest_task_seconds": {(): max(oldest, 0.0)}}


def _of_queues(due: Mapping[Queue, Waiting], now: float) -> Figures:
    lags: Figure = {
        (str(queue),): 0.0 if one.since is None else max(now - one.since, 0.0)
        for queue, one in due.items()
        if queue is not Queue.ACKNOWLEDGEMENTS  # no time is planned for these
    }
    counts: Figure = {(str(queue),): float(one.count) for queue, one in due.items()}
    return {"coverbot_queue_due": counts, "coverbot_queue_lag_seconds": lags}
