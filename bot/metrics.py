"""What the bot counts for an owner's Prometheus. Names and units are stable: dashboards and alerts stand on them."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import aiohttp
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    Metric,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

Figure = dict[tuple[str, ...], float]
"""The values of a gauge by its labels. A value that is not known is not there."""

Figures = dict[str, Figure]

GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "coverbot_info": ("The version that runs; always 1", ("version",)),
    "coverbot_ready": ("Whether /readyz says 200", ()),
    "coverbot_leads": ("Whether this process does what one does for all, such as showing what the database holds", ()),
    "coverbot_shards": ("Shards that this process runs; 0 while it stands by", ()),
    "coverbot_servers": ("Servers that the bot is a member of, once Discord has said so", ()),
    "coverbot_tasks_live": ("Tasks that are not done, by model and status", ("model", "status")),
    "coverbot_oldest_task_seconds": ("Age of the oldest task that is not done; 0 without one", ()),
    "coverbot_queue_due": ("Rows whose time has come, those that are worked on included", ("queue",)),
    "coverbot_queue_lag_seconds": ("For how long the first of them has been due; 0 without one", ("queue",)),
    "coverbot_pool_size": ("How many things a pool can hold at once", ("pool",)),
    "coverbot_pool_taken": ("How many it holds", ("pool",)),
    "coverbot_pool_full_seconds": ("For how long a worker has had no free place", ("pool",)),
    "coverbot_files_in_transit": ("Files being fetched or made smaller, or not archived yet", ()),
    "coverbot_vidgo_credits": ("Credits of the account when VidGo last told them; absent until then", ()),
    "coverbot_database_bytes": ("Size of the database with its log", ()),
    "coverbot_archive_bytes": ("Size of the files in the archive", ()),
    "coverbot_disk_free_bytes": ("Room on the disk of the database, and of the archive", ("holds",)),
}
"""What is measured only when somebody looks: what it is, and its labels."""

VIDGO_OUTCOMES = (
    "ok",
    "rate_limited",
    "busy",
    "answer_lost",
    "nonsense",
    "key_refused",
    "no_credits",
    "duplicate",
    "unknown_task",
    "source_not_ready",
    "content_refused",
    "version_refused",
    "invalid_request",
    "cancelled",
)
"""VidGo's errors by name, its 429 apart."""

SEEN_FROM_THE_START: dict[str, list[tuple[str, ...]]] = {
    "callbacks": [("200",), ("400",), ("403",), ("413",)],
    "deliveries": [("delivered",), ("undeliverable",), ("fetching_failed",), ("discord_failed",)],
    "archived": [("kept",), ("later",), ("given_up",)],
    "discord_requests": [("ok",), ("429",), ("429_shared",), ("4xx",), ("5xx",), ("no_answer",)],
    "vidgo_requests": [(request, outcome) for request in ("submit", "detail", "balance") for outcome in VIDGO_OUTCOMES],
}
"""The labels of counters that are known before."""

POST_BUCKETS = (1, 2, 5, 10, 20, 30, 45, 60, 90, 120, 180, 240, 300, 450, 600, 900, 1800, 3600, 7200, 21600, 86400)
LAG_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
LOOP_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class _Gauges(Collector):
    """Shows what was measured last, instead of zeros for what nobody knows."""

    def __init__(self) -> None:
        self.figures: Figures = {}

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for name, (meaning, labels) in GAUGES.items():
            family = GaugeMetricFamily(name, meaning, labels=labels)
            for values, figure in self.figures.get(name, {}).items():
                family.add_metric(values, figure)
            yield family


class _Named(Collector):
    """Shows all figures of a registry with the name of the process among others as a label."""

    def __init__(self, registry: CollectorRegistry, process: str) -> None:
        self._registry = registry
        self._process = process

    def collect(self) -> Iterator[Metric]:
        for family in self._registry.collect():
            named = [one._replace(labels={"process": self._process, **one.labels}) for one in family.samples]
            shown = Metric(family.name, family.documentation, family.type, family.unit)
            shown.samples = named
            yield shown


class Metrics:
    """The figures under `/metrics`; each program has its own registry, so that several can run in one process.

    `process` is what this one is called, where there may be others.
    """

    def __init__(self, process: str | None = None) -> None:
        self.registry = CollectorRegistry()
        self._shown = self.registry
        if process is not None:
            self._shown = CollectorRegistry()
            self._shown.register(_Named(self.registry, process))
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._gauges = _Gauges()
        self.registry.register(self._gauges)
        self.callbacks = self._counter("callbacks", "Callbacks by the status they were answered with", "status")
        self.tasks_ended = self._counter("tasks_ended", "Tasks by model and how they ended", "model", "status")
        self.deliveries = self._counter("deliveries", "Attempts to tell a member, by outcome", "outcome")
        self.archived = self._counter("archived", "Attempts to archive a file, by outcome", "outcome")
        self.vidgo_requests = self._counter(
            "vidgo_requests", "Requests to VidGo, by what was asked and what came of it", "request", "outcome"
        )
        self.discord_requests = self._counter(
            "discord_requests", "Requests to Discord's REST API, by what came of them", "outcome"
        )
        self.post_seconds = self._histogram(
            "post_seconds", "Time from a member's request to the post of its result", POST_BUCKETS, "model"
        )
        self.submit_wait = self._histogram(
            "submit_wait_seconds", "Time from an order to its first submission to VidGo", LAG_BUCKETS
        )
        self.poll_lag = self._histogram(
            "poll_lag_seconds", "How much later than planned a task was looked at", LAG_BUCKETS
        )
        self.loop_lag = self._histogram(
            "event_loop_lag_seconds", "How late the event loop does what is due, tried once a second", LOOP_BUCKETS
        )
        # A series that begins with its first event is one whose first event no query sees.
        for counter, values in SEEN_FROM_THE_START.items():
            for labels in values:
                getattr(self, counter).labels(*labels)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"coverbot_{name}", meaning, labels, registry=self.registry)

    def _histogram(self, name: str, meaning: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"coverbot_{name}", meaning, labels, buckets=buckets, registry=self.registry)

    def text(self) -> bytes:
        """Return what Prometheus reads."""
        return generate_latest(self._shown)

    def show(self, figures: Figures) -> None:
        """Show these values of `GAUGES` from now on, and no others."""
        self._gauges.figures = figures

    def discord_trace(self) -> aiohttp.TraceConfig:
        """Make what counts the requests of an HTTP session to Discord."""

        async def answered(
            _session: aiohttp.ClientSession, _context: SimpleNamespace, end: aiohttp.TraceRequestEndParams
        ) -> None:
            self.discord_requests.labels(_outcome(end.response)).inc()

        async def failed(
            _session: aiohttp.ClientSession, _context: SimpleNamespace, _end: aiohttp.TraceRequestExceptionParams
        ) -> None:
            self.discord_requests.labels("no_answer").inc()

        trace = aiohttp.TraceConfig()
        trace.on_request_end.append(answered)
        trace.on_request_exception.append(failed)
        return trace


def _outcome(response: aiohttp.ClientResponse) -> str:
    """Tell the bot's own 429 from one for a limit that it shares with others and cannot keep."""
    if response.status == 429:
        return "429_shared" if response.headers.get("X-RateLimit-Scope") == "shared" else "429"
    return "ok" if response.status < 400 else f"{response.status // 100}xx"
