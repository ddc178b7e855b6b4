"""Statements are compiled once for all databases that a process opens, and for all programs that are forked from it.

Each engine of SQLAlchemy has its own dialect and compiles by it, so that each database that a test opens compiled a
hundred statements anew.
"""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy import Connection, Engine, StaticPool, create_engine, event
from sqlalchemy.ext.asyncio import create_async_engine


class _Compiled(dict[Any, Any]):
    """What SQLAlchemy has compiled, by which kind of dialect, where it asks for its own."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(_kind(key), default)

    def __setitem__(self, key: Any, compiled: Any) -> None:
        super().__setitem__(_kind(key), compiled)


def _kind(key: tuple[Any, ...]) -> tuple[Any, ...]:
    dialect, *rest = key
    return (type(dialect), *rest)


_COMPILED = _Compiled()


def compile_once() -> None:
    """Let all engines share what they compile."""
    event.listen(Engine, "engine_connect", _share)


def _share(connection: Connection) -> None:
    connection.execution_options(compiled_cache=_COMPILED)


def compile_all() -> None:
    """Compile what the program can send to SQLite, in the event loop and in a thread, before anybody asks."""
    from tests.storage.statements import sent, statements

    found = list(statements("sqlite").values())

    def compile_for(connection: Connection) -> None:
        for statement in found:
            sent(connection, statement)

    with create_engine("sqlite://").connect() as connection:
        compile_for(connection)
    asyncio.run(_in_thread(compile_for))


async def _in_thread(work: Any) -> None:
    engine = create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool)
    async with engine.connect() as connection:
        await connection.run_sync(work)
    await engine.dispose()
