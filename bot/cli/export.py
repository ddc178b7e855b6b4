"""`coverbot export`: everything kept about one person, for whoever asks under privacy law."""

from __future__ import annotations

import json

from sqlalchemy.exc import DBAPIError

from bot.settings import Settings
from storage.database import Database, DatabaseError, is_postgresql
from storage.members.export import export_member
from storage.sqlite.opening import existing, hold_to_migrate


async def export(settings: Settings, user_id: int) -> str:
    """Return what is kept about a member as JSON, whether the bot runs or not; raises `DatabaseError`."""
    await _find(settings)  # none shall be made
    with hold_to_migrate(settings.database_url):
        database = await Database.open(settings.database_url, settings.database_server)
    try:
        async with database.read() as snapshot:
            found = await export_member(snapshot, user_id)
    except DBAPIError as error:
        raise database.explain(error) from error
    finally:
        await database.close()
    return json.dumps(found, ensure_ascii=False, indent=2)


async def _find(settings: Settings) -> None:
    url = settings.database_url
    if not is_postgresql(url):
        existing(url)
        return
    from storage.postgresql.addresses import show  # noqa: PLC0415 (only what is used is loaded)
    from storage.postgresql.opening import has_tables  # noqa: PLC0415 (only what is used is loaded)

    if not await has_tables(url, settings.database_server):
        raise DatabaseError(f"the database {show(url)} is empty: no Coverbot has run on it")
