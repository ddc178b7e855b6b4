"""The tables, and the one place that names their columns.

Times are Unix seconds (float). Discord's ids are integers, VidGo's ids are opaque text. The program's own ids are
24 characters, see `storage.ids`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TextClause,
    text,
    true,
)

HEAD = "0011"
"""The Alembic revision that this program writes; a test holds it against the migrations folder."""


class TaskStatus(StrEnum):
    """The life of a task: `queued → submitting → waiting → running → finished | failed | given_up`.

    `queued` has certainly not reached VidGo and may be sent; `submitting` may have, and is sent again only where VidGo
    cannot be paid twice for it. A task that was called failed or given up and is finished at VidGo after all becomes
    `finished`.
    """

    QUEUED = "queued"
    SUBMITTING = "submitting"
    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    GIVEN_UP = "given_up"

    @property
    def is_final(self) -> bool:
        """Whether nobody waits for the task any more."""
        return self in (TaskStatus.FINISHED, TaskStatus.FAILED, TaskStatus.GIVEN_UP)


class NotificationState(StrEnum):
    """The life of a notification.

    `asked` is written before Discord gets its first answer, so that no member is left "thinking…": it turns into
    `answered` (a private sentence said it all) or, tied to a task, into `waiting → due → sending → delivered |
    undeliverable`. A requester who does not want the post any more makes it `cancelled` before it is sent.
    """

    ASKED = "asked"
    ANSWERED = "answered"
    WAITING = "waiting"
    DUE = "due"
    SENDING = "sending"
    DELIVERED = "delivered"
    UNDELIVERABLE = "undeliverable"
    CANCELLED = "cancelled"


class Acknowledgement(StrEnum):
    """What the acknowledgement of a command can be changed to say."""

    ORDERED = "ordered"
    LATE = "late"
    NOT_YET = "not_yet"
    STILL_NOT = "still_not"
    DONE = "done"
    WITHOUT_IT = "without_it"
    ELSEWHERE = "elsewhere"
    FAILED = "failed"
    CANCELLED = "cancelled"


COVER_MODEL = "generate-music-cover"
"""VidGo's model that makes one cover of a song."""


class MediaState(StrEnum):
    """The life of a file in the archive: `coming → kept → going`, and then no row at all.

    A row is `coming` before its file is put there and `going` before it is removed, so neither step needs to be inside
    a transaction: what is `kept` is there, and what is `going` is never relied on by whoever would put it there again.
    """

    COMING = "coming"
    KEPT = "kept"
    GOING = "going"


class AlarmKind(StrEnum):
    """What the owner is told of. Each is there or not, but for `given_up`, which happens."""

    KEY = "key"
    CREDITS_LOW = "credits_low"
    CREDITS_GONE = "credits_gone"
    VERSION = "version"
    VIDGO = "vidgo"
    DISK = "disk"
    GIVEN_UP = "given_up"


class AlarmState(StrEnum):
    """The life of an alarm: `quiet → raised → told → over → quiet`.

    `raised` has to be told, `over` has to be told to those who were told that it began. What is over before anybody
    was told becomes `quiet` without a word.
    """

    QUIET = "quiet"
    RAISED = "raised"
    TOLD = "told"
    OVER = "over"


LIVE_TASKS = (TaskStatus.QUEUED, TaskStatus.SUBMITTING, TaskStatus.WAITING, TaskStatus.RUNNING)
OPEN_NOTIFICATIONS = (NotificationState.ASKED, NotificationState.DUE, NotificationState.SENDING)
PASSING_NOTIFICATIONS = (NotificationState.ANSWERED, NotificationState.UNDELIVERABLE, NotificationState.CANCELLED)
"""What serves nobody any more after some days; what was delivered is a place to find its files again."""


def _any_of(column: str, values: tuple[StrEnum, ...]) -> str:
    return f"{column} IN ({', '.join(repr(str(value)) for value in values)})"


# Literals, not parameters: a partial index is used only where it can be seen that the query implies its condition.
IS_LIVE = text(_any_of("status", LIVE_TASKS))
HOLDS_COVER = text(f"model = '{COVER_MODEL}' AND {_any_of('status', (*LIVE_TASKS, TaskStatus.FINISHED))}")
IS_ORDERED = text(f"order_key IS NOT NULL AND {_any_of('status', LIVE_TASKS)}")
IS_OPEN = text(_any_of("state", OPEN_NOTIFICATIONS))
IS_PASSING = text(_any_of("state", PASSING_NOTIFICATIONS))
IS_CHANGING = text(_any_of("state", (MediaState.COMING, MediaState.GOING)))


