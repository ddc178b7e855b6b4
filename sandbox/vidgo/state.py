"""The state of the provider: its settings, its books, and what its answers say about a task."""

from __future__ import annotations

import random
import string
from typing import TYPE_CHECKING, Literal

from sandbox.vidgo.records import CallbackFaults, Changes
from sandbox.vidgo.results import payload

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from sandbox.vidgo.records import Delivery, Json, RequestRecord, Submission
    from sandbox.vidgo.results import Task

DuplicateStyle = Literal["409", "409_id", "409_error_id", "400_text", "400_id", "400_upstream_id"]


class State:
    """What every part of the provider knows; all waits are in seconds and multiplied by `time_scale`."""

    def __init__(
        self,
        key: str,
        port: int,
        credits: float,  # noqa: A002  (the API's word)
        seconds: float,
        time_scale: float,
        *,
        audio_seconds: float,
        seed: int,
        clock: Callable[[], float],
    ) -> None:
        self.key, self.port, self.credits = key, port, credits
        self.seconds, self.time_scale, self.audio_seconds = seconds, time_scale, audio_seconds
        self.clock = clock
        self.revoked = False
        self.duplicate_style: DuplicateStyle = "409"
        self.refuse_simple_instrumental = True  # as one production system met it
        self.unknown_task_status = 404
        self.success_code: int | str | None = 200
        self.status_words: dict[str, str] = {}  # e.g. {"finished": "SUCCESS"}
        self.noise = True  # progress and credits_amount come and go in answers
        self.tells_credits: Collection[str] | None = None  # which of order, running, finished; None: by chance
        self.detail_lag = 0.0
        self.files_lag = 0.0  # seconds for which a finished task has no files yet
        self.detail_unknown_for = 0.0  # seconds after the submission in which detail does not know the task
        self.callbacks: Literal["wrapped", "unwrapped", "off"] = "wrapped"
        self.callback_faults = CallbackFaults()
        self.webhook_secret: str | None = None
        self.tasks: dict[str, Task] = {}
        self.submissions: list[Submission] = []
        self.requests: list[RequestRecord] = []
        self.deliveries: list[Delivery] = []
        self.untold: set[str] = set()  # the tasks whose ends are about to be called back for the first time
        self.charged: list[tuple[str, int]] = []
        self.changes = Changes()
        self._random = random.Random(seed)
        self._ids = random.Random()
        self._listeners: list[Callable[[str, str, str], None]] = []

    @property
    def api_url(self) -> str:
        """Return the base URL, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    def new_task_id(self) -> str:
        """Return an unused id of 16 upper-case letters and digits."""
        return "".join(self._ids.choices(string.ascii_uppercase + string.digits, k=16))

    def on_request(self, callback: Callable[[str, str, str], None]) -> Callable[[], None]:
        """Call back with (phase, method, path) during each request; the returned function ends that.

        Phase "before": read, nothing done. Phase "after": done, the answer not yet sent.
        """
        self._listeners.append(callback)
        return lambda: self._listeners.remove(callback)

    def announce(self, phase: str, method: str, path: str) -> None:
        """Call the listeners of `on_request`."""
        for listener in list(self._listeners):
            listener(phase, method, path)

    def log_submission(self, submission: Submission) -> None:
        """Remember a submission and wake those who wait for it."""
        self.submissions.append(submission)
        self.changes.notify()

    def log_request(self, record: RequestRecord) -> None:
        """Remember a request and wake those who wait for it."""
        self.requests.append(record)
        self.changes.notify()

    def log_delivery(self, delivery: Delivery) -> None:
        """Remember a callback attempt and wake those who wait for it."""
        self.deliveries.append(delivery)
        self.untold.discard(delivery.task_id)
        self.changes.notify()

    def visible_task(self, task_id: str) -> Task | None:
        """Return a task if the detail endpoint knows it yet."""
        task = self.tasks.get(task_id)
        grace = self.detail_unknown_for * self.time_scale
        if task is None or self.clock() - task.accepted_at < grace:
            return None
        return task

    def accepted_payload(self, task: Task) -> Json:
        """Return `data` of the answer to an order that is taken."""
        found: Json = {"task_id": task.id, "status": "not_started", "created_time": task.created_time}
        return found | self._credits(task, "order")

    def detail_payload(self, task: Task) -> Json:
        """Return `data` of a detail answer, with the lag and the noise that are set."""
        if task.final and self.clock() >= task.visible_at:
            return self.final_payload(task, extra=self._noise(task, done=True))
        status = "running" if task.final else task.status
        return payload(
            task, status=self.status_words.get(status, status), files=[], extra=self._noise(task, done=False)
        )

    def final_payload(self, task: Task, *, extra: Json | None = None) -> Json:
        """Return a task as a callback shows it at its end."""
        status = self.status_words.get(task.status, task.status)
        files = task.files if self.clock() >= task.files_at else []
        return payload(task, status=status, files=files, error_message=task.error_message, extra=extra)

    def _noise(self, task: Task, *, done: bool) -> Json:
        # A finished result with progress 0 was captured from the real service.
        progress = self._random.choice((0, 100)) if done else self._random.choice((0, 0, 37, "42%"))
        found = {"progress": progress} if self.noise and self._random.random() < 0.5 else {}
        return found | self._credits(task, "finished" if done else "running")

    def _credits(self, task: Task, at: str) -> Json:
        """Return what an answer says of a task's price."""
        by_chance = self.noise and self._random.random() < 0.5
        tells = by_chance if self.tells_credits is None else at in self.tells_credits
        return {"credits_amount": float(task.price)} if tells else {}
