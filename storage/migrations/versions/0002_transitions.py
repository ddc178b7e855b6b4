"""A key of its own for the addresses of a task's files."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Apply the change."""
    op.add_column("tasks", sa.Column("media_key", sa.String(length=64), server_default="", nullable=False))
    op.execute("UPDATE tasks SET media_key = lower(hex(randomblob(32)))")
