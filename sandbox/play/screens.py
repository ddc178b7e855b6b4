"""Every screen that members see, in every language: messages, forms and commands, as the real bot sent them."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox.music import compose
from sandbox.play import scene
from sandbox.play.stage import COVER, CREDITS, MODERATOR
from sandbox.vidgo.rules import error_body

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.discord import Call, Member, Message
    from sandbox.play.stage import Stage

Json = dict[str, Any]

LANGUAGES = {"en-US": "English", "de": "German", "es-ES": "Spanish", "ja": "Japanese", "pt-BR": "Brazilian Portuguese"}
RESTYLE = "upload-and-cover-audio"
RECORDING_MENU = "Cover this track"
SECONDS = 120.0
"""How long anything may take; for a hang."""

SETTINGS = {"DAILY_SONGS_PER_USER": "2"}
"""What the bot is told, so that a member comes to the end of a limit."""


@dataclass(frozen=True)
class Screen:
    """Something that a member sees: a `message`, a `form` or the `commands`, and what it is in a few words."""

    name: str
    kind: str
    shown: Any


class Tour:
    """One language's way past every screen: of `ada`, who has songs, `ben`, who has none, and `cleo`, who manages."""

    def __init__(self, stage: Stage, language: str) -> None:
        self.language = language
        self.screens: list[Screen] = []
        self._stage, self._discord, self._vidgo = stage, stage.discord, stage.vidgo
        guild = stage.discord.add_guild("The Boathouse")
        self._channel = guild.add_channel("music")
        self._ada, self._ben, self._cleo = (guild.add_member(name, language) for name in ("ada", "ben", "cleo"))
        self._cleo.permissions |= MODERATOR
        self._orders: dict[str, Call] = {}

    @property
    def place(self) -> Json:
        """Return what the page has to know of the place to show these screens."""
        people = [{"id": str(one.id), "name": one.name} for one in (self._ada, self._ben, self._cleo)]
        channels = [{"id": str(self._channel.id), "name": self._channel.name, "kind": "text"}]
        return scene.place(self._stage, self._ada) | {"people": people, "channels": channels, "messages": []}

    # The ways, in this order; between them VidGo is told how to behave

    async def begin(self) -> None:
        """See what is there before anything is ordered."""
        commands = sorted(self.place["commands"], key=lambda command: str(command["label"]))
        self._show("The commands, as they are offered while one types", "commands", commands)
        await self._answer("/cover without a song", self._ben, "cover")
        await self._answer("An empty library", self._ben, "music library")
        for number, (title, tags) in enumerate((("Paper Boats", "lofi, calm"), ("Harbour Lights", "folk, warm"))):
            song = self._vidgo.add_song(title, tags=tags, seconds=4, variants=number + 1)
            call = await self._use(self._ada, "music import", task_id=song.id)
            await call.reply(SECONDS)
        self._message("A song is brought in", await call.reply(SECONDS))
        await self._answer("/help", self._ada, "help")
        await self._form("/music generate without a prompt", await self._use(self._ada, "music generate"))

    async def fail(self) -> None:
        """See an order that VidGo refuses."""
        call = await self._use(self._ada, "cover", **await self._track("Paper Boats"), style="disco")
        await call.changed.wait_for(lambda: any(one.ephemeral for one in call.replies), SECONDS, "private word")
        await call.settled(SECONDS)
        told = next(one for one in call.replies if one.ephemeral)
        self._message("Refused, as its member reads it", told)
        public = await call.reply(SECONDS)
        await self._discord.wait_until(lambda: not public.buttons, SECONDS)
        self._message("Refused, as everybody reads it", public)
        await self._form("Change the words…", await self._press(told, "change:"))

    async def wait(self) -> None:
        """Order, and see what is seen while VidGo works."""
        ordered = len(self._vidgo.accepted())
        for name, style in ((COVER, {}), (RESTYLE, {"style": "acoustic, slow"})):
            self._orders[name] = await self._use(self._ada, "cover", **await self._track("Harbour Lights"), **style)
        self._message("A cover is waited for", await self._orders[COVER].reply(SECONDS))
        self._message("A new version is waited for", await self._orders[RESTYLE].reply(SECONDS))
        await self._vidgo.changes.until(lambda: len(self._vidgo.accepted()) >= ordered + 2 or None, SECONDS)
        await self._answer("/music status", self._ada, "music status")

    async def receive_cover(self) -> None:
        """See a cover come; what is made one after the other stands in the library in that order."""
        self._message("A cover", await self._result(self._orders[COVER]))

    async def receive(self) -> None:
        """See what comes, and what it leads on to."""
        version = await self._result(self._orders[RESTYLE])
        self._message("A new version in a style", version)
        self._message("What is left of the acknowledgement", await self._orders[COVER].reply(SECONDS))
        await self._answer(
            "A song that has its cover already", self._ada, "cover", **await self._track("Harbour Lights")
        )
        await self._form("Other style…", await self._press(version, "style:"))
        await self._form("Extend…", await self._press(version, "lengthen:"))
        recording = self._discord.post_as(
            self._ada, self._channel, "", {"Evening Walk.mp3": compose("Walk", seconds=4)}
        )
        asked = await self._discord.message_menu(self._ada, recording, RECORDING_MENU)
        await self._form("A recording of a member's own", asked)
        performed = await self._discord.submit_modal(self._ada, asked, {"style": "brass band"})
        self._message("A new version of a recording", await self._result(performed))
        await self._keep_house()

    async def _keep_house(self) -> None:
        library = await self._answer("The library", self._ada, "music library")
        playing = await self._press(library, "song:play:")
        self._message("Play for me", await playing.reply(SECONDS))
        await self._redrawn(library, "song:remove:")
        self._message("The library after Remove", library)

    async def paint(self) -> None:
        """See a cover that is artwork only."""
        call = await self._use(self._ada, "cover", **await self._track("Paper Boats"))
        self._message("New artwork, of which one chooses", await self._result(call))

    async def end(self) -> None:
        """See the ends of what is allowed, what managers see, and how one is forgotten."""
        style = await self._track("Paper Boats") | {"style": "disco"}
        await self._answer("The end of a limit", self._ada, "cover", **style)
        allowed = self._channel.bot_permissions
        self._channel.bot_permissions = allowed - {"attach_files"}
        await self._answer("A permission that is missing", self._ada, "cover", **style)
        self._channel.bot_permissions = allowed
        panel = await self._answer("/coverbot settings", self._cleo, "coverbot settings")
        change = next(one for one in panel.buttons if (one.custom_id or "").endswith(":limits"))
        await self._form("Change, in the settings", await self._press(panel, change.custom_id or "", self._cleo))
        await self._answer("/coverbot usage", self._cleo, "coverbot usage")
        await self._answer("/music forget, one song", self._ada, "music forget", **await self._track("Paper Boats"))
        question = await self._answer("/music forget, everything", self._ada, "music forget")
        await self._redrawn(question, f"forget:{self._ada.id}")
        self._message("Everything is forgotten", question)

    # What they are made of

    def _show(self, name: str, kind: str, shown: Any) -> None:
        self.screens.append(Screen(name, kind, copy.deepcopy(shown)))

    def _message(self, name: str, message: Message) -> None:
        self._show(name, "message", scene.shown_message(message))

    async def _form(self, name: str, call: Call) -> None:
        await call.acknowledged(SECONDS)
        self._show(name, "form", call.modal)

    async def _use(self, who: Member, command: str, **options: Any) -> Call:
        return await self._discord.slash(who, self._channel, command, timeout=SECONDS, **options)

    async def _answer(self, name: str, who: Member, command: str, **options: Any) -> Message:
        call = await self._use(who, command, **options)
        await call.settled(SECONDS)
        message = await call.reply(SECONDS)
        self._message(name, message)
        return message

    async def _track(self, title: str) -> dict[str, str]:
        choices = await self._discord.autocomplete(self._ada, self._channel, "cover", "track", title, timeout=SECONDS)
        return {"track": next(choice.value for choice in choices if choice.name.startswith(f"{title} · "))}

    async def _press(self, message: Message, begins: str, who: Member | None = None) -> Call:
        names = (one.custom_id or "" for one in message.buttons)
        name = next(one for one in names if one.startswith(begins) and not one.endswith(":cancel"))
        return await self._discord.press(who or self._ada, message, name, timeout=SECONDS)

    async def _redrawn(self, message: Message, begins: str) -> None:
        """Press what changes the message that it is under."""
        before = message.content, message.components
        await self._press(message, begins)
        await self._discord.wait_until(lambda: (message.content, message.components) != before, SECONDS)

    async def _result(self, call: Call) -> Message:
        """Wait for a result, and until its acknowledgement, which it quotes, has become a small line."""
        asked = await call.reply(SECONDS)
        post = await self._channel.wait_for(lambda one: one.reference == asked.id and bool(one.attachments), SECONDS)
        await self._discord.wait_until(lambda: asked.content.startswith("-#"), SECONDS)
        return post


async def gather(stage: Stage, languages: Sequence[str] = tuple(LANGUAGES)) -> list[Tour]:
    """Let the bot show every screen in these languages; it has to live, and to be told `SETTINGS`."""
    vidgo = stage.vidgo
    vidgo.credits = CREDITS * len(languages)
    tours = [Tour(stage, language) for language in languages]
    for tour in tours:
        await tour.begin()
    vidgo.fault("submit", "status", status=400, body=error_body(400, "the song could not be processed"), times=None)
    for tour in tours:
        await tour.fail()
    vidgo.clear_faults("submit")
    vidgo.set_result(COVER, "audio")
    vidgo.hold(COVER)
    vidgo.hold(RESTYLE)
    for tour in tours:
        await tour.wait()
    vidgo.release(COVER)
    for tour in tours:
        await tour.receive_cover()
    vidgo.release(RESTYLE)
    for tour in tours:
        await tour.receive()
    vidgo.set_result(COVER, "generate_cover")
    for tour in tours:
        await tour.paint()
    for tour in tours:
        await tour.end()
    return tours
