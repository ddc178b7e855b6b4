"""Finding songs: autocompletion and library of a member with many songs, in a small and in a large database.

There is no floor program here: the small database is what the large one is held against.
"""

from __future__ import annotations

import json
import random
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from benchmarks.figures import Figure, p50, p99
from bot.songs.finding import IMPORTED, Songs
from bot.songs.library import Library
from bot.words.pages.place import Place
from storage.archive.archive import Archive
from storage.archive.disk import Disk
from storage.database import Database
from storage.ids import new_id
from storage.songs.library import Key

MEMBER = 1
OTHERS = 20_000
FIRST_ADDED_AT = 1.7e9
"""When the first song came; one comes each second."""
RATIO_TARGET = 1.5
P99_TARGET_MS = 25.0
_TASKS = (
    "INSERT INTO tasks (id, vidgo_id, token, model, user_id, title, request, status, created_at, submitted_at, "
    "finished_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_FILES = (
    "INSERT INTO files (task_id, position, audio_url, image_urls, title, tags, duration) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_LISTED = (
    "INSERT INTO library (user_id, task_id, position, kind, title, folded_title, added_at) VALUES (?, ?, ?, ?, ?, ?, ?)"
)

WORDS = ("harbour", "lights", "river", "moon", "paper", "boats", "winter", "road", "glass", "night", "fire", "song")


@dataclass(frozen=True)
class Load:
    """How much is measured: the member's songs, the tasks in both databases, and the samples of each kind."""

    songs: int
    few: int
    many: int
    samples: int


async def finding_songs(directory: Path, load: Load) -> list[Figure]:
    """Measure the use cases behind the autocompletion and `/music library`, in turns on both databases."""
    databases = {}
    for name, tasks in (("few", load.few), ("many", load.many)):
        databases[name] = await _filled(directory / f"{name}.db", load.songs, tasks)
    times: dict[tuple[str, str], list[float]] = {}
    rng = random.Random(1)
    try:
        spans = {"few": load.few, "many": load.many}
        sides = {name: _actions(database, spans[name], rng) for name, database in databases.items()}
        for number in range(-20, load.samples):
            for name in sorted(sides, reverse=bool(number % 2)):
                for what, act in sides[name].items():
                    began = time.perf_counter()
                    await act()
                    if number >= 0:
                        times.setdefault((what, name), []).append((time.perf_counter() - began) * 1000)
    finally:
        for database in databases.values():
            await database.close()
    return [figure for what in sides["few"] for figure in _figures(what, times, load)]


def _actions(database: Database, tasks: int, rng: random.Random) -> dict[str, Callable[[], Awaitable[object]]]:
    nobody = cast("Any", None)
    found = Songs(database, nobody, nobody, nobody, time.time, version="V5")
    archive = Archive(database, Disk(Path("unused")), 0, time.time)
    library = Library(database, found, archive, time.time)

    async def page() -> None:
        with TemporaryDirectory() as directory:
            await library.page(
                MEMBER, Place("", Key(FIRST_ADDED_AT + rng.uniform(tasks / 2, tasks), "", 0)), Path(directory)
            )

    async def search() -> None:
        with TemporaryDirectory() as directory:
            await library.page(MEMBER, Place(rng.choice(WORDS)), Path(directory))

    return {
        "Autocompletion, newest": lambda: found.choices(MEMBER, ""),
        "Autocompletion, typed": lambda: found.choices(MEMBER, rng.choice(WORDS)),
        "Autocompletion, no such song": lambda: found.choices(MEMBER, "zzz"),
        "Library, any page": page,
        "Library, search": search,
    }


def _figures(what: str, times: dict[tuple[str, str], list[float]], load: Load) -> list[Figure]:
    few, many = times[what, "few"], times[what, "many"]
    key = "find_" + "_".join(what.lower().replace(",", "").split())
    title = f"{what}, {load.many:,} tasks"
    return [
        Figure(f"{key}_p50", f"{title}, p50", "ms", p50(few), p50(many), "ratio", RATIO_TARGET, load.samples),
        Figure(f"{key}_p99", f"{title}, p99", "ms", p99(few), p99(many), "absolute", P99_TARGET_MS, load.samples),
    ]


async def _filled(path: Path, songs: int, tasks: int) -> Database:
    """Make a database with so many finished tasks, of which so many are the member's and the rest other members'."""
    database = await Database.open(f"sqlite:///{path}")
    await database.close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA synchronous = OFF")
    with connection:
        for statement, rows in _rows(songs, tasks):
            connection.executemany(statement, rows)
    connection.close()
    return await Database.open(f"sqlite:///{path}")


def _rows(songs: int, tasks: int) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
    rng = random.Random(0)
    batch = 20_000
    mine = set(rng.sample(range(tasks), songs))
    for begin in range(0, tasks, batch):
        made, kept, listed = [], [], []
        for number in range(begin, min(begin + batch, tasks)):
            at = FIRST_ADDED_AT + number
            task_id = new_id(at, rng.getrandbits)
            user = MEMBER if number in mine else rng.randrange(2, OTHERS)
            title = f"{rng.choice(WORDS)} {rng.choice(WORDS)} {number}".title()
            made.append((task_id, f"VIDGO{number:011d}", "t", IMPORTED, user, title, "{}", "finished", at, at, at + 60))
            kept.append((task_id, 0, f"https://example.com/{number}.mp3", json.dumps([]), title, "folk, warm", 120.0))
            listed.append((user, task_id, 0, "song", title, title.casefold(), at))
        yield _TASKS, made
        yield _FILES, kept
        yield _LISTED, listed
