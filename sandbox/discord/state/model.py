"""What exists in the stand-in's Discord: guilds, channels, people, messages, files."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sandbox.discord.clock import Clock, Signal, Snowflakes, Waiters
from sandbox.discord.state.content import Attachment, Button, Revision, buttons, embed_urls
from sandbox.discord.state.permissions import ALL_PERMISSIONS, BOT_PERMISSIONS, MEMBER_PERMISSIONS, bits

Json = dict[str, Any]

EPHEMERAL = 1 << 6
LOADING = 1 << 7
COMPONENTS_V2 = 1 << 15

ANSWER_SECONDS = 3.0
TOKEN_SECONDS = 900.0

COMMAND, COMPONENT, AUTOCOMPLETE, MODAL_SUBMIT = 2, 3, 4, 5


@dataclass(eq=False)
class User:
    """An account: a person's or the bot's own."""

    id: int
    name: str
    locale: str = "en-US"
    bot: bool = False
    dms_open: bool = True


@dataclass(eq=False)
class Role:
    """A role that a guild has made for its members; it grants nothing."""

    id: int
    name: str
    guild: Guild = field(repr=False)


@dataclass(eq=False)
class Member:
    """A user in one guild, with the permissions and roles the user has there."""

    guild: Guild
    user: User
    permissions: frozenset[str]
    roles: list[Role] = field(default_factory=list)

    @property
    def id(self) -> int:
        """Return the user's id."""
        return self.user.id

    @property
    def name(self) -> str:
        """Return the user's name."""
        return self.user.name

    @property
    def mention(self) -> str:
        """Return the text that mentions the user."""
        return f"<@{self.user.id}>"


@dataclass(eq=False)
class Message:
    """A message as people see it now; `revisions` keeps all it ever said, `pings` whom it notified."""

    id: int
    channel: Channel = field(repr=False)
    author: User
    content: str
    embeds: list[Json] = field(default_factory=list)
    components: list[Json] = field(default_factory=list)
    files: list[Attachment] = field(default_factory=list)
    flags: int = 0
    type: int = 0
    nonce: str | int | None = None
    reference: int | None = None
    mentions: list[User] = field(default_factory=list)
    mention_everyone: bool = False
    pings: set[int] = field(default_factory=set)
    revisions: list[Revision] = field(default_factory=list, repr=False)
    edited_at: float | None = None
    deleted: bool = False
    interaction_call: Call | None = field(default=None, repr=False)
    created_at_monotonic: float = field(default_factory=time.monotonic)

    @property
    def author_id(self) -> int:
        """Return the id of who wrote it."""
        return self.author.id

    @property
    def edits(self) -> list[str]:
        """Return what it said before."""
        return [revision.content for revision in self.revisions[:-1]]

    @property
    def ephemeral(self) -> bool:
        """Return whether only the one who used the command sees it."""
        return bool(self.flags & EPHEMERAL)

    @property
    def thinking(self) -> bool:
        """Return whether it still shows "… is thinking"."""
        return bool(self.flags & LOADING)

    @property
    def attachments(self) -> list[Attachment]:
        """Return the files shown as attachments; those an embed shows are only in `files`, as on Discord."""
        shown = embed_urls(self.embeds)
        return [file for file in self.files if file.url not in shown]

    @property
    def is_layout(self) -> bool:
        """Return whether it consists of components of the second version alone."""
        return bool(self.flags & COMPONENTS_V2)

    @property
    def replied_to(self) -> Message | None:
        """Return the message this one answers, None when it is no reply or that message is gone."""
        return self.channel.history.get(self.reference) if self.reference is not None else None

    @property
    def buttons(self) -> list[Button]:
        """Return every button, row by row."""
        return buttons(self.components)

    @property
    def substantial(self) -> bool:
        """Return whether there is anything to see."""
        return bool(self.content or self.embeds or self.files or self.components) and not self.thinking


