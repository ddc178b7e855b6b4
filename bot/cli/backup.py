"""`coverbot backup` and `coverbot restore`: a copy of the database as one file, and the way back."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path

from bot.settings import Settings
from storage.archive.disk import Disk
from storage.sqlite.copies import Contents, back_up, restore


def make_backup(settings: Settings, target: Path, *, replace: bool, say: Callable[[str], None]) -> None:
    """Copy the database into a file; raises `FileExistsError` and `DatabaseError`."""
    say(f"{target} holds {_counted(back_up(settings.database_url, target, replace=replace))}")
    if settings.archive_max_bytes:
        say(f"It names the archived files; they themselves lie in {settings.archive_dir}, copy that folder too")


def put_back(settings: Settings, backup: Path, say: Callable[[str], None]) -> None:
    """Put a backup in the place of the database; raises `DatabaseError`."""
    now = datetime.datetime.now(datetime.UTC)
    restored = restore(backup, settings.database_url, suffix=f"{now:%Y%m%dT%H%M%SZ}")
    say(f"restored {_counted(restored.contents)}")
    if restored.kept is not None:
        say(f"The database before it is now {restored.kept}; remove that when you need it no more")
    if settings.archive_max_bytes and (lost := set(restored.files) - set(Disk(settings.archive_dir).names())):
        say(
            f"{len(lost)} of its archived files are not in {settings.archive_dir}; copy them back there before you "
            f"start the bot, for it forgets those that it does not find"
        )
    say("What was ordered after the backup is unknown to it, and what it has as unfinished may be posted once more")


def _counted(contents: Contents) -> str:
    return (
        f"{contents.tasks:,} tasks, {contents.songs:,} songs in libraries, and the list of {contents.files:,} archived "
        f"files ({contents.file_bytes:,} bytes)"
    )
