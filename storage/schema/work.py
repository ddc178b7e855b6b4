"""The tables of what is being done: tasks at VidGo, and notifications of members."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, ForeignKey, Index, Integer, String, Table, Text, text

from storage.schema.base import index_of_held, metadata, only
from storage.schema.states import HOLDS_COVER, IS_IN_LINE, IS_LIVE, IS_OPEN, IS_ORDERED, IS_PASSING

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
limits it counts against, or nothing where it does not, or not any more. `credits` is what it
costs, where that is known; only what is finished is charged.
`holder` is the process that works on it, where there are several. `recording` is the name of the member's own file that
it is made from.
"""

# One cover per song: VidGo makes a cover once, so everybody who asks for one shares this row.
Index(
    "uq_tasks_one_cover",
    tasks.c.source_id,
    unique=True,
    **only(HOLDS_COVER),
)
# The same thing asked for twice is made once at a time.
Index("uq_tasks_one_order", tasks.c.order_key, unique=True, **only(IS_ORDERED))
Index("ix_tasks_source", tasks.c.source_id)
Index("ix_tasks_user", tasks.c.user_id)
Index("ix_tasks_due", tasks.c.poll_at, **only(IS_LIVE))
# Every order asks who stands before it, and few do, however many are with VidGo.
Index("ix_tasks_line", tasks.c.id, **only(IS_IN_LINE))
Index("ix_tasks_model_finished", tasks.c.model, tasks.c.finished_at)

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
Index("ix_notifications_ack", notifications.c.id, **only(text("ack_wanted IS NOT NULL")))
Index("ix_notifications_picture", notifications.c.id, **only(text("picture_wanted IS NOT NULL")))
Index("ix_notifications_passing", notifications.c.created_at, **only(IS_PASSING))
Index("ix_notifications_task", notifications.c.task_id)
Index("ix_notifications_draft", notifications.c.created_at, **only(text("draft IS NOT NULL")))
Index(
    "ix_notifications_due",
    notifications.c.attempt_at,
    **only(IS_OPEN),
)
index_of_held(tasks.c.holder, notifications.c.holder, notifications.c.ack_holder)
