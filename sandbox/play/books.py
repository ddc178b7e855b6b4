"""What happens on the wires, and the count: asked, ordered, paid, posted. Read from the stand-ins, never from the bot."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from typing import TYPE_CHECKING, Any

from sandbox.discord.model import COMMAND, COMPONENT, MODAL_SUBMIT

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.discord import Call, Message
    from sandbox.play.stage import Stage

Json = dict[str, Any]

EVENTS = 200
PUBLIC_ANSWERS = {4, 5}
_LONG = re.compile(r"[\w-]{15,}|\d{15,}")
"""Ids and tokens in addresses: nobody reads them, and they push the words out of the line."""


class Books:
    """Remembers the last things that passed, and tells `onlookers` each; `counts` are those since the stage was set.

    An entry says on which `wire` (discord, vidgo, callback, stage) what passed, and how it was answered.
    """

    def __init__(self, stage: Stage) -> None:
        self.events: deque[Json] = deque(maxlen=EVENTS)
        self.onlookers: list[Callable[[Json], None]] = []
        self._stage = stage
        self._number = 0
        stage.discord.on_request(self._discord_passed)

    def note(self, wire: str, text: str, answer: str = "") -> None:
        """Remember something that happened."""
        self._number += 1
        entry: Json = {"number": self._number, "wire": wire, "text": text, "answer": answer}
        self.events.append(entry)
        for onlooker in list(self.onlookers):
            onlooker(entry)

    def counts(self) -> Json:
        """Return how many orders were asked for, taken and charged by VidGo, and how many songs were posted."""
        discord, vidgo = self._stage.discord, self._stage.vidgo
        return {
            "asked": sum(map(_asked, discord.state.calls.values())),
            "ordered": len(vidgo.accepted()),
            "paid": len(vidgo.charged),
            "posted": sum(map(_posted, discord.said)),
        }

    def tasks(self) -> list[Json]:
        """Return what VidGo has been given to do, newest first, and how its callbacks were answered."""
        vidgo = self._stage.vidgo
        paid = dict(vidgo.charged)
        ordered = [vidgo.tasks[one.task_id] for one in vidgo.accepted() if one.task_id is not None]
        return [
            {
                "id": task.id,
                "title": task.title,
                "model": task.model,
                "status": task.status.replace("_", " "),
                "paid": paid.get(task.id, 0),
                "callbacks": [one.status or 0 for one in vidgo.deliveries if one.task_id == task.id],
            }
            for task in reversed(ordered)
        ]

    async def follow(self) -> None:
        """Write down what passes at VidGo, until cancelled."""
        vidgo = self._stage.vidgo
        requests = deliveries = 0
        states: dict[str, str] = {}
        while True:
            await vidgo.changes.until(
                lambda: len(vidgo.requests) > requests or len(vidgo.deliveries) > deliveries or self._moved(states) or None,
                None,
            )
            for request in vidgo.requests[requests:]:
                self.note("vidgo", f"{request.method} {_short(request.path)}", str(request.status or "no answer"))
            requests = len(vidgo.requests)
            for task in self._moved(states):
                states[task.id] = task.status
                self.note("vidgo", f"{task.title}: {task.status.replace('_', ' ')}", task.error_message or "")
            for delivery in vidgo.deliveries[deliveries:]:
                self.note("callback", "VidGo calls the bot back", str(delivery.status or "nobody answers"))
            deliveries = len(vidgo.deliveries)

    def _moved(self, states: dict[str, str]) -> list[Any]:
        vidgo = self._stage.vidgo
        ordered = {one.task_id for one in vidgo.accepted()}
        return [task for task in vidgo.tasks.values() if task.id in ordered and states.get(task.id) != task.status]

    def _discord_passed(self, method: str, path: str, phase: str) -> None:
        if phase != "after":
            return
        passed = (one for one in reversed(self._stage.discord.requests) if (one.method, one.path) == (method, path))
        request = next(passed, None)
        self.note("discord", f"{method} {_short(path)}", str(request.status) if request is not None else "")


def _asked(call: Call) -> bool:
    """Return whether a person asked for something that the bot answers before everybody, as it does each order."""
    return call.kind in {COMMAND, COMPONENT, MODAL_SUBMIT} and call.ack_type in PUBLIC_ANSWERS and not call.ephemeral


def _posted(message: Message) -> bool:
    return not message.ephemeral and any(file.content_type.startswith("audio/") for file in message.files)


def _short(path: str) -> str:
    return _LONG.sub("…", path)


async def cancelled(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait until it has ended."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
