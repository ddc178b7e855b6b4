"""Who stands in line is found by an index, for every order asks it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

IS_IN_LINE = sa.text("status IN ('queued', 'submitting')")


def upgrade() -> None:
    """Apply the change."""
    op.create_index(op.f("ix_tasks_line"), "tasks", ["id"], sqlite_where=IS_IN_LINE, postgresql_where=IS_IN_LINE)
