"""Stubs of the two wires: they remember everything, and fail or let the program die where a test wants it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import discord

from bot.vidgo import Accepted, AnswerLost, Busy, Duplicate, Report, ResultFile, Status, Turn, UnknownTask

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bot.vidgo import SubmitRequest


class Crash(BaseException):
    """The process dies here."""


@dataclass
class Fate:
    """What happens on the wires: `die_in` counts down to the process's death, `trouble` names how requests fail."""

    die_in: int | None = None
    trouble: str | None = None
    struck: int = 0

    def moment(self) -> None:
        """Pass a moment at which the process may die."""
        if self.die_in is not None:
            self.die_in -= 1
            if self.die_in <= 0:
                self.die_in = 0
                raise Crash


@dataclass
class Made:
    """A task at VidGo."""

    id: str
    request: dict[str, Any]
    callback_url: str | None
    status: Status = Status.RUNNING


@dataclass
class FakeVidGo:
    """VidGo, which makes a song's cover once."""

    fate: Fate
    made: dict[str, Made] = field(default_factory=dict)
    sent: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """What the program began to send."""
    taken: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    """What is made and charged for, by its id."""
    numbers: Any = field(default_factory=itertools.count)

    async def turn(self) -> Turn:
        """Give everybody their turn at once."""
        return Turn()

    def waits(self) -> float:
        """Nobody waits."""
        return 0.0

    def stop(self) -> None:
        """Do nothing: nobody waits."""

    async def submit(self, request: SubmitRequest, callback_url: str | None, _turn: Turn) -> Accepted:
        """Take an order, or lose the answer before or after that."""
        self.sent.append((request.model, request.input()))
        self.fate.moment()
        if self.fate.trouble == "busy":
            raise Busy("no room")
        if self.fate.trouble == "lost before":
            raise AnswerLost("the line is dead")
        same = [one for one in self.made.values() if one.request == request.input()]
        if same and request.model == "generate-music-cover":
            raise Duplicate("exists already", task_id=same[0].id if next(self.numbers) % 2 else None)
        one = Made(f"VG{next(self.numbers)}", request.input(), callback_url)
        self.made[one.id] = one
        self.taken[one.id] = (request.model, request.input())
        self.fate.moment()
        if self.fate.trouble == "lost after":
            raise AnswerLost("the line broke")
        return Accepted(one.id)

    async def detail(self, task_id: str) -> Report:
        """Say how a task stands."""
        self.fate.moment()
        if self.fate.trouble == "unreadable":
            raise AnswerLost("HTTP 500")
        if self.fate.trouble == "unknown" or task_id not in self.made:
            raise UnknownTask("no such task")
        one = self.made[task_id]
        files = (ResultFile(audio_url="https://files.example/1.mp3"),) if one.status is Status.FINISHED else ()
        return Report(task_id, one.status, files, error_message="no luck")


@dataclass(eq=False)
class Said:
    """A message of the bot's; `to` is the one person who sees it, None for everybody."""

    id: int
    channel_id: int
    content: str
    to: int | None
    buttons: list[str]
    has_file: bool
    nonce: str | None = None
    versions: list[str] = field(default_factory=list)
    deleted: bool = False


def _refusal(status: int, code: int) -> discord.HTTPException:
    response: Any = SimpleNamespace(status=status, reason="", headers={"Content-Type": "application/json"})
    return discord.HTTPException(response, {"code": code, "message": "refused"})


def _buttons(view: discord.ui.View | None) -> list[str]:
    children = getattr(view, "children", [])
    return [str(getattr(child, "custom_id", "")) for child in children]


