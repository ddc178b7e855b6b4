"""Rows to begin with."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

from storage.files import File
from storage.ids import new_id
from storage.notifications import Notification
from storage.schema import NotificationState, TaskStatus
from storage.tasks import Task

NOW = 1_790_000_000.0
_numbers = count(1)


def a_task(**changes: Any) -> Task:
    """Make a task that was just ordered."""
    task = Task(
        id=new_id(NOW),
        vidgo_id=None,
        token="token",
        media_key="key",
        model="generate-music",
        source_id=None,
        order_key=None,
        user_id=1,
        guild_id=2,
        title="Sea",
        request={"prompt": "sea"},
        status=TaskStatus.QUEUED,
        error_kind=None,
        error=None,
        created_at=NOW,
        submitted_at=None,
        finished_at=None,
        poll_at=NOW,
    )
    return replace(task, **changes)


def a_notification(**changes: Any) -> Notification:
    """Make the row of an interaction that has just arrived."""
    notification = Notification(
        id=new_id(NOW),
        interaction_id=next(_numbers),
        task_id=None,
        position=0,
        user_id=1,
        guild_id=2,
        channel_id=3,
        application_id=4,
        interaction_token="secret",
        token_expires_at=NOW + 900,
        ephemeral=False,
        upload_limit=10,
        locale="en-US",
        ack_message_id=None,
        ack_wanted=None,
        state=NotificationState.ASKED,
        attempts=0,
        attempt_at=None,
        sent_at=None,
        failures=None,
        message_id=None,
        error=None,
        created_at=NOW,
        delivered_at=None,
    )
    return replace(notification, **changes)


def a_file(task_id: str, position: int = 0, **changes: Any) -> File:
    """Make a file of a finished task."""
    file = File(
        task_id=task_id,
        position=position,
        audio_url="https://files.example/song.mp3",
        image_urls=["https://files.example/cover.jpg"],
        title="Sea",
        tags="folk",
        duration=60.0,
        audio_id=None,
    )
    return replace(file, **changes)
