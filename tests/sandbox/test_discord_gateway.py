"""A real discord.py bot on the stand-in's gateway: shards, drops, resuming, compression, refusals."""

from __future__ import annotations

import asyncio
import json
import zlib
from typing import Any

import aiohttp
import discord
import pytest
from discord.gateway import DiscordWebSocket

from sandbox.discord import DiscordStandIn
from tests.patience import patient
from tests.sandbox.discord_bot import Bot, furnish, running


async def use(standin: DiscordStandIn) -> None:
    """Use a command in every guild and see the answer."""
    for guild in list(standin.state.guilds.values()):
        member = next(member for member in guild.members.values() if member.name == "ada")
        call = await standin.slash(member, guild.channels[0], "music import", task_id=guild.name)
        assert (await call.reply(10)).content.startswith(guild.name)


@pytest.mark.parametrize("code", [None, 4000])
async def test_dropped_connection_is_resumed_and_missed_events_are_replayed(code: int | None) -> None:
    async with DiscordStandIn() as standin:
        guild = furnish(standin)
        ada = next(member for member in guild.members.values() if member.name == "ada")
        async with running(standin) as bot:
            await use(standin)
            standin.drop_gateway(code)
            await standin.wait_until(lambda: standin.gateway.current[0].connection is None, 5)
            missed = await standin.slash(ada, guild.channels[0], "music import", task_id="missed")
            late = guild.add_channel("late")
            assert (await missed.reply(10)).content.startswith("missed")
            assert (standin.resumed, standin.identified) == (1, 1)
            assert bot.get_channel(late.id) is not None
            await use(standin)
        assert standin.violations == []


async def test_asked_to_reconnect_the_bot_resumes() -> None:
    async with DiscordStandIn() as standin:
        furnish(standin)
        async with running(standin):
            standin.request_reconnect()
            await standin.wait_until(lambda: standin.resumed == 1, 10)
            await use(standin)


async def test_invalid_session_that_can_be_resumed() -> None:
    async with DiscordStandIn() as standin:
        furnish(standin)
        async with running(standin):
            standin.invalid_session(resumable=True)
            await standin.wait_until(lambda: standin.resumed == 1, 10)
            await use(standin)
            assert standin.identified == 1


async def test_invalid_session_begins_a_new_one() -> None:
    async with DiscordStandIn() as standin:
        guild = furnish(standin)
        async with running(standin) as bot:
            before = standin.identified
            standin.invalid_session()
            await standin.wait_ready(10, newer_than=before)
            await use(standin)
            assert (standin.identified, standin.resumed) == (2, 0)
            assert bot.get_guild(guild.id) is not None


async def test_gateway_outage_ends() -> None:
    async with DiscordStandIn() as standin:
        furnish(standin)
        async with running(standin):
            standin.refuse_gateway()
            standin.drop_gateway()
            await standin.wait_until(lambda: standin.gateway.refused > 0, 10)
            standin.refuse_gateway(False)
            await standin.wait_ready(20, newer_than=0)
            await use(standin)


async def test_two_shards_share_the_guilds() -> None:
    async with DiscordStandIn(shards=2) as standin:
        guilds = [furnish(standin, f"Guild{number}") for number in range(4)]
        async with running(standin) as bot:
            assert bot.shard_count == 2
            assert sorted(standin.gateway.current) == [0, 1]
            assert {guild.shard_id for guild in bot.guilds} == {0, 1}
            assert {guild.id for guild in bot.guilds} == {guild.id for guild in guilds}
            await use(standin)
            standin.drop_gateway()
            await standin.wait_until(lambda: standin.resumed == 2, 10)
            await use(standin)


async def test_a_share_of_the_shards_gets_its_guilds_only() -> None:
    async with DiscordStandIn() as standin:
        for number in range(4):
            furnish(standin, f"Guild{number}")
        async with running(standin, ready=False, shard_count=2, shard_ids=[1]) as bot:
            await standin.wait_ready(10, shard_ids=(1,))
            await bot.wait_until_ready()
            assert [guild.shard_id for guild in bot.guilds] == [1, 1]


