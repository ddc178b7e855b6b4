"""The connection to Discord: which commands there are, and what happens to errors that nobody caught."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from importlib import import_module
from itertools import chain, repeat
from pathlib import Path
from typing import Any, cast

import aiohttp
import discord
from discord import app_commands
from discord.ext import commands
from sqlalchemy.exc import SQLAlchemyError
from yarl import URL

from bot import version
from bot.answers.acknowledgements import Acknowledgements
from bot.answers.interactions import Interactions
from bot.gateway import rest
from bot.gateway.events import outlive_frames, read_events, shows
from bot.refusals import FAILURES, asked_to_wait, explain
from bot.servers.limits import Limits
from bot.servers.onboarding import Onboarding
from bot.servers.report import UsageReport
from bot.servers.settings import ServerSettings
from bot.settings import Settings
from bot.songs.covers import Covers
from bot.songs.drafts import Drafts
from bot.songs.finding import Songs
from bot.songs.library import Library
from bot.songs.performances import Performances
from bot.songs.playing import Playing
from bot.songs.posted import Posted
from bot.songs.recordings import Recordings
from bot.words import cards
from bot.words.commands import mention
from bot.words.sentences import errors
from bot.words.sentences.errors import MemberError
from bot.words.text import speak
from bot.words.translator import Translator
from storage.database import Database
from storage.ids import new_id
from storage.wakeups import Queue

log = logging.getLogger(__name__)

COGS = (
    *("cogs.cover", "cogs.coverbot", "cogs.music"),
    *(f"cogs.components.{name}" for name in ("buttons", "forms", "library", "posts", "recordings", "settings")),
)

COMMAND_TASKS = ("CommandTree-invoker", "discord-ui-", "command ")
"""How discord.py names the tasks in which it runs commands and buttons, and we what is done for them."""

CLOSE_SECONDS = 1.0
"""How long Discord may take to answer the end of a session."""

IDENTIFY_SECONDS = 5.5
"""How far apart sessions begin, in all processes together: Discord wants 5 s."""

LAUNCH_PAUSES = (0.0, 5.0, 25.0, 55.0)
"""Seconds between the tries to begin a shard's first session, beside the 5 that discord.py takes."""

PERMISSIONS = discord.Permissions(
    view_channel=True,
    send_messages=True,
    send_messages_in_threads=True,
    embed_links=True,
    attach_files=True,
    read_message_history=True,
)
"""What the bot needs, and all that its invitation asks for."""


TakeForm = Callable[["discord.Interaction[Client]", re.Match[str]], Coroutine[Any, Any, None]]
"""What is done with a form that was filled in; the match is that of its custom id."""


def invitation(application_id: int) -> str:
    """Return the address that invites the bot into a server with exactly what it needs."""
    return discord.utils.oauth_url(application_id, permissions=PERMISSIONS, scopes=("bot", "applications.commands"))


@dataclass(frozen=True, slots=True)
class UseCases:
    """What the cogs hand over to. `directory` is where files wait to be posted."""

    database: Database
    interactions: Interactions
    acknowledgements: Acknowledgements
    songs: Songs
    covers: Covers
    performances: Performances
    recordings: Recordings
    drafts: Drafts
    posted: Posted
    library: Library
    playing: Playing
    limits: Limits
    servers: ServerSettings
    report: UsageReport
    onboarding: Onboarding
    directory: Path
    support_url: str | None


class _LaunchFailed(Exception):  # noqa: N818 (a word says what happened)
    """A shard's first session could not be begun."""


async def tell_of(error: Exception, interaction: discord.Interaction[Client]) -> None:
    """Answer an interaction whose work failed outside of its own care, in one sentence, and log the error whole."""
    cause = getattr(error, "original", error)
    if isinstance(cause, discord.NotFound) and interaction.type is not discord.InteractionType.autocomplete:
        log.warning("an interaction came too late to be answered: %s", cause.text)
        return
    if isinstance(cause, MemberError):
        text = cause.text
    elif isinstance(error, app_commands.NoPrivateMessage):
        text = errors.server_only()
    elif isinstance(error, app_commands.CommandNotFound | app_commands.CommandSignatureMismatch):
        # The commands at Discord are registered when Discord lets the bot, and members' apps keep them for a while.
        log.warning("a command of another version was used: %s", error)
        text = errors.stale_command()
    else:
        reference = new_id(interaction.created_at.timestamp())
        log.error("interaction %s failed", reference, exc_info=cause)
        text = errors.internal_error(reference)
    if interaction.type is discord.InteractionType.autocomplete:
        return
    speak(str(interaction.locale))
    view = cards.support_view(interaction.client.use_cases.support_url) or discord.utils.MISSING
    try:
        if interaction.response.is_done():
            await interaction.followup.send(str(text), ephemeral=True, view=view)
        else:
            await interaction.response.send_message(str(text), ephemeral=True, view=view)
    except FAILURES as failure:
        log.warning("a member could not be told of an error: %s", explain(failure))