@dataclass(eq=False)
class Channel:
    """A place messages are in: a text channel, a thread or a direct conversation.

    A `hidden` one is seen by the bot and by nobody without a role.
    """

    id: int
    name: str
    kind: str
    state: State = field(repr=False)
    guild: Guild | None = field(default=None, repr=False)
    parent: Channel | None = field(default=None, repr=False)
    recipient: User | None = None
    archived: bool = False
    locked: bool = False
    deleted: bool = False
    history: dict[int, Message] = field(default_factory=dict, repr=False)
    waiters: Waiters[Message] = field(default_factory=Waiters, repr=False)
    own_permissions: frozenset[str] | None = field(default=None, repr=False)
    hidden: bool = False

    @property
    def messages(self) -> list[Message]:
        """Return the messages everybody in the channel sees, oldest first, without deleted ones."""
        return [message for message in self.history.values() if not message.ephemeral]

    @property
    def ephemerals(self) -> list[Message]:
        """Return the messages only the user of a command sees, oldest first."""
        return [message for message in self.history.values() if message.ephemeral]

    @property
    def bot_permissions(self) -> frozenset[str]:
        """Return the names of what the bot may do here; assigning changes it and tells the bot."""
        if self.own_permissions is not None:
            return self.own_permissions
        if self.parent is not None:
            return self.parent.bot_permissions
        return self.guild.bot_permissions if self.guild is not None else BOT_PERMISSIONS

    @bot_permissions.setter
    def bot_permissions(self, names: Iterable[str]) -> None:
        chosen = frozenset(names)
        bits(chosen)
        if self.kind == "thread":
            raise ValueError("a thread has the permissions of its channel")
        self.own_permissions = chosen
        self.state.publish("CHANNEL_UPDATE", self.guild, self)

    @property
    def bot_bits(self) -> int:
        """Return what the bot may do here as one number; everything in a direct conversation."""
        return ALL_PERMISSIONS if self.guild is None else bits(self.bot_permissions)

    async def wait_for(
        self,
        predicate: Callable[[Message], bool],
        timeout: float = 10.0,
    ) -> Message:
        """Return the first message that everybody sees and that fits, waiting for it if need be.

        Edits count too. Raises TimeoutError after `timeout` seconds.
        """
        return await self.waiters.first(self.messages, predicate, timeout, f"such message in #{self.name}")

    def show(self, message: Message) -> None:
        """Let whoever waits for a message look at one that is new or changed."""
        if not message.ephemeral and not message.deleted:
            self.waiters.show(message)


@dataclass(eq=False)
class Guild:
    """A server with its channels and members.

    `upload_limit` is the largest file in bytes; `bot_permissions` holds for channels without their own. `added_by` is
    who brought the bot, as the audit log has it, `joined_at` when.
    """

    id: int
    name: str
    state: State = field(repr=False)
    upload_limit: int = 10 * 2**20
    locale: str = "en-US"
    bot_permissions: frozenset[str] = BOT_PERMISSIONS
    channels: list[Channel] = field(default_factory=list, repr=False)
    members: dict[int, Member] = field(default_factory=dict, repr=False)
    roles: list[Role] = field(default_factory=list, repr=False)
    removed: bool = False
    system_channel: Channel | None = field(default=None, repr=False)
    added_by: User | None = None
    joined_at: float = 0.0

    def add_channel(self, name: str, kind: str = "text", *, number: int | None = None) -> Channel:
        """Create a channel: "text", "voice" or "announcement"; with an id of one's own, where `number` is given."""
        if kind not in {"text", "voice", "announcement"}:
            raise ValueError(f"no such kind of channel here: {kind}")
        return self._add(Channel(number or self.state.ids.entity(), name, kind, self.state, self), "CHANNEL_CREATE")

    def add_thread(self, channel: Channel, name: str) -> Channel:
        """Open a public thread under a channel."""
        thread = Channel(self.state.ids.entity(), name, "thread", self.state, self, parent=channel)
        return self._add(thread, "THREAD_CREATE")

    def add_role(self, name: str) -> Role:
        """Make a role, which no member has yet."""
        role = Role(self.state.ids.entity(), name, self)
        self.roles.append(role)
        self.state.publish("GUILD_ROLE_CREATE", self, role)
        return role

    def add_member(
        self,
        name: str | Member | User,
        locale: str = "en-US",
        permissions: Iterable[str] = MEMBER_PERMISSIONS,
    ) -> Member:
        """Let somebody join: a new person by name, or one who is there already."""
        known = name.user if isinstance(name, Member) else name
        user = User(self.state.ids.entity(), known, locale) if isinstance(known, str) else known
        chosen = frozenset(permissions)
        bits(chosen)
        self.state.users[user.id] = user
        member = self.members[user.id] = Member(self, user, chosen)
        self.state.publish("GUILD_MEMBER_ADD", self, member)
        return member

    def _add(self, channel: Channel, event: str) -> Channel:
        self.channels.append(channel)
        self.state.channels[channel.id] = channel
        self.state.publish(event, self, channel)
        return channel


