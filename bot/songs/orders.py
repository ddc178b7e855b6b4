"""Who orders something, what an order came to, and what a private command answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import discord

from bot.servers.limits import Limits
from bot.words.sentences.limits import Left
from bot.words.text import Text
from storage import notifications
from storage import tasks as rows
from storage.database import Transaction
from storage.tasks import Task


@dataclass(frozen=True, slots=True)
class Requester:
    """Who asks for something, and the notification that answers."""

    user_id: int
    guild_id: int | None
    notification_id: str
    roles: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Ordered:
    """A task that a requester will be told about, made from the song `title`; `joined` when others had asked before.

    `left` is what the requester has left of today's limit, where the order counts against one.
    """

    task: Task
    title: str
    joined: bool
    left: Left | None = None


async def order(transaction: Transaction, limits: Limits, requester: Requester, new: Task, title: str) -> Ordered:
    """Order a new task, or join the one that would make the same and is under way.

    Raises `MemberError` where a limit is reached; the transaction must not be committed then.
    """
    same = None if new.order_key is None else await rows.same_order(transaction, new.order_key)
    left = await limits.order(transaction, new, requester.roles) if same is None else None
    task = same or new
    await notifications.tie(transaction, requester.notification_id, task.id)
    return Ordered(task, title, same is not None, left)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a private command answers; `files` come with the names that embeds use.

    A layout stands alone, without text and embeds.
    """

    text: Text | str
    view: discord.ui.View | discord.ui.LayoutView | None = None
    embeds: list[discord.Embed] = field(default_factory=list)
    files: list[tuple[Path, str]] = field(default_factory=list)
