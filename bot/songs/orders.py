"""Who orders something, and what an order came to."""

from __future__ import annotations

from dataclasses import dataclass

from storage.tasks import Task


@dataclass(frozen=True, slots=True)
class Requester:
    """Who asks for something, and the notification that answers."""

    user_id: int
    guild_id: int | None
    notification_id: str


@dataclass(frozen=True, slots=True)
class Ordered:
    """A task that a requester will be told about; `joined` when somebody else had asked for it before."""

    task: Task
    title: str
    joined: bool


"""`title` is the song's that it is made from."""