@dataclass
class FakeDiscord:
    """Discord's channels, direct messages and interactions."""

    fate: Fate
    clock: Callable[[], float]
    messages: list[Said] = field(default_factory=list)
    closed: set[int] = field(default_factory=set)
    numbers: Any = field(default_factory=itertools.count)

    def snowflake(self) -> int:
        """Return an id of now."""
        at = discord.utils.snowflake_time(0).timestamp()
        number: int = next(self.numbers)
        return int((self.clock() - at) * 1000) << 22 | number & 0x3FFFFF

    def _trouble(self) -> None:
        self.fate.moment()
        if self.fate.trouble == "edge":
            raise _refusal(403, 0)
        if self.fate.trouble == "discord down":
            raise _refusal(503, 0)

    def _take(self, channel_id: int, content: str, to: int | None, **options: Any) -> Said:
        nonce = options.get("nonce")
        same = [one for one in self.messages if nonce is not None and one.nonce == nonce and not one.deleted]
        if same:
            return same[0]
        said = Said(
            self.snowflake(), channel_id, content, to, _buttons(options.get("view")), bool(options.get("files")), nonce
        )
        said.versions.append(content)
        self.messages.append(said)
        return said

    async def send(self, channel_id: int, to: int | None, content: str = "", **options: Any) -> Said:
        """Take a message, perhaps without the sender's learning of it."""
        self._trouble()
        if channel_id in self.closed:
            raise _refusal(403, 50013)
        said = self._take(channel_id, content, to, **options)
        self.fate.moment()
        if self.fate.trouble == "discord lost":
            raise _refusal(502, 0)
        return said

    async def find(self, channel_id: int, message_id: int) -> Said:
        """Return a message."""
        self._trouble()
        found = next((one for one in self.messages if one.id == message_id and not one.deleted), None)
        if found is None or found.channel_id != channel_id:
            raise _refusal(404, 10008)
        return found

    async def edit(self, message_id: int, content: str, view: discord.ui.View | None) -> Said:
        """Change a message."""
        self._trouble()
        found = next((one for one in self.messages if one.id == message_id and not one.deleted), None)
        if found is None:
            raise _refusal(404, 10008)
        found.content, found.buttons = content, _buttons(view)
        found.versions.append(content)
        return found

    async def delete(self, message_id: int) -> None:
        """Delete a message."""
        self._trouble()
        for one in self.messages:
            if one.id == message_id:
                one.deleted = True


class FakeChannel:
    """What discord.py gives for a channel, as far as it is used."""

    def __init__(self, wire: FakeDiscord, channel_id: int, to: int | None = None) -> None:
        self._wire, self._id, self._to = wire, channel_id, to

    async def send(self, content: str = "", **options: Any) -> Said:
        """Post."""
        return await self._wire.send(self._id, self._to, content, **options)

    def get_partial_message(self, message_id: int) -> Any:
        """Return a message that can be changed."""
        wire = self._wire

        async def edit(*, content: str, view: Any = None, **_: Any) -> Said:
            return await wire.edit(message_id, content, view)

        async def delete() -> None:
            await wire.delete(message_id)

        return SimpleNamespace(edit=edit, delete=delete)

    async def history(self, *, after: discord.Object, **_: Any) -> AsyncIterator[Any]:
        """Return later messages."""
        self._wire._trouble()
        for one in list(self._wire.messages):
            if one.channel_id == self._id and one.id > after.id and not one.deleted and one.to == self._to:
                row = discord.ActionRow.__new__(discord.ActionRow)
                row.children = [SimpleNamespace(custom_id=button) for button in one.buttons]  # type: ignore[misc]  # a stand-in
                flags = SimpleNamespace(loading=False, ephemeral=False)
                yield SimpleNamespace(id=one.id, components=[row], embeds=[one], attachments=[], flags=flags)


class FakeClient:
    """discord.py's client, as far as it is used."""

    def __init__(self, wire: FakeDiscord) -> None:
        self.wire = wire

    def get_partial_messageable(self, channel_id: int, **_: Any) -> FakeChannel:
        """Return a channel."""
        return FakeChannel(self.wire, channel_id)

    async def create_dm(self, user: discord.Object) -> FakeChannel:
        """Return somebody's direct messages."""
        return FakeChannel(self.wire, -user.id, to=user.id)


