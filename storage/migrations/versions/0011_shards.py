"""What several processes share: turns, and the blocks of shards."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "turns",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("holder", sa.String(length=24)),
        sa.Column("free_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_turns")),
    )
    op.create_table(
        "shard_blocks",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("first", sa.Integer(), nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.Column("shards", sa.Integer(), nullable=False),
        sa.Column("holder", sa.String(length=24)),
        sa.Column("lease_until", sa.Float(), nullable=False),
        sa.Column("is_offered", sa.Boolean(), nullable=False),
        sa.Column("successor", sa.String(length=24)),
        sa.Column("successor_until", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_shard_blocks")),
    )
    if op.get_bind().dialect.name == "postgresql":
        for table in ("turns", "shard_blocks"):
            op.execute(f"ALTER TABLE {table} SET (fillfactor = 50)")