async def test_thousand_guilds_are_there_at_once() -> None:
    async with DiscordStandIn(shards=4, judge="later") as standin:
        for number in range(1000):
            standin.add_guild(f"Guild{number}").add_channel("music")
        async with running(standin) as bot:
            assert len(bot.guilds) == 1000


async def test_compressed_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    frames: list[type] = []
    received = DiscordWebSocket.received_message

    async def note(self: DiscordWebSocket, message: Any, /) -> None:
        frames.append(type(message))
        await received(self, message)

    monkeypatch.setattr(DiscordWebSocket, "received_message", note)
    async with DiscordStandIn(compress=True) as standin:
        furnish(standin)
        async with running(standin):
            await use(standin)
            standin.drop_gateway()
            await standin.wait_until(lambda: standin.resumed == 1, 10)
            await use(standin)
    assert set(frames) == {bytes}


@pytest.mark.parametrize(
    ("intents", "token", "error"),
    [
        (discord.Intents(guilds=True, message_content=True), None, discord.PrivilegedIntentsRequired),
        (discord.Intents(guilds=True), "wrong", discord.LoginFailure),
    ],
)
async def test_what_discord_refuses_for_good(
    intents: discord.Intents, token: str | None, error: type[Exception]
) -> None:
    async with DiscordStandIn() as standin:
        furnish(standin)
        async with running(standin, ready=False, intents=intents, start=False) as bot:
            with pytest.raises(error):
                await asyncio.wait_for(bot.start(token or standin.token), 10)


async def exchange(standin: DiscordStandIn, *payloads: Any) -> tuple[list[Any], int | None]:
    """Send payloads over a raw connection; return what came before the close, and the close code."""
    got: list[Any] = []
    async with aiohttp.ClientSession() as session, session.ws_connect(standin.gateway_url) as socket:
        for payload in payloads:
            await socket.send_str(payload if isinstance(payload, str) else json.dumps(payload))
        async with asyncio.timeout(5):
            got.extend([frame.json() async for frame in socket])
        return got, socket.close_code


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ("not json", 4002),
        ({"op": 3, "d": {}}, 4003),
        ({"op": 2, "d": {"token": "wrong", "intents": 1}}, 4004),
        ({"op": 2, "d": {"token": "T", "intents": 1, "shard": [2, 2]}}, 4010),
        ({"op": 2, "d": {"token": "T", "intents": 1 << 15}}, 4014),
    ],
)
async def test_close_codes(payload: Any, code: int) -> None:
    async with DiscordStandIn(token="T") as standin:
        got, closed = await exchange(standin, payload)
    assert [item["op"] for item in got] == [10]
    assert closed == code


async def test_heartbeats_are_acknowledged_and_unknown_sessions_are_invalid() -> None:
    async with DiscordStandIn(token="T") as standin:
        resume = {"op": 6, "d": {"token": "T", "session_id": "unknown", "seq": 3}}
        got, closed = await exchange(standin, {"op": 1, "d": None}, resume, {"op": 99})
    assert [(item["op"], item["d"]) for item in got[1:]] == [(11, None), (9, False)]
    assert closed == 4003


async def test_zlib_stream_is_one_stream_flushed_after_each_payload() -> None:
    async with DiscordStandIn(token="T", compress=True) as standin:
        furnish(standin)
        inflate = zlib.decompressobj()
        url = f"{standin.gateway_url}?v=10&encoding=json&compress=zlib-stream"
        async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
            await socket.send_json({"op": 2, "d": {"token": "T", "intents": 1}})
            events = []
            for _ in range(3):
                data = await socket.receive_bytes(timeout=patient(5))
                assert data.endswith(b"\x00\x00\xff\xff")
                events.append(json.loads(inflate.decompress(data)))
    assert [(item["op"], item["t"], item["s"]) for item in events] == [
        (10, None, None),
        (0, "READY", 1),
        (0, "GUILD_CREATE", 2),
    ]