class Call:
    """One use of the bot by a person: a command, a press of a button, a menu, an autocompletion.

    `dispatched_at` and `acknowledged_at` are `time.monotonic()` seconds. `ack_type` is the callback type of
    the first answer (4 message, 5 deferred, 6 deferred update, 7 update, 8 choices, 9 modal). `original` is the
    message of that answer, `followups` are the messages after it; the follow-up that took the place of a
    "thinking" message is `original`.
    """

    def __init__(
        self,
        state: State,
        kind: int,
        who: Member | User,
        channel: Channel,
        data: Json,
        message: Message | None = None,
    ) -> None:
        self._state = state
        self.id = state.ids.now()
        # Real tokens have about 200 characters; whoever stores one must have room for it.
        self.token = "aW50ZXJhY3Rpb246" + secrets.token_urlsafe(130)
        self.kind = kind
        self.member = who if isinstance(who, Member) else None
        self.user = who.user if isinstance(who, Member) else who
        self.channel = channel
        self.data = data
        self.message = message
        self.opened_by: Call | None = None
        self.forged_components: list[Json] | None = None
        self.dispatched_at = time.monotonic()
        self.issued = state.clock.monotonic()
        self.acknowledged_at: float | None = None
        self.ack_type: int | None = None
        self.ephemeral = False
        self.original: Message | None = None
        self.deleted_original = False
        self.updated = False
        self.followups: list[Message] = []
        self.choices: list[Json] = []
        self.modal: Json | None = None
        self.changed = Signal()
        state.calls[self.id] = state.calls_by_token[self.token] = self

    @property
    def guild(self) -> Guild | None:
        """Return the guild it happened in."""
        return self.channel.guild

    @property
    def thinking(self) -> bool:
        """Return whether the person still sees "… is thinking"."""
        return self.original is not None and self.original.thinking and not self.original.deleted

    @property
    def replies(self) -> list[Message]:
        """Return the answers with something to see that are still there, in order."""
        first = [self.original] if self.original is not None else []
        if self.kind in {COMPONENT, MODAL_SUBMIT} and self.ack_type in {6, 7} and not self.updated:
            first = []
        return [m for m in [*first, *self.followups] if m.substantial and not m.deleted]

    @property
    def late(self) -> bool:
        """Return whether the three seconds for the first answer are over."""
        return self._state.clock.monotonic() - self.issued > ANSWER_SECONDS

    @property
    def expired(self) -> bool:
        """Return whether the token's fifteen minutes are over."""
        return self._state.clock.monotonic() - self.issued > TOKEN_SECONDS

    def acknowledge(self, ack_type: int, *, ephemeral: bool = False) -> None:
        """Note the first answer."""
        self.acknowledged_at = time.monotonic()
        self.ack_type = ack_type
        self.ephemeral = ephemeral
        self.changed.notify()

    async def acknowledged(self, timeout: float = 10.0) -> float:
        """Wait for the first answer and return how many milliseconds it took."""
        at = await self.changed.wait_for(lambda: self.acknowledged_at, timeout, "answer to the interaction")
        return (at - self.dispatched_at) * 1000

    async def reply(self, timeout: float = 10.0) -> Message:
        """Wait for the first answer with something to see: original message, its edit, or a follow-up."""
        replies = await self.changed.wait_for(lambda: self.replies or None, timeout, "visible reply")
        return replies[0]

    async def settled(self, timeout: float = 10.0) -> None:
        """Wait until the person is owed nothing: answered, not "thinking", and not left without a word.

        An answer without a message (deferred update, choices, modal) settles at once.
        """
        await self.changed.wait_for(self._is_settled, timeout, "settled interaction")

    def _is_settled(self) -> bool:
        if self.ack_type in {4, 5}:
            return not self.thinking and (bool(self.replies) or self.original is None)
        return self.ack_type is not None


