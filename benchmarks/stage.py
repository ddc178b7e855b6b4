"""The stand-ins with their members and songs, and the two sides that meet them."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from itertools import cycle
from pathlib import Path
from tempfile import mkdtemp

from benchmarks import programs
from benchmarks.programs import KEY, Program
from bot.songs.finding import IMPORTED
from bot.tasks.new import new_task
from bot.vidgo import CoverArt, GenerateMusic
from sandbox.discord import Call, Channel, DiscordStandIn, Member
from sandbox.vidgo import VidGoStandIn
from storage import tasks as rows
from storage.database import Database
from storage.schema import TaskStatus
from storage.songs import files as file_rows
from storage.songs import library
from storage.songs.files import File

_KEPT = """
PRAGMA journal_mode = WAL;
CREATE TABLE songs (id TEXT PRIMARY KEY, user_id INTEGER, title TEXT, vidgo_id TEXT);
CREATE TABLE interactions (
    id INTEGER PRIMARY KEY, token TEXT, user_id INTEGER, channel_id INTEGER, order_id TEXT, message_id INTEGER,
    asked_at REAL
);
CREATE TABLE used (user_id INTEGER, day INTEGER, orders INTEGER, PRIMARY KEY (user_id, day));
CREATE TABLE orders (
    id TEXT PRIMARY KEY, song_id TEXT UNIQUE, user_id INTEGER, request TEXT, status TEXT, created_at REAL
);
CREATE TABLE results (
    id TEXT PRIMARY KEY, channel_id INTEGER, ack_message_id INTEGER, state TEXT, result TEXT, message_id INTEGER
);
"""

COVER = CoverArt.model
MEMBERS = 50


@dataclass
class Side:
    """One program with the Discord that it is connected to: a stand-in serves one bot, so each has its own."""

    discord: DiscordStandIn
    channel: Channel
    orders: Iterator[tuple[Member, str]]
    does_the_work: bool
    vidgo: VidGoStandIn
    keeps: bool = True
    """Whether it keeps the bot's promises."""
    program: Program = field(init=False)
    """Set when one runs."""

    @property
    def name(self) -> str:
        """What it is called in a measurement."""
        return "bot" if self.does_the_work else f"floor{self.key}"

    @property
    def key(self) -> str:
        """Return what the keys of figures beside this floor end with."""
        return "_kept" if self.keeps else ""

    @property
    def title(self) -> str:
        """Return what their titles say."""
        return ", same promise" if self.keeps else ""

    async def order(self) -> Call:
        """Let the next member ask for the cover of a song that was never asked for."""
        member, track = next(self.orders)
        return await self.discord.slash(member, self.channel, "cover", track=track)

    def forget(self) -> None:
        """End what VidGo works on, without a word to anybody: what it holds must not slow it down."""
        if self.does_the_work:
            for task in list(self.vidgo.tasks.values()):
                if not task.final:
                    self.vidgo.finish(task)


@dataclass(frozen=True)
class Stage:
    """All sides and the VidGo between them, with the bot's database.

    The floor does the least that can be seen. `keeper` keeps the bot's promises too, in `kept`, and nothing more.
    """

    floor: Side
    keeper: Side
    bot: Side
    vidgo: VidGoStandIn
    database: Path
    kept: Path

    @asynccontextmanager
    async def floors(self, least: str, keeping: str) -> AsyncIterator[None]:
        """Run the programs of both floors."""
        known = {"DATABASE": str(self.kept), "VIDGO_API_URL": self.vidgo.api_url, "VIDGO_API_KEY": KEY}
        async with (
            programs.floor(least, self.floor.discord) as self.floor.program,
            programs.floor(keeping, self.keeper.discord, **known) as self.keeper.program,
        ):
            await self.floor.program.ready()
            await self.keeper.program.ready()
            yield


@asynccontextmanager
async def open_stage(directory: Path, songs: int, url: str | None = None) -> AsyncIterator[Stage]:
    """Start the stand-ins and fill the bot's database with as many songs, ordered by many members in turn.

    The database is a file unless `url` names another one. Each stage has a directory of its own within `directory`.
    """
    directory = Path(mkdtemp(prefix="stage-", dir=directory))
    async with (
        DiscordStandIn(judge="later", rate_limits=False) as floor_discord,
        DiscordStandIn(judge="later", rate_limits=False) as keeper_discord,
        DiscordStandIn(judge="later", rate_limits=False) as bot_discord,
        VidGoStandIn(key=KEY, credits=1e9, seconds=3600.0) as vidgo,
    ):
        vidgo.callbacks = "off"
        database, kept = directory / "bot.db", directory / "kept.db"
        places = [_place(discord) for discord in (floor_discord, keeper_discord, bot_discord)]
        (floor_channel, floor_members), (keeper_channel, keeper_members), (channel, members) = places
        tracks = await _fill(url or f"sqlite:///{database}", vidgo, [member.id for member in members], songs)
        _keep(kept, list(zip(tracks, cycle(member.id for member in keeper_members))))
        orders = [iter(zip(cycle(some), tracks)) for some in (floor_members, keeper_members, members)]
        yield Stage(
            Side(floor_discord, floor_channel, orders[0], does_the_work=False, vidgo=vidgo, keeps=False),
            Side(keeper_discord, keeper_channel, orders[1], does_the_work=False, vidgo=vidgo),
            Side(bot_discord, channel, orders[2], does_the_work=True, vidgo=vidgo),
            vidgo,
            database,
            kept,
        )


def _place(discord: DiscordStandIn) -> tuple[Channel, list[Member]]:
    guild = discord.add_guild("Benchmark")
    return guild.add_channel("music"), [guild.add_member(f"member{number}") for number in range(MEMBERS)]


def _keep(path: Path, songs: list[tuple[str, int]]) -> None:
    """Make the database of the floors that keep what they promise, with members' songs."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(_KEPT)
        rows = [(track, user_id, f"Song {number}", track) for number, (track, user_id) in enumerate(songs)]
        connection.executemany("INSERT INTO songs VALUES (?, ?, ?, ?)", rows)
        connection.commit()


async def _fill(url: str, vidgo: VidGoStandIn, user_ids: list[int], songs: int) -> list[str]:
    """Put songs made elsewhere into members' libraries, one after the other in turn; return their track values."""
    database = await Database.open(url)
    now = time.time()
    tracks = []
    async with database.write() as connection:
        for number in range(songs):
            user_id = user_ids[number % len(user_ids)]
            title = f"Song {number}"
            made = vidgo.add_song(title, seconds=120, variants=1)
            draft = new_task(GenerateMusic(prompt=title), now=now, user_id=user_id, guild_id=None, title=title)
            task = replace(draft, vidgo_id=made.id, model=IMPORTED, status=TaskStatus.FINISHED, poll_at=None)
            file = File(task.id, 0, f"{vidgo.api_url}/files/{made.id}/1.mp3", [], title, "folk", 120.0, None)
            await rows.add(connection, task)
            await file_rows.add(connection, [file])
            await library.add(connection, [user_id], [file], "song", now)
            tracks.append(task.id)
    await database.close()
    return tracks