async def test_restarted_bot_gets_the_new_events_only() -> None:
    async with DiscordStandIn() as standin:
        guild = furnish(standin)
        ada = next(member for member in guild.members.values() if member.name == "ada")
        async with running(standin):
            await use(standin)
        before = standin.identified
        async with running(standin) as second:
            assert standin.identified == before + 1
            await use(standin)
            assert isinstance(second, Bot)
            call = await standin.slash(ada, guild.channels[0], "music import", task_id="again")
            assert (await call.reply(5)).content.startswith("again")


async def test_two_sessions_of_one_shard_both_get_every_interaction() -> None:
    async with DiscordStandIn() as standin:
        guild = furnish(standin)
        ada = next(member for member in guild.members.values() if member.name == "ada")
        async with running(standin) as older, running(standin) as newer:
            seen: list[tuple[Bot, int]] = []

            async def act(interaction: discord.Interaction[Bot]) -> None:
                seen.append((interaction.client, interaction.id))
                try:
                    await interaction.response.send_message("mine")
                except discord.HTTPException as error:
                    assert error.code == 40060  # noqa: PT017  (one of the two comes second)
                standin.state.changed.notify()

            older.acts["act"] = newer.acts["act"] = act
            call = await standin.slash(ada, guild.channels[0], "act", how="act")
            await standin.wait_until(lambda: len(seen) == 2)
            assert {bot for bot, _ in seen} == {older, newer}
            assert {number for _, number in seen} == {call.id}
            events = [bot.wait_for("guild_channel_create", timeout=patient(5)) for bot in (older, newer)]
            channel = guild.add_channel("later")
            assert [created.id for created in await asyncio.gather(*events)] == [channel.id] * 2
            await newer.close()
            await standin.wait_until(lambda: len(standin.gateway.sessions_for(guild)) == 1)
            call = await standin.slash(ada, guild.channels[0], "act", how="act")
            await standin.wait_until(lambda: len(seen) == 3)
            assert seen[-1] == (older, call.id)


@pytest.mark.parametrize("other_shard", [False, True])
async def test_one_interaction_delivered_twice(other_shard: bool) -> None:
    async with DiscordStandIn(shards=2) as standin:
        guild = furnish(standin)
        ada = next(member for member in guild.members.values() if member.name == "ada")
        async with running(standin) as bot:
            seen: list[int] = []

            async def act(interaction: discord.Interaction[Bot]) -> None:
                seen.append(interaction.id)
                standin.state.changed.notify()

            bot.acts["act"] = act
            call = await standin.slash(ada, guild.channels[0], "act", how="act")
            standin.deliver_again(call, 1 - (guild.id >> 22) % 2 if other_shard else None)
            await standin.wait_until(lambda: len(seen) == 2)
            assert seen == [call.id] * 2


async def test_sessions_begin_apart_for_each_place_and_so_many_a_day() -> None:
    async with DiscordStandIn(identify_seconds=5, session_starts=4, max_concurrency=2) as standin:
        starts = standin.session_starts
        assert [starts.take(shard) for shard in (0, 1, 2, 3)] == [True, True, False, False]
        standin.advance(5)
        assert [starts.take(shard) for shard in (2, 3)] == [True, True]
        standin.advance(5)
        assert not starts.take(4), "the day's are used up"
        assert (starts.limit["total"], starts.limit["remaining"], starts.limit["max_concurrency"]) == (4, 0, 2)
        assert starts.limit["reset_after"] <= 86_390_000
        standin.advance(86_400)
        assert starts.limit["remaining"] == 4
        assert starts.take(4)
        assert starts.refused == 3


async def test_a_session_that_begins_too_early_is_invalid() -> None:
    async with (
        DiscordStandIn(identify_seconds=5) as standin,
        aiohttp.ClientSession() as http,
    ):
        answers = []
        for _ in range(2):
            async with http.ws_connect(standin.gateway_url) as socket:
                assert (await socket.receive_json())["op"] == 10
                identify = {"token": standin.token, "intents": 1, "properties": {}, "shard": [0, 1]}
                await socket.send_json({"op": 2, "d": identify})
                answers.append((await socket.receive_json())["op"])
        assert answers == [0, 9]
        assert standin.identified == 1
