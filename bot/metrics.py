"""What the bot counts for an owner's Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, PlatformCollector, ProcessCollector


class Metrics:
    """The figures under `/metrics`; each program has its own registry, so that several can run in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.callbacks = Counter(
            "coverbot_callbacks", "Callbacks by the status they were answered with", ["status"], registry=self.registry
        )
        self.tasks_ended = Counter(
            "coverbot_tasks_ended", "Tasks by model and how they ended", ["model", "status"], registry=self.registry
        )
        self.vidgo_errors = Counter(
            "coverbot_vidgo_errors", "Requests to VidGo that failed, by kind", ["kind"], registry=self.registry
        )
        self.deliveries = Counter(
            "coverbot_deliveries", "Attempts to tell a member, by outcome", ["outcome"], registry=self.registry
        )
        self.tasks_live = Gauge(
            "coverbot_tasks_live", "Tasks that are not done, by status", ["status"], registry=self.registry
        )
        self.archived = Counter(
            "coverbot_archived", "Attempts to archive a file, by outcome", ["outcome"], registry=self.registry
        )
        self.files_in_transit = Gauge(
            "coverbot_files_in_transit",
            "Files being fetched or made smaller, or not archived yet",
            registry=self.registry,
        )
        self.places_taken = Gauge(
            "coverbot_worker_places_taken", "Things that a worker is at work on", ["worker"], registry=self.registry
        )
        self.places_full = Gauge(
            "coverbot_worker_full_seconds",
            "For how long a worker has had no free place",
            ["worker"],
            registry=self.registry,
        )
        self.notifications_open = Gauge(
            "coverbot_notifications_open", "Notifications with something to do", registry=self.registry
        )
