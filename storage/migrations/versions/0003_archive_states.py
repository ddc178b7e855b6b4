"""What comes into the archive and what goes out of it is written down first."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def _only(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def upgrade() -> None:
    """Apply the change."""
    op.add_column("media", sa.Column("state", sa.String(length=8), server_default="kept", nullable=False))
    op.create_index("ix_media_changing", "media", ["used_at"], **_only("state IN ('coming', 'going')"))
