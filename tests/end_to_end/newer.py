"""The program of a version to come, whose tables have more than this one's: `python -m tests.end_to_end.newer run`."""

from __future__ import annotations

from sqlalchemy import Connection, text

from bot import __main__ as program
from storage.postgresql import opening

HEAD = "9999"

MIGRATION = (
    "ALTER TABLE tasks ADD COLUMN flavour text",
    "ALTER TABLE files ADD COLUMN loudness double precision NOT NULL DEFAULT 0",
    "ALTER TABLE notifications ADD COLUMN urgency integer NOT NULL DEFAULT 1",
    "CREATE INDEX ix_notifications_urgency ON notifications (urgency)",
    "CREATE TABLE flavours (name text PRIMARY KEY, task_id varchar(24) REFERENCES tasks ON DELETE CASCADE)",
    f"UPDATE alembic_version SET version_num = '{HEAD}'",
)
"""What it does to the database first: the step that adds, as docs/scaling.md allows it beside the version before."""


def migrate(connection: Connection, _url: str) -> None:
    """Do it, in the place of the migrations of this version."""
    for statement in MIGRATION:
        connection.execute(text(statement))


def main(arguments: list[str] | None = None) -> int:
    """Be that program."""
    setattr(opening, "HEAD", HEAD)  # noqa: B010 (imported there from elsewhere)
    return program.main(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