async def _see_through(interaction: discord.Interaction[Client], work: Coroutine[Any, Any, None], name: str) -> None:
    """Do what a form or a button is for, under a name by which a stop waits for it, and tell of an error."""
    try:
        await asyncio.create_task(work, name=f"discord-ui-{name}")
    except Exception as error:
        await tell_of(error, interaction)


class Tree(app_commands.CommandTree["Client"]):
    """The commands; an error that reaches it is told to the member."""

    async def on_error(self, interaction: discord.Interaction[Client], error: app_commands.AppCommandError, /) -> None:
        """Answer an interaction whose command failed outside of its own care."""
        await tell_of(error, interaction)

    async def _call(self, interaction: discord.Interaction[Client]) -> None:
        """Run a command; where discord.py cannot even read what it was used with, its member is told too."""
        try:
            await super()._call(interaction)
        except Exception as error:
            await tell_of(error, interaction)


class Client(commands.AutoShardedBot):
    """discord.py's client with nothing that this bot does not use: no prefix commands, no message or member cache."""

    use_cases: UseCases

    def __init__(
        self,
        settings: Settings,
        account: Callable[[], str] = lambda: "nothing known",
        http_trace: aiohttp.TraceConfig | None = None,
    ) -> None:
        # discord.py reads the base at each request; the gateway's address comes from there.
        discord.http.Route.BASE = settings.discord_api_url
        super().__init__(
            command_prefix=(),
            http_trace=http_trace,  # type: ignore[arg-type] # None is its default
            help_command=None,
            tree_cls=Tree,
            intents=discord.Intents(guilds=True),
            member_cache_flags=discord.MemberCacheFlags.none(),
            max_messages=None,
            chunk_guilds_at_startup=False,
            allowed_mentions=discord.AllowedMentions.none(),
            status=discord.Status.online,
            activity=discord.Activity(type=discord.ActivityType.listening, name="/cover"),
            # A longer wait is planned, so that it holds nobody else up.
            max_ratelimit_timeout=rest.LONGEST_WAIT_SECONDS,
        )
        self.http.http_trace = http_trace
        rest.guard(self.http)
        read_events(self._connection.parsers)
        self._account = account
        self.max_concurrency = 1
        """How many sessions may begin at a time, as Discord has said."""
        self._connected: set[int] = set()
        self._items: list[type[discord.ui.DynamicItem[Any]]] = []
        self._forms: list[tuple[re.Pattern[str], TakeForm]] = []
        self._launching: set[int] = set()
        self._set_up: set[str] = set()
        self._started_at = discord.utils.utcnow()

    async def setup_hook(self) -> None:
        """Set up the cogs; as extensions of discord.py their modules would be run a second time."""
        self.http._global_over = rest.Gate()
        for name in COGS:
            if name not in self._set_up:  # this is called again when an earlier try to log in failed later on
                await import_module(name).setup(self)
                self._set_up.add(name)
        await self.tree.set_translator(Translator())

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Wait until a session may begin; those of other processes count too."""
        turns = self.use_cases.database.turns
        await self._wait_until_free(shard_id or 0, lambda name: turns.take(name, IDENTIFY_SECONDS))

    async def _wait_until_free(self, shard_id: int, ask: Callable[[str], Awaitable[float]]) -> None:
        """Wait until the answer is that a session of a shard may begin now."""
        while True:
            try:
                left = await ask(f"identify {shard_id % self.max_concurrency}")
            except SQLAlchemyError as error:
                log.warning("no session can begin: %s", getattr(error, "orig", None) or type(error).__name__)
                left = 1.0
            if left <= 0:
                return
            await asyncio.sleep(left)

    async def run_shards(self, ids: list[int], count: int) -> None:
        """Begin the sessions of some shards and keep them until Discord is left; raises what ended the connection."""
        self.shard_ids, self.shard_count = ids, count
        self._connected.clear()
        # What was to be done about earlier shards is forgotten.
        await self._async_setup_hook()
        await self.connect()

    async def leave_shards(self) -> None:
        """Close all sessions, so that no event comes any more; requests go on."""
        self.shard_ids = self.shard_ids or []
        closing = [asyncio.create_task(shard.disconnect()) for shard in self.shards.values()]
        if closing:
            _, late = await asyncio.wait(closing, timeout=CLOSE_SECONDS)
            for task in late:
                task.cancel()
        self._connected.clear()
        self._ready.clear()
        state = self._connection
        for ready in (state._ready_task, *state._ready_tasks.values()):
            if ready is not None:
                ready.cancel()
        state._ready_task = None
        state._ready_tasks.clear()
        state._ready_states.clear()
        user = state.user
        state.clear(views=False)
        state.user = user

    @property
    def has_all_sessions(self) -> bool:
        """Whether the events of all shards that are run here come here."""
        return bool(self.shard_ids) and self._connected.issuperset(self.shard_ids or [])

    @property
    def sessions(self) -> int:
        """How many shards are run here."""
        return len(self._connected)

    async def on_shard_connect(self, shard_id: int) -> None:
        """Note that a session has begun."""
        self._connected.add(shard_id)
        self.use_cases.database.wakeups.wake([Queue.SHARDS])

    async def launch_shard(self, gateway: URL, shard_id: int, *, initial: bool = False) -> None:
        """Begin a shard's first session, however often that takes.

        discord.py calls this again from within itself, 5 s after each failure, until Python's stack is full.
        """
        if shard_id in self._launching:
            raise _LaunchFailed
        self._launching.add(shard_id)
        try:
            # While a connection waits it answers nothing, so the long wait comes before it.
            await self._wait_until_free(shard_id, self.use_cases.database.turns.left)
            for pause in chain(LAUNCH_PAUSES, repeat(LAUNCH_PAUSES[-1])):
                try:
                    await super().launch_shard(gateway, shard_id, initial=initial)
                except _LaunchFailed as failure:
                    # Where it was raised the error before it was being handled.
                    await asyncio.sleep(max(pause, asked_to_wait(failure.__context__)))
                else:
                    if (shard := self.get_shard(shard_id)) is not None:
                        outlive_frames(shard._parent)
                    return
        finally:
            self._launching.discard(shard_id)

    def add_dynamic_items(self, *items: type[discord.ui.DynamicItem[Any]]) -> None:
        """Make buttons known by their custom ids."""
        super().add_dynamic_items(*items)
        self._items.extend(items)

    def add_form(self, custom_id: re.Pattern[str], take: TakeForm) -> None:
        """Make a form known by its custom id, so that one opened before a restart is taken after it."""
        self._forms.append((custom_id, take))

    async def on_interaction(self, interaction: discord.Interaction[Client]) -> None:
        """Take forms, and answer what nobody knows: of another version of this program, or made up."""
        unknown = errors.stale_button()
        data = cast("dict[str, object]", interaction.data or {})
        custom_id = str(data.get("custom_id", ""))
        if interaction.type is discord.InteractionType.modal_submit:
            for pattern, take in self._forms:
                if (match := pattern.fullmatch(custom_id)) is not None:
                    await _see_through(interaction, take(interaction, match), f"form-{custom_id}")
                    return
            unknown = errors.stale_form()
        elif interaction.type is not discord.InteractionType.component:
            return
        for item in self._items:
            if (match := item.__discord_ui_compiled_template__.fullmatch(custom_id)) is not None:
                if not shows(interaction.message, data):
                    # discord.py leaves it without an answer.
                    button: discord.ui.Button[Any] = discord.ui.Button(custom_id=custom_id)
                    pressed = await item.from_custom_id(interaction, button, match)
                    await _see_through(interaction, pressed.callback(interaction), f"unseen-{custom_id}")
                return
        speak(str(interaction.locale))
        view = cards.support_view(self.use_cases.support_url) or discord.utils.MISSING
        try:
            await interaction.response.send_message(str(unknown), ephemeral=True, view=view)
        except FAILURES as failure:
            log.warning("a member could not be told that a button is unknown: %s", explain(failure))

    def mention(self, name: str) -> str:
        """Return what names a command so that it can be pressed, or typed while Discord has told no id of it."""
        return mention(name)

    async def find_post(self, channel_id: int, message_id: int) -> discord.Message:
        """Read a message; raises `discord.HTTPException`."""
        return await self.get_partial_messageable(channel_id).fetch_message(message_id)

    async def on_ready(self) -> None:
        """Say in one line what runs here."""
        log.info(
            "Coverbot %s is connected to Discord as %s in %d servers; %s",
            version(),
            self.user,
            len(self.guilds),
            self._account(),
        )
        has_all_shards = len(self.shard_ids or ()) == self.shard_count
        if not self.guilds and has_all_shards and self.application_id is not None:
            log.warning("it is in no server yet; this invites it into one: %s", invitation(self.application_id))

    async def on_guild_join(self, guild: discord.Guild) -> None:
        """Greet a server; those that were there before are no news when a session begins."""
        self._know_itself(guild)
        await self.use_cases.onboarding.joined(guild.id)

    async def on_guild_available(self, guild: discord.Guild) -> None:
        """Greet a server that was joined while a session began, which discord.py takes for one that was there."""
        self._know_itself(guild)
        if guild.me.joined_at is not None and guild.me.joined_at > self._started_at:
            await self.use_cases.onboarding.joined(guild.id)

    def _know_itself(self, guild: discord.Guild) -> None:
        """Count the bot among a server's members, where Discord has told of none with it."""
        me: discord.Member | None = guild.me
        if me is None and self.user is not None:
            guild._add_member(discord.Member._from_client_user(user=self.user, guild=guild, state=self._connection))

    async def on_guild_remove(self, guild: discord.Guild) -> None:
        """Forget a server."""
        await self.use_cases.onboarding.left(guild.id)

    async def end_commands(self, grace: float) -> None:
        """Wait up to `grace` seconds for the commands and buttons under way, then cancel them."""
        running = [task for task in asyncio.all_tasks() if task.get_name().startswith(COMMAND_TASKS)]
        if running:
            _, late = await asyncio.wait(running, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def not_ready(self) -> str | None:
        """Return why Discord is not to be reached, or None."""
        if not self.is_ready():
            return "not connected yet"
        if any(shard.is_closed() for number, shard in self.shards.items() if number in (self.shard_ids or ())):
            return "a shard is disconnected"
        return None
