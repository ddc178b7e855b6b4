"""What there is to play with: the stand-ins, people with songs, and the bot that lives, dies and starts again."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sandbox.bot_process import BotEndedError, BotProcess, describe_exit
from sandbox.discord import DiscordStandIn
from sandbox.ports import reserved_port
from sandbox.vidgo import VidGoStandIn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sandbox.discord import Guild, Member

TOKEN = "play.discord.token"  # noqa: S105 (the stand-in's own)
KEY = "play-vidgo-key"
COVER = "generate-music-cover"
CREDITS = 200.0

READY_SECONDS = 120.0
REPLY_SECONDS = 60.0
GOODBYE_SECONDS = 2.0

BARE_SECONDS, BARE_PIXELS = 2, 256
"""How long songs and how wide pictures are on a bare stage, where many of them are only glanced at."""

CHANNELS = ("music", "listening-room")
THREAD = "late-night"
MODERATOR = {"manage_messages", "manage_guild"}
SONGS = {
    "ada": (
        ("Paper Boats", "lofi, calm", 8),
        ("Harvest Moon", "piano ballad", 9),
        ("Harbour Lights", "folk, warm", 10),
    ),
    "ben": (("Night Bus", "synthwave", 7), ("Tin Roof", "country, fiddle", 8)),
    "cleo": (("Glass Garden", "ambient", 9),),
}
"""What each person has made elsewhere: title, style, seconds. The last one is offered first."""

Life = Literal["starting", "alive", "dead"]


class Stage:
    """The stand-ins with the bot between them; `life` is the bot's, `reason` says why it is dead.

    Whoever has to know when that changes is called through `onlookers`.
    """

    def __init__(
        self,
        discord: DiscordStandIn,
        vidgo: VidGoStandIn,
        bot: BotProcess,
        port: int,
        settings: dict[str, str],
        *,
        is_bare: bool,
    ) -> None:
        self.discord, self.vidgo = discord, vidgo
        self.life: Life = "dead"
        self.reason = "it has not been started"
        self.onlookers: list[Callable[[], None]] = []
        self.guild = _people_a_server(discord)
        self._songs = [(person, *song) for person in self.people for song in SONGS[person.name] if not is_bare]
        self._bot = bot
        self.directory = bot.directory
        self._settings = {
            "DISCORD_TOKEN": TOKEN,
            "DISCORD_API_URL": discord.api_url,
            "VIDGO_API_KEY": KEY,
            "VIDGO_API_URL": vidgo.api_url,
            "DATABASE_URL": "sqlite:///coverbot.db",
            "LISTEN_PORT": str(port),
            "PUBLIC_URL": f"http://127.0.0.1:{port}",
            "MEDIA_ALLOW_PRIVATE_HOSTS": "true",
            # A callback that is lost shall cost seconds here.
            "POLL_MIN_SECONDS": "1",
            "POLL_MAX_SECONDS": "2",
        } | settings
        self._run: asyncio.Task[None] | None = None

    @property
    def people(self) -> list[Member]:
        """Return whom one can be."""
        return [member for member in self.guild.members.values() if member.user.name in SONGS]

    def start(self) -> None:
        """Start the bot; where it lives already, or starts, nothing happens."""
        if self.life == "dead":
            self._turn("starting")
            self._run = asyncio.get_running_loop().create_task(self._live())

    async def come_alive(self) -> None:
        """Start the bot and wait until it lives; raises `BotEndedError` where it dies."""
        turned = asyncio.Event()
        self.onlookers.append(turned.set)
        try:
            self.start()
            while self.life == "starting":
                turned.clear()
                await turned.wait()
        finally:
            self.onlookers.remove(turned.set)
        if self.life == "dead":
            raise BotEndedError(self.reason)

    async def kill(self) -> None:
        """End the bot at once, as a power cut would."""
        run, self._run = self._run, None
        if run is not None:
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)
        await self._bot.kill()
        if self.life != "dead":
            self._turn("dead", "it was killed")

    async def close(self) -> None:
        """Ask the bot to shut down, and kill it where that takes longer than anybody wants to wait for."""
        run, self._run = self._run, None
        if run is not None:
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)
        try:
            if self.life == "alive":
                with contextlib.suppress(BotEndedError, TimeoutError):
                    async with asyncio.timeout(GOODBYE_SECONDS):
                        await self._bot.stop()
        finally:
            await self._bot.kill()

    async def _live(self) -> None:
        """Start the bot, furnish the stage, and see when the bot dies by itself."""
        try:
            before = self.discord.identified
            await self._bot.start(self._settings)
            await self._bot.during(self.discord.wait_ready(READY_SECONDS, newer_than=before))
            await self._bot.during(self._bring_in())
            self._turn("alive")
            code = await self._bot.ended()
            self._turn("dead", describe_exit(code))
        except (BotEndedError, LookupError, TimeoutError, OSError) as error:
            await self._bot.kill()
            self._turn("dead", " ".join([str(error), *self._bot.log_tail(1)]))

    async def _bring_in(self) -> None:
        """Let everybody bring in their songs, each by a command of their own; what was brought in stays so."""
        while self._songs:
            person, title, tags, seconds = self._songs[0]
            song = self.vidgo.add_song(title, tags=tags, seconds=seconds, variants=1)
            call = await self.discord.slash(person, self.guild.channels[0], "music import", task_id=song.id)
            await call.reply(REPLY_SECONDS)
            del self._songs[0]

    def _turn(self, life: Life, reason: str = "") -> None:
        self.life, self.reason = life, reason
        for onlooker in list(self.onlookers):
            onlooker()


def _people_a_server(discord: DiscordStandIn) -> Guild:
    guild = discord.add_guild("The Boathouse")
    channels = [guild.add_channel(name) for name in CHANNELS]
    guild.add_thread(channels[0], THREAD)
    for name in SONGS:
        member = guild.add_member(name)
        if name == "cleo":
            member.permissions |= MODERATOR
    return guild


@asynccontextmanager
async def open_stage(seconds: float, *, is_bare: bool = False, **settings: str) -> AsyncIterator[Stage]:
    """Open the stand-ins, where VidGo takes so many seconds for a task; nothing is left behind at the end.

    On a bare one nobody has songs yet, all is short and small, and Discord slows nobody down. `settings` are the
    bot's, beside those that it needs here.
    """
    length, size = (BARE_SECONDS, BARE_PIXELS) if is_bare else (8, 512)
    with tempfile.TemporaryDirectory(prefix="coverbot-play-") as directory, reserved_port() as port:
        async with (
            DiscordStandIn(token=TOKEN, rate_limits=not is_bare) as discord,
            VidGoStandIn(KEY, credits=CREDITS, seconds=seconds, audio_seconds=length, picture_size=size) as vidgo,
        ):
            vidgo.set_result(COVER, "audio_one")
            vidgo.tells_credits = ("finished",)
            stage = Stage(discord, vidgo, BotProcess(Path(directory)), port, settings, is_bare=is_bare)
            try:
                yield stage
            finally:
                await stage.close()
