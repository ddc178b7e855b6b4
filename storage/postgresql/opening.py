"""The database before anything is read from it: whether it can be used, and bringing its tables up to date."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

import asyncpg
from sqlalchemy import Connection, bindparam, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.database import DatabaseError, Server
from storage.postgresql.addresses import show
from storage.postgresql.clock import ServerClock
from storage.postgresql.errors import UNREACHABLE, cause_of, explain
from storage.postgresql.pool import make_engine
from storage.schema import HEAD, metadata

log = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).parents[1] / "migrations"

OLDEST = 13
"""The oldest version of the server that is tried."""

_LOCK = 0x636F766572626F74
"""Whoever holds it migrates; "coverbot" as a number."""

_ASK = text("SELECT current_setting('server_version_num')::int, pg_encoding_to_char(encoding) FROM pg_database"
            " WHERE datname = current_database()")  # fmt: skip
_NOW = text("SELECT extract(epoch FROM clock_timestamp())::float8")
_HAS_TABLES = text("SELECT to_regclass('alembic_version') IS NOT NULL")
_REVISION = text("SELECT version_num FROM alembic_version")
_TAKE_TIME = text("SELECT set_config('statement_timeout', :time, true)")
_REST = text("SELECT set_config('idle_in_transaction_session_timeout', '60s', true)")
_TAKE_LOCK = text("SELECT pg_advisory_xact_lock(:lock)").bindparams(bindparam("lock", _LOCK))
_PATIENCE = "500ms"
"""How long a migration waits for its tables, while everybody waits for it.

It has to be less than the second after which the server looks for transactions that wait for each other: it would end
one of them, which may be a program's.
"""

_PAUSE_SECONDS = 0.5
"""How long the programs then have the tables to themselves, until the migration asks for them again."""

_IN_USE = (asyncpg.QueryCanceledError, asyncpg.DeadlockDetectedError)

_PROBE = text("UPDATE alembic_version SET version_num = version_num")


async def prepare(url: str, server: Server, clock: ServerClock | None = None) -> None:
    """Make the tables or bring them up to date, one process at a time, and try out that they can be written.

    A clock is set by the server's. Raises `DatabaseError` for a server that will not do, and for tables of a newer
    program.
    """
    # Others may migrate for minutes, and so may this one.
    engine = make_engine(url, server, answer_seconds=None)
    try:
        while not await _prepare(engine, url, clock or ServerClock()):
            log.info("the tables are in use; they are brought up to date as soon as all are free for a moment")
            await asyncio.sleep(_PAUSE_SECONDS)
    except (DBAPIError, *UNREACHABLE) as error:
        raise explain(url, error) from None
    finally:
        await engine.dispose()


async def has_tables(url: str, server: Server) -> bool:
    """Tell whether there is anything of this program's in the database; raises `DatabaseError`."""
    engine = make_engine(url, server)
    try:
        async with engine.connect() as connection:
            return bool((await connection.execute(_HAS_TABLES)).scalar_one())
    except (DBAPIError, *UNREACHABLE) as error:
        raise explain(url, error) from None
    finally:
        await engine.dispose()


async def _prepare(engine: AsyncEngine, url: str, clock: ServerClock) -> bool:
    """Do what there is to do; return False, with nothing done, where others had the tables."""
    async with engine.connect() as connection:
        version, encoding = (await connection.execute(_ASK)).one()
        if version < OLDEST * 10000:
            raise DatabaseError(
                f"the database {show(url)} cannot be used: its server is PostgreSQL {version // 10000}, and "
                f"{OLDEST} or newer is needed"
            )
        if encoding != "UTF8":
            raise DatabaseError(
                f"the database {show(url)} cannot be used: its encoding is {encoding}; make one with ENCODING 'UTF8'"
            )
        if await connection.run_sync(_revision) != HEAD:
            await connection.execute(_TAKE_TIME, {"time": "0"})
            await connection.execute(_REST)  # what migrates has to be loaded, on a machine that may be busy
            await connection.execute(_TAKE_LOCK)
            if not await connection.run_sync(_take_tables):
                return False
            await connection.run_sync(_migrate, url)
        await connection.execute(_PROBE)
        asked_at = time.monotonic()
        clock.set((await connection.execute(_NOW)).scalar_one(), time.monotonic() - asked_at)
        await connection.commit()
        return True


def _take_tables(connection: Connection) -> bool:
    """Take all tables at once for the transaction, from the programs that go on; return False where they have them.

    One after the other, as they are changed, two would sooner or later wait for each other.
    """
    own = {*metadata.tables, "alembic_version"} & set(inspect(connection).get_table_names())
    if not own:
        return True
    connection.execute(_TAKE_TIME, {"time": _PATIENCE})
    try:
        connection.execute(text(f"LOCK TABLE {', '.join(sorted(own))} IN ACCESS EXCLUSIVE MODE"))
    except DBAPIError as error:
        if not isinstance(cause_of(error), _IN_USE):
            raise
        return False
    connection.execute(_TAKE_TIME, {"time": "0"})
    return True


def _revision(connection: Connection) -> str | None:
    if not connection.execute(_HAS_TABLES).scalar_one():
        return None
    return connection.execute(_REVISION).scalar_one_or_none()


def _migrate(connection: Connection, url: str) -> None:
    """Bring the tables to `HEAD`, unless somebody else has meanwhile; Alembic is heavy, so it is imported here."""
    found = _revision(connection)
    if found == HEAD:
        return
    from alembic import command  # noqa: PLC0415 (heavy)
    from alembic.config import Config  # noqa: PLC0415 (heavy)
    from alembic.script import ScriptDirectory  # noqa: PLC0415 (heavy)

    known = {script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}
    if found is not None and found not in known:
        raise DatabaseError(
            f"the database {show(url)} was written by a newer version of Coverbot (schema {found}, this version knows "
            f"{HEAD}); start the newer version, or restore the backup made before the upgrade"
        )
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)
