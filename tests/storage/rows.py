"""Rows to begin with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from storage import notifications, tasks
from storage.database import Database
from storage.ids import new_id
from storage.notifications import Notification
from storage.schema import Acknowledgement, NotificationState, TaskStatus
from storage.songs.files import File
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


def in_status(status: TaskStatus) -> Task:
    """Make a task as it is in a status, with VidGo's id where it has one."""
    task = a_task(status=status)
    if status is TaskStatus.QUEUED:
        return replace(task, doubt="time")
    has_id = status is not TaskStatus.SUBMITTING
    return a_task(
        status=status,
        vidgo_id=task.id if has_id else None,
        submitted_at=NOW,
        finished_at=NOW if status.is_final else None,
        poll_at=None if status.is_final else NOW,
        error_kind="time" if status in tasks.ENDED_BADLY else None,
        doubt="time",
    )


def in_state(state: NotificationState, task: Task, *, is_tied: bool = True) -> Notification:
    """Make a notification as it is in a state."""
    early = state in (NotificationState.ASKED, NotificationState.ANSWERED)
    is_open = state in (NotificationState.ASKED, NotificationState.DUE, NotificationState.SENDING)
    unfinished = is_open or state is NotificationState.WAITING
    return a_notification(
        state=state,
        task_id=None if state is NotificationState.ANSWERED or not is_tied else task.id,
        attempt_at=NOW if is_open else None,
        interaction_token="secret" if unfinished else None,
        ack_message_id=None if early else 7,
        ack_wanted=None if early else Acknowledgement.ORDERED,
        message_id=8 if state is NotificationState.DELIVERED else None,
    )


async def add(database: Database, rows: Sequence[Task | Notification]) -> None:
    """Put rows into a database."""
    async with database.write(durable=False) as transaction:
        for row in rows:
            await (tasks.add(transaction, row) if isinstance(row, Task) else notifications.add(transaction, row))


async def one(database: Database, name: str) -> Any:
    """Return the task or the notification with an id."""
    async with database.read() as snapshot:
        return await tasks.get(snapshot, name) or await notifications.get(snapshot, name)