class FakeInteraction:
    """One command on its way to an answer; also the webhook of its token."""

    def __init__(self, wire: FakeDiscord, user_id: int, channel_id: int) -> None:
        self.wire = wire
        self.id = wire.snowflake()
        self.user = SimpleNamespace(id=user_id)
        self.guild_id = 1
        self.channel_id = channel_id
        self.channel = None
        self.application_id = 7
        self.token = f"token-{self.id}"
        self.filesize_limit = 10_000_000
        self.locale = "en-US"
        self.app_permissions = discord.Permissions.all()
        self.client = FakeClient(wire)
        self.response = self
        self.followup = self
        self.original: Said | None = None
        self.said: list[Said] = []
        """Everything that answers it."""
        self.thinking = False
        self.answered = False
        self.ephemeral = False
        self.born_at = wire.clock()

    def is_guild_integration(self) -> bool:
        """The bot is a member of the server."""
        return True

    async def defer(self, *, ephemeral: bool, thinking: bool) -> None:
        """Show "thinking…"."""
        self._first()
        self.answered, self.thinking, self.ephemeral = True, thinking, ephemeral
        self._heard()

    async def send_message(self, *, content: str = "", ephemeral: bool, view: Any = None, **_: Any) -> Any:
        """Answer at once."""
        self._first()
        self.answered, self.ephemeral = True, ephemeral
        to = self.user.id if ephemeral else None
        self.original = self.wire._take(self.channel_id, content, to, view=view)
        self.said.append(self.original)
        self._heard()
        return SimpleNamespace(message_id=self.original.id)

    async def original_response(self) -> Any:
        """Return what the first answer shows."""
        return await self.fetch_message("@original")

    async def fetch_message(self, _name: object) -> Any:
        """Return what the first answer shows."""
        self.wire._trouble()
        self._alive()
        if self.original is None and not self.thinking:
            raise _refusal(404, 10008)
        flags = SimpleNamespace(loading=self.thinking, ephemeral=self.ephemeral)
        return SimpleNamespace(id=0 if self.original is None else self.original.id, flags=flags)

    def _first(self) -> None:
        self.wire._trouble()
        if self.answered:
            raise _refusal(400, 40060)
        if self.wire.clock() - self.born_at > 3:
            raise _refusal(404, 10062)

    def _heard(self) -> None:
        self.wire.fate.moment()
        if self.wire.fate.trouble == "discord lost":
            raise _refusal(502, 0)

    def _alive(self) -> None:
        if self.wire.clock() - self.born_at > 900:
            raise _refusal(401, 50027)
        if not self.answered:
            raise _refusal(404, 10015)

    async def edit_original_response(self, *, content: str, view: Any = None, **_: Any) -> Said:
        """Replace "thinking…", or change what has replaced it."""
        self.wire._trouble()
        self._alive()
        if self.original is None and not self.thinking:
            raise _refusal(404, 10008)
        if self.original is None:
            to = self.user.id if self.ephemeral else None
            self.original = self.wire._take(self.channel_id, content, to, view=view)
            self.said.append(self.original)
        else:
            await self.wire.edit(self.original.id, content, view)
        self.thinking = False
        self.wire.fate.moment()
        return self.original

    async def edit_message(self, _name: object, **options: Any) -> Said:
        """Do the same through the webhook."""
        return await self.edit_original_response(**options)

    async def delete_original_response(self) -> None:
        """Remove "thinking…"."""
        self.wire._trouble()
        self._alive()
        if self.original is None and not self.thinking:
            raise _refusal(404, 10008)
        self.thinking = False
        if self.original is not None:
            self.original.deleted = True
            self.original = None
        self.wire.fate.moment()

    async def delete_message(self, _name: object) -> None:
        """Do the same through the webhook."""
        await self.delete_original_response()

    async def send(self, content: str = "", **options: Any) -> Said:
        """Follow up privately."""
        self.wire._trouble()
        self._alive()
        said = self.wire._take(self.channel_id, content, self.user.id, **{**options, "nonce": None})
        self.said.append(said)
        self.wire.fate.moment()
        return said
