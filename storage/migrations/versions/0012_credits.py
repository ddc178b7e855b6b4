"""What orders cost."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0006"


def upgrade() -> None:
    """Apply the change."""
    op.add_column("tasks", sa.Column("credits", sa.Float()))
    op.add_column("usage", sa.Column("credits", sa.Float()))
