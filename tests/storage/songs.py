"""Songs in a database, as rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.tasks.new import new_task
from bot.vidgo import GenerateMusic
from storage import tasks as rows
from storage.schema import TaskStatus
from storage.songs import files as file_rows
from storage.songs.files import File
from storage.tasks import Task

if TYPE_CHECKING:
    from storage.database import Database

NOW = 1_800_000_000.0


async def add_song(
    database: Database,
    *,
    audio_url: str | None = "https://h.example/song.mp3",
    image_urls: list[str] | None = None,
    archive_at: float | None = None,
    finished_at: float = NOW,
    user_id: int = 1,
) -> tuple[Task, File]:
    """Add a finished song of one variant."""
    task = replace(
        new_task(GenerateMusic(prompt="a song"), now=finished_at, user_id=user_id, guild_id=None, title="Song"),
        status=TaskStatus.FINISHED,
        finished_at=finished_at,
        poll_at=None,
    )
    file = File(
        task_id=task.id,
        position=0,
        audio_url=audio_url,
        image_urls=image_urls or [],
        title="Song",
        tags="folk",
        duration=None,
        audio_id=None,
        archive_at=archive_at,
    )
    async with database.write() as connection:
        await rows.add(connection, task)
        await file_rows.add(connection, [file])
    return task, file


async def stored(database: Database, file: File) -> File:
    """Read a file's row again."""
    async with database.read() as connection:
        found = await file_rows.one(connection, file.task_id, file.position)
    assert found is not None
    return found
