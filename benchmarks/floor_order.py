"""The least that makes the promise of the bot's first answer: bare discord.py and sqlite3, as plain as they go.

It notes each interaction before anything else, finds the member's song, writes the order down in one transaction that
counts it against the day's limit, waits for the disk, says as its first answer what it makes, with a button, and notes
the answer's message. It looks after nothing that goes wrong, and sends nothing to VidGo. Small statements run in the
event loop, and only the disk is waited for in a thread: nothing is quicker. Says "ready" on stdout once discord.py
calls it so.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import time
import uuid

import discord
from discord import app_commands
from discord.ext import commands

DAY_SECONDS = 86400
LIMIT = 1_000_000


class Floor(commands.AutoShardedBot):
    """A client that knows one command."""

    def __init__(self) -> None:
        super().__init__(
            command_prefix=(),
            help_command=None,
            intents=discord.Intents(guilds=True),
            member_cache_flags=discord.MemberCacheFlags.none(),
            max_messages=None,
            chunk_guilds_at_startup=False,
        )
        path = os.environ["DATABASE"]
        self.database = sqlite3.connect(path, isolation_level=None)
        self.database.execute("PRAGMA synchronous = NORMAL")
        self.database.execute("PRAGMA data_version")  # opens its log
        self.log = os.open(f"{path}-wal", os.O_RDONLY)

    async def setup_hook(self) -> None:
        """Tell Discord the command."""
        self.tree.add_command(cover)
        await self.tree.sync()

    async def on_ready(self) -> None:
        """Tell the benchmark."""
        print("ready", flush=True)

    def order(self, interaction_id: int, user_id: int, song: tuple[str, str]) -> str:
        """Write an order down, within the day's limit, and what will be told of it; return its id."""
        now, order_id = time.time(), uuid.uuid4().hex
        song_id, vidgo_id = song
        self.database.execute("BEGIN IMMEDIATE")
        with self.database:  # ends the transaction
            [(count,)] = self.database.execute(
                "INSERT INTO used VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET orders = orders + 1 RETURNING orders",
                (user_id, now // DAY_SECONDS),
            )
            if count > LIMIT:
                raise RuntimeError("no more today")
            self.database.execute(
                "INSERT INTO orders VALUES (?, ?, ?, ?, 'queued', ?)",
                (order_id, song_id, user_id, json.dumps({"task_id": vidgo_id}), now),
            )
            self.database.execute("UPDATE interactions SET order_id = ? WHERE id = ?", (order_id, interaction_id))
        return order_id


@app_commands.command(description="Make a cover of one of your songs")
async def cover(interaction: discord.Interaction[Floor], track: str) -> None:
    """Order the cover of a song, and say so."""
    bot, user_id = interaction.client, interaction.user.id
    bot.database.execute(
        "INSERT INTO interactions VALUES (?, ?, ?, ?, NULL, NULL, ?)",
        (interaction.id, interaction.token, user_id, interaction.channel_id, time.time()),
    )
    song_id, title, vidgo_id = bot.database.execute(
        "SELECT id, title, vidgo_id FROM songs WHERE id = ? AND user_id = ?", (track, user_id)
    ).fetchone()
    order_id = bot.order(interaction.id, user_id, (song_id, vidgo_id))
    await asyncio.to_thread(os.fdatasync, bot.log)
    view = discord.ui.View(timeout=None)
    view.add_item(discord.ui.Button(label="Don't post", custom_id=f"stop:{order_id}"))
    view.stop()  # nothing waits for it: who presses is told by the custom id
    words = f"Covering **{title}** – started <t:{int(time.time())}:R>, usually takes about 1½ minutes."
    sent = await interaction.response.send_message(words, view=view)
    bot.database.execute("UPDATE interactions SET message_id = ? WHERE id = ?", (sent.message_id, interaction.id))


if __name__ == "__main__":
    discord.http.Route.BASE = os.environ["DISCORD_API_URL"]
    Floor().run(os.environ["DISCORD_TOKEN"], log_handler=None)
