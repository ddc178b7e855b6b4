"""Messages that come once: sent with a nonce, and looked for where they may have been sent before."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import discord

from bot.words import cards
from bot.words.text import LANGUAGES, speaking

LOOK_BACK = 1000
"""How many messages are searched, those of the margin included; a channel may be busy."""

MARGIN = timedelta(hours=1)
"""How far the search begins before that moment, for Discord's clock may differ."""

QUIET = discord.AllowedMentions.none()


def nonce(*parts: object) -> str:
    """Return what is the same for the same message, and has room in a nonce."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:24]


def in_all_languages(render: Callable[[], object]) -> set[str]:
    """Return what something is in each language, for the reader's may have changed since it was sent."""
    found = set()
    for locale in ("en-US", *LANGUAGES):
        with speaking(locale):
            found.add(str(render()))
    return found


async def was_sent(channel: discord.abc.Messageable, author_id: int, beginnings: set[str], since: float) -> bool:
    """Tell whether somebody's message that begins like this is in a channel; raises what Discord says."""
    after = datetime.fromtimestamp(since, UTC) - MARGIN
    async for message in channel.history(after=after, limit=LOOK_BACK, oldest_first=True):
        if message.author.id == author_id and any(message.content.startswith(one) for one in beginnings):
            return True
    return False


async def send(channel: discord.abc.Messageable, text: str, name: str) -> None:
    """Send a message that mentions nobody; raises what Discord says."""
    await channel.send(cards.fitting(text), nonce=name, allowed_mentions=QUIET)
