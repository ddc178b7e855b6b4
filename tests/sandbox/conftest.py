"""discord.py as it is delivered: the bot changes a part of it for its whole process, and its tests run here too."""

from __future__ import annotations

import discord.http
import discord.shard
import discord.utils
import discord.webhook.async_
import pytest
from discord.webhook.async_ import AsyncWebhookAdapter, async_context

DELIVERED = [
    (module, name, getattr(module, name))
    for module, name in (
        (discord.shard, "DiscordWebSocket"),
        (discord.http, "json_or_text"),
        (discord.webhook.async_, "json_or_text"),
        (discord.http, "Ratelimit"),
        (discord.utils, "_parse_ratelimit_header"),
    )
]
"""As collected, before any test has made a client."""


@pytest.fixture(autouse=True)
def delivered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judge the stand-ins by the library's own reading, not by what the bot has made of it."""
    for module, name, value in DELIVERED:
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(async_context.get(), "__class__", AsyncWebhookAdapter)
