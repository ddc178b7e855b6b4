"""What happens on the wires, and the count: asked, ordered, paid, posted; all of it as the stand-ins saw it."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from typing import TYPE_CHECKING, Any

from sandbox.discord.state.model import COMMAND, COMPONENT, MODAL_SUBMIT

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
        self._number = self._requests = self._deliveries = 0
        self._states: dict[str, str] = {}
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
        ordered = [vidgo.tasks[one.task_id or ""] for one in vidgo.accepted()]
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
        while True:
            for wire, text, answer in await self._stage.vidgo.changes.until(self._news, None):
                self.note(wire, text, answer)

    def _news(self) -> list[tuple[str, str, str]] | None:
        """Return what passed at VidGo since it was asked last, None for nothing."""
        vidgo = self._stage.vidgo
        news = [
            ("vidgo", f"{request.method} {_short(request.path)}", str(request.status or "no answer"))
            for request in vidgo.requests[self._requests :]
        ]
        for submission in vidgo.accepted():
            task = vidgo.tasks[submission.task_id or ""]
            if self._states.get(task.id) != task.status:
                self._states[task.id] = task.status
                news.append(("vidgo", f"{task.title}: {task.status.replace('_', ' ')}", task.error_message or ""))
        news += [
            ("callback", "VidGo calls the bot back", str(delivery.status or "nobody answers"))
            for delivery in vidgo.deliveries[self._deliveries :]
        ]
        self._requests, self._deliveries = len(vidgo.requests), len(vidgo.deliveries)
        return news or None

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
