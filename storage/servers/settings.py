"""What the managers of a server have set, and who changed it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import BindParameter, bindparam, delete, insert, select, update

from storage.database import Snapshot, Transaction
from storage.quick import quick
from storage.schema import changes, servers

KEPT_CHANGES = 50
"""How many of a server's newest changes are kept."""


@dataclass(frozen=True, slots=True)
class RoleLimits:
    """What members with a role may order a day; None where the role changes nothing, -1 for no limit."""

    covers: int | None
    songs: int | None


@dataclass(frozen=True, slots=True)
class Server:
    """A row of `servers`; as it is made, nothing is set."""

    guild_id: int
    covers_per_user: int | None = None
    songs_per_user: int | None = None
    roles: Mapping[int, RoleLimits] = field(default_factory=dict)
    channels: tuple[int, ...] = ()
    covers_of_others: bool = True
    mentions: bool = True
    language: str | None = None
    welcome: str | None = None
    recordings: bool = True


@dataclass(frozen=True, slots=True)
class Change:
    """A row of `changes`."""

    id: str
    guild_id: int
    user_id: int
    at: float
    setting: str
    before: str
    after: str


_OF_GUILD: BindParameter[Any] = bindparam("of_guild")
_GET = quick(select(servers).where(servers.c.guild_id == bindparam("guild_id")))
_VALUES = {
    name: bindparam(f"new_{name}", type_=servers.c[name].type)
    for name in servers.c.keys()  # noqa: SIM118 (a collection of columns is no dictionary)
    if name != "guild_id"
}
_UPDATE = quick(update(servers).where(servers.c.guild_id == _OF_GUILD).values(_VALUES))
_INSERT = quick(insert(servers))
_REMOVE = delete(servers).where(servers.c.guild_id == _OF_GUILD)
_NOTE = quick(insert(changes))
_NEWEST = quick(
    select(changes)
    .where(changes.c.guild_id == bindparam("guild_id"))
    .order_by(changes.c.id.desc())
    .limit(bindparam("most", type_=changes.c.user_id.type))
)
_OLDEST_KEPT = (
    select(changes.c.id)
    .where(changes.c.guild_id == _OF_GUILD)
    .order_by(changes.c.id.desc())
    .offset(KEPT_CHANGES)
    .limit(1)
    .scalar_subquery()
)
_TRIM = quick(delete(changes).where(changes.c.guild_id == _OF_GUILD, changes.c.id <= _OLDEST_KEPT))
_REMOVE_CHANGES = delete(changes).where(changes.c.guild_id == _OF_GUILD)


async def get(snapshot: Snapshot, guild_id: int | None) -> Server:
    """Return what is set for a server."""
    row = None if guild_id is None else (await snapshot.execute(_GET, {"guild_id": guild_id})).first()
    if row is None:
        return Server(guild_id or 0)
    values = dict(row._mapping)
    roles = {int(role): RoleLimits(*limits) for role, limits in values["roles"].items()}
    return Server(**{**values, "roles": roles, "channels": tuple(values["channels"])})


async def hold(transaction: Transaction, guild_id: int) -> Server:
    """Return what is set for a server, which nobody else changes until the transaction ends."""
    await transaction.alone(f"server {guild_id}")
    return await get(transaction, guild_id)


async def save(transaction: Transaction, server: Server, change: Change) -> None:
    """Write down what is set now, and who has changed it."""
    values = _columns(server)
    new = {f"new_{name}": value for name, value in values.items()} | {"of_guild": server.guild_id}
    if (await transaction.execute(_UPDATE, new)).rowcount == 0:
        await transaction.execute(_INSERT, values | {"guild_id": server.guild_id})
    await transaction.execute(_NOTE, {name: getattr(change, name) for name in Change.__dataclass_fields__})
    await transaction.execute(_TRIM, {"of_guild": server.guild_id})


async def newest_changes(snapshot: Snapshot, guild_id: int, limit: int) -> list[Change]:
    """Return the last changes of a server's settings, the newest first."""
    found = await snapshot.execute(_NEWEST, {"guild_id": guild_id, "most": limit})
    return [Change(**row._mapping) for row in found]


async def remove(transaction: Transaction, guild_id: int) -> None:
    """Forget what was set for a server, and who changed it."""
    await transaction.execute(_REMOVE, {"of_guild": guild_id})
    await transaction.execute(_REMOVE_CHANGES, {"of_guild": guild_id})


def _columns(server: Server) -> dict[str, Any]:
    return {
        "covers_per_user": server.covers_per_user,
        "songs_per_user": server.songs_per_user,
        "roles": {str(role): [limits.covers, limits.songs] for role, limits in server.roles.items()},
        "channels": list(server.channels),
        "covers_of_others": server.covers_of_others,
        "mentions": server.mentions,
        "language": server.language,
        "welcome": server.welcome,
        "recordings": server.recordings,
    }
