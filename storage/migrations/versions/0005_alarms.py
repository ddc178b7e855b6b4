"""What the owner is told of, and the servers that were greeted."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def _only(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "alarms",
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("tell_at", sa.Float()),
        sa.Column("sent_at", sa.Float()),
        sa.Column("told_at", sa.Float()),
        sa.Column("told", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("kind", name="pk_alarms"),
    )
    op.create_index("ix_alarms_due", "alarms", ["tell_at"], **_only("tell_at IS NOT NULL"))
    op.create_table(
        "greetings",
        sa.Column("guild_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("joined_at", sa.Float(), nullable=False),
        sa.Column("greet_at", sa.Float()),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("channel_id", sa.BigInteger()),
        sa.Column("sent_at", sa.Float()),
        sa.PrimaryKeyConstraint("guild_id", name="pk_greetings"),
    )
    op.create_index("ix_greetings_due", "greetings", ["greet_at"], **_only("greet_at IS NOT NULL"))
