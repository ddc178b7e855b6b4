"""The tables of songs: their files, whose they are, and who likes them."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Float, ForeignKey, Index, Integer, String, Table, Text, text

from storage.schema.base import index_of_held, metadata, only
from storage.schema.states import IS_CHANGING

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

`archive_at` is when the archive tries to get what it lacks. At the position 1000 stands, until the task ends, the
member's own recording that it is made from.
"""

Index("ix_files_archive_due", files.c.archive_at, **only(text("archive_at IS NOT NULL")))
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
Index("ix_media_changing", media.c.used_at, **only(IS_CHANGING))

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

index_of_held(files.c.holder)
