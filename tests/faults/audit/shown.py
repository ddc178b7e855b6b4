"""The ledger of everything that anybody was shown by the bot: each message in each of its versions, and when."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from sandbox.discord.model import EPHEMERAL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.discord import Call, Message
    from sandbox.discord.rest import Request
    from tests.faults.harness import Stage

AUDIO = (".mp3", ".wav", ".ogg", ".m4a", ".flac", ".opus")
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif")
_WITH_CONTENT = (4, 7)


@dataclass
class Shown:
    """One version of one message: what it said from `at` on, and `until` when (None: still, or nobody knows).

    Times are true ones, in Unix seconds. `files` are the names of what came with it.
    """

    message_id: int
    channel_id: int
    text: str
    at: float
    ephemeral: bool
    call: Call | None = None
    buttons: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    until: float | None = None
    gone: bool = False
    first: bool = True

    @property
    def has_audio(self) -> bool:
        """Return whether there is something to hear."""
        return any(name.lower().endswith(AUDIO) for name in self.files)

    @property
    def has_picture(self) -> bool:
        """Return whether there is something to see besides words."""
        return any(name.lower().endswith(PICTURES) for name in self.files)


def read_shown(stage: Stage) -> list[Shown]:
    """Return everything that was shown, in the order in which it was asked for."""
    return _Reader(stage).read()


class _Reader:
    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._last: dict[int, Shown] = {}
        self._all: list[Shown] = []

    def read(self) -> list[Shown]:
        for request in self._stage.discord.requests:
            at = self._stage.time.at(request.at)
            if request.method == "DELETE" and request.status == 204:
                self._end(self._deleted(request), at)
            elif isinstance(request.answer, dict):
                self._version(request, request.answer, at)
        for message in self._messages():
            self._compare(message)
        for shown in self._last.values():
            shown.gone = shown.until is None and shown.message_id not in self._there
        return self._all

    def _call(self, request: Request) -> Call | None:
        parts = request.path.split("/")
        if parts[1] not in {"webhooks", "interactions"}:
            return None
        return self._stage.discord.state.calls_by_token.get(parts[3])

    def _deleted(self, request: Request) -> int:
        name = request.path.rpartition("/")[2]
        call = self._call(request)
        if call is not None and not name.isdigit():
            return call.original.id if call.original is not None else 0
        return int(name) if name.isdigit() else 0

    def _version(self, request: Request, answer: dict[str, Any], at: float) -> None:
        call = self._call(request)
        if "interaction" in answer:
            if (request.body or {}).get("type") not in _WITH_CONTENT:
                return
            answer = answer.get("resource", {}).get("message") or {}
        if "content" not in answer or "id" not in answer or request.method == "GET":
            return
        buttons = tuple(
            item["custom_id"]
            for row in answer.get("components") or ()
            for item in (row, *row.get("components", ()))
            if item.get("custom_id")
        )
        self._show(
            Shown(
                int(answer["id"]),
                int(answer["channel_id"]),
                answer["content"],
                at,
                bool(int(answer.get("flags") or 0) & EPHEMERAL),
                call,
                buttons,
                tuple(request.files),
            )
        )

    def _show(self, shown: Shown) -> None:
        before = self._last.get(shown.message_id)
        if before is not None and before.text == shown.text:
            return  # the same once more, or a message that a nonce has found again
        if before is not None:
            before.until = shown.at
            shown.first = False
            shown.files = shown.files or before.files
        self._last[shown.message_id] = shown
        if shown.text:
            self._all.append(shown)

    def _end(self, message_id: int, at: float) -> None:
        if message_id in self._last:
            self._last[message_id].until = at

    def _messages(self) -> Iterator[Message]:
        """Return every message of the bot that is there, whoever may see it."""
        state = self._stage.discord.state
        calls = state.calls.values()
        said = (one for call in calls for one in (call.original, *call.followups) if one is not None)
        places = {id(one): one for one in (*self._stage.places, *state.directs.values())}.values()
        listed = (one for place in places for one in place.history.values())
        found = {one.id: one for one in chain(listed, said) if not one.deleted and one.author is state.bot}
        self._there = set(found)
        return iter(found.values())

    def _compare(self, message: Message) -> None:
        """Take in what a message says of which no request is known."""
        if message.thinking:
            return
        at = self._stage.time.at(message.created_at_monotonic)
        last = self._last.get(message.id)
        buttons = tuple(button.custom_id or "" for button in message.buttons)
        files = tuple(file.filename for file in message.files)
        call, now = message.interaction_call, self._stage.time.now()
        for text in (*message.edits, message.content) if last is None else (message.content,):
            at = at if last is None else now
            self._show(Shown(message.id, message.channel.id, text, at, message.ephemeral, call, buttons, files))
