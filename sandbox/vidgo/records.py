"""What the stand-in remembers: submissions, requests and callback attempts, and what songs are made of."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
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
    """How the result files of a task behave; see `VidGoStandIn.set_song_files` for the kinds.

    `number` is the only version or picture that does so; 0 stands for all.
    """

    kind: str
    data: bytes = b""
    size: int = 0
    location: str = ""
    content_type: str = ""
    status: int = 302
    pause: float = 0.05
    rate: int = 0
    lasting: float | None = None
    until: float | None = None
    number: int = 0

    def begun(self, now: float) -> FileRule:
        """Return the rule as it holds from now on, for as long as it lasts."""
        return self if self.lasting is None else replace(self, until=now + self.lasting)

    def holds(self, now: float) -> bool:
        """Return whether it still holds."""
        return self.until is None or now < self.until


@dataclass
class Submission:
    """One POST of a task: `accepted` tells whether it made one, `status` is that of its answer (None: none in time).

    `hung_up` tells that whoever sent it was gone before it was read: nobody hears that answer.
    """

    model: Any
    input: Any
    callback_url: Any
    at: float
    status: int | None
    task_id: str | None
    accepted: bool
    hung_up: bool = False


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
