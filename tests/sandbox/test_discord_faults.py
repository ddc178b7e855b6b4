"""Rate limits and planned faults, as a real discord.py bot meets them."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import discord
import pytest

from sandbox.discord import DiscordStandIn
from tests.patience import patient
from tests.sandbox.discord_bot import Bot, furnish, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sandbox.discord import Channel

POST = r"^/channels/\d+/messages$"


class Scene:
    """A channel as both sides see it."""

    def __init__(self, standin: DiscordStandIn, bot: Bot) -> None:
        [guild] = standin.state.guilds.values()
        self.standin = standin
        self.bot = bot
        self.channel: Channel = guild.channels[0]
        self.text = bot.text_channel(self.channel.id)

    def statuses(self) -> list[int | None]:
        return [item.status for item in self.standin.requests if item.path.endswith("/messages")]


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with DiscordStandIn() as standin:
        furnish(standin)
        async with running(standin) as bot:
            yield Scene(standin, bot)
        assert standin.violations == []


async def test_bot_paces_itself_by_the_headers(scene: Scene) -> None:
    scene.standin.limits.window = 0.4
    begun = time.monotonic()
    await asyncio.gather(*(scene.text.send(f"m{number}") for number in range(12)))
    assert time.monotonic() - begun >= 0.8
    assert len(scene.channel.messages) == 12
    arrivals = [message.created_at_monotonic for message in scene.channel.messages]
    assert all(later - earlier >= 0.35 for earlier, later in zip(arrivals, arrivals[5:], strict=False))


async def test_who_does_not_pace_gets_429_and_waits(scene: Scene) -> None:
    scene.standin.limits.window = 0.3
    url = f"{scene.standin.api_url}/channels/{scene.channel.id}/messages"
    headers = {"Authorization": f"Bot {scene.standin.token}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        answers = []
        for number in range(6):
            async with session.post(url, json={"content": str(number)}) as answer:
                answers.append((answer.status, answer.headers, await answer.json()))
    assert [status for status, _, _ in answers] == [200] * 5 + [429]
    assert [headers["X-RateLimit-Remaining"] for _, headers, _ in answers] == ["4", "3", "2", "1", "0", "0"]
    _, limited, body = answers[-1]
    assert limited["Via"]
    assert 0 < body["retry_after"] <= 0.3
    assert body["global"] is False
    await scene.text.send("patient")
    assert scene.statuses()[-2:] == [429, 200]


@pytest.mark.parametrize("everywhere", [False, True])
async def test_planned_rate_limit(scene: Scene, everywhere: bool) -> None:
    fault = scene.standin.rate_limit("POST", POST, 0.2, times=2, global_=everywhere)
    begun = time.monotonic()
    await scene.text.send("hi")
    assert time.monotonic() - begun >= 0.4
    assert scene.statuses() == [429, 429, 200]
    assert len(fault.struck) == 2


async def test_error_after_the_effect_is_repeated_with_the_same_nonce(scene: Scene) -> None:
    fault = scene.standin.fail("POST", POST, status=502, when="after")
    sent = await scene.text.send("once", nonce="abc")
    await fault.used_up(1)
    assert scene.statuses() == [502, 200]
    assert [message.id for message in scene.channel.messages] == [sent.id]


async def test_error_before_the_effect_means_nothing_happened(scene: Scene) -> None:
    scene.standin.fail("*", POST, status=503)
    with pytest.raises(discord.DiscordServerError):
        await scene.text.send("never")
    assert scene.channel.messages == []


@pytest.mark.parametrize(("when", "left"), [("after", 1), ("before", 0)])
async def test_lost_answer(scene: Scene, when: str, left: int) -> None:
    scene.standin.lose_answer("POST", POST, when="after" if when == "after" else "before")
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await scene.text.send("once", nonce="abc")
    assert len(scene.channel.messages) == left
    assert scene.standin.requests[-1].lost
    sent = await scene.text.send("once", nonce="abc")
    assert [message.id for message in scene.channel.messages] == [sent.id]


async def test_hanging_request_goes_on_in_the_end(scene: Scene) -> None:
    scene.standin.hang("POST", POST, 0.3)
    begun = time.monotonic()
    await scene.text.send("slow")
    assert time.monotonic() - begun >= 0.3
    assert len(scene.channel.messages) == 1


async def test_hanging_request_does_not_hold_up_the_end() -> None:
    async with DiscordStandIn() as standin:
        furnish(standin)
        async with running(standin) as bot:
            fault = standin.hang("GET", "/users/1", 60)
            asking = asyncio.create_task(bot.fetch_user(1))
            await fault.used_up(5)
            asking.cancel()
        begun = time.monotonic()
    assert time.monotonic() - begun < patient(5)


async def test_outage_of_rest(scene: Scene) -> None:
    scene.standin.refuse_rest()
    with pytest.raises(aiohttp.ClientConnectionError):
        await scene.text.send("hi")
    scene.standin.refuse_rest(False)
    await scene.text.send("back")
    assert [message.content for message in scene.channel.messages] == ["back"]


async def test_watchers_see_the_moments_around_the_effect(scene: Scene) -> None:
    seen: list[tuple[str, str, int]] = []

    def watch(method: str, path: str, phase: str) -> None:
        seen.append((method, phase, len(scene.channel.messages)))

    scene.standin.on_request(watch)
    await scene.text.send("hi")
    assert seen == [("POST", "before", 0), ("POST", "after", 1)]


PROCESS = """
import sys, warnings
warnings.simplefilter("ignore")
from discord.http import Route
from tests.sandbox.discord_bot import Bot

async def post(interaction):
    await interaction.response.defer(ephemeral=True, thinking=True)
    await interaction.channel.send("song", nonce="n-1")
    await interaction.edit_original_response(content="done")

Route.BASE = sys.argv[1]
bot = Bot()
bot.acts["post"] = post
bot.run(sys.argv[2], log_handler=None)
"""


async def test_bot_killed_between_effect_and_answer_posts_once_after_its_restart() -> None:
    root = Path(__file__).parents[2]

    async def start(standin: DiscordStandIn) -> asyncio.subprocess.Process:
        before = standin.identified
        command = (sys.executable, "-c", PROCESS, standin.api_url, standin.token)
        environment = os.environ | {"PYTHONPATH": str(root)}
        process = await asyncio.create_subprocess_exec(*command, cwd=root, env=environment)
        await standin.wait_ready(20, newer_than=before)
        return process

    async with DiscordStandIn() as standin:
        guild = furnish(standin)
        channel = guild.channels[0]
        ada = next(member for member in guild.members.values() if member.name == "ada")
        first = await start(standin)

        def kill(method: str, path: str, phase: str) -> None:
            if phase == "after" and path.endswith("/messages") and first.returncode is None:
                first.kill()

        standin.on_request(kill)
        try:
            interrupted = await standin.slash(ada, channel, "act", how="post")
            await asyncio.wait_for(first.wait(), 10)
            assert interrupted.thinking
            assert [message.content for message in channel.messages] == ["song"]
            second = await start(standin)
            try:
                call = await standin.slash(ada, channel, "act", how="post")
                assert (await call.reply(10)).content == "done"
            finally:
                second.kill()
                await second.wait()
        finally:
            if first.returncode is None:
                first.kill()
                await first.wait()
        assert [message.content for message in channel.messages] == ["song"]
        assert standin.violations == []
