"""What the stand-in remembers: tasks, submissions, requests and callback attempts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Json: TypeAlias = dict[str, Any]
Status: TypeAlias = Literal["not_started", "running", "finished", "failed"]
Media: TypeAlias = Literal["audio", "image"]
T = TypeVar("T")

FINAL = frozenset({"finished", "failed"})


@dataclass(frozen=True)
class Variant:
    """One performance of a song; `tune` and `seed` are what it is composed from, `duration` is in seconds."""

    audio_id: str
    title: str
    tags: str
    duration: float
    tune: str
    seed: int
    prompt: str = ""


@dataclass(frozen=True)
class FileRule:
    """How the result files of a task behave; see `VidGoStandIn.set_song_files` for the kinds."""

    kind: str
    data: bytes = b""
    size: int = 0
    location: str = ""
    content_type: str = ""
    status: int = 302
    pause: float = 0.05


@dataclass(eq=False)
class Task:
    """A task of the provider; `status` is the truth, which an answer may report late or in other words."""

    id: str
    model: str
    input: Json
    callback_url: str | None
    created_time: str
    origin: str
    title: str = ""
    price: int = 0
    status: Status = "not_started"
    error_message: str | None = None
    source: Task | None = None
    products: list[Task] = field(default_factory=list)
    variants: list[Variant] = field(default_factory=list)
    shape: str = ""
    file_rules: dict[Media, FileRule] = field(default_factory=dict)
    expired: bool = False
    visible_at: float = 0.0

    @property
    def final(self) -> bool:
        """Return whether the task has ended."""
        return self.status in FINAL

    @property
    def files(self) -> list[Json] | None:
        """Return `files` as the API answers it once the task is finished."""
        from sandbox.vidgo.results import files_of  # noqa: PLC0415  (results builds on this module)

        return files_of(self)


@dataclass
class Submission:
    """One POST of a task: `accepted` tells whether it made one, `status` is the answer's (None: none)."""

    model: Any
    input: Any
    callback_url: Any
    at: float
    status: int | None
    task_id: str | None
    accepted: bool


@dataclass(frozen=True)
class RequestRecord:
    """One request to the stand-in; `status` is None when no answer was sent. Times are Unix seconds."""

    method: str
    path: str
    status: int | None
    at: float
    query: str = ""
    authorized: bool = False


@dataclass(frozen=True)
class Delivery:
    """One attempt to deliver a callback; `status` is None when the receiver did not answer."""

    url: str
    status: int | None
    at: float
    task_id: str
    body: Json


@dataclass(frozen=True)
class CallbackFaults:
    """What goes wrong with callbacks; the default is nothing. `delay` is in seconds.

    `stages` sends non-final callbacks first, `out_of_order` one after the final callback, `wrong_task` names
    another task in the body, `before_answer` finishes the task and delivers the callback before the
    submission is answered.
    """

    never: bool = False
    repeat: int = 1
    delay: float = 0.0
    before_answer: bool = False
    stages: bool = False
    out_of_order: bool = False
    wrong_task: bool = False
    signature: Literal["good", "bad", "stale", "missing"] = "good"


class Changes:
    """Wakes those who wait for something to become true, whenever anything has changed.

    Limits of waits are for hangs: `patience` multiplies them all.
    """

    patience = 1.0

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def notify(self) -> None:
        """Let every waiter look again."""
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    async def until(self, find: Callable[[], T | None], timeout: float | None) -> T:
        """Return the first thing that `find` returns; raises `TimeoutError` after `timeout` seconds."""
        async with asyncio.timeout(timeout and timeout * self.patience):
            while (found := find()) is None:
                future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._waiting.add(future)
                try:
                    await future
                finally:
                    self._waiting.discard(future)
        return found
