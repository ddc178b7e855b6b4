"""The database as everything above it sees it: reading and writing, whichever engine is below."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sqlalchemy import CursorResult, Executable
from sqlalchemy.exc import OperationalError

from storage.planned import Claim
from storage.turns import Turns
from storage.wakeups import Queue, Wakeups

if TYPE_CHECKING:
    from storage.processes.blocks import Blocks

T = TypeVar("T")

log = logging.getLogger(__name__)

PAUSES = (1.0, 2.0, 5.0, 15.0)
"""Seconds between the tries of what has to be written."""


class DatabaseError(Exception):
    """The database cannot be used; the text is a sentence for the owner."""


class Connection(Protocol):
    """What runs statements, within one transaction."""

    async def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[*tuple[Any, ...]]:
        """Run a statement; raises `DBAPIError`."""


class Snapshot:
    """One consistent state to read from."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.me: str | None = None
        """Which process this is, where there are others."""

    async def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[*tuple[Any, ...]]:
        """Run a statement; raises `DBAPIError`."""
        return await self._connection.execute(statement, parameters)

    async def claim(self, claim: Claim, values: Mapping[str, Any]) -> Sequence[Any]:
        """Return the rows that are due, which are this process's where there are others."""
        return (await self.execute(claim.look, values)).all()


class Transaction(Snapshot):
    """What happens all together or not at all.

    With SQLite nobody else writes meanwhile. With PostgreSQL others do: what is decided upon rows that were read before
    is safe only where those rows are locked (`FOR UPDATE`, which SQLite leaves out), or after `alone`.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.woken: set[Queue] = set()

    def wakes(self, *queues: Queue) -> None:
        """Wake the workers of these after the commit, for it makes something due there."""
        self.woken.update(queues)

    async def alone(self, *names: str) -> None:
        """Let nobody else be in a transaction that has said this of the same names, until this one ends."""

    async def release(self, claim: Claim, keys: Sequence[Mapping[str, Any]]) -> None:
        """Let others claim rows that this process has claimed."""

    async def take_channels(self, channels: Collection[int]) -> set[int]:
        """Take the channels in which no other process is posting, and return them."""
        return set(channels)

    async def leave_channels(self, channels: Collection[int]) -> None:
        """Let other processes post in channels, in a moment."""

    async def expire_turns(self) -> None:
        """Delete the turns that have long been free."""


Release = Callable[[Transaction, Collection[str]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Server:
    """What only PostgreSQL has: where it is listened to, and how."""

    listen_url: str | None = None
    """Past a connection pooler."""
    is_pooled: bool = False
    """Whether statements go through a pooler in transaction mode."""
    process: str = "coverbot"
    """The name by which this process is known there."""
    version: str = ""
    """Which version of the program it runs."""


class Database(ABC):
    """One database; `wakeups` tells of what is committed there."""

    wakeups: Wakeups
    turns: Turns
    blocks: Blocks | None = None
    """The blocks of shards, where there may be other processes."""
    connections: int
    """How many connections there are to work with."""
    passing_seconds = 0.0
    """For how long it may be out of reach in passing, as a server is that restarts; a disk that is full stays so."""

    @property
    @abstractmethod
    def taken(self) -> int:
        """How many of the `connections` are in use."""

    @staticmethod
    async def open(url: str, server: Server | None = None) -> Database:
        """Open what `url` names, made and migrated where needed.

        Raises `DatabaseError` where it cannot be used, is no database, or was written by a newer program.
        """
        # Only the engine that is used is loaded.
        if is_postgresql(url):
            from storage.postgresql.database import PostgreSQLDatabase  # noqa: PLC0415 (see above)

            return await PostgreSQLDatabase.connect(url, server or Server())
        from storage.sqlite.database import SQLiteDatabase  # noqa: PLC0415 (see above)

        return await SQLiteDatabase.connect(url)

    @abstractmethod
    def read(self) -> AbstractAsyncContextManager[Snapshot]:
        """Give one consistent state to read from."""

    @abstractmethod
    def write(self, *, durable: bool = True) -> AbstractAsyncContextManager[Transaction]:
        """Give one write transaction, committed on leaving and rolled back on an error.

        The commit survives a power cut, or with `durable` off perhaps only the death of the process, which may cost no
        wait for the disk; `sync` makes up for that.
        """

    @abstractmethod
    def claiming(self) -> AbstractAsyncContextManager[Transaction]:
        """Give a transaction in which work is claimed and released; where nobody else lives it only reads."""

    @abstractmethod
    def begin_work(self) -> None:
        """Let the current task send what it does for as long as nobody can have taken it over."""

    async def is_able(self, seconds: float) -> bool:
        """Let the current task send what it does, as `begin_work`, once this process may; tell whether it may by then.

        One that could not renew its lease may not, until it has begun anew a moment later.
        """
        self.begin_work()
        return True

    def releasing(self, release: Release) -> Callable[[Collection[str]], Awaitable[None]] | None:
        """Return how a worker lets others have what it has claimed and done, where there are others."""
        return None

    @abstractmethod
    async def join(self, clock: Callable[[], float]) -> None:
        """Begin to work: what no living process holds is due."""

    @abstractmethod
    def clock(self, own: Callable[[], float]) -> Callable[[], float]:
        """Return the clock of the times in rows, which is one for all processes; else the program's `own`."""

    @property
    @abstractmethod
    def may_act(self) -> bool:
        """Whether what this process holds is still its own."""

    @property
    @abstractmethod
    def leads(self) -> bool:
        """Whether this process does what only one may do."""

    async def misplaced(self) -> str | None:
        """Return what has happened to the place of the database, so that all that is written is lost at the end."""
        return None

    @abstractmethod
    async def sync(self) -> None:
        """Return when everything committed so far survives a power cut, however long the disk takes nothing."""

    async def erase(self) -> bool:
        """Leave nothing of what was deleted in files of the database's; tell whether it is so, as far as it is ours."""
        return True

    @abstractmethod
    async def describe(self) -> str:
        """Write for real, and say in a few words what this database is; raises `DBAPIError`."""

    async def doubts(self) -> list[str]:
        """Return what works and will hurt, in sentences for the owner; raises `DBAPIError`."""
        return []

    @abstractmethod
    async def size(self) -> tuple[int, int | None]:
        """Return how many bytes the database has with its log, and how many are free there, None where nobody knows.

        Raises `OSError` and `DBAPIError`.
        """

    @abstractmethod
    def explain(self, error: Exception) -> DatabaseError:
        """Return an error of this database in words for the owner."""

    @abstractmethod
    async def close(self) -> None:
        """Close every connection; none may be in use."""

    async def retry(self, work: Callable[[], Awaitable[T]]) -> T:
        """Repeat work until the database takes what it writes: a disk that is full must not cost what was paid for."""
        for pause in chain(PAUSES, repeat(PAUSES[-1])):
            try:
                return await work()
            except OperationalError as error:
                log.error("the database takes nothing (%s); the next try is in %.0f s", error.orig, pause)
                await asyncio.sleep(pause)
        raise AssertionError("there is always a next pause")


def is_postgresql(url: str) -> bool:
    """Tell whether an address is a PostgreSQL server's; every other one is an SQLite file's."""
    return url.startswith(("postgresql:", "postgres:"))
