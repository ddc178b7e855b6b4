"""`coverbot export`: everything kept about one person, for whoever asks under privacy law."""

from __future__ import annotations

import json

from bot.settings import Settings
from storage.database import Database, DatabaseError, is_postgresql
from storage.members.export import export_member
from storage.sqlite.opening import hold_to_migrate, path_of


async def export(settings: Settings, user_id: int) -> str:
    """Return what is kept about a member as JSON, whether the bot runs or not; raises `DatabaseError`."""
    if not is_postgresql(settings.database_url) and not (path := path_of(settings.database_url)).is_file():
        raise DatabaseError(f"there is no database {path.absolute()}")  # and none shall be made
    with hold_to_migrate(settings.database_url):
        database = await Database.open(settings.database_url, settings.database_server)
    try:
        async with database.read() as snapshot:
            found = await export_member(snapshot, user_id)
    finally:
        await database.close()
    return json.dumps(found, ensure_ascii=False, indent=2)
