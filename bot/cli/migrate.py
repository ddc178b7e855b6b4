"""`coverbot migrate-database`: an SQLite installation comes over to PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack

from sqlalchemy.exc import DBAPIError

from bot.addresses import server_url
from bot.media.store import make_store
from bot.settings import Settings, SettingsError
from storage.archive.carrying import carry
from storage.archive.disk import Disk
from storage.archive.store import StoreError
from storage.database import Database, DatabaseError, is_postgresql
from storage.postgresql.addresses import show
from storage.postgresql.moving import check_empty, move
from storage.sqlite.opening import existing, hold_alone, reason_of


async def migrate_database(settings: Settings, to: str, say: Callable[[str], None]) -> None:
    """Copy every row to the server at `to`, say how many there are, and leave the file as it is.

    With `ARCHIVE_URL` what lies in `ARCHIVE_DIR` is copied there first: what is counted on has to be there.
    Raises `SettingsError` where that cannot be; then nothing has come over.
    """
    if is_postgresql(settings.database_url):
        raise SettingsError("DATABASE_URL is the database to bring over, an SQLite file; --to is the new one")
    try:
        server_url(to)
    except ValueError as error:
        raise SettingsError(f"--to {error}") from None
    async with AsyncExitStack() as stack:
        try:
            existing(settings.database_url)
            stack.enter_context(hold_alone(settings.database_url))
            source = await Database.open(settings.database_url)
            stack.push_async_callback(source.close)
        except DatabaseError as error:
            raise SettingsError(f"DATABASE_URL: {error}") from None
        try:
            target = await Database.open(to, settings.database_server)
        except DatabaseError as error:
            raise SettingsError(f"--to: {error}") from None
        stack.push_async_callback(target.close)
        try:
            async with target.read() as snapshot:
                await check_empty(snapshot)
            await _bring_archive(settings, source, say)
            counts = await move(source, target)
        except DatabaseError as error:
            raise SettingsError(f"--to: {error}") from None
        except DBAPIError as error:
            raise SettingsError(f"--to: {target.explain(error)}") from None
    say(f"moved to {show(to)}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    say("set DATABASE_URL to it; the file stays as it is")


async def _bring_archive(settings: Settings, source: Database, say: Callable[[str], None]) -> None:
    if settings.archive_url is None or not settings.archive_max_bytes:
        return
    disk, store = Disk(settings.archive_dir), make_store(settings)
    try:
        await disk.open()
        found = await carry(source, disk, store, settings.archive_dir)
    except StoreError as error:
        raise SettingsError(f"ARCHIVE_URL cannot be used: {error}; begin again, what is there stays") from None
    except OSError as error:
        raise SettingsError(f"ARCHIVE_DIR cannot be used: {reason_of(error)}") from None
    finally:
        await disk.close()
    said = f"the archive at {settings.archive_url} has {found.there + found.brought} files, {found.brought} of them new"
    say(said + (f"; {found.lost} are neither there nor in {settings.archive_dir}" if found.lost else ""))
