"""The tables, and the one place that names their columns.

Times are Unix seconds (float). Discord's ids are integers, VidGo's ids are opaque text. The program's own ids are
24 characters, see `storage.ids`.
"""

from storage.schema.base import metadata
from storage.schema.guilds import alarms, changes, greetings, servers, usage
from storage.schema.music import files, library, likes, media, recordings, removed_songs
from storage.schema.sharing import leases, processes, shard_blocks, turns
from storage.schema.states import (
    COVER_MODEL,
    HOLDS_COVER,
    IS_CHANGING,
    IS_IN_LINE,
    IS_LIVE,
    IS_OPEN,
    IS_ORDERED,
    IS_PASSING,
    LIVE_TASKS,
    OPEN_NOTIFICATIONS,
    Acknowledgement,
    AlarmKind,
    AlarmState,
    MediaState,
    NotificationState,
    TaskStatus,
)
from storage.schema.work import notifications, tasks

HEAD = "0012"
"""The Alembic revision that this program writes; a test holds it against the migrations folder."""

__all__ = [
    "COVER_MODEL",
    "HEAD",
    "HOLDS_COVER",
    "IS_CHANGING",
    "IS_IN_LINE",
    "IS_LIVE",
    "IS_OPEN",
    "IS_ORDERED",
    "IS_PASSING",
    "LIVE_TASKS",
    "OPEN_NOTIFICATIONS",
    "Acknowledgement",
    "AlarmKind",
    "AlarmState",
    "MediaState",
    "NotificationState",
    "TaskStatus",
    "alarms",
    "changes",
    "files",
    "greetings",
    "leases",
    "library",
    "likes",
    "media",
    "metadata",
    "notifications",
    "processes",
    "recordings",
    "removed_songs",
    "servers",
    "shard_blocks",
    "tasks",
    "turns",
    "usage",
]
