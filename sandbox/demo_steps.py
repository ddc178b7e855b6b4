"""What the steps of the demo are made of: a member's doings, the bot's answers, and what must be true of them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.bot_process import BotProcess
from sandbox.delivered import audio_seconds, picture_size
from sandbox.discord import DiscordStandIn
from sandbox.transcript import Transcript
from sandbox.vidgo import VidGoStandIn

if TYPE_CHECKING:
    from sandbox.discord import Call, Choice, Message
    from sandbox.vidgo import Task

EVENT_SECONDS = 120.0
TOKEN = "demo.discord.token"  # noqa: S105 (the stand-in's own)
KEY = "demo-vidgo-key"
COVER = "generate-music-cover"
RESTYLE = "upload-and-cover-audio"
RECORDING_MENU = "Cover this track"


class StepFailedError(Exception):
    """Something that the demo promises did not happen; the text says what."""


@dataclass(frozen=True)
class Saved:
    """A delivered song and its artwork in the folder; `how` says what the song is."""

    song: Path
    artwork: Path
    how: str


def require(condition: object, otherwise: str) -> None:
    """Raise `StepFailedError` with the words of `otherwise` unless the condition holds."""
    if not condition:
        raise StepFailedError(otherwise)


class Steps:
    """A member's session with the bot; whatever does not happen raises."""

    def __init__(
        self,
        transcript: Transcript,
        names: dict[int, str],
        discord: DiscordStandIn,
        vidgo: VidGoStandIn,
        bot: BotProcess,
        folder: Path,
        port: int,
    ) -> None:
        self.step = "The start"
        self._transcript = transcript
        self._discord, self._vidgo, self._bot = discord, vidgo, bot
        self._folder, self._port = folder, port
        self._began = time.monotonic()
        guild = discord.add_guild("The Boathouse")
        self._channel = guild.add_channel("music")
        self._ada = guild.add_member("ada")
        names[self._ada.id] = self._ada.name
        self._acknowledgements: list[Message] = []
        self._saved: list[Saved] = []
        self._ordered = 0

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

    async def _choices(self, typed: str) -> list[Choice]:
        typing = self._discord.autocomplete(self._ada, self._channel, "cover", "track", typed, timeout=EVENT_SECONDS)
        return await self._bot.during(typing)

    async def _choose(self, typed: str) -> Choice:
        choices = await self._choices(typed)
        require(choices, f"no song is offered for “{typed}”")
        return choices[0]

    async def _order(self, choice: Choice, **options: Any) -> Message:
        typed = "".join(f" {name}: {value}" for name, value in options.items())
        self._transcript.types("ada", f"/cover track: {choice.name}{typed}")
        return await self._acknowledged(
            await self._discord.slash(self._ada, self._channel, "cover", track=choice.value, **options)
        )

    async def _acknowledged(self, call: Call) -> Message:
        """Wait until an order is acknowledged, and until VidGo has it."""
        milliseconds = await self._bot.during(call.acknowledged(EVENT_SECONDS))
        reply = await self._bot.during(call.reply(EVENT_SECONDS))
        self._transcript.message(reply, remark=f"(answered in {milliseconds:.0f} ms)")
        require(not reply.ephemeral, "the acknowledgement is private")
        self._acknowledgements.append(reply)
        self._ordered += 1
        await self._bot.during(self._vidgo.wait_submission(lambda _: len(self._vidgo.submissions) >= self._ordered))
        orders = len(self._vidgo.submissions)
        require(orders == self._ordered, f"VidGo got {orders} orders for {self._ordered} covers")
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
        require(len(result.attachments) in (1, 2), f"the result has {len(result.attachments)} attachments, not songs")
        song = result.attachments[0]
        pictures = [file for file in result.files if file not in result.attachments]
        require(len(pictures) in (1, 2), "the result shows no artwork")
        saved = Saved(
            self._folder / Path(song.filename).name,
            self._folder / f"{Path(song.filename).stem}{Path(pictures[0].filename).suffix}",
            how,
        )
        saved.song.write_bytes(song.data)
        saved.artwork.write_bytes(pictures[0].data)
        self._saved.append(saved)

    def _judge(self, saved: Saved) -> float:
        """Decode what lies in the folder; return the song's length in seconds."""
        try:
            picture_size(saved.artwork.read_bytes())
            return audio_seconds(saved.song.read_bytes())
        except ValueError as error:
            raise StepFailedError(f"a delivered file cannot be used: {error}") from error

    def _verdict(self) -> str:
        """Say what Discord would have said to the bot's requests; raises `StepFailedError` for any complaint.

        The stand-in's own rules judge each of them. Where Discord's description of its API is at hand (the variable
        DISCORD_OPENAPI names it), that does too; what is said does not depend on it.
        """
        wrong = [f"{one.method} {one.path}: {one.reason}" for one in self._discord.violations]
        wrong += [f"{one.method} {one.path}: {one.reason}" for one in self._discord.refusals]
        require(not wrong, f"Discord would refuse what the bot sent: {'; '.join(wrong[:3])}")
        return f"{len(self._discord.requests)} requests to Discord, none of them refused"
