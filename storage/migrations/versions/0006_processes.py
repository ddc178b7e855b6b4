"""Several processes at one database: who lives, and who works on what."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_HOLDERS = (("tasks", "holder"), ("files", "holder"), ("notifications", "holder"), ("notifications", "ack_holder"))


def _only(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def upgrade() -> None:
    """Apply the change."""
    for table, column in _HOLDERS:
        op.add_column(table, sa.Column(column, sa.String(length=24)))
        op.create_index(f"ix_{table}_{column}", table, [column], **_only(f"{column} IS NOT NULL"))
    op.create_table(
        "processes",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("version", sa.String(length=20), nullable=False),
        sa.Column("started_at", sa.Float(), nullable=False),
        sa.Column("lease_until", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_processes")),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("holder", sa.String(length=24), nullable=False),
        sa.Column("lease_until", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
    if op.get_bind().dialect.name == "postgresql":
        # Rows change some ten times in a minute and then never again: there is room beside each for its next version,
        # and what is dead is removed before an index has grown by it.
        for table in ("tasks", "notifications", "files"):
            op.execute(
                f"ALTER TABLE {table} SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, "
                "autovacuum_analyze_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0)"
            )
        for table in ("processes", "leases"):
            op.execute(f"ALTER TABLE {table} SET (fillfactor = 50)")
