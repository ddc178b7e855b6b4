"""What a bot meets that did nothing wrong: other networks' pages, AutoMod, limits that last, slow places."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import discord
import pytest

from sandbox.discord import DiscordStandIn
from sandbox.discord.rest.faults import COMMAND_SYNC, COUNTED, FIRST_ANSWERS, GATEWAY, LOGIN, POSTS
from tests.sandbox.discord_bot import Bot, furnish, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sandbox.discord import Channel, Member


class Scene:
    """A channel as both sides see it, and a client with nothing in between."""

    def __init__(self, standin: DiscordStandIn, bot: Bot, session: aiohttp.ClientSession) -> None:
        [guild] = standin.state.guilds.values()
        self.standin = standin
        self.bot = bot
        self.session = session
        self.channel: Channel = guild.channels[0]
        self.other: Channel = guild.add_channel("other")
        self.ada: Member = next(member for member in guild.members.values() if member.name == "ada")
        self.text = bot.text_channel(self.channel.id)

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any, str]:
        async with self.session.request(method, self.standin.api_url + path, json=body) as answer:
            return answer.status, answer.headers, await answer.text()

    async def post(self, content: str, channel: Channel | None = None) -> int:
        body = {"content": content}
        return (await self.ask("POST", f"/channels/{(channel or self.channel).id}/messages", body))[0]


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with DiscordStandIn(rate_limits=False) as standin:
        furnish(standin)
        headers = {"Authorization": f"Bot {standin.token}"}
        async with running(standin) as bot, aiohttp.ClientSession(headers=headers) as session:
            yield Scene(standin, bot, session)
        assert standin.violations == []


@pytest.mark.parametrize("status", [403, 404, 429, 502, 503])
async def test_the_edge_refuses_with_a_page_that_is_not_discords(scene: Scene, status: int) -> None:
    scene.standin.refuse_at_edge("POST", POSTS, status, retry_after=90)
    code, headers, page = await scene.ask("POST", f"/channels/{scene.channel.id}/messages", {"content": "hi"})
    assert code == status
    assert headers["Content-Type"].startswith("text/html")
    assert len(page.splitlines()) > 30
    assert "Via" not in headers
    assert headers.get("Retry-After") == ("90" if status == 429 else None)
    assert scene.channel.messages == []
    assert await scene.post("then") == 200


@pytest.mark.parametrize(("status", "error"), [(403, discord.Forbidden), (404, discord.NotFound)])
async def test_the_library_finds_no_code_in_such_a_page(
    scene: Scene, status: int, error: type[discord.HTTPException]
) -> None:
    scene.standin.refuse_at_edge("POST", POSTS, status)
    with pytest.raises(error) as caught:
        await scene.text.send("hi")
    assert caught.value.code == 0
    assert "<!DOCTYPE html>" in caught.value.text


async def test_the_edge_may_refuse_in_json_with_a_code_of_its_own(scene: Scene) -> None:
    scene.standin.refuse_at_edge("POST", POSTS, code=40333)
    with pytest.raises(discord.Forbidden) as caught:
        await scene.text.send("hi")
    assert caught.value.code == 40333


@pytest.mark.parametrize("path", [LOGIN, GATEWAY, COMMAND_SYNC])
@pytest.mark.parametrize(("status", "code"), [(403, 0), (429, 0), (503, 0), (403, 40333)])
async def test_the_edge_may_refuse_a_bot_that_starts(path: str, status: int, code: Any) -> None:
    async with DiscordStandIn() as standin:
        furnish(standin)
        fault = standin.refuse_at_edge("*", path, status, code=code)
        async with running(standin, ready=False, start=False) as bot:
            with pytest.raises((discord.HTTPException, discord.GatewayNotFound)) as caught:
                await asyncio.wait_for(bot.start(standin.token), 10)
        refused = caught.value if isinstance(caught.value, discord.HTTPException) else caught.value.__cause__
        assert isinstance(refused, discord.HTTPException)
        assert (refused.status, refused.code) == (status, code)
        assert len(fault.struck) == 1
        async with running(standin):
            assert standin.identified == 1


async def test_automod_blocks_posts_edits_and_answers_each_apart(scene: Scene) -> None:
    sent = await scene.text.send("Covering it")
    fault = scene.standin.automod("edits", r"Cover(ed|ing)")
    with pytest.raises(discord.HTTPException) as caught:
        await sent.edit(embeds=[discord.Embed(title="Covered")])
    assert (caught.value.status, caught.value.code) == (400, 200000)
    await sent.edit(content="Something else")
    await scene.text.send("Covering another")
    fault.end()
    await sent.edit(content="Covered")
    scene.standin.automod("posts", "song")
    with pytest.raises(discord.HTTPException, match="automatic moderation"):
        await scene.text.send("a song")
    scene.standin.automod("answers", "order")

    async def act(interaction: discord.Interaction[Bot]) -> None:
        await interaction.response.defer(thinking=True)
        with pytest.raises(discord.HTTPException, match="automatic moderation"):
            await interaction.followup.send("an order")
        await interaction.followup.send("a song")

    scene.bot.acts["act"] = act
    call = await scene.standin.slash(scene.ada, scene.channel, "act", how="act")
    assert (await call.reply()).content == "a song"


async def test_any_code_of_discords_in_any_status(scene: Scene) -> None:
    scene.standin.refuse("POST", POSTS, 160002, status=400)
    with pytest.raises(discord.HTTPException) as caught:
        await scene.text.send("hi")
    assert (caught.value.status, caught.value.code) == (400, 160002)
    assert await scene.post("hi") == 200


async def test_where_sources_disagree_the_status_can_be_set(scene: Scene) -> None:
    target = await scene.text.send("first")
    scene.channel.bot_permissions = scene.channel.bot_permissions - {"read_message_history"}
    with pytest.raises(discord.Forbidden, match="160002"):
        await target.reply("second")
    scene.standin.statuses[160002] = 400
    with pytest.raises(discord.HTTPException, match=r"400 Bad Request.*160002"):
        await target.reply("second")


@pytest.mark.parametrize("scope", ["user", "global", "shared"])
async def test_a_long_limit_lasts_until_it_is_over(scene: Scene, scope: str) -> None:
    fault = scene.standin.rate_limit(
        "*", COUNTED, 90, global_=scope == "global", shared=scope == "shared", lasting=True
    )
    path = f"/channels/{scene.channel.id}/messages"
    lefts = []
    for _ in range(2):
        status, headers, _ = await scene.ask("POST", path, {"content": "hi"})
        assert (status, headers["X-RateLimit-Scope"]) == (429, scope)
        assert ("X-RateLimit-Global" in headers) == (scope == "global")
        lefts.append(int(headers["Retry-After"]))
        scene.standin.advance(40)
    assert lefts == [90, 50]
    scene.bot.acts["act"] = lambda interaction: interaction.response.send_message("not counted")
    call = await scene.standin.slash(scene.ada, scene.channel, "act", how="act")
    assert (await call.reply()).content == "not counted"
    scene.standin.advance(20)
    assert await scene.post("hi") == 200
    assert len(fault.struck) == 2


async def test_the_library_believes_a_long_limit() -> None:
    async with DiscordStandIn() as standin:
        guild = furnish(standin)
        async with running(standin, max_ratelimit_timeout=30) as bot:
            standin.rate_limit("POST", POSTS, 75, shared=True)
            with pytest.raises(discord.RateLimited) as caught:
                await bot.text_channel(guild.channels[0].id).send("hi")
            assert caught.value.retry_after == 75


async def test_one_channel_may_be_slow_while_others_are_fast(scene: Scene) -> None:
    fault = scene.standin.slow_posts(scene.channel.id, 60)
    slow = [asyncio.create_task(scene.post("slow")) for _ in range(3)]
    await fault.strikes(3)
    assert [await scene.post("fast", scene.other) for _ in range(5)] == [200] * 5
    fault.end()
    assert await scene.post("fast") == 200
    assert not any(task.done() for task in slow)
    for task in slow:
        task.cancel()
    scene.standin.slow_posts(scene.channel.id, 0.3, times=3)
    begun = time.monotonic()
    assert await asyncio.gather(*(scene.post("slow") for _ in range(3))) == [200] * 3
    assert time.monotonic() - begun >= 0.3


async def test_an_answer_may_be_late_after_the_effect(scene: Scene) -> None:
    fault = scene.standin.hang("POST", POSTS, 60, when="after")
    posting = asyncio.create_task(scene.post("hi"))
    await scene.channel.wait_for(lambda message: message.content == "hi")
    await fault.used_up()
    assert not posting.done()
    posting.cancel()
    scene.standin.hang("POST", POSTS, 0.3, when="after")
    begun = time.monotonic()
    assert await scene.post("hi") == 200
    assert time.monotonic() - begun >= 0.3


async def test_a_slow_request_can_be_lost_as_well(scene: Scene) -> None:
    scene.standin.slow_posts(scene.channel.id, 0.1)
    lost = scene.standin.lose_answer("POST", POSTS, when="before")
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await scene.post("hi")
    assert lost.over
    assert await scene.post("again") == 200
    scene.standin.clear_faults()
    assert scene.standin.faults == []


@pytest.mark.parametrize(("when", "left"), [("before", 0), ("after", 1)])
async def test_a_first_answer_may_be_lost_with_and_without_its_effect(scene: Scene, when: Any, left: int) -> None:
    fault = scene.standin.lose_answer("POST", FIRST_ANSWERS, when=when)
    failed = asyncio.Event()

    async def act(interaction: discord.Interaction[Bot]) -> None:
        try:
            await interaction.response.defer(thinking=True)
        except aiohttp.ServerDisconnectedError:
            failed.set()

    scene.bot.acts["act"] = act
    call = await scene.standin.slash(scene.ada, scene.channel, "act", how="act")
    await fault.used_up()
    await asyncio.wait_for(failed.wait(), 5)
    assert len(scene.channel.messages) == left
    assert call.thinking == bool(left)
    assert (call.acknowledged_at is not None) == bool(left)


async def test_no_new_commands_for_today_but_the_known_ones(scene: Scene) -> None:
    commands = scene.standin.commands
    assert commands.creates_left == 200 - len(commands.scope(None))
    commands.creates_left = 0
    await scene.bot.tree.sync()

    @scene.bot.tree.command(description="One more")
    async def more(_interaction: discord.Interaction[Bot]) -> None: ...

    with pytest.raises(discord.HTTPException) as caught:
        await scene.bot.tree.sync()
    assert (caught.value.status, caught.value.code) == (400, 30034)
    names = {command["name"] for command in commands.scope(None)}
    assert names == {"act", "music", "Cover this track"}
    commands.creates_left = 1
    await scene.bot.tree.sync()
    assert "more" in {command["name"] for command in commands.scope(None)}


async def test_a_sync_does_not_remove_the_entry_point(scene: Scene) -> None:
    scene.standin.commands.add_entry_point()
    with pytest.raises(discord.HTTPException) as caught:
        await scene.bot.tree.sync()
    assert (caught.value.status, caught.value.code) == (400, 50240)
    path = f"/applications/{scene.standin.bot_id}/commands"
    known = json.loads((await scene.ask("GET", path))[2])
    assert [command["type"] for command in known] == [1, 1, 3, 4]
    keep = [{key: command[key] for key in ("name", "type", "description")} for command in known]
    keep[2].pop("description")
    assert [command["id"] for command in json.loads((await scene.ask("PUT", path, keep))[2])] == [
        command["id"] for command in known
    ]
