"""The tables of servers: what was used and set there, who was greeted, and what the owner is told."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, Index, Integer, String, Table, Text, text, true

from storage.schema.base import metadata, only

usage = Table(
    "usage",
    metadata,
    Column("guild_id", BigInteger, primary_key=True, autoincrement=False),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("covers", Integer, nullable=False),
    Column("songs", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("credits", Float),
    Column("kept_until", Integer, nullable=False),
)
"""How many orders count against the limits of a day: a member's in a server, and under the user 0 all of the server's.

What was given back counts no more; what of it had failed is in `failures`. `credits` is what finished orders of the day
cost, as far as that is known; nothing where it is of none. A row goes after the day `kept_until`.
"""

Index("ix_usage_kept", usage.c.kept_until)
Index("ix_usage_user", usage.c.user_id, usage.c.day)

servers = Table(
    "servers",
    metadata,
    Column("guild_id", BigInteger, primary_key=True, autoincrement=False),
    Column("covers_per_user", Integer),
    Column("songs_per_user", Integer),
    Column("roles", JSON, nullable=False),
    Column("channels", JSON, nullable=False),
    Column("covers_of_others", Boolean, nullable=False),
    Column("mentions", Boolean, nullable=False),
    Column("language", String(10)),
    Column("welcome", Text),
    Column("recordings", Boolean, nullable=False, server_default=true()),
)
"""What a server's managers have set; nothing where the program's own setting holds.

`roles` are the limits of members with a role, by the role's id; `channels` are the only ones in which the bot may be
used, where there are any. `welcome` is what the server says to its members in `/help`.
"""

changes = Table(
    "changes",
    metadata,
    Column("id", String(24), primary_key=True),
    Column("guild_id", BigInteger, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("at", Float, nullable=False),
    Column("setting", String(20), nullable=False),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
)
"""Who changed which setting of a server, and when; a server's newest ones."""

Index("ix_changes_guild", changes.c.guild_id, changes.c.id)
Index("ix_changes_user", changes.c.user_id)

alarms = Table(
    "alarms",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("state", String(8), nullable=False),
    Column("since", Float, nullable=False),
    Column("details", JSON, nullable=False),
    Column("tell_at", Float),
    Column("sent_at", Float),
    Column("told_at", Float),
    Column("told", JSON, nullable=False),
)
"""What the owner is told of, one row for each kind.

`since` is when it began, `details` what the words need. `tell_at` is when there is something to tell, and None where
nobody has seen since the start whether it is still so. `sent_at` is when it was first sent, `told_at` when the owner
was last told that it began. `told` has who was told, by id: whether they could be told.
"""

Index("ix_alarms_due", alarms.c.tell_at, **only(text("tell_at IS NOT NULL")))

greetings = Table(
    "greetings",
    metadata,
    Column("guild_id", BigInteger, primary_key=True, autoincrement=False),
    Column("joined_at", Float, nullable=False),
    Column("greet_at", Float),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("channel_id", BigInteger),
    Column("sent_at", Float),
)
"""The servers that were joined: each is greeted once, at `greet_at`, which is None when that is done.

`channel_id` is where the greeting was sent last and may be, `sent_at` when.
"""

Index("ix_greetings_due", greetings.c.greet_at, **only(text("greet_at IS NOT NULL")))
