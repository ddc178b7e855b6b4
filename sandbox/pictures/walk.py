"""One language's walk past the screens: who walks, how they use the bot, and what they have seen."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox.play import scene
from sandbox.play.stage import MODERATOR

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from sandbox.discord import Call, Guild, Member, Message
    from sandbox.play.stage import Stage

Json = dict[str, Any]

SECONDS = 120.0
"""How long anything may take; for a hang."""

POSTS = {"attach_files", "embed_links"}


@dataclass(frozen=True)
class Screen:
    """Something that a member sees, of a `kind` that the page can draw, and what it is in a few words."""

    name: str
    kind: str
    shown: Any


class Walk:
    """The walk of `ada`, who has songs, of `ben`, who has none, and of `cleo`, who manages and owns the bot."""

    def __init__(self, stage: Stage, language: str) -> None:
        self.language = language
        self.screens: list[Screen] = []
        self.stage, self.discord, self.vidgo = stage, stage.discord, stage.vidgo
        self.guild = stage.discord.add_guild("The Boathouse", locale=language, prepare=self._furnish)
        self.orders: dict[str, Call] = {}
        self.posts: dict[str, Message] = {}
        self.song = ""

    def _furnish(self, guild: Guild) -> None:
        self.channel = guild.add_channel("music")
        self.quiet = guild.add_channel("quiet")
        self.quiet.bot_permissions -= POSTS
        self.places = [self.channel, self.quiet]
        self.ada, self.ben, self.cleo = (guild.add_member(name, self.language) for name in ("ada", "ben", "cleo"))
        self.cleo.permissions |= MODERATOR

    @property
    def place(self) -> Json:
        """Return what the page has to know of the place to show these screens."""
        people = [{"id": str(one.id), "name": one.name} for one in (self.ada, self.ben, self.cleo)]
        channels = [{"id": str(one.id), "name": one.name, "kind": "text"} for one in self.places]
        return scene.place(self.stage, self.ada) | {"people": people, "channels": channels, "messages": []}

    def show(self, name: str, kind: str, shown: Any) -> None:
        """Note what is seen now."""
        self.screens.append(Screen(name, kind, copy.deepcopy(shown)))

    def message(self, name: str, message: Message) -> None:
        """Note a message as it is now."""
        self.show(name, "message", scene.shown_message(message))

    async def form(self, name: str, call: Call) -> Call:
        """Note the form with which something is answered."""
        await call.acknowledged(SECONDS)
        self.show(name, "form", call.modal)
        return call

    async def use(self, who: Member, command: str, /, **options: Any) -> Call:
        """Use a command."""
        return await self.discord.slash(who, self.channel, command, timeout=SECONDS, **options)

    async def told(self, name: str, call: Call) -> Message:
        """Note the answer to something, once it is settled."""
        await call.settled(SECONDS)
        message = await call.reply(SECONDS)
        self.message(name, message)
        return message

    async def answer(self, name: str, who: Member, command: str, /, **options: Any) -> Message:
        """Use a command, and note the answer."""
        return await self.told(name, await self.use(who, command, **options))

    async def submit(self, name: str, who: Member, form: Call, **values: str) -> Message:
        """Send a form, and note the answer."""
        return await self.told(name, await self.discord.submit_modal(who, form, values))

    async def privately(self, name: str, call: Call) -> Message:
        """Note what only one member is told of something that has a public answer too."""
        await call.changed.wait_for(lambda: any(one.ephemeral for one in call.replies), SECONDS, "private word")
        await call.settled(SECONDS)
        told = next(one for one in call.replies if one.ephemeral)
        self.message(name, told)
        return told

    async def track(self, title: str) -> dict[str, str]:
        """Return one of ada's songs as the option of a command."""
        choices = await self.discord.autocomplete(self.ada, self.channel, "cover", "track", title, timeout=SECONDS)
        return {"track": next(choice.value for choice in choices if choice.name.startswith(f"{title} · "))}

    async def press(self, message: Message, begins: str, who: Member | None = None) -> Call:
        """Press a button whose custom id begins like this."""
        names = (one.custom_id or "" for one in message.buttons if not one.disabled)
        name = next(one for one in names if one.startswith(begins) and not one.endswith(":cancel"))
        return await self.discord.press(who or self.ada, message, name, timeout=SECONDS)

    async def redrawn(self, message: Message, begins: str, who: Member | None = None) -> None:
        """Press what changes the message that it is under."""
        await self.change(message, self.press(message, begins, who))

    async def change(self, message: Message, using: Awaitable[Call]) -> None:
        """Use something else that changes a message."""
        before = _look(message)
        await using
        await self.discord.wait_until(lambda: _look(message) != before, SECONDS)

    async def result(self, call: Call) -> Message:
        """Wait for a result, and until its acknowledgement, which it quotes, has become a small line."""
        asked = await call.reply(SECONDS)
        post = await self.channel.wait_for(lambda one: one.reference == asked.id and bool(one.attachments), SECONDS)
        await self.discord.wait_until(lambda: asked.content.startswith("-#"), SECONDS)
        return post

    async def unpromised(self, asked: Message) -> None:
        """Wait until an acknowledgement no longer says since when something is being made."""
        await self.discord.wait_until(lambda: "<t:" not in asked.content, SECONDS)

    async def late(self, asked: Message) -> None:
        """Wait until an acknowledgement tells since when, and not how long it usually takes."""
        await self.discord.wait_until(lambda: re.search(r"<t:\d+:R>\W*$", asked.content) is not None, SECONDS)

    async def letters(self, count: int) -> Sequence[Message]:
        """Return the bot's letters to cleo, once there are so many."""
        direct = self.discord.dm(self.cleo)
        await direct.wait_for(lambda _: len(direct.messages) >= count, SECONDS)
        return direct.messages


def _look(message: Message) -> tuple[Any, ...]:
    return message.content, message.components, message.embeds
