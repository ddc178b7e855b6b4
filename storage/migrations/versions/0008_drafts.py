"""What members have typed for an order, and their own language beside that of their server."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0009"


def upgrade() -> None:
    """Apply the change."""
    op.add_column("notifications", sa.Column("draft", sa.JSON()))
    op.add_column("notifications", sa.Column("own_locale", sa.String(length=10)))
    condition = sa.text("draft IS NOT NULL")
    op.create_index(
        "ix_notifications_draft",
        "notifications",
        ["created_at"],
        sqlite_where=condition,
        postgresql_where=condition,
    )
