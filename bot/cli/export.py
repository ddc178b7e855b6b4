"""`coverbot export`: everything kept about one person, for whoever asks under privacy law."""

from __future__ import annotations

import json

from bot.settings import Settings
from storage.database import Database, is_postgresql
from storage.members.export import export_member
from storage.sqlite.opening import existing, hold_to_migrate


async def export(settings: Settings, user_id: int) -> str:
    """Return what is kept about a member as JSON, whether the bot runs or not; raises `DatabaseError`."""
    if not is_postgresql(settings.database_url):
        existing(settings.database_url)
    with hold_to_migrate(settings.database_url):
        database = await Database.open(settings.database_url, settings.database_server)
    try:
        async with database.read() as snapshot:
            found = await export_member(snapshot, user_id)
    finally:
        await database.close()
    return json.dumps(found, ensure_ascii=False, indent=2)
