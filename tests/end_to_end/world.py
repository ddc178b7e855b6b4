"""A Discord, a VidGo and the real program between them, and the people who use it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp

from sandbox.discord import DiscordStandIn
from sandbox.ports import reserved_port
from sandbox.vidgo import VidGoStandIn
from tests.databases import lay_database
from tests.end_to_end.process import Bot
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from sandbox.discord import Call, Channel, Choice, Guild, Member, Message
    from sandbox.vidgo import Task

COVER = "generate-music-cover"
IMPATIENT = "tests.end_to_end.impatient"
"""The program with little patience for files."""

SONG = "generate-music"
TOKEN = "MTA5OTUxMTYyNzc3Ng.GwY2aK.an-end-to-end-token-of-nobody"
KEY = "vg-end-to-end-key-5b0e2f"
WEBHOOK_SECRET = "an-end-to-end-webhook-secret"

WITHOUT_LIMITS = {"DAILY_COVERS_PER_USER": "-1", "DAILY_SONGS_PER_USER": "-1"}
"""Members of tests may order as much as they want; the tests of limits set their own."""

# What asyncio and Python say of work that somebody forgot.
_FORGOTTEN = ("Traceback", "never awaited", "never retrieved", "was destroyed", "Unclosed", "ResourceWarning")


def said(message: Message) -> str:
    """Return all that a message has said, before its edits too."""
    return "\n".join([*message.edits, message.content])


async def eventually(holds: Callable[[], bool | Awaitable[bool]], seconds: float = 20) -> None:
    """Look until something holds that announces itself nowhere: a row, an answer of the listener."""
    async with asyncio.timeout(patient(seconds)):
        while True:
            found = holds()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.02)


@dataclass
class World:
    """Everything that one bot lives in."""

    discord: DiscordStandIn
    vidgo: VidGoStandIn
    bot: Bot
    guild: Guild
    http: aiohttp.ClientSession
    url: str
    channels: list[Channel] = field(default_factory=list)

    def person(self, name: str, channel: Channel | None = None) -> Person:
        """Let somebody join, in a channel of their own unless one is given."""
        if channel is None:
            channel = self.guild.add_channel(f"{name}-{len(self.channels)}")
            self.channels.append(channel)
        return Person(self, self.guild.add_member(name), channel)

    def thread(self, channel: Channel, name: str) -> Channel:
        """Open a thread."""
        thread = self.guild.add_thread(channel, name)
        self.channels.append(thread)
        return thread

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        """Read the program's database as an owner's shell would."""
        path = self.bot.directory / "coverbot.db"
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
        connection.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in connection.execute(query, values)]
        finally:
            connection.close()

    def submitted(self, song: Task) -> int:
        """Return how often a cover of a song was asked of VidGo."""
        return sum(one.model == COVER and one.input == {"task_id": song.id} for one in self.vidgo.submissions)

    async def get(self, path: str) -> tuple[int, str]:
        """Ask the program's listener, and return status and body."""
        async with self.http.get(self.url + path) as response:
            return response.status, await response.text()

    def check(self) -> None:
        """Hold what must be true of every run against this one."""
        log = self.bot.log
        assert [word for word in _FORGOTTEN if word in log] == [], log[-6000:]
        urls = [str(one.callback_url) for one in self.vidgo.submissions if one.callback_url]
        tokens = [url.rpartition("/")[2] for url in urls if "/callbacks/" in url]
        secrets = [TOKEN, KEY, WEBHOOK_SECRET, *tokens, *self.discord.state.calls_by_token]
        assert [secret for secret in secrets if secret in log] == []
        assert self.discord.violations == []
        private = {call: sum(reply.ephemeral for reply in call.replies) for call in self.discord.state.calls.values()}
        assert [call.data for call, times in private.items() if times > 1] == [], "told twice"
        posts = [message for channel in self.channels for message in channel.history.values()]
        # What was called failed may come after all; then the two are told apart by their files.
        answered = Counter((post.reference, bool(post.attachments)) for post in posts if post.reference is not None)
        assert {reference: times for reference, times in answered.items() if times > 1} == {}, "posted twice"


