"""The screens of owners and of new servers: greetings, letters, and an hour in which the bot is dead."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

from sandbox.pictures.orders import GENERATE
from sandbox.pictures.walk import POSTS, SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.discord import Guild
    from sandbox.pictures.walk import Walk
    from sandbox.play.stage import Stage

FEW_CREDITS = 60.0
HOUR_SECONDS = 3600.0
GIVEN_UP = "06b3gallery0tide0lost0an"
SEEN: dict[str, dict[str, Any]] = {
    "credits_gone": {"credits": 0.0},
    "vidgo": {},
    "disk": {"free": 312},
    "given_up": {"new": [GIVEN_UP], "said": [], "more": 0},
}
"""What the bot writes down when it has looked for long enough, or where a disk is full: its details by kind."""

BEGINNINGS = {
    "the key is refused": "VIDGO_API_KEY",
    "the disk is nearly full": "ARCHIVE_MAX_BYTES",
    "a result is given up": GIVEN_UP,
    "VidGo is out of reach": "<t:",
    "the credits are gone": "",
}
ENDINGS = {
    "VidGo answers again": "<t:",
    "the credits are low": "CREDITS_WARNING",
    "there is room on the disk again": "MB",
    "there are credits again": f"{FEW_CREDITS:g}",
    "the key is taken again": "",
}
"""Letters to owners by what is in them in every language, and in none of those after it."""


async def greet(walk: Walk) -> None:
    """See how new servers are greeted."""
    greeting = await walk.channel.wait_for(lambda _: True, SECONDS)
    walk.message("A new server is greeted", greeting)

    def hide(guild: Guild) -> None:
        guild.bot_permissions |= {"view_audit_log"}
        quay = guild.add_channel("quay")
        quay.bot_permissions -= POSTS | {"send_messages"}
        walk.places.append(quay)
        guild.add_member(walk.cleo)
        guild.added_by = walk.cleo.user

    walk.discord.add_guild("The Pier", locale=walk.language, prepare=hide)
    [letter] = await walk.letters(1)
    walk.message("A new server where it may write nowhere, by direct message", letter)


def foresee(stage: Stage) -> None:
    """Write down in the bot's place what it would see in an hour: it tells all of it as soon as there is one thing."""
    now = time.time()
    rows = [(kind, "raised", now - HOUR_SECONDS, json.dumps(details), now, "{}") for kind, details in SEEN.items()]
    _write(stage, "INSERT INTO alarms (kind, state, since, details, tell_at, told) VALUES (?, ?, ?, ?, ?, ?)", rows)


async def read_beginnings(walk: Walk) -> None:
    """See what owners are told when something is wrong."""
    _sort(walk, BEGINNINGS, (await walk.letters(1 + len(BEGINNINGS)))[1:])


async def read_endings(walk: Walk) -> None:
    """See what owners are told when it is over."""
    known = 1 + len(BEGINNINGS)
    _sort(walk, ENDINGS, (await walk.letters(known + len(ENDINGS)))[known:])


async def sleep_an_hour(stage: Stage) -> None:
    """Let the bot be dead for an hour in which VidGo makes no song, and has few credits at its end."""
    await stage.kill()
    times = ", ".join(f"{name} = {name} - ?" for name in _TIMES)
    statement = f"UPDATE tasks SET {times} WHERE finished_at IS NULL AND model = '{GENERATE}'"  # noqa: S608 (names of ours)
    _write(stage, statement, [[HOUR_SECONDS] * len(_TIMES)])
    stage.vidgo.credits = FEW_CREDITS
    await stage.come_alive()


_TIMES = ("created_at", "submitted_at", "poll_at", "doubt_since", "doubt_at")


def _sort(walk: Walk, names: dict[str, str], letters: Sequence[Any]) -> None:
    left = list(letters)
    for name, mark in names.items():
        letter = next(one for one in left if mark in one.content)
        left.remove(letter)
        walk.message(f"To the owner: {name}", letter)


def _write(stage: Stage, statement: str, rows: Sequence[Sequence[Any]]) -> None:
    with closing(sqlite3.connect(stage.directory / "coverbot.db")) as connection, connection:
        connection.executemany(statement, rows)
