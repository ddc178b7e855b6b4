"""`coverbot demo`: a member's session with the real bot, against stand-ins of Discord and VidGo on this machine."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.bot_process import BotEndedError, BotProcess, free_port
from sandbox.delivered import audio_seconds, cover_picture, picture_size
from sandbox.discord import DiscordStandIn
from sandbox.transcript import Transcript, clock, kilobytes, open_console
from sandbox.vidgo import VidGoStandIn

if TYPE_CHECKING:
    from rich.console import Console

    from sandbox.discord import Choice, Message
    from sandbox.vidgo import Task

FOLDER = "demo-output"
LIMIT_SECONDS = 60.0
EVENT_SECONDS = 20.0
COVER_SECONDS = 2.5
LOG_LINES = 12

TOKEN = "demo.discord.token"  # noqa: S105 (the stand-in's own)
KEY = "demo-vidgo-key"
COVER = "generate-music-cover"
FINE, FAILED = 0, 1


class StepFailedError(Exception):
    """Something that the demo promises did not happen; the text says what."""


@dataclass(frozen=True)
class Saved:
    """A delivered song and its artwork in the folder; `how` says what the song is."""

    song: Path
    artwork: Path
    how: str


def main() -> int:
    """Play the demo in the terminal; return 0 only if every step really happened, else 1."""
    console = open_console()
    try:
        return asyncio.run(perform(console, Path(FOLDER)))
    except KeyboardInterrupt:  # a second Ctrl-C, while the first one was being obeyed
        return FAILED


async def perform(console: Console, folder: Path) -> int:
    """Play the session and save what it delivered in `folder`; return the exit code."""
    current = asyncio.current_task()
    if current is not None:
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, current.cancel)
    names: dict[int, str] = {}
    transcript = Transcript(console, names)
    session: Session | None = None
    log: list[str] = []
    try:
        await asyncio.to_thread(folder.mkdir, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="coverbot-demo-") as directory:
            bot = BotProcess(Path(directory))
            async with (
                asyncio.timeout(LIMIT_SECONDS),
                DiscordStandIn(token=TOKEN) as discord,
                VidGoStandIn(key=KEY, seconds=COVER_SECONDS) as vidgo,
            ):
                session = Session(transcript, names, discord, vidgo, bot, folder)
                try:
                    await session.play()
                finally:
                    await bot.kill()
                    log = bot.log_tail(LOG_LINES)
    except asyncio.CancelledError:
        transcript.failed("The demo was interrupted. Nothing of it is running any more.", [])
        return FAILED
    except Exception as error:  # whatever it was, the reader and the exit code have to tell
        step = session.step if session is not None else "The preparation"
        transcript.failed(f"{step} failed: {explain(error)}.", log)
        return FAILED
    return FINE


def explain(error: Exception) -> str:
    """Put what went wrong into words."""
    if isinstance(error, StepFailedError | BotEndedError):
        return str(error)
    if isinstance(error, TimeoutError):
        return f"it took too long ({str(error) or f'the whole demo has {LIMIT_SECONDS:.0f} s'})"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return f"{type(error).__name__}: {error}"


def require(condition: object, otherwise: str) -> None:
    """Raise `StepFailedError` with the words of `otherwise` unless the condition holds."""
    if not condition:
        raise StepFailedError(otherwise)


class Session:
    """One member's session, step by step; whatever does not happen raises."""

    def __init__(
        self,
        transcript: Transcript,
        names: dict[int, str],
        discord: DiscordStandIn,
        vidgo: VidGoStandIn,
        bot: BotProcess,
        folder: Path,
    ) -> None:
        self.step = "The start"
        self._transcript = transcript
        self._discord, self._vidgo, self._bot = discord, vidgo, bot
        self._folder = folder
        self._port = free_port()
        self._began = time.monotonic()
        guild = discord.add_guild("The Boathouse")
        self._channel = guild.add_channel("music")
        self._ada = guild.add_member("ada")
        names[self._ada.id] = self._ada.name
        self._acknowledgements: list[Message] = []
        self._saved: list[Saved] = []

    async def play(self) -> None:
        """Play everything, in order."""
        show = self._transcript
        show.text("The real bot, with a stand-in Discord and a stand-in VidGo. No account, no network.", "bold")
        show.text(f"Here a cover takes {COVER_SECONDS:g} s; at VidGo it takes a minute or two.")
        add = self._vidgo.add_song
        harbour = add("Harbour Lights", tags="folk, warm", seconds=20)
        harvest = add("Harvest Moon", tags="piano ballad", seconds=18, variants=1)
        boats = add("Paper Boats", tags="lofi, calm", seconds=16, variants=1)

        self._begin(1, "Ada brings in songs that she has made elsewhere")
        await self._start(callbacks=True)
        await self._import(harbour, harvest, boats)
        self._begin(2, "While she types, the bot offers them, newest first")
        choice = await self._type()
        self._begin(3, "/cover, and VidGo calls the bot back")
        await self._cover_by_callback(choice)
        await self._bot.stop()
        self._begin(4, "Without callbacks, and the bot is killed on the way: nothing is lost")
        await self._start(callbacks=False)
        await self._cover_by_polling("harv")
        self._begin(5, "VidGo delivers artwork only: it goes into the song's file")
        await self._cover_of_artwork("pap")
        self._begin(6, "The end")
        await self._bot.stop()
        self._sum_up()

    def _begin(self, number: int, title: str) -> None:
        self.step = f"Step {number}, “{title}”,"
        self._transcript.heading(f"{number} · {title}")

    async def _start(self, *, callbacks: bool) -> None:
        before = self._discord.identified
        # With callbacks the poller is too slow to be the one who brings the result.
        shortest, longest = ("30", "60") if callbacks else ("0.5", "2")
        settings = {
            "DISCORD_TOKEN": TOKEN,
            "DISCORD_API_URL": self._discord.api_url,
            "VIDGO_API_KEY": KEY,
            "VIDGO_API_URL": self._vidgo.api_url,
            "DATABASE_URL": "sqlite:///coverbot.db",
            "LISTEN_PORT": str(self._port),
            "MEDIA_ALLOW_PRIVATE_HOSTS": "true",
            "POLL_MIN_SECONDS": shortest,
            "POLL_MAX_SECONDS": longest,
        }
        if callbacks:
            settings["PUBLIC_URL"] = f"http://127.0.0.1:{self._port}"
        with self._transcript.waiting("the bot starts"):
            await self._bot.start(settings)
            await self._bot.during(self._discord.wait_ready(EVENT_SECONDS, newer_than=before))

    # Steps

    async def _import(self, song: Task, *others: Task) -> None:
        self._transcript.types("ada", f"/music import task_id: {song.id}")
        self._transcript.message(await self._bring_in(song), remark="(for ada only)")
        for other in others:
            await self._bring_in(other)
        titles = " and ".join(other.title for other in others)
        self._transcript.note(f"she brings in {titles} in the same way")

    async def _bring_in(self, song: Task) -> Message:
        call = await self._discord.slash(self._ada, self._channel, "music import", task_id=song.id)
        reply = await self._bot.during(call.reply(EVENT_SECONDS))
        require(call.ephemeral, "the answer to an import is not private")
        require(f"**{song.title}** is in your library" in reply.content, f"{song.title} was not imported")
        return reply

    async def _type(self) -> Choice:
        everything = await self._choices("")
        self._transcript.offers("ada", "/cover track: ", everything)
        require(len(everything) == 4, f"4 songs should be offered, not {len(everything)}")
        narrowed = await self._choices("harb")
        self._transcript.offers("ada", "/cover track: harb", narrowed)
        names = [choice.name for choice in narrowed]
        require(names and all(name.startswith("Harbour Lights") for name in names), f"“harb” brings {names}")
        return narrowed[0]

    async def _cover_by_callback(self, choice: Choice) -> None:
        self._vidgo.set_result(COVER, "audio", times=1)
        acknowledgement = await self._order(choice)
        task = await self._made()
        deliveries = self._vidgo.wait_delivery(lambda one: one.task_id == task.id, timeout=EVENT_SECONDS)
        called = await self._bot.during(deliveries)
        require(called.status == 200, f"the bot answered VidGo's callback with {called.status}")
        result = await self._result(acknowledgement)
        self._transcript.note("VidGo finishes it and calls the bot back")
        self._show_and_save(result, "a new performance, by callback")

    async def _cover_by_polling(self, typed: str) -> None:
        self._vidgo.set_result(COVER, "audio", times=1)
        self._vidgo.hold(COVER)  # so that VidGo is at work when the bot is killed, however slow this machine is
        acknowledgement = await self._order(await self._choose(typed))
        await self._bot.kill()
        self._transcript.note("the bot is killed while VidGo works, and started again")
        await self._start(callbacks=False)
        self._vidgo.release(COVER)
        task = await self._made()
        result = await self._result(acknowledgement)
        called = [one for one in self._vidgo.deliveries if one.task_id == task.id]
        require(not called, "VidGo called back although the bot has no public address")
        self._transcript.note("it knows the order from its database, and asks VidGo until it is finished")
        self._show_and_save(result, "a new performance, by polling")

    async def _cover_of_artwork(self, typed: str) -> None:
        self._vidgo.set_result(COVER, "generate_cover", times=1)
        acknowledgement = await self._order(await self._choose(typed))
        await self._made()
        result = await self._result(acknowledgement)
        self._show_and_save(result, "the original with new artwork")
        inside = cover_picture(result.attachments[0].data)
        require(inside is not None, "the delivered MP3 has no cover picture")
        shown = [file.data for file in result.files if file not in result.attachments]
        require([inside] == shown, "the cover picture inside the MP3 is not the artwork that was shown")
        self._transcript.note("the MP3 carries that artwork as its cover picture, so players show it")

    # What steps are made of

    async def _choices(self, typed: str) -> list[Choice]:
        typing = self._discord.autocomplete(self._ada, self._channel, "cover", "track", typed, timeout=EVENT_SECONDS)
        return await self._bot.during(typing)

    async def _choose(self, typed: str) -> Choice:
        choices = await self._choices(typed)
        require(choices, f"no song is offered for “{typed}”")
        return choices[0]

    async def _order(self, choice: Choice) -> Message:
        self._transcript.types("ada", f"/cover track: {choice.name}")
        call = await self._discord.slash(self._ada, self._channel, "cover", track=choice.value)
        milliseconds = await self._bot.during(call.acknowledged(EVENT_SECONDS))
        reply = await self._bot.during(call.reply(EVENT_SECONDS))
        self._transcript.message(reply, remark=f"(answered in {milliseconds:.0f} ms)")
        require(not reply.ephemeral, "the acknowledgement is private")
        self._acknowledgements.append(reply)
        count = len(self._acknowledgements)
        orders = len(self._vidgo.submissions)
        require(orders == count, f"VidGo got {orders} orders for {count} covers")
        return reply

    async def _made(self) -> Task:
        """Wait until VidGo has finished the newest order."""
        task_id = self._vidgo.submissions[-1].task_id
        require(task_id is not None, "VidGo did not take the order")
        with self._transcript.waiting("VidGo makes the cover"):
            return await self._bot.during(self._vidgo.wait_task(task_id or "", "finished", EVENT_SECONDS))

    async def _result(self, acknowledgement: Message) -> Message:
        with self._transcript.waiting("the bot fetches and posts it"):
            return await self._bot.during(
                self._channel.wait_for(lambda message: message.reference == acknowledgement.id, EVENT_SECONDS)
            )

    def _show_and_save(self, result: Message, how: str) -> None:
        self._transcript.message(result)
        require(result.pings == {self._ada.id}, "the result notifies others than its requester, or not its requester")
        require(len(result.attachments) == 1, f"the result has {len(result.attachments)} attachments instead of a song")
        song = result.attachments[0]
        pictures = [file for file in result.files if file is not song]
        require(len(pictures) == 1, "the result shows no artwork")
        saved = Saved(
            self._folder / Path(song.filename).name,
            self._folder / f"{Path(song.filename).stem}{Path(pictures[0].filename).suffix}",
            how,
        )
        saved.song.write_bytes(song.data)
        saved.artwork.write_bytes(pictures[0].data)
        self._saved.append(saved)

    def _sum_up(self) -> None:
        """Check what can only be known at the end, and say where the songs are."""
        show = self._transcript
        lengths = [self._judge(saved) for saved in self._saved]
        count = len(self._acknowledgements)
        for acknowledgement in self._acknowledgements:
            results = [one for one in self._channel.messages if one.reference == acknowledgement.id]
            require(len(results) == 1, f"a cover was posted {len(results)} times")
        orders = len(self._vidgo.submissions)
        require(orders == count, f"VidGo got {orders} orders for {count} covers")
        show.done(f"{count} covers asked for, {orders} orders at VidGo, {len(lengths)} results posted")
        show.done(f"{len(lengths)} MP3 files decode from end to end and sound")
        show.done(self._verdict())
        show.done(f"the bot shut down in order {len(self._bot.exit_codes)} times (exit code 0)")
        show.text("")
        show.text(f"The songs are in {self._folder}{os.sep} (in {self._folder.resolve().parent}):")
        for saved, seconds in zip(self._saved, lengths, strict=True):
            size = kilobytes(saved.song.stat().st_size)
            show.text(f"  {saved.song.name:20} {clock(seconds)}  {size:>6}  {saved.how}")
        show.text(f"All of this took {time.monotonic() - self._began:.0f} s.")

    def _judge(self, saved: Saved) -> float:
        """Decode what lies in the folder; return the song's length in seconds."""
        try:
            picture_size(saved.artwork.read_bytes())
            return audio_seconds(saved.song.read_bytes())
        except ValueError as error:
            raise StepFailedError(f"a delivered file cannot be used: {error}") from error

    def _verdict(self) -> str:
        """Say what Discord would have said to the bot's requests; raises `StepFailedError` for any complaint."""
        wrong = [f"{one.method} {one.path}: {one.reason}" for one in self._discord.violations]
        wrong += [f"{one.method} {one.path}: {one.reason}" for one in self._discord.refusals]
        require(not wrong, f"Discord would refuse what the bot sent: {'; '.join(wrong[:3])}")
        sent, judged = len(self._discord.requests), self._discord.judged
        if judged:
            return f"{sent} requests to Discord, {judged} bodies judged by its own API description: 0 violations"
        return f"{sent} requests to Discord, 0 refused (its API description is not here; DISCORD_OPENAPI names it)"
