"""How much may be ordered in a day, by whom, and how much of it is left.

An order counts in the transaction that writes it down, so that a hundred at once lead to no more than are allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from bot.settings import Settings
from bot.words.sentences import limits as words
from bot.words.sentences.errors import MemberError
from bot.words.sentences.limits import NO_LIMIT, Left, LeftInServer
from storage import tasks as rows
from storage.database import Database, Transaction
from storage.servers import settings as servers
from storage.servers import usage
from storage.servers.settings import Server
from storage.servers.usage import Kind, Used
from storage.tasks import Task


class Limits:
    """Holds members and servers to their limits."""

    def __init__(self, database: Database, settings: Settings, clock: Callable[[], float]) -> None:
        self._database = database
        self._defaults = {Kind.COVER: settings.daily_covers_per_user, Kind.SONG: settings.daily_songs_per_user}
        self._per_server = settings.daily_orders_per_server
        self._clock = clock

    async def order(self, transaction: Transaction, task: Task, roles: Collection[int]) -> Left | None:
        """Write a new task down and count it; return what is left, None where there is no limit.

        Raises `MemberError` where a limit is reached; the transaction must not be committed then.
        """
        server = await servers.get(transaction, task.guild_id)
        kind = Kind.of(task.model)
        task = replace(task, counted_on=usage.day_of(task.created_at))
        limit = self.allowed(kind, server, roles)
        by_member, by_server = await usage.take(transaction, task)
        starts_anew = self.starts_anew(task.created_at)
        if limit != NO_LIMIT and by_member.of(kind) > limit:
            raise MemberError(words.reached(kind, limit, starts_anew))
        if self._per_server != NO_LIMIT and by_server.covers + by_server.songs > self._per_server:
            raise MemberError(words.reached_by_server(self._per_server, starts_anew))
        await rows.add(transaction, task)
        in_server = self._in_server(by_server)
        return None if limit == NO_LIMIT and in_server is None else Left(kind, limit, by_member.of(kind), in_server)

    def allowed(self, kind: Kind, server: Server, roles: Collection[int]) -> int:
        """Return how many orders of a kind a member may make in a day.

        Of several roles the most generous one counts; a role goes before the server, and that before the program.
        """
        by_role = [
            number
            for role, given in server.roles.items()
            if role in roles and (number := given.covers if kind is Kind.COVER else given.songs) is not None
        ]
        if by_role:
            return NO_LIMIT if NO_LIMIT in by_role else max(by_role)
        own = server.covers_per_user if kind is Kind.COVER else server.songs_per_user
        return self.default(kind) if own is None else own

    def default(self, kind: Kind) -> int:
        """Return the program's own limit."""
        return self._defaults[kind]

    @property
    def per_server(self) -> int:
        """Return how many orders a server may make in a day."""
        return self._per_server

    def starts_anew(self, now: float | None = None) -> float:
        """Return when the day is over."""
        return float((usage.day_of(self._clock() if now is None else now) + 1) * usage.DAY_SECONDS)

    async def left(self, guild_id: int | None, user_id: int, roles: Collection[int]) -> list[Left]:
        """Return what a member has left today."""
        today = usage.day_of(self._clock())
        async with self._database.read() as snapshot:
            server = await servers.get(snapshot, guild_id)
            used: Used = await usage.used(snapshot, guild_id, user_id, today)
            by_all = await usage.used(snapshot, guild_id, usage.WHOLE_SERVER, today)
        in_server = self._in_server(by_all)
        return [Left(kind, self.allowed(kind, server, roles), used.of(kind), in_server) for kind in Kind]

    def _in_server(self, used: Used) -> LeftInServer | None:
        return None if self._per_server == NO_LIMIT else LeftInServer(self._per_server, used.covers + used.songs)
