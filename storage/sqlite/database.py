"""The database in an SQLite file.

SQLite allows one writer at a time. Writers queue here, in order, instead of meeting at SQLite's lock and sleeping; the
busy timeout is left for other processes (a backup, an owner's shell). Connections stay open.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import chain, repeat
from pathlib import Path
from typing import Self

from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from storage import notifications, tasks
from storage.database import PAUSES, Database, DatabaseError, Snapshot, Transaction
from storage.sqlite.connection import SQLiteConnection
from storage.sqlite.disk import Disk
from storage.sqlite.opening import explained, path_of, prepare, unusable
from storage.turns import Turns
from storage.wakeups import Wakeups

log = logging.getLogger(__name__)

CONNECTIONS = 4

ERASE_SECONDS = 2.0
"""For how long whoever was forgotten waits for those who read the log still, such as a backup."""

_ERASE_PAUSE = 0.05

_ASK = text("SELECT 1")


class SQLiteDatabase(Database):
    """One SQLite file in WAL mode with foreign keys."""

    connections = CONNECTIONS

    def __init__(self, path: Path) -> None:
        self.wakeups = Wakeups()
        self.turns = Turns()
        self._path = path
        self._identity = _identity(path)
        self._writer = asyncio.Lock()
        self._free = asyncio.Semaphore(CONNECTIONS)
        self._idle: list[SQLiteConnection] = []
        self._taken = 0
        self._disk = Disk(path, self._checkpoint)

    @classmethod
    async def connect(cls, url: str) -> Self:
        """Open the file that `url` names, made and migrated where needed.

        Raises `DatabaseError` for a path that cannot be used, a file that is no database, and a database written by a
        newer program.
        """
        path = path_of(url)
        await asyncio.to_thread(prepare, path)
        database = cls(path)
        try:
            with explained(path):
                async with database.read() as snapshot:
                    await snapshot.execute(_ASK)
        except BaseException:
            await database.close()
            raise
        return database

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Snapshot]:
        """Give one consistent state to read from."""
        async with self._connection() as connection:
            try:
                with _told("BEGIN"):
                    await connection.begin("DEFERRED")
                yield Snapshot(connection)
            finally:
                await connection.rollback()

    @asynccontextmanager
    async def write(self, *, durable: bool = True) -> AsyncIterator[Transaction]:
        """Give one write transaction, committed on leaving and rolled back on an error.

        The commit survives a power cut, or with `durable` off only the death of the process, which costs no wait for
        the disk; `sync` makes up for that.
        """
        async with self._writer, self._connection() as connection:
            transaction = Transaction(connection)
            try:
                # A deferred transaction that turns into a write cannot wait for another writer, it fails at once.
                with _told("BEGIN IMMEDIATE"):
                    await connection.begin("IMMEDIATE")
                yield transaction
                with _told("COMMIT"):
                    await connection.commit()
            except BaseException:
                await connection.rollback()
                raise
        self.wakeups.wake(transaction.woken)
        if durable:
            await self.sync()

    def begin_work(self) -> None:
        """Do nothing: nobody else lives who could take it over."""

    @asynccontextmanager
    async def claiming(self) -> AsyncIterator[Transaction]:
        """Give a transaction that only reads, for nobody else lives who could take what is found."""
        async with self._connection() as connection:
            try:
                with _told("BEGIN"):
                    await connection.begin("DEFERRED")
                yield Transaction(connection)
            finally:
                await connection.rollback()

    @property
    def taken(self) -> int:
        """How many of the `connections` are in use."""
        return self._taken

    async def join(self, clock: Callable[[], float]) -> None:
        """Begin to work: nobody else lives, so whatever somebody was doing is due."""
        async with self.write() as transaction:
            await tasks.recover(transaction, clock())
            await notifications.recover(transaction, clock())

    def clock(self, own: Callable[[], float]) -> Callable[[], float]:
        """Return the program's `own` clock."""
        return own

    @property
    def may_act(self) -> bool:
        """Return True: the lock on the file proves that nobody else acts."""
        return True

    @property
    def leads(self) -> bool:
        """Return True: there is nobody else."""
        return True

    async def sync(self) -> None:
        """Return when everything committed so far survives a power cut, however long the disk takes nothing."""
        for pause in chain(PAUSES, repeat(PAUSES[-1])):
            try:
                await self._disk.sync()
            except OSError as error:
                log.error("the disk takes nothing (%s); the next try is in %.0f s", error.strerror, pause)
                await asyncio.sleep(pause)
            else:
                return

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[SQLiteConnection]:
        async with self._free:
            connection = self._idle.pop() if self._idle else await self._open_connection()
            self._taken += 1
            try:
                yield connection
            finally:
                self._taken -= 1
                self._idle.append(connection)

    async def _open_connection(self) -> SQLiteConnection:
        with _told("CONNECT"):
            return await SQLiteConnection.open(self._path)

    async def _checkpoint(self) -> bool:
        """Move the log into the database and begin it anew; tell whether it could be moved as a whole."""
        async with self._connection() as connection:
            await connection.checkpoint()  # most of it, while others write
        async with self._writer, self._connection() as connection:
            moved = await connection.checkpoint()
            if moved:
                await connection.begin_log()
            return moved

    async def erase(self) -> bool:
        """Leave nothing of what was deleted in the log, where it stands as it was; tell whether that was possible."""
        last = asyncio.get_running_loop().time() + ERASE_SECONDS
        try:
            async with self._connection() as connection:
                await connection.checkpoint()  # most of it, while others write
            while not await self._empty_log():
                if asyncio.get_running_loop().time() > last:
                    return False
                await asyncio.sleep(_ERASE_PAUSE)
        except (sqlite3.Error, OperationalError) as error:
            log.warning("the log of the database cannot be emptied: %s", error)
            return False
        return True

    async def _empty_log(self) -> bool:
        async with self._writer, self._connection() as connection:
            is_empty = await connection.empty_log()
            if is_empty:
                await connection.begin_log()
            return is_empty

    async def describe(self) -> str:
        """Write for real, and say in a few words what this database is; raises `DBAPIError`."""
        async with self.write():
            pass
        return "can be read and written"

    async def misplaced(self) -> str | None:
        """Say whether the file that is open is the one that the next start will find: nothing else shows it."""
        try:
            found = await asyncio.to_thread(_identity, self._path)
        except OSError:
            found = None
        if found == self._identity:
            return None
        return "its file was removed or replaced under the running bot; put that one back, or all it writes is lost"

    async def size(self) -> tuple[int, int | None]:
        """Return how many bytes the database has with its log, and how many are free there. Raises `OSError`."""
        return await asyncio.to_thread(self._size)

    def _size(self) -> tuple[int, int]:
        log_file = self._path.with_name(f"{self._path.name}-wal")
        size = sum(path.stat().st_size for path in (self._path, log_file) if path.exists())
        return size, shutil.disk_usage(self._path.parent).free

    def explain(self, error: Exception) -> DatabaseError:
        """Return an error of this database in words for the owner."""
        return unusable(self._path, error)

    async def close(self) -> None:
        """Close every connection; none may be in use."""
        for connection in self._idle:
            await connection.close()


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


@contextmanager
def _told(statement: str) -> Iterator[None]:
    """Turn the driver's error into SQLAlchemy's, as every other statement has it."""
    try:
        yield
    except sqlite3.Error as error:
        raise OperationalError(statement, None, error) from error
