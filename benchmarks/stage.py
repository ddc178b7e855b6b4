"""The stand-ins with their members and songs, and the two sides that meet them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import cycle
from pathlib import Path

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
    program: Program = field(init=False)
    """Set when one runs."""

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
    """Both sides and the VidGo between them, with the bot's database."""

    floor: Side
    bot: Side
    vidgo: VidGoStandIn
    database: Path


@asynccontextmanager
async def open_stage(directory: Path, songs: int, url: str | None = None) -> AsyncIterator[Stage]:
    """Start the stand-ins and fill the bot's database with as many songs, ordered by many members in turn.

    The database is a file unless `url` names another one.
    """
    async with (
        DiscordStandIn(judge="later", rate_limits=False) as floor_discord,
        DiscordStandIn(judge="later", rate_limits=False) as bot_discord,
        VidGoStandIn(key=KEY, credits=1e9, seconds=3600.0) as vidgo,
    ):
        vidgo.callbacks = "off"
        database = directory / "bot.db"
        places = [_place(discord) for discord in (floor_discord, bot_discord)]
        (floor_channel, floor_members), (channel, members) = places
        tracks = await _fill(url or f"sqlite:///{database}", vidgo, [member.id for member in members], songs)
        yield Stage(
            Side(floor_discord, floor_channel, iter(zip(cycle(floor_members), tracks)), False, vidgo),
            Side(bot_discord, channel, iter(zip(cycle(members), tracks)), True, vidgo),
            vidgo,
            database,
        )


def _place(discord: DiscordStandIn) -> tuple[Channel, list[Member]]:
    guild = discord.add_guild("Benchmark")
    return guild.add_channel("music"), [guild.add_member(f"member{number}") for number in range(MEMBERS)]


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
