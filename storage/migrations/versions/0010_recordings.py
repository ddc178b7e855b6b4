"""Members' own recordings, and what was taken out of a library and may come back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0008"


def upgrade() -> None:
    """Apply the change."""
    op.add_column("tasks", sa.Column("recording", sa.String(length=200)))
    op.add_column("servers", sa.Column("recordings", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.create_table(
        "recordings",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_recordings"),
    )
    op.create_index("ix_recordings_user", "recordings", ["user_id"])
    op.create_index("ix_recordings_created", "recordings", ["created_at"])
    op.create_table(
        "removed_songs",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("task_id", sa.String(length=24), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("folded_title", sa.String(length=600), nullable=False),
        sa.Column("added_at", sa.Float(), nullable=False),
        sa.Column("removed_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name="fk_removed_songs_task_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "task_id", "position", name="pk_removed_songs"),
    )
    op.create_index("ix_removed_songs_task", "removed_songs", ["task_id"])
    op.create_index("ix_removed_songs_removed", "removed_songs", ["removed_at"])
