"""`coverbot backup` and `coverbot restore`: a copy of the database as one file, and the way back."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable, Collection
from pathlib import Path

from bot.media.store import make_store
from bot.settings import Settings
from storage.sqlite.copies import Contents, back_up, restore


def make_backup(settings: Settings, target: Path, *, replace: bool, say: Callable[[str], None]) -> None:
    """Copy the database into a file; raises `FileExistsError` and `DatabaseError`."""
    say(f"{target} holds {_counted(back_up(settings.database_url, target, replace=replace))}")
    if settings.archive_max_bytes and settings.archive_url is None:
        say(f"It names the archived files; they themselves lie in {settings.archive_dir}, copy that folder too")
    elif settings.archive_max_bytes:
        say(f"It names the archived files; they themselves lie in {settings.archive_url}, which has its own means")


def put_back(settings: Settings, backup: Path, say: Callable[[str], None]) -> None:
    """Put a backup in the place of the database; raises `DatabaseError`."""
    now = datetime.datetime.now(datetime.UTC)
    restored = restore(backup, settings.database_url, suffix=f"{now:%Y%m%dT%H%M%SZ}")
    say(f"restored {_counted(restored.contents)}")
    if restored.kept is not None:
        say(f"The database before it is now {restored.kept}; remove that when you need it no more")
    if settings.archive_max_bytes:
        _compare(settings, restored.files, say)
    say(
        "What was ordered after the backup is unknown to it; what it has as unfinished may be posted once more, and "
        "what had not reached VidGo by then is ordered once more, and may be paid for once more"
    )


def _compare(settings: Settings, files: Collection[str], say: Callable[[str], None]) -> None:
    place = settings.archive_url or settings.archive_dir
    try:
        lost = set(files) - asyncio.run(_archived(settings))
    except OSError as error:
        say(f"Whether its {len(files)} archived files are in {place} cannot be seen: {error}")
        return
    if lost:
        say(
            f"{len(lost)} of its archived files are not in {place}; copy them back there before you start the bot, "
            f"for it forgets those that it does not find"
        )


async def _archived(settings: Settings) -> set[str]:
    store = make_store(settings)
    try:
        return {name async for names in store.names() for name in names}
    finally:
        await store.close()


def _counted(contents: Contents) -> str:
    return (
        f"{contents.tasks:,} tasks, {contents.songs:,} songs in libraries, and the list of {contents.files:,} archived "
        f"files ({contents.file_bytes:,} bytes)"
    )
