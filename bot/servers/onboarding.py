"""The worker that greets each server once: where it may write, else whoever brought it there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from itertools import chain

import discord
from sqlalchemy.exc import OperationalError

from bot.refusals import FAILURES, Refusal, explain, meaning_of
from bot.servers import letters
from bot.words.sentences import owners
from bot.words.text import Text, speaking
from bot.worker import Worker
from storage.database import Database
from storage.planned import Due
from storage.servers import alarms
from storage.servers import greetings as rows
from storage.servers.greetings import Greeting
from storage.wakeups import Queue

log = logging.getLogger(__name__)

GIVE_UP_SECONDS = 86400.0
LONGEST_PAUSE_SECONDS = 300.0

PLACES = 4
TRIES = 5
"""In how many channels it is tried to write."""

LOOK_BACK = 50
"""How many entries of the audit log are searched for the one that says who brought the bot."""

_IMPLIED = ("embed_links", "attach_files")
"""What nobody has who may not send messages."""

MOST_LINES = 4
MOST_CHANNELS = 8
"""How many lines say what is missing, and how many channels are named in each."""


class Onboarding:
    """Notes which servers are joined, and greets them."""

    def __init__(
        self, database: Database, client: discord.Client, needed: discord.Permissions, clock: Callable[[], float]
    ) -> None:
        self._database = database
        self._client = client
        self._needed = [name for name, wanted in needed if wanted]
        self._clock = clock
        self._elsewhere: set[str] = set()
        """Servers to greet whose shards other processes run, as far as was looked."""

    async def joined(self, guild_id: int) -> None:
        """Note that a server was joined; one that was noted before is not greeted again."""
        try:
            async with self._database.write() as transaction:
                is_news = await rows.join(transaction, guild_id, self._clock())
        except OperationalError as error:  # the disk is full, perhaps
            log.warning("the server %d is not greeted: the database takes nothing (%s)", guild_id, error.orig)
            return
        if is_news:
            log.info("joined the server %d", guild_id)

    async def left(self, guild_id: int) -> None:
        """Forget a server, which is greeted again when it is joined again."""
        try:
            async with self._database.write() as transaction:
                await rows.leave(transaction, guild_id)
        except OperationalError as error:
            log.warning("the server %d is not forgotten: the database takes nothing (%s)", guild_id, error.orig)
            return
        log.info("left the server %d", guild_id)

    # The worker's part

    async def claim(self, skip: Collection[str], limit: int) -> list[Due]:
        """Return the servers that are to be greeted, of those whose shards are run here.

        One that was left while nobody was there to see it is nobody's: whoever looks gives it up in time.
        """
        now = self._clock()
        self._elsewhere.clear()
        while True:
            async with self._database.read() as snapshot:
                without = {*skip, *self._elsewhere}
                found = await rows.claim(snapshot, now, now + 2 * LONGEST_PAUSE_SECONDS, without, limit)
            here = [due for due in found if self._is_here(int(due.id)) or now - due.at > GIVE_UP_SECONDS]
            self._elsewhere.update({due.id for due in found} - {due.id for due in here})
            if here or len(found) < limit:
                return here

    async def next_due(self, skip: Collection[str]) -> float | None:
        """Return when the next one is."""
        async with self._database.read() as snapshot:
            return await rows.next_due(snapshot, {*skip, *self._elsewhere})

    def _is_here(self, guild_id: int) -> bool:
        """Tell whether the events of a server come here; what it is like is known from them alone."""
        return self._database.blocks is None or self._client.get_guild(guild_id) is not None

    async def do(self, item: str) -> None:
        """Greet a server."""
        guild_id = int(item)
        async with self._database.read() as snapshot:
            row = await rows.get(snapshot, guild_id)
        if row is None or row.greet_at is None:
            return
        try:
            is_done = await self._greet(row)
        except FAILURES as error:
            log.warning("the server %d is not greeted yet: %s", guild_id, explain(error))
            is_done = False
        now = self._clock()
        if not is_done and now - row.joined_at > GIVE_UP_SECONDS:
            log.warning("the server %d is not greeted: it was tried for a day", guild_id)
            is_done = True
        async with self._database.write() as transaction:
            if is_done:
                await rows.done(transaction, guild_id)
            else:
                pause = min(2.0 ** min(row.attempts + 1, 20), LONGEST_PAUSE_SECONDS)
                await rows.postpone(transaction, guild_id, now + pause)

    async def _greet(self, row: Greeting) -> bool:
        """Greet a server if it is there, and tell whether there is nothing more to do; raises what passes."""
        guild = self._client.get_guild(row.guild_id)
        if guild is None or guild.unavailable:
            return False  # it may be there in a moment
        if await self._was_greeted(guild, row):
            return True
        with speaking(guild.preferred_locale.value):
            text = "\n".join(map(str, [owners.hello(), owners.first_steps(), *self._lacking(_seen_by_all(guild))]))
            for channel in _places(guild)[:TRIES]:
                if await self._send(guild, channel, text, channel.name):
                    return True
        await self._tell_whoever_added(guild)
        return True

    async def _was_greeted(self, guild: discord.Guild, row: Greeting) -> bool:
        """Tell whether a greeting that may have been sent is there; one person may have those of several servers."""
        if row.channel_id is None or row.sent_at is None:
            return False
        assert self._client.user is not None  # noqa: S101 (workers start after the login)
        is_direct = guild.get_channel(row.channel_id) is None
        beginnings = letters.in_all_languages(lambda: _direct_beginning(guild) if is_direct else owners.hello())
        try:
            channel = self._client.get_partial_messageable(row.channel_id)
            return await letters.was_sent(channel, self._client.user.id, beginnings, row.sent_at)
        except FAILURES as error:
            if meaning_of(error) is Refusal.LATER:
                raise
            log.info("the server %d: its greeting cannot be looked for: %s", row.guild_id, explain(error))
            return False

    async def _send(
        self, guild: discord.Guild, channel: discord.TextChannel | discord.DMChannel, text: str, where: str
    ) -> bool:
        """Send a greeting, and tell whether it was taken; raises what passes."""
        async with self._database.write() as transaction:
            await rows.send(transaction, guild.id, channel.id, self._clock())
        try:
            await letters.send(channel, text, letters.nonce("greeting", guild.id, guild.me.joined_at))
        except FAILURES as error:
            if meaning_of(error) is Refusal.LATER:
                raise
            log.info("the server %d: %s takes no greeting: %s", guild.id, where, explain(error))
            return False
        log.info("the server %d is greeted in %s", guild.id, where)
        return True

    async def _tell_whoever_added(self, guild: discord.Guild) -> None:
        person = await self._whoever_added(guild)
        if person is None:
            log.warning("the server %d is not greeted: I may write nowhere, and know nobody there", guild.id)
            return
        async with self._database.read() as snapshot:
            locale = await alarms.locale_of(snapshot, person)
        with speaking(locale or guild.preferred_locale.value):
            # Where it lacks nothing that everybody sees, it is the others that whoever manages the server hears of.
            lacking = self._lacking(_seen_by_all(guild)) or self._lacking(guild.text_channels)
            text = "\n".join(map(str, [_direct_beginning(guild), owners.first_steps(), *lacking]))
        try:
            channel = await self._client.create_dm(discord.Object(person))
        except FAILURES as error:
            if meaning_of(error) is Refusal.LATER:
                raise
            log.warning("the server %d is not greeted: %s", guild.id, explain(error))
            return
        if not await self._send(guild, channel, text, f"a direct message to {person}"):
            log.warning("the server %d is not greeted: I may write nowhere, and %d takes no message", guild.id, person)

    async def _whoever_added(self, guild: discord.Guild) -> int | None:
        if guild.me.guild_permissions.view_audit_log:
            try:
                async for entry in guild.audit_logs(limit=LOOK_BACK, action=discord.AuditLogAction.bot_add):
                    if getattr(entry.target, "id", None) == guild.me.id and entry.user_id is not None:
                        return entry.user_id
            except FAILURES as error:
                if meaning_of(error) is Refusal.LATER:
                    raise
                log.info("the server %d: its audit log cannot be read: %s", guild.id, explain(error))
        return guild.owner_id

    # Words

    def _lacking(self, channels: Sequence[discord.TextChannel]) -> list[Text]:
        """Say what is missing in channels."""
        lacking: dict[tuple[str, ...], list[str]] = {}
        for channel in channels:
            if missing := self._missing(channel.permissions_for(channel.guild.me)):
                lacking.setdefault(missing, []).append(channel.mention)
        most = sorted(lacking.items(), key=lambda entry: -len(entry[1]))[:MOST_LINES]
        return [
            owners.lacking(mentions[:MOST_CHANNELS], len(mentions[MOST_CHANNELS:]), list(names))
            for names, mentions in most
        ]

    def _missing(self, granted: discord.Permissions) -> tuple[str, ...]:
        """Return the names of what is missing, but for what is missing along with it."""
        missing = [name for name in self._needed if not getattr(granted, name)]
        if "view_channel" in missing:
            missing = ["view_channel"]
        elif "send_messages" in missing:
            missing = [name for name in missing if name not in _IMPLIED]
        return tuple(name.replace("_", " ").title() for name in missing)


def _direct_beginning(guild: discord.Guild) -> str:
    return f"{owners.hello()}\n{owners.nowhere(guild.name)}"


def _seen_by_all(guild: discord.Guild) -> list[discord.TextChannel]:
    """Return the channels that everybody sees: of others nobody need hear."""
    return [one for one in guild.text_channels if one.permissions_for(guild.default_role).view_channel]


def _places(guild: discord.Guild) -> list[discord.TextChannel]:
    """Return where the bot may write: where Discord itself greets first, then in the order of the channels' list."""
    own = [guild.system_channel] if guild.system_channel is not None else []
    found = dict.fromkeys(
        channel
        for channel in chain(own, sorted(guild.text_channels, key=lambda one: (one.position, one.id)))
        if not channel.is_news() and channel != guild.rules_channel and _may_write(channel)
    )
    return sorted(found, key=lambda one: not one.permissions_for(guild.default_role).view_channel)


def _may_write(channel: discord.TextChannel) -> bool:
    granted = channel.permissions_for(channel.guild.me)
    return granted.view_channel and granted.send_messages


def make_onboarding(onboarding: Onboarding, database: Database, clock: Callable[[], float]) -> Worker:
    """Make the worker."""
    return Worker(Queue.GREETINGS, onboarding, database.wakeups, places=PLACES, clock=clock)
