"""New tasks, before VidGo has seen them."""

from __future__ import annotations

import hashlib
import json
import secrets

from bot.vidgo import SubmitRequest
from storage.ids import new_id
from storage.schema import TaskStatus
from storage.tasks import Task

ANSWER_SECONDS = 60.0
"""How long an order is kept back until its requester has an answer; after that it is looked at in any case."""


def new_task(
    request: SubmitRequest,
    *,
    now: float,
    user_id: int,
    guild_id: int | None,
    title: str,
    source_id: str | None = None,
    order_key: str | None = None,
) -> Task:
    """Return a task that is sent as soon as its requester has an answer."""
    return Task(
        id=new_id(now),
        vidgo_id=None,
        token=secrets.token_urlsafe(32),
        media_key=secrets.token_urlsafe(32),
        model=request.model,
        source_id=source_id,
        order_key=order_key,
        user_id=user_id,
        guild_id=guild_id,
        title=title,
        request=request.dump(),
        status=TaskStatus.QUEUED,
        error_kind=None,
        error=None,
        created_at=now,
        submitted_at=None,
        finished_at=None,
        poll_at=now + ANSWER_SECONDS,
    )


def order_key(*parts: object) -> str:
    """Return the same key for orders that would make the same thing."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
