"""Connections to PostgreSQL: how they are made, and what each session is held to."""

from __future__ import annotations

from typing import Any

from sqlalchemy import CursorResult, Executable, event, text
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from storage.database import Server
from storage.postgresql.addresses import dsn
from storage.postgresql.errors import told

CONNECTIONS = 8
"""Most of what the program does is waiting for others, with no connection taken."""

CONNECT_SECONDS = 10.0

STATEMENT_SECONDS = 30
IDLE_SECONDS = 10
"""How long a statement may take, and how long a transaction may do nothing; the server ends what takes longer.

A process that was stopped or lost in the middle of a transaction keeps its rows locked until then. Whoever needs one of
them to renew a lease must not lose that lease over it.
"""

ANSWER_SECONDS = 40.0
"""How long the server may be silent: longer than a statement may take, so it is the way there that is gone."""

_STATEMENTS = 500
"""How many prepared statements a connection keeps: all that the program has, in their forms."""

_LIMITS = {
    "statement_timeout": f"{STATEMENT_SECONDS}s",
    "idle_in_transaction_session_timeout": f"{IDLE_SECONDS}s",
    "jit": "off",  # it costs more than any statement here
}
_SET_LIMITS = text("SELECT " + ", ".join(f"set_config('{name}', '{value}', true)" for name, value in _LIMITS.items()))


def make_engine(url: str, server: Server, *, answer_seconds: float | None = ANSWER_SECONDS) -> AsyncEngine:
    """Make a pool; nothing is connected yet."""
    # A pooler knows neither these settings nor the statements that an earlier connection has prepared.
    settings = {} if server.is_pooled else _LIMITS
    unprepared: dict[str, Any] = {"statement_cache_size": 0, "prepared_statement_name_func": lambda: ""}
    engine = create_async_engine(
        "postgresql+asyncpg://",
        connect_args={
            "dsn": dsn(url),
            "timeout": CONNECT_SECONDS,
            "command_timeout": answer_seconds,
            "server_settings": {"application_name": server.process, **settings},
            "prepared_statement_cache_size": 0 if server.is_pooled else _STATEMENTS,
            **(unprepared if server.is_pooled else {}),
        },
        # What others commit is seen by the next statement; see `Transaction`.
        isolation_level="READ COMMITTED",
        pool_size=CONNECTIONS,
        max_overflow=0,
        pool_timeout=STATEMENT_SECONDS,
        pool_use_lifo=True,
        # An error's text would hold the values of its query, tokens among them, and errors are logged.
        hide_parameters=True,
    )
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    return engine


def _refuse_closed(connection: Any, _record: Any, _proxy: Any) -> None:
    """Have another connection taken where the server has closed one meanwhile."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError


class PostgreSQLConnection:
    """One connection, within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[*tuple[Any, ...]]:
        """Run a statement; raises `DBAPIError`."""
        with told("EXECUTE"):
            try:
                return await self._connection.execute(statement, parameters)
            except OSError:  # the server was silent for too long: nobody knows what it would answer next
                await self._connection.invalidate()
                raise

    async def limit(self) -> None:
        """Hold the transaction to the limits of a session, where a pooler gives it any session."""
        await self.execute(_SET_LIMITS)
