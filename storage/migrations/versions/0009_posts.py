"""Posts that lead on: who likes what, one version alone, and which of several pictures a song carries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0012"


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "likes",
        sa.Column("task_id", sa.String(length=24), nullable=False),
        sa.Column("guild_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("liked_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_likes_task_id_tasks"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("task_id", "guild_id", "user_id", name=op.f("pk_likes")),
    )
    op.create_index("ix_likes_user", "likes", ["user_id"])
    op.create_index("ix_likes_guild", "likes", ["guild_id", "liked_at"])
    op.add_column("notifications", sa.Column("alone", sa.Boolean()))
    op.add_column("notifications", sa.Column("picture", sa.Integer()))
    op.add_column("notifications", sa.Column("picture_wanted", sa.Integer()))
    condition = sa.text("picture_wanted IS NOT NULL")
    op.create_index(
        "ix_notifications_picture", "notifications", ["id"], sqlite_where=condition, postgresql_where=condition
    )
