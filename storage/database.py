"""The database file: opening, migrating, reading and writing.

SQLite allows one writer at a time. Writers queue here, in order, instead of meeting at SQLite's lock and sleeping; the
busy timeout is left for other processes (a backup, an owner's shell).
"""

from __future__ import annotations

import asyncio
import fcntl
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from storage.driver import connect
from storage.schema import HEAD

BUSY_TIMEOUT_MS = 20_000
MIGRATIONS = Path(__file__).with_name("migrations")


class DatabaseError(Exception):
    """The database cannot be used; the text is a sentence for the owner."""


class Database:
    """One SQLite file in WAL mode with foreign keys and commits that survive a power cut."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._writer = asyncio.Lock()

    @classmethod
    async def open(cls, url: str) -> Database:
        """Open the file that `url` names, made and migrated where needed.

        Raises `DatabaseError` for a path that cannot be used, a file that is no database, and a database written by a
        newer program.
        """
        parsed = make_url(url)
        path = Path(parsed.database or "")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            await asyncio.to_thread(_migrate, path)
        except DatabaseError:
            raise
        except (OSError, sqlite3.Error, DBAPIError) as error:
            reason = error.orig if isinstance(error, DBAPIError) else error
            raise DatabaseError(f"the database {path} cannot be opened: {reason}") from error
        engine = create_async_engine(
            URL.create("sqlite+aiosqlite", database=str(path)),
            poolclass=AsyncAdaptedQueuePool,
            pool_size=4,
            max_overflow=0,
            async_creator=partial(connect, str(path), BUSY_TIMEOUT_MS / 1000),
            # An error's text would hold the values of its query, tokens among them, and errors are logged.
            hide_parameters=True,
        )
        event.listen(engine.sync_engine, "connect", _prepare_connection)
        event.listen(engine.sync_engine, "begin", _begin)
        database = cls(engine)
        async with database.read() as connection:
            await connection.execute(text("SELECT 1"))
        return database

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection for reading; each statement sees what was committed last."""
        async with self._engine.connect() as connection:
            yield connection

    @asynccontextmanager
    async def write(self, *, durable: bool = True) -> AsyncIterator[AsyncConnection]:
        """Give a connection for one write transaction, committed on leaving and rolled back on an error.

        A commit survives a power cut, or with `durable` off only the death of the process, which costs no
        wait for the disk.
        """
        async with self._writer, self._engine.connect() as connection:
            options: dict[str, Any] = {"write": True, "durable": durable}
            await connection.execution_options(**options)
            async with connection.begin():
                yield connection

    @asynccontextmanager
    async def once(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection for one statement that writes: it is a transaction by itself, and as durable as any."""
        async with self._writer, self._engine.connect() as connection:
            await connection.execution_options(once=True)
            yield connection

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()


@contextmanager
def hold_alone(url: str) -> Iterator[None]:
    """Keep other processes from running on the same file; the operating system lets go even after a crash.

    Raises `DatabaseError` when another one is running on it.
    """
    path = Path(make_url(url).database or "")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.with_name(f"{path.name}.lock").open("w", encoding="ascii")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise DatabaseError(f"the database {path} is in use by another running Coverbot; stop that one first") from None
    except OSError as error:
        raise DatabaseError(f"the database {path} cannot be opened: {error.strerror}") from error
    with file:
        yield


def _prepare_connection(connection: Any, _record: object) -> None:
    # The driver's own transaction control begins too late and never with IMMEDIATE, so it is off.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _begin(connection: Any) -> None:
    options = connection.get_execution_options()
    if not options.get("write") and not options.get("once"):
        return  # a single SELECT needs no transaction
    level = "FULL" if options.get("durable", True) else "NORMAL"
    if connection.info.get("synchronous", "FULL") != level:
        connection.exec_driver_sql(f"PRAGMA synchronous = {level}")
        connection.info["synchronous"] = level
    if options.get("once"):
        return
    # A deferred transaction that turns into a write cannot wait for another writer, it fails at once.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _migrate(path: Path) -> None:
    """Bring the file to `HEAD`; Alembic is imported only when there is something to do, for it is heavy."""
    if path.is_file() and _revision(path) == HEAD:
        return
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    known = {script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}
    found = _revision(path) if path.is_file() else None
    if found is not None and found not in known:
        raise DatabaseError(
            f"the database {path} was written by a newer version of Coverbot (schema {found}, this version knows "
            f"{HEAD}); start the newer version, or restore the backup made before the upgrade"
        )
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["path"] = path
    command.upgrade(config, HEAD)


def _revision(path: Path) -> str | None:
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_MS / 1000)
    try:
        table = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone() if table else None
        return None if row is None else str(row[0])
    finally:
        connection.close()
