"""The first tables, one after another: a migration is never changed again, so it is not cut into parts either."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def _only(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "media",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_media")),
    )
    op.create_index("ix_media_oldest", "media", ["used_at"], unique=False)
    op.create_table(
        "tasks",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("vidgo_id", sa.String(length=200), nullable=True),
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=40), nullable=False),
        sa.Column("source_id", sa.String(length=24), nullable=True),
        sa.Column("style", sa.String(length=1000), nullable=True),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("guild_id", sa.BigInteger(), nullable=True),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("error_kind", sa.String(length=24), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("submitted_at", sa.Float(), nullable=True),
        sa.Column("finished_at", sa.Float(), nullable=True),
        sa.Column("poll_at", sa.Float(), nullable=True),
        sa.Column("polls", sa.Integer(), server_default="0", nullable=False),
        sa.Column("bells", sa.Integer(), server_default="0", nullable=False),
        sa.Column("late_at", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["source_id"], ["tasks.id"], name=op.f("fk_tasks_source_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tasks")),
        sa.UniqueConstraint("vidgo_id", name=op.f("uq_tasks_vidgo_id")),
    )
    op.create_index(
        "ix_tasks_due",
        "tasks",
        ["poll_at"],
        unique=False,
        **_only("status IN ('queued', 'submitting', 'waiting', 'running')"),
    )
    op.create_index("ix_tasks_model_finished", "tasks", ["model", "finished_at"], unique=False)
    op.create_index("ix_tasks_source", "tasks", ["source_id"], unique=False)
    op.create_index("ix_tasks_user", "tasks", ["user_id"], unique=False)
    op.create_index(
        "uq_tasks_one_cover",
        "tasks",
        ["source_id"],
        unique=True,
        **_only(
            "model = 'generate-music-cover' AND status IN ('queued', 'submitting', 'waiting', 'running', 'finished')"
        ),
    )
    op.create_index(
        "uq_tasks_one_restyling",
        "tasks",
        ["source_id", "style"],
        unique=True,
        **_only("model = 'upload-and-cover-audio' AND status IN ('queued', 'submitting', 'waiting', 'running')"),
    )
    op.create_table(
        "files",
        sa.Column("task_id", sa.String(length=24), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("audio_url", sa.Text(), nullable=True),
        sa.Column("image_urls", sa.JSON(), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("duration", sa.Float(), nullable=True),
        sa.Column("audio_id", sa.String(length=200), nullable=True),
        sa.Column("audio_sha256", sa.String(length=64), nullable=True),
        sa.Column("image_sha256", sa.String(length=64), nullable=True),
        sa.Column("archive_at", sa.Float(), nullable=True),
        sa.Column("archive_tries", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_files_task_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("task_id", "position", name=op.f("pk_files")),
    )
    op.create_index("ix_files_archive_due", "files", ["archive_at"], unique=False, **_only("archive_at IS NOT NULL"))
    op.create_index("ix_files_audio", "files", ["audio_sha256"], unique=False)
    op.create_index("ix_files_image", "files", ["image_sha256"], unique=False)
    op.create_table(
        "library",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("task_id", sa.String(length=24), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("folded_title", sa.String(length=600), nullable=False),
        sa.Column("added_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_library_task_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "task_id", "position", name=op.f("pk_library")),
    )
    op.create_index(
        "ix_library_newest",
        "library",
        [
            "user_id",
            sa.literal_column("added_at DESC"),
            sa.literal_column("task_id DESC"),
            "position",
            "kind",
            "folded_title",
        ],
        unique=False,
    )
    op.create_index("ix_library_task", "library", ["task_id"], unique=False)
    op.create_table(
        "notifications",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("task_id", sa.String(length=24), nullable=True),
        sa.Column("position", sa.Integer(), server_default="0", nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("guild_id", sa.BigInteger(), nullable=True),
        sa.Column("channel_id", sa.BigInteger(), nullable=False),
        sa.Column("application_id", sa.BigInteger(), nullable=False),
        sa.Column("interaction_token", sa.Text(), nullable=True),
        sa.Column("token_expires_at", sa.Float(), nullable=False),
        sa.Column("ephemeral", sa.Boolean(), nullable=False),
        sa.Column("upload_limit", sa.BigInteger(), nullable=False),
        sa.Column("locale", sa.String(length=10), nullable=False),
        sa.Column("ack_message_id", sa.BigInteger(), nullable=True),
        sa.Column("ack_wanted", sa.String(length=10), nullable=True),
        sa.Column("state", sa.String(length=14), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("attempt_at", sa.Float(), nullable=True),
        sa.Column("message_id", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("delivered_at", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_notifications_task_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notifications")),
    )
    op.create_index(
        "ix_notifications_ack",
        "notifications",
        ["ack_wanted"],
        unique=False,
        **_only("ack_wanted IS NOT NULL"),
    )
    op.create_index(
        "ix_notifications_due",
        "notifications",
        ["attempt_at"],
        unique=False,
        **_only("state IN ('asked', 'due', 'sending')"),
    )
    op.create_index("ix_notifications_message", "notifications", ["message_id"], unique=False)
    op.create_index("ix_notifications_task", "notifications", ["task_id"], unique=False)
    op.create_index("ix_notifications_user", "notifications", ["user_id", "created_at"], unique=False)


def downgrade() -> None:
    """Take the change back."""
    op.drop_index("ix_notifications_user", table_name="notifications")
    op.drop_index("ix_notifications_task", table_name="notifications")
    op.drop_index("ix_notifications_message", table_name="notifications")
    op.drop_index("ix_notifications_due", table_name="notifications", **_only("state IN ('asked', 'due', 'sending')"))
    op.drop_index("ix_notifications_ack", table_name="notifications", **_only("ack_wanted IS NOT NULL"))
    op.drop_table("notifications")
    op.drop_index("ix_library_task", table_name="library")
    op.drop_index("ix_library_newest", table_name="library")
    op.drop_table("library")
    op.drop_index("ix_files_image", table_name="files")
    op.drop_index("ix_files_audio", table_name="files")
    op.drop_index("ix_files_archive_due", table_name="files", **_only("archive_at IS NOT NULL"))
    op.drop_table("files")
    op.drop_index(
        "uq_tasks_one_restyling",
        table_name="tasks",
        **_only("model = 'upload-and-cover-audio' AND status IN ('queued', 'submitting', 'waiting', 'running')"),
    )
    op.drop_index(
        "uq_tasks_one_cover",
        table_name="tasks",
        **_only(
            "model = 'generate-music-cover' AND status IN ('queued', 'submitting', 'waiting', 'running', 'finished')"
        ),
    )
    op.drop_index("ix_tasks_user", table_name="tasks")
    op.drop_index("ix_tasks_source", table_name="tasks")
    op.drop_index("ix_tasks_model_finished", table_name="tasks")
    op.drop_index(
        "ix_tasks_due",
        table_name="tasks",
        **_only("status IN ('queued', 'submitting', 'waiting', 'running')"),
    )
    op.drop_table("tasks")
    op.drop_index("ix_media_oldest", table_name="media")
    op.drop_table("media")
