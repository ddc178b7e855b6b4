"""A real discord.py bot for the tests of the stand-in; what its commands do is set by each test."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands
from discord.ext import commands
from discord.gateway import DiscordWebSocket
from discord.http import Route
from yarl import URL

if TYPE_CHECKING:
    import re
    from collections.abc import AsyncIterator, Awaitable, Callable

    from sandbox.discord import DiscordStandIn, Guild

    Act = Callable[["discord.Interaction[Bot]"], Awaitable[object]]


class Remove(discord.ui.DynamicItem[discord.ui.Button[Any]], template=r"remove:(?P<number>\d+)"):
    """A button that works whenever it was made, by the number in its custom id."""

    def __init__(self, number: int) -> None:
        super().__init__(discord.ui.Button(label="Remove", custom_id=f"remove:{number}"))
        self.number = number

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Remove:
        return cls(int(match["number"]))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        await interaction.response.send_message(f"removed {self.number}", ephemeral=True)


class Bot(commands.AutoShardedBot):
    """`acts` is run by `/act`, `menus` by the message menu; `failures` are the errors of commands."""

    def __init__(self, *, intents: discord.Intents | None = None, **options: Any) -> None:
        super().__init__(
            command_prefix=[],
            intents=intents or discord.Intents(guilds=True),
            max_messages=None,
            guild_ready_timeout=0.05,
            **options,
        )
        self.acts: dict[str, Act] = {}
        self.menus: list[discord.Message] = []
        self.failures: list[BaseException] = []
        self._failed = asyncio.Condition()

    async def setup_hook(self) -> None:
        self.add_dynamic_items(Remove)
        self.tree.add_command(act)
        self.tree.add_command(Music())
        self.tree.add_command(cover_this)
        self.tree.on_error = self._note  # type: ignore[method-assign]  # as discord.py wants it
        await self.tree.sync()

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        # The library's own hook waits five seconds between shards, which Discord asks for and the stand-in does not.
        return

    async def _note(self, _interaction: discord.Interaction[Any], error: app_commands.AppCommandError) -> None:
        async with self._failed:
            self.failures.append(error.__cause__ or error)
            self._failed.notify_all()

    async def failed(self, count: int) -> None:
        async with asyncio.timeout(5), self._failed:
            await self._failed.wait_for(lambda: len(self.failures) >= count)

    def text_channel(self, channel_id: int) -> discord.TextChannel:
        channel = self.get_channel(channel_id)
        assert isinstance(channel, discord.TextChannel)
        return channel


@app_commands.command(description="Do what the test says")
async def act(interaction: discord.Interaction[Bot], how: str) -> None:
    await interaction.client.acts[how](interaction)


@app_commands.context_menu(name="Cover this track")
async def cover_this(interaction: discord.Interaction[Bot], message: discord.Message) -> None:
    interaction.client.menus.append(message)
    await interaction.response.send_message(f"covering {message.id}")


class Music(app_commands.Group):
    """Music commands."""

    def __init__(self) -> None:
        super().__init__(name="music", description="Music")

    @app_commands.command(name="import", description="Bring a song")
    async def bring(
        self,
        interaction: discord.Interaction[Bot],
        task_id: str,
        count: app_commands.Range[int, 1, 5] = 1,
        loud: bool = False,
        friend: discord.Member | None = None,
    ) -> None:
        await interaction.response.send_message(f"{task_id} {count} {loud} {friend and friend.id}")

    @app_commands.command(description="Settings")
    @app_commands.choices(mode=[app_commands.Choice(name="Fast", value="fast")])
    async def mode(self, interaction: discord.Interaction[Bot], mode: str, track: str | None = None) -> None:
        await interaction.response.send_message(f"{mode} {track}", ephemeral=True)

    @mode.autocomplete("track")
    async def suggest(self, interaction: discord.Interaction[Bot], typed: str) -> list[app_commands.Choice[str]]:
        songs = ["Harbour Lights", "Hard Rain", "Snow"]
        chosen = interaction.namespace.mode or "any"
        return [
            app_commands.Choice(name=f"{song} ({chosen})", value=song)
            for song in songs
            if song.lower().startswith(typed)
        ]


@asynccontextmanager
async def running(
    standin: DiscordStandIn, *, ready: bool = True, start: bool = True, **options: Any
) -> AsyncIterator[Bot]:
    """Run a bot against a stand-in; it is ready when entered, unless told otherwise."""
    base, gateway = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = standin.api_url, URL(standin.gateway_url)
    bot = Bot(**options)
    task = asyncio.create_task(bot.start(standin.token) if start else asyncio.sleep(0))
    try:
        if ready:
            before = standin.identified
            waiting = asyncio.create_task(standin.wait_ready(20, newer_than=before))
            await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                waiting.cancel()
                await task
            await waiting
            await bot.wait_until_ready()
        yield bot
    finally:
        await bot.close()
        await asyncio.gather(task, return_exceptions=True)
        Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = base, gateway


def furnish(standin: DiscordStandIn, name: str = "Band") -> Guild:
    """Add a guild with a channel and two members."""
    guild = standin.add_guild(name)
    guild.add_channel("music")
    guild.add_member("ada")
    guild.add_member("ben", locale="de")
    return guild
