"""The tables of processes that share a database."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, Integer, String, Table

from storage.schema.base import metadata

processes = Table(
    "processes",
    metadata,
    Column("id", String(24), primary_key=True),
    Column("name", String(60), nullable=False),
    Column("version", String(20), nullable=False),
    Column("started_at", Float, nullable=False),
    Column("lease_until", Float, nullable=False),
)
"""Who lives, where there are several; with SQLite there is one, and no row."""

leases = Table(
    "leases",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("holder", String(24), nullable=False),
    Column("lease_until", Float, nullable=False),
)
"""What only one process does at a time."""

turns = Table(
    "turns",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("holder", String(24)),
    Column("free_at", Float, nullable=False),
)
"""When each thing may be done again that all processes together do only so often, and by whom before that."""

shard_blocks = Table(
    "shard_blocks",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("first", Integer, nullable=False),
    Column("last", Integer, nullable=False),
    Column("shards", Integer, nullable=False),
    Column("holder", String(24)),
    Column("lease_until", Float, nullable=False),
    Column("is_offered", Boolean, nullable=False),
    Column("successor", String(24)),
    Column("successor_until", Float, nullable=False),
)
"""Which process runs which part of the gateway, of so many `shards` in all; with SQLite one runs all, and no row.

Who ends offers its block; a `successor` begins its own sessions then, and is the holder when they are ready.
"""
