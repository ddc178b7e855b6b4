"""The database file: opening, migrating, reading and writing.

SQLite allows one writer at a time. Writers queue here, in order, instead of meeting at SQLite's lock and sleeping; the
busy timeout is left for other processes (a backup, an owner's shell). Connections stay open, and their transactions
begin and end at the driver: SQLAlchemy's own way of doing so costs more than most of the queries.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path

from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from storage.schema import HEAD
from storage.sqlite.connection import BUSY_TIMEOUT_MS, Connection

log = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).with_name("migrations")
CONNECTIONS = 4

_PAUSES = (1.0, 2.0, 5.0, 15.0)
"""Seconds between the tries of what has to be written."""


class DatabaseError(Exception):
    """The database cannot be used; the text is a sentence for the owner."""


@dataclass(frozen=True, slots=True)
class _Line:
    """A connection that stays open, and the driver's own under it."""

    connection: AsyncConnection
    driver: Connection


class Database:
    """One SQLite file in WAL mode with foreign keys and commits that survive a power cut."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._writer = asyncio.Lock()
        self._free = asyncio.Semaphore(CONNECTIONS)
        self._idle: list[_Line] = []

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
            _demand_writable(path)
        except DatabaseError:
            raise
        except (OSError, sqlite3.Error, DBAPIError) as error:
            reason = error.orig if isinstance(error, DBAPIError) else error
            raise DatabaseError(f"the database {path} cannot be opened: {reason}") from error
        engine = create_async_engine(
            "sqlite+aiosqlite://",
            poolclass=NullPool,
            async_creator=lambda: Connection(path),
            # An error's text would hold the values of its query, tokens among them, and errors are logged.
            hide_parameters=True,
        )
        database = cls(engine)
        async with database.read() as connection:
            await connection.execute(text("SELECT 1"))
        return database

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection for reading one consistent state."""
        async with self._line() as line:
            try:
                with _told("BEGIN"):
                    await line.driver.begin("DEFERRED")
                yield line.connection
            finally:
                await line.driver.rollback()

    @asynccontextmanager
    async def write(self, *, durable: bool = True) -> AsyncIterator[AsyncConnection]:
        """Give a connection for one write transaction, committed on leaving and rolled back on an error.

        A commit survives a power cut, or with `durable` off only the death of the process, which costs no
        wait for the disk.
        """
        async with self._transaction(durable=durable) as connection:
            yield connection

    @asynccontextmanager
    async def once(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection for one statement that writes, as durable as any."""
        async with self._transaction(durable=True) as connection:
            yield connection

    @asynccontextmanager
    async def _transaction(self, *, durable: bool) -> AsyncIterator[AsyncConnection]:
        async with self._writer, self._line() as line:
            try:
                # A deferred transaction that turns into a write cannot wait for another writer, it fails at once.
                with _told("BEGIN IMMEDIATE"):
                    await line.driver.begin("IMMEDIATE", durable=durable)
                yield line.connection
                with _told("COMMIT"):
                    await line.driver.commit()
            except BaseException:
                await line.driver.rollback()
                raise

    @asynccontextmanager
    async def _line(self) -> AsyncIterator[_Line]:
        async with self._free:
            line = self._idle.pop() if self._idle else await self._open_line()
            try:
                yield line
            finally:
                self._idle.append(line)

    async def _open_line(self) -> _Line:
        connection = await self._engine.connect()
        driver = (await connection.get_raw_connection()).driver_connection
        assert isinstance(driver, Connection)  # noqa: S101 (what the engine's creator makes)
        return _Line(connection, driver)

    async def insist(self, work: Callable[[], Awaitable[None]]) -> None:
        """Repeat work until the database takes what it writes: a disk that is full must not cost what was paid for."""
        for pause in chain(_PAUSES, repeat(_PAUSES[-1])):
            try:
                return await work()
            except OperationalError as error:
                log.error("the database takes nothing (%s); the next try is in %.0f s", error.orig, pause)
                await asyncio.sleep(pause)
        return None

    async def close(self) -> None:
        """Close every connection; none may be in use."""
        for line in self._idle:
            await line.connection.close()
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


@contextmanager
def _told(statement: str) -> Iterator[None]:
    """Turn the driver's error into SQLAlchemy's, as every other statement has it."""
    try:
        yield
    except sqlite3.Error as error:
        raise OperationalError(statement, None, error) from error


def _demand_writable(path: Path) -> None:
    if not os.access(path, os.W_OK):
        raise DatabaseError(f"the database {path} cannot be written")


def _migrate(path: Path) -> None:
    """Bring the file to `HEAD`; Alembic is imported only when there is something to do, for it is heavy."""
    if path.is_file() and _revision(path) == HEAD:
        return
    from alembic import command  # noqa: PLC0415 (heavy)
    from alembic.config import Config  # noqa: PLC0415 (heavy)
    from alembic.script import ScriptDirectory  # noqa: PLC0415 (heavy)

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
