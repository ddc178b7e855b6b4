"""A database as version 0.1.0 has left it: a row in every state, and the file beside it that it kept for itself."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config

from storage.sqlite.opening import MIGRATIONS
from tests.storage.rows import NOW

STATUSES = ("queued", "submitting", "waiting", "running", "finished", "failed", "given_up")
STATES = ("asked", "answered", "waiting", "due", "sending", "delivered", "undeliverable", "cancelled")
WORDS = (None, "ordered", "late", "done", "elsewhere", "failed", "cancelled")
"""What an acknowledgement was to say."""


def name(kind: str, number: int) -> str:
    return f"{kind}{number:0{24 - len(kind)}}"


def task(number: int, **changes: Any) -> dict[str, Any]:
    status = STATUSES[number % len(STATUSES)]
    return {
        "id": name("t", number),
        "vidgo_id": None if status in ("queued", "submitting") else f"VG{number}",
        "token": f"token {number}",
        "model": "generate-music",
        "source_id": None,
        "style": None,
        "user_id": number,
        "guild_id": None,
        "title": "Sea",
        "request": '{"prompt": "sea"}',
        "status": status,
        "error_kind": "time" if status in ("failed", "given_up") else None,
        "error": None,
        "created_at": NOW,
        "submitted_at": NOW,
        "finished_at": None,
        "poll_at": NOW if number % len(STATUSES) < 4 else None,
        "polls": 2,
        "bells": 1,
        "late_at": None,
    } | changes


def notification(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": name("n", number),
        "kind": "result",
        "task_id": name("t", number % len(STATUSES)),
        "position": 0,
        "user_id": number,
        "guild_id": 2,
        "channel_id": 3,
        "application_id": 4,
        "interaction_token": "secret",
        "token_expires_at": NOW + 900,
        "ephemeral": 0,
        "upload_limit": 10,
        "locale": "de",
        "ack_message_id": 7,
        "ack_wanted": WORDS[number % len(WORDS)],
        "state": STATES[number % len(STATES)],
        "attempts": 1,
        "attempt_at": NOW,
        "message_id": None,
        "error": None,
        "created_at": NOW,
        "delivered_at": None,
    } | changes


TASKS = [
    *(task(number) for number in range(14)),
    task(14, status="finished", vidgo_id="song"),
    task(15, model="generate-music-cover", source_id=name("t", 14), status="finished"),
    # Two of one style, of which one has ended: an index that is gone allowed that.
    task(16, model="upload-and-cover-audio", source_id=name("t", 14), style="jazz", status="failed"),
    task(17, model="upload-and-cover-audio", source_id=name("t", 14), style="jazz", status="running"),
]
NOTIFICATIONS = [
    *(notification(number) for number in range(56)),
    # That a task takes longer was a message of its own, which is nobody's any more.
    *(notification(60 + number, kind="late", state=state) for number, state in enumerate(STATES)),
]
FILES = [{"task_id": name("t", 14), "position": n, "image_urls": "[]", "title": "Sea", "tags": ""} for n in range(2)]
LIBRARY = [
    {"user_id": n, "task_id": name("t", 14), "position": 0, "kind": "song", "title": "Sea", "folded_title": "sea"}
    | {"added_at": NOW}
    for n in range(3)
]
MEDIA = [{"sha256": "ab", "kind": "mp3", "size": 5, "used_at": NOW}]


def journal_row(number: int, **changes: Any) -> dict[str, Any]:
    return (
        notification(number, task_id=None, state="asked", ack_message_id=None, ack_wanted=None, ephemeral=True)
        | changes
    )


def line(number: int, row: Any) -> bytes:
    return json.dumps({"id": name("n", number), "row": row}).encode() + b"\n"


JOURNAL = b"".join(
    [
        line(100, journal_row(100)),  # not finished
        line(101, journal_row(101)),
        json.dumps({"id": name("n", 101)}).encode() + b"\n",  # finished
        line(0, journal_row(0)),  # in the database already, and further than that
        line(102, journal_row(102, colour="red")),  # a word that nobody knows
        line(103, {"id": name("n", 103)}),  # half of a row
        line(104, "no row at all"),
        line(105, journal_row(105, task_id=name("t", 999))),  # about a task that is gone
        b"[]\n",
        b"7\n",
        b"\xff\xfe\n",
        b"\n",
        json.dumps({"id": name("n", 999)}).encode() + b"\n",  # finished, and never begun
        line(106, journal_row(106)),
        line(107, journal_row(107))[:-40],  # cut off by the death of the process
    ]
)
BROUGHT_IN = [name("n", number) for number in (100, 102, 105, 106)]


def make(path: Path, *, with_journal: bool = True) -> None:
    """Make such a database."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["path"] = path
    command.upgrade(config, "0001")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA journal_mode = WAL")
        for table, rows in (
            ("tasks", TASKS),
            ("files", FILES),
            ("library", LIBRARY),
            ("media", MEDIA),
            ("notifications", NOTIFICATIONS),
        ):
            for row in rows:
                marks = ", ".join("?" for _ in row)
                connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))
    if with_journal:
        path.with_name(f"{path.name}-asked").write_bytes(JOURNAL)


def dump(path: Path) -> list[str]:
    """Return all that a database holds."""
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())