def _only(condition: TextClause) -> dict[str, Any]:
    """Return the options of a partial index."""
    return {"sqlite_where": condition, "postgresql_where": condition}


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

tasks = Table(
    "tasks",
    metadata,
    Column("id", String(24), primary_key=True),
    Column("vidgo_id", String(200), unique=True),
    Column("token", String(64), nullable=False),
    Column("media_key", String(64), nullable=False, server_default=""),
    Column("model", String(40), nullable=False),
    Column("source_id", ForeignKey("tasks.id")),
    Column("order_key", String(64)),
    Column("user_id", BigInteger, nullable=False),
    Column("guild_id", BigInteger),
    Column("title", String(200), nullable=False),
    Column("request", JSON, nullable=False),
    Column("status", String(12), nullable=False),
    Column("error_kind", String(24)),
    Column("error", Text),
    Column("created_at", Float, nullable=False),
    Column("submitted_at", Float),
    Column("finished_at", Float),
    Column("poll_at", Float),
    Column("polls", Integer, nullable=False, server_default="0"),
    Column("rereads", Integer, nullable=False, server_default="0"),
    Column("late_at", Float),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("doubt", String(12)),
    Column("doubt_since", Float),
    Column("doubt_at", Float),
    Column("doubts", Integer, nullable=False, server_default="0"),
    Column("counted_on", Integer),
    Column("credits", Float),
    Column("holder", String(24)),
    Column("recording", String(200)),
)
"""What VidGo makes. `token` is in the address of its callback, `media_key` signs addresses of its files.

`order_key` is the same for orders that would make the same. `tries` counts submissions without a yes or no. `rereads`
counts the reads left after a callback whose detail still lagged behind. A bad word about a task is a `doubt` until it
was repeated: which one, since when, when last, and how often. `counted_on` is the day (of 86,400 s since 1970) whose
limits it counts against, or nothing where it does not, or not any more. `credits` is what it cost, where that is known.
`holder` is the process that works on it, where there are several. `recording` is the name of the member's own file that
it is made from.
"""

# One cover per song: VidGo makes a cover once, so everybody who asks for one shares this row.
Index(
    "uq_tasks_one_cover",
    tasks.c.source_id,
    unique=True,
    **_only(HOLDS_COVER),
)
# The same thing asked for twice is made once at a time.
Index("uq_tasks_one_order", tasks.c.order_key, unique=True, **_only(IS_ORDERED))
Index("ix_tasks_source", tasks.c.source_id)
Index("ix_tasks_user", tasks.c.user_id)
Index("ix_tasks_due", tasks.c.poll_at, **_only(IS_LIVE))
Index("ix_tasks_model_finished", tasks.c.model, tasks.c.finished_at)

