"""What works on a server and will hurt: settings that lose data or run short, and transactions that nobody ends."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable

import asyncpg
from sqlalchemy import Integer, bindparam, text

from storage.database import Snapshot
from storage.postgresql.addresses import dsn
from storage.postgresql.errors import UNREACHABLE, explain
from storage.postgresql.pool import CONNECT_SECONDS, CONNECTIONS, STATEMENT_SECONDS

OLD_MINUTES = 5
"""From which age on a transaction keeps dead rows from being removed for too long."""

HEARD_SECONDS = 5.0
"""How long a wake-up may take that is sent to try the way."""

_SETTINGS = text(
    "SELECT current_setting('fsync') = 'on', current_setting('full_page_writes') = 'on',"
    " current_setting('synchronous_commit') <> 'off', current_setting('autovacuum') = 'on',"
    " current_setting('statement_timeout'),"
    " current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,"
    " (SELECT count(*) FROM processes WHERE lease_until >= extract(epoch FROM clock_timestamp()))"
)
_OLD = text(
    "SELECT count(*), floor(extract(epoch FROM max(now() - xact_start)) / 60)::int FROM pg_stat_activity"
    " WHERE datname = current_database() AND xact_start < now() - make_interval(mins => :minutes)"
).bindparams(bindparam("minutes", type_=Integer))


async def doubts(snapshot: Snapshot, *, is_pooled: bool) -> list[str]:
    """Return sentences for the owner, none where all is well."""
    syncs, writes_pages, waits, cleans, timeout, most, living = (await snapshot.execute(_SETTINGS)).one()
    said = []
    if not syncs:
        said.append("fsync is off, so a crash of its machine can destroy the whole database; switch it on")
    elif not writes_pages:
        said.append("full_page_writes is off, so a crash of its machine can damage the database; switch it on")
    if not waits:
        said.append("synchronous_commit is off, so a crash can lose orders that were just paid for; switch it on")
    if not cleans:
        said.append("autovacuum is off, so everything becomes slower by and by; switch it on")
    needed = (living + 1) * (CONNECTIONS + 1)
    if most < needed:
        said.append(
            f"it takes {most} connections, and {living + 1} processes may need {needed}; raise max_connections or put "
            "PgBouncer before it"
        )
    if not is_pooled and timeout != f"{STATEMENT_SECONDS}s":
        said.append("what a session is told does not arrive, as behind a connection pooler; set DATABASE_POOLED=true")
    count, minutes = (await snapshot.execute(_OLD, {"minutes": OLD_MINUTES})).one()
    if count:
        said.append(
            f"{count} transaction(s) are older than {OLD_MINUTES} minutes, the oldest {minutes}; find out whose, for "
            "dead rows are kept until they end"
        )
    return said


async def unheard(address: str, tell: Callable[[str], Awaitable[None]]) -> list[str]:
    """Return why what is told through the pool is not heard at `DATABASE_LISTEN_URL`; `tell` tells it on a channel."""
    channel, heard = f"coverbot_{secrets.token_hex(8)}", asyncio.Event()
    try:
        connection = await asyncpg.connect(dsn(address), timeout=CONNECT_SECONDS, command_timeout=HEARD_SECONDS)
    except UNREACHABLE as error:
        return [f"DATABASE_LISTEN_URL: {explain(address, error)}, so processes hear each other late"]
    try:
        await connection.add_listener(channel, lambda *_: heard.set())
        await tell(channel)
        async with asyncio.timeout(HEARD_SECONDS):
            await heard.wait()
    except (TimeoutError, *UNREACHABLE):
        said = (
            "at DATABASE_LISTEN_URL nothing is heard of DATABASE_URL; name the same database there, past every pooler"
        )
        return [said]
    finally:
        connection.terminate()
    return []