@dataclass
class Person:
    """A member of the guild who writes in one channel."""

    world: World
    member: Member
    channel: Channel

    async def use(self, command: str, **options: Any) -> Call:
        """Use a slash command."""
        return await self.world.discord.slash(self.member, self.channel, command, **options)

    async def cover(self, track: str | None = None) -> Call:
        """Type `/cover`."""
        return await self.use("cover", **({} if track is None else {"track": track}))

    async def type_track(self, typed: str) -> list[Choice]:
        """Type into the option of `/cover` and return what is offered."""
        return await self.world.discord.autocomplete(self.member, self.channel, "cover", "track", typed)

    async def imports(self, title: str, *, tags: str = "folk", seconds: float = 2, variants: int = 1) -> Task:
        """Make a song elsewhere and bring it in."""
        song = self.world.vidgo.add_song(title, tags=tags, seconds=seconds, variants=variants)
        await self.brings_in(song)
        return song

    async def brings_in(self, song: Task) -> None:
        """Bring in a song that was made elsewhere."""
        call = await self.use("music import", task_id=song.id)
        reply = await call.reply()
        assert reply.ephemeral
        assert "is in your library" in reply.content

    async def result(self, call: Call, timeout: float = 20) -> Message:
        """Return the message that answers the acknowledgement of a call."""
        await call.acknowledged()
        original = call.original
        assert original is not None
        return await self.channel.wait_for(lambda message: message.reference == original.id, timeout)

    async def covered(self, track: str | None = None) -> Message:
        """Type `/cover` and return the result."""
        call = await self.cover(track)
        reply = await call.reply()
        if "You have this one" in reply.content:
            call = await self.world.discord.press(self.member, reply, "Post again")
        return await self.result(call)

    async def failure(self, call: Call, timeout: float = 20) -> Message:
        """Return the private message that says why nothing came of what was acknowledged in public."""
        return await call.changed.wait_for(
            lambda: next((one for one in call.followups if one.ephemeral), None), timeout, "private word"
        )

    async def ending(self, call: Call, timeout: float = 20) -> Message:
        """Return what says why nothing came of an order, in private or where that is too late in the channel."""

        def look() -> Message | None:
            told = [one for one in call.followups if one.ephemeral]
            answers = [one for one in self.channel.messages if call.original and one.reference == call.original.id]
            return next(iter([*told, *answers]), None)

        return await self.world.discord.state.changed.wait_for(look, timeout, "end of an order")

    async def refusal(self, call: Call) -> str:
        """Return the one private sentence that a call was refused with, a public "thinking…" gone."""
        reply = await call.reply()
        assert reply.ephemeral
        assert call.deleted_original or call.original is reply
        assert len(call.replies) == 1
        assert [message for message in self.channel.messages if message.interaction_call is call] == []
        return reply.content


@asynccontextmanager
async def open_world(
    directory: Path, *, callbacks: bool = True, start: bool = True, module: str = "bot", **settings: str
) -> AsyncIterator[World]:
    """Start the stand-ins and the program, which `module` runs; at the end stop it and check that all was well.

    With callbacks the program hardly ever asks by itself, so that nothing arrives in time without them.
    """
    async with (
        DiscordStandIn(token=TOKEN) as discord,
        VidGoStandIn(key=KEY, seconds=0.3, audio_seconds=2, picture_size=64) as vidgo,
        aiohttp.ClientSession() as http,
        AsyncExitStack() as stack,
    ):
        port = stack.enter_context(reserved_port())
        url = f"http://127.0.0.1:{port}"
        defaults = {
            "DISCORD_TOKEN": TOKEN,
            "DISCORD_API_URL": discord.api_url,
            "VIDGO_API_KEY": KEY,
            "VIDGO_API_URL": vidgo.api_url,
            "VIDGO_REQUESTS_PER_SECOND": "200",
            "DATABASE_URL": f"sqlite:///{directory}/coverbot.db",
            **WITHOUT_LIMITS,
            "LISTEN_PORT": str(port),
            "PUBLIC_URL": url if callbacks else "",
            "POLL_MIN_SECONDS": "1800" if callbacks else "0.2",
            "POLL_MAX_SECONDS": "3600" if callbacks else "1",
            "MEDIA_ALLOW_PRIVATE_HOSTS": "true",
        }
        if "DATABASE_URL" not in settings:
            lay_database(directory / "coverbot.db")
        bot = Bot(directory, defaults | settings, discord)
        bot.module = module
        world = World(discord, vidgo, bot, discord.add_guild("Harbour"), http, url)
        try:
            if start:
                await bot.start()
            yield world
            if bot.running:
                await bot.stop()
        finally:
            await bot.kill()
        world.check()