files = Table(
    "files",
    metadata,
    Column("task_id", ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("audio_url", Text),
    Column("image_urls", JSON, nullable=False),
    Column("title", String(200), nullable=False),
    Column("tags", Text, nullable=False),
    Column("duration", Float),
    Column("audio_id", String(200)),
    Column("audio_sha256", String(64)),
    Column("image_sha256", String(64)),
    Column("archive_at", Float),
    Column("archive_tries", Integer, nullable=False, server_default="0"),
    Column("holder", String(24)),
)
"""The files of a finished task, in VidGo's order, and what of them is in the archive.

`archive_at` is when the archive tries to get what it lacks.
"""

Index("ix_files_archive_due", files.c.archive_at, **_only(text("archive_at IS NOT NULL")))
Index("ix_files_audio", files.c.audio_sha256)
Index("ix_files_image", files.c.image_sha256)

media = Table(
    "media",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("kind", String(8), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("used_at", Float, nullable=False),
    Column("state", String(8), nullable=False, server_default="kept"),
)
"""What the archive holds, under its hash. `used_at` is when it was last used, or began to come or to go."""

Index("ix_media_oldest", media.c.used_at)
Index("ix_media_changing", media.c.used_at, **_only(IS_CHANGING))

library = Table(
    "library",
    metadata,
    Column("user_id", BigInteger, primary_key=True),
    Column("task_id", ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("kind", String(8), nullable=False),
    Column("title", String(200), nullable=False),
    Column("folded_title", String(600), nullable=False),
    Column("added_at", Float, nullable=False),
)
"""Who may use which song: a song imported by two members stands here twice.

`kind` is `song` or `cover`. `folded_title` is for searching, as databases fold each in their own way.
"""

# It holds everything that a search looks at, so that looking through a member's songs reads nothing else.
Index(
    "ix_library_newest",
    library.c.user_id,
    library.c.added_at.desc(),
    library.c.task_id.desc(),
    library.c.position,
    library.c.kind,
    library.c.folded_title,
)
Index("ix_library_task", library.c.task_id)

removed_songs = Table(
    "removed_songs",
    metadata,
    Column("user_id", BigInteger, primary_key=True),
    Column("task_id", ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    *(Column(one.name, one.type, nullable=False) for one in library.c if not one.primary_key),
    Column("removed_at", Float, nullable=False),
)
"""What members took out of their libraries a moment ago, as it stood there, so that it can come back."""

Index("ix_removed_songs_task", removed_songs.c.task_id)
Index("ix_removed_songs_removed", removed_songs.c.removed_at)

recordings = Table(
    "recordings",
    metadata,
    Column("id", String(24), primary_key=True),
    Column("user_id", BigInteger, nullable=False),
    Column("name", String(200), nullable=False),
    Column("url", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("created_at", Float, nullable=False),
)
"""Members' own recordings for which a form asks the style: where Discord has them, for as long as a form is open."""

Index("ix_recordings_user", recordings.c.user_id)
Index("ix_recordings_created", recordings.c.created_at)

notifications = Table(
    "notifications",
    metadata,
    Column("id", String(24), primary_key=True),
    Column("interaction_id", BigInteger),
    Column("task_id", ForeignKey("tasks.id")),
    Column("position", Integer, nullable=False, server_default="0"),
    Column("user_id", BigInteger, nullable=False),
    Column("guild_id", BigInteger),
    Column("channel_id", BigInteger, nullable=False),
    Column("application_id", BigInteger, nullable=False),
    Column("interaction_token", Text),
    Column("token_expires_at", Float, nullable=False),
    Column("ephemeral", Boolean, nullable=False),
    Column("upload_limit", BigInteger, nullable=False),
    Column("locale", String(10), nullable=False),
    Column("ack_message_id", BigInteger),
    Column("ack_wanted", String(10)),
    Column("state", String(14), nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("attempt_at", Float),
    Column("sent_at", Float),
    Column("failures", Text),
    Column("message_id", BigInteger),
    Column("error", Text),
    Column("created_at", Float, nullable=False),
    Column("delivered_at", Float),
    Column("holder", String(24)),
    Column("ack_holder", String(24)),
    Column("alone", Boolean),
    Column("picture", Integer),
    Column("picture_wanted", Integer),
    Column("draft", JSON(none_as_null=True)),
    Column("own_locale", String(10)),
)
"""Who has to be told, and where.

`interaction_id` is Discord's, by which an interaction that arrives twice is known. `position` is the variant that is
meant: of the task's own files where they are audio, else of its source's. `ack_wanted` is what the acknowledgement
should say and does not say yet. `sent_at` is when the post was first sent, `failures` what asking for its files has
come to. `holder` is the process that answers or posts, `ack_holder` the one that changes the acknowledgement. With
`alone` the post has that version only. `picture` is which of several pictures it carries, where its requester has
chosen one; `picture_wanted` is the one that it does not carry yet. `draft` is what
was typed, until it has become a result; `locale` is the language of what everybody can read, `own_locale` that of what
the requester alone can, where it is another.
"""

Index("uq_notifications_interaction", notifications.c.interaction_id, unique=True)
Index("ix_notifications_message", notifications.c.message_id)
Index("ix_notifications_user", notifications.c.user_id, notifications.c.created_at)
Index("ix_notifications_ack", notifications.c.id, **_only(text("ack_wanted IS NOT NULL")))
Index("ix_notifications_picture", notifications.c.id, **_only(text("picture_wanted IS NOT NULL")))
Index("ix_notifications_passing", notifications.c.created_at, **_only(IS_PASSING))
Index("ix_notifications_task", notifications.c.task_id)
Index("ix_notifications_draft", notifications.c.created_at, **_only(text("draft IS NOT NULL")))
Index(
    "ix_notifications_due",
    notifications.c.attempt_at,
    **_only(IS_OPEN),
)

likes = Table(
    "likes",
    metadata,
    Column("task_id", ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
    Column("guild_id", BigInteger, primary_key=True, autoincrement=False),
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("liked_at", Float, nullable=False),
)
"""Who likes what, in which server: a row for each heart."""

Index("ix_likes_user", likes.c.user_id)
Index("ix_likes_guild", likes.c.guild_id, likes.c.liked_at)

usage = Table(
    "usage",
    metadata,
    Column("guild_id", BigInteger, primary_key=True, autoincrement=False),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("covers", Integer, nullable=False),
    Column("songs", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("credits", Float),
    Column("kept_until", Integer, nullable=False),
)
"""How many orders count against the limits of a day: a member's in a server, and under the user 0 all of the server's.

What was given back counts no more; what of it had failed is in `failures`. `credits` is what finished orders of the day
cost, as far as that is known; nothing where it is of none. A row goes after the day `kept_until`.
"""

Index("ix_usage_kept", usage.c.kept_until)
Index("ix_usage_user", usage.c.user_id, usage.c.day)

servers = Table(
    "servers",
    metadata,
    Column("guild_id", BigInteger, primary_key=True, autoincrement=False),
    Column("covers_per_user", Integer),
    Column("songs_per_user", Integer),
    Column("roles", JSON, nullable=False),
    Column("channels", JSON, nullable=False),
    Column("covers_of_others", Boolean, nullable=False),
    Column("mentions", Boolean, nullable=False),
    Column("language", String(10)),
    Column("welcome", Text),
    Column("recordings", Boolean, nullable=False, server_default=true()),
)
"""What a server's managers have set; nothing where the program's own setting holds.

`roles` are the limits of members with a role, by the role's id; `channels` are the only ones in which the bot may be
used, where there are any. `welcome` is what the server says to its members in `/help`.
"""

changes = Table(
    "changes",
    metadata,
    Column("id", String(24), primary_key=True),
    Column("guild_id", BigInteger, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("at", Float, nullable=False),
    Column("setting", String(20), nullable=False),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
)
"""Who changed which setting of a server, and when; a server's newest ones."""

Index("ix_changes_guild", changes.c.guild_id, changes.c.id)
Index("ix_changes_user", changes.c.user_id)

alarms = Table(
    "alarms",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("state", String(8), nullable=False),
    Column("since", Float, nullable=False),
    Column("details", JSON, nullable=False),
    Column("tell_at", Float),
    Column("sent_at", Float),
    Column("told_at", Float),
    Column("told", JSON, nullable=False),
)
"""What the owner is told of, one row for each kind.

`since` is when it began, `details` what the words need. `tell_at` is when there is something to tell, and None where
nobody has seen since the start whether it is still so. `sent_at` is when it was first sent, `told_at` when the owner
was last told that it began. `told` has who was told, by id: whether they could be told.
"""

Index("ix_alarms_due", alarms.c.tell_at, **_only(text("tell_at IS NOT NULL")))

greetings = Table(
    "greetings",
    metadata,
    Column("guild_id", BigInteger, primary_key=True, autoincrement=False),
    Column("joined_at", Float, nullable=False),
    Column("greet_at", Float),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("channel_id", BigInteger),
    Column("sent_at", Float),
)
"""The servers that were joined: each is greeted once, at `greet_at`, which is None when that is done.

`channel_id` is where the greeting was sent last and may be, `sent_at` when.
"""

Index("ix_greetings_due", greetings.c.greet_at, **_only(text("greet_at IS NOT NULL")))
for _column in (tasks.c.holder, files.c.holder, notifications.c.holder, notifications.c.ack_holder):
    # What is held is little, and is looked through when a process has died.
    Index(f"ix_{_column.table.name}_{_column.name}", _column, **_only(text(f"{_column.name} IS NOT NULL")))

processes = Table(
    "processes",
    metadata,
    Column("id", String(24), primary_key=True),
    Column("name", String(60), nullable=False),
    Column("version", String(20), nullable=False),
    Column("started_at", Float, nullable=False),
    Column("lease_until", Float, nullable=False),
)
"""Who lives, where there are several; with SQLite there is one, and no row."""

leases = Table(
    "leases",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("holder", String(24), nullable=False),
    Column("lease_until", Float, nullable=False),
)
"""What only one process does at a time."""

turns = Table(
    "turns",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("holder", String(24)),
    Column("free_at", Float, nullable=False),
)
"""When each thing may be done again that all processes together do only so often, and by whom before that."""

shard_blocks = Table(
    "shard_blocks",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("first", Integer, nullable=False),
    Column("last", Integer, nullable=False),
    Column("shards", Integer, nullable=False),
    Column("holder", String(24)),
    Column("lease_until", Float, nullable=False),
    Column("is_offered", Boolean, nullable=False),
    Column("successor", String(24)),
    Column("successor_until", Float, nullable=False),
)
"""Which process runs which part of the gateway, of so many `shards` in all; with SQLite one runs all, and no row.

Who ends offers its block; a `successor` begins its own sessions then, and is the holder when they are ready.
"""