Subject: TypeAlias = Guild | Channel | Member | Message | Role
"""What an event of the gateway tells about."""


def _publish_nothing(_event: str, _guild: Guild | None, _subject: Subject) -> None:
    """Drop an event: nobody is connected yet."""


class State:
    """Everything the stand-in knows, and the signal that something of it changed.

    `said` holds every message of the bot's, private and deleted ones too, in order. `onlookers` are shown every
    message, private ones too, when it is new, changed or deleted.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.ids = Snowflakes(clock)
        self.bot = User(self.ids.entity(), "Coverbot", bot=True)
        self.owner = User(self.ids.entity(), "owner")
        self.team: dict[User, bool] = {}
        """Who owns the application in place of `owner`, and whether they have accepted."""
        self.application_id = self.bot.id
        self.base_url = ""
        self.users: dict[int, User] = {self.bot.id: self.bot, self.owner.id: self.owner}
        self.guilds: dict[int, Guild] = {}
        self.channels: dict[int, Channel] = {}
        self.directs: dict[int, Channel] = {}
        self.files: dict[int, Attachment] = {}
        self.calls: dict[int, Call] = {}
        self.calls_by_token: dict[str, Call] = {}
        self.nonces: dict[tuple[int, str], tuple[float, Message]] = {}
        self.said: list[Message] = []
        self.follow_up_after_deletion = True
        self.left_out: set[str] = set()
        self.onlookers: list[Callable[[Message], None]] = []
        self.changed = Signal()
        self.publish: Callable[[str, Guild | None, Subject], None] = _publish_nothing

    def add_guild(
        self,
        name: str,
        upload_limit: int,
        locale: str,
        channels: Iterable[str] = (),
        prepare: Callable[[Guild], None] = lambda _guild: None,
    ) -> Guild:
        """Create a guild that belongs to the owner, and let the bot join it as `prepare` leaves it."""
        guild = Guild(self.ids.guild(), name, self, upload_limit, locale)
        guild.members[self.owner.id] = Member(guild, self.owner, frozenset({"administrator"}))
        guild.added_by, guild.joined_at = self.owner, self.clock.wall()
        for channel in channels:
            guild.channels.append(Channel(self.ids.entity(), channel, "text", self, guild))
        self.channels |= {channel.id: channel for channel in guild.channels}
        prepare(guild)
        self.guilds[guild.id] = guild
        guild.members[self.bot.id] = Member(guild, self.bot, guild.bot_permissions)
        self.publish("GUILD_CREATE", guild, guild)
        return guild

    def direct(self, user: User) -> Channel:
        """Return the direct conversation between the bot and a user, opening it if need be."""
        channel = self.directs.get(user.id)
        if channel is None:
            channel = Channel(self.ids.entity(), f"dm-{user.name}", "dm", self, recipient=user)
            self.directs[user.id] = self.channels[channel.id] = channel
        return channel

    def shared_guild(self, user: User) -> bool:
        """Return whether the bot and the user are in one guild."""
        return any(user.id in guild.members for guild in self.guilds.values())
