"""One order for the same thing, one row for an interaction, and bad words that count only when repeated."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import context, op

log = logging.getLogger(__name__)

revision = "0002"
down_revision = "0001"

_LIVE = "status IN ('queued', 'submitting', 'waiting', 'running')"


def _only(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def upgrade() -> None:
    """Apply the change."""
    op.drop_index("uq_tasks_one_restyling", "tasks")
    op.drop_column("tasks", "style")
    op.execute("ALTER TABLE tasks RENAME COLUMN bells TO rereads")
    for column in (
        sa.Column("order_key", sa.String(length=64)),
        sa.Column("media_key", sa.String(length=64), server_default="", nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("doubt", sa.String(length=12)),
        sa.Column("doubt_since", sa.Float()),
        sa.Column("doubt_at", sa.Float()),
        sa.Column("doubts", sa.Integer(), server_default="0", nullable=False),
    ):
        op.add_column("tasks", column)
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    if is_sqlite:  # elsewhere no row is that old
        op.execute("UPDATE tasks SET media_key = lower(hex(randomblob(32)))")
    op.create_index(
        "uq_tasks_one_order",
        "tasks",
        ["order_key"],
        unique=True,
        **_only(f"order_key IS NOT NULL AND {_LIVE}"),
    )
    # That a task takes longer is now said in its acknowledgement, not in a message of its own.
    op.execute("DELETE FROM notifications WHERE kind = 'late'")
    op.drop_column("notifications", "kind")
    for column in (
        sa.Column("interaction_id", sa.BigInteger()),
        sa.Column("sent_at", sa.Float()),
        sa.Column("failures", sa.Text()),
    ):
        op.add_column("notifications", column)
    op.create_index("uq_notifications_interaction", "notifications", ["interaction_id"], unique=True)
    op.drop_index("ix_notifications_ack", "notifications")
    op.create_index("ix_notifications_ack", "notifications", ["id"], **_only("ack_wanted IS NOT NULL"))
    op.create_index(
        "ix_notifications_passing",
        "notifications",
        ["created_at"],
        **_only("state IN ('answered', 'undeliverable', 'cancelled')"),
    )
    if is_sqlite:
        _bring_in_the_journal()


def _bring_in_the_journal() -> None:
    """Take over what version 0.1.0 had noted beside the database and did not live to write into it.

    The file is removed after the commit, by `storage.sqlite.opening`.
    """
    database = Path(context.config.attributes["path"])
    journal = database.with_name(f"{database.name}-asked")
    if not journal.is_file():
        return
    rows: dict[str, dict[str, Any]] = {}
    for line in journal.read_bytes().splitlines():
        try:
            entry = json.loads(line)
            if "row" in entry:
                rows[str(entry["id"])] = dict(entry["row"])
            else:
                rows.pop(str(entry["id"]), None)
        except (ValueError, KeyError, TypeError):
            continue  # cut off by the death of the process
    table = sa.Table("notifications", sa.MetaData(), autoload_with=op.get_bind())
    for row_id, row in rows.items():
        known = {name: value for name, value in row.items() if name in table.c}
        asked = {**known, "id": row_id, "state": "asked", "task_id": None}
        if op.get_bind().execute(sa.select(table.c.id).where(table.c.id == row_id)).first() is None:
            try:
                op.get_bind().execute(sa.insert(table).values(asked))
            except sa.exc.SQLAlchemyError as error:
                log.warning("interaction %.40s of the last process is left out: %s", row_id, type(error).__name__)
