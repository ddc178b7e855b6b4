"""`coverbot migrate-database`: an SQLite installation comes over to PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack

from sqlalchemy.exc import DBAPIError

from bot.addresses import server_url
from bot.settings import Settings, SettingsError
from storage.database import Database, DatabaseError, is_postgresql
from storage.postgresql.addresses import show
from storage.postgresql.moving import move
from storage.sqlite.opening import hold_alone, path_of


async def migrate_database(settings: Settings, to: str, say: Callable[[str], None]) -> None:
    """Copy every row to the server at `to`, say how many there are, and leave the file as it is.

    Raises `SettingsError` where that cannot be; then nothing has come over.
    """
    if is_postgresql(settings.database_url):
        raise SettingsError("DATABASE_URL is the database to bring over, an SQLite file; --to is the new one")
    try:
        server_url(to)
    except ValueError as error:
        raise SettingsError(f"--to {error}") from None
    path = path_of(settings.database_url)
    if not path.is_file():
        raise SettingsError(f"DATABASE_URL: there is no database {path.absolute()}")
    async with AsyncExitStack() as stack:
        try:
            stack.enter_context(hold_alone(settings.database_url))
            source = await Database.open(settings.database_url)
            stack.push_async_callback(source.close)
        except DatabaseError as error:
            raise SettingsError(f"DATABASE_URL: {error}") from None
        try:
            target = await Database.open(to)
        except DatabaseError as error:
            raise SettingsError(f"--to: {error}") from None
        stack.push_async_callback(target.close)
        try:
            counts = await move(source, target)
        except DatabaseError as error:
            raise SettingsError(f"--to: {error}") from None
        except DBAPIError as error:
            raise SettingsError(f"--to: {target.explain(error)}") from None
    say(f"moved to {show(to)}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    say("set DATABASE_URL to it; the file stays as it is")
