"""`coverbot demo`: a member's session with the real bot, against stand-ins of Discord and VidGo on this machine."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.bot_process import BotEndedError, BotProcess
from sandbox.delivered import cover_picture
from sandbox.demo_steps import (
    COVER,
    EVENT_SECONDS,
    KEY,
    RECORDING_MENU,
    RESTYLE,
    TOKEN,
    StepFailedError,
    Steps,
    require,
)
from sandbox.discord import DiscordStandIn
from sandbox.discord.state.content import walk_components
from sandbox.music import compose
from sandbox.ports import reserved_port
from sandbox.transcript import STRING_MENU, Transcript, clock, kilobytes, open_console
from sandbox.vidgo import VidGoStandIn

if TYPE_CHECKING:
    from rich.console import Console

    from sandbox.discord import Choice, Message
    from sandbox.vidgo import Task

FOLDER = "demo-output"
LIMIT_SECONDS = 300.0
"""For a hang; a machine with other work may well take three times as long as an idle one."""

COVER_SECONDS = 2.5
LOG_LINES = 12

FINE, FAILED = 0, 1


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
        with tempfile.TemporaryDirectory(prefix="coverbot-demo-") as directory, reserved_port() as port:
            bot = BotProcess(Path(directory))
            async with (
                asyncio.timeout(LIMIT_SECONDS),
                DiscordStandIn(token=TOKEN) as discord,
                VidGoStandIn(key=KEY, seconds=COVER_SECONDS) as vidgo,
            ):
                session = Session(transcript, names, discord, vidgo, bot, folder, port)
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


class Session(Steps):
    """One member's session, step by step; whatever does not happen raises."""

    async def play(self) -> None:
        """Play everything, in order."""
        show = self._transcript
        show.text("The real bot, with a stand-in Discord and a stand-in VidGo. No account, no network.", "bold")
        show.text(f"Here a cover takes {COVER_SECONDS:g} s; at VidGo it takes a minute or two.")
        self._vidgo.tells_credits = ("finished",)
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
        self._begin(4, "The same song in another style")
        await self._restyle(choice)
        self._begin(5, "A recording of her own, and a form that asks for the style")
        await self._cover_recording()
        self._begin(6, "Her library, and a button")
        await self._library()
        await self._bot.stop()
        self._begin(7, "Without callbacks, and the bot is killed on the way: nothing is lost")
        await self._start(callbacks=False)
        await self._cover_by_polling("harv")
        self._begin(8, "VidGo delivers artwork only: it goes into the song's file")
        await self._cover_of_artwork("pap")
        self._begin(9, "The end")
        await self._bot.stop()
        self._sum_up()

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
        self._show_and_save(result, "a new version, by callback")

    async def _restyle(self, choice: Choice) -> None:
        style = "acoustic, slow"
        acknowledgement = await self._order(choice, style=style)
        require(self._vidgo.submissions[-1].model == RESTYLE, "no new version was ordered")
        await self._made()
        self._show_and_save(await self._result(acknowledgement), "a new version in another style")

    async def _cover_recording(self) -> None:
        recording = await asyncio.to_thread(compose, "Evening Walk", seconds=12)
        message = self._discord.post_as(
            self._ada, self._channel, "what I hummed today", {"Evening Walk.mp3": recording}
        )
        self._transcript.message(message)
        self._transcript.types("ada", f"{RECORDING_MENU} (in the message's menu)")
        asked = await self._discord.message_menu(self._ada, message, RECORDING_MENU)
        await self._bot.during(asked.acknowledged(EVENT_SECONDS))
        filled = {"style": "brass band"}
        form = asked.modal
        require(form is not None, "no form asks for the style")
        self._transcript.form(form or {}, filled)
        await self._acknowledged(await self._discord.submit_modal(self._ada, asked, filled))
        task = await self._made()
        require(task.model == RESTYLE, "no new version of the recording was ordered")
        result = await self._result(self._acknowledgements[-1])
        # On a busy machine the second one is not there in time, and comes at the press of a button.
        both = len(result.attachments) == 2 or any(button.label == "Version 2" for button in result.buttons)
        require(both, "VidGo made two versions of the recording, and only one can be had")
        self._show_and_save(result, "a new version of her recording")

    async def _library(self) -> None:
        self._transcript.types("ada", "/music library search: harbour")
        call = await self._discord.slash(self._ada, self._channel, "music library", search="harbour")
        page = await self._bot.during(call.reply(EVENT_SECONDS))
        self._transcript.message(page, remark="(for ada only)")
        require(page.ephemeral, "the library is public")
        menu = next(item for item in walk_components(page.components) if item["type"] == STRING_MENU)
        require(len(menu["options"]) == 5, f"the page should show 5 songs, not {len(menu['options'])}")
        post = next(button for button in page.buttons if button.label == "Post")
        pressed = await self._discord.press(self._ada, page, post.custom_id or "")
        acknowledgement = await self._bot.during(pressed.reply(EVENT_SECONDS))
        self._acknowledgements.append(acknowledgement)
        result = await self._result(acknowledgement)
        require(len(result.attachments) == 1, "the song was not posted again")
        self._transcript.note(f"she presses {post.label}: it is posted again from the archive, without an order")

    async def _is_noted(self) -> None:
        """Wait until the bot has written down what VidGo answered to the newest order."""
        known = f"is VidGo's {self._vidgo.submissions[-1].task_id}"
        async with asyncio.timeout(EVENT_SECONDS):
            while not any(known in line for line in self._bot.log_tail(200)):  # noqa: ASYNC110 (only the log tells)
                await asyncio.sleep(0.05)

    async def _cover_by_polling(self, typed: str) -> None:
        self._vidgo.set_result(COVER, "audio", times=1)
        self._vidgo.hold(COVER)  # so that VidGo is at work when the bot is killed, however slow this machine is
        acknowledgement = await self._order(await self._choose(typed))
        await self._bot.during(self._is_noted())
        await self._bot.kill()
        self._transcript.note("the bot is killed while VidGo works, and started again")
        await self._start(callbacks=False)
        self._vidgo.release(COVER)
        task = await self._made()
        result = await self._result(acknowledgement)
        called = [one for one in self._vidgo.deliveries if one.task_id == task.id]
        require(not called, "VidGo called back although the bot has no public address")
        self._transcript.note("it knows the order from its database, and asks VidGo until it is finished")
        self._show_and_save(result, "a new version, by polling")

    async def _cover_of_artwork(self, typed: str) -> None:
        self._vidgo.set_result(COVER, "generate_cover", times=1)
        acknowledgement = await self._order(await self._choose(typed))
        await self._made()
        result = await self._result(acknowledgement)
        self._show_and_save(result, "the original with new artwork")
        inside = cover_picture(result.attachments[0].data)
        require(inside is not None, "the delivered MP3 has no cover picture")
        shown = [file.data for file in result.files if file not in result.attachments]
        require(inside == shown[0], "the cover picture inside the MP3 is not the artwork that was shown")
        self._transcript.note("the MP3 carries that artwork as its cover picture, so players show it")

    def _sum_up(self) -> None:
        """Check what can only be known at the end, and say where the songs are."""
        show = self._transcript
        lengths = [self._judge(saved) for saved in self._saved]
        count = self._ordered
        for acknowledgement in self._acknowledgements:
            results = [one for one in self._channel.messages if one.reference == acknowledgement.id]
            require(len(results) == 1, f"a cover was posted {len(results)} times")
        orders, paid = len(self._vidgo.submissions), len(self._vidgo.charged)
        require(orders == paid == len(lengths) == count, f"{orders} orders, {paid} of them paid, for {count} covers")
        # The words are those of the page of `coverbot play`, which counts the same.
        show.done(f"covers asked for, ordered, paid and posted: {count} each. Nothing was lost, and nothing came twice")
        show.done(f"{len(lengths)} MP3 files decode from end to end and sound")
        show.done(self._verdict())
        show.done(f"the bot shut down in order {len(self._bot.exit_codes)} times (exit code 0)")
        show.text("")
        show.text(f"The songs are in {self._folder}{os.sep} (in {self._folder.resolve().parent}):")
        widest = max(len(saved.song.name) for saved in self._saved)
        for saved, seconds in zip(self._saved, lengths, strict=True):
            size = kilobytes(saved.song.stat().st_size)
            show.text(f"  {saved.song.name:{widest}} {clock(seconds)}  {size:>6}  {saved.how}")
        show.text(f"All of this took {time.monotonic() - self._began:.0f} s.")
