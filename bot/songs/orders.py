"""Who orders something, what an order came to, and what a private command answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import discord

from bot.words.text import Text
from storage.tasks import Task


@dataclass(frozen=True, slots=True)
class Requester:
    """Who asks for something, and the notification that answers."""

    user_id: int
    guild_id: int | None
    notification_id: str


@dataclass(frozen=True, slots=True)
class Ordered:
    """A task that a requester will be told about, made from the song `title`; `joined` when others had asked before."""

    task: Task
    title: str
    joined: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What a private command answers; `files` come with the names that embeds use."""

    text: Text | str
    view: discord.ui.View | None = None
    embeds: list[discord.Embed] = field(default_factory=list)
    files: list[tuple[Path, str]] = field(default_factory=list)
