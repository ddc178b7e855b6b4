"""Shards and several processes: who runs which, stand-by, take-over, hand-over, and what they share."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import signal
import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from sandbox.ports import reserved_port
from tests.end_to_end.process import Bot
from tests.end_to_end.shell import rows
from tests.end_to_end.world import World, eventually, open_world
from tests.postgresql import shared_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sandbox.discord import Call

MODULE = "tests.end_to_end.short_leases"


class Several(World):
    """A world with several processes, which are started by the tests."""

    bots: list[Bot]


@asynccontextmanager
async def several(directory: Path, count: int = 2, **settings: str) -> AsyncIterator[Several]:
    """Open a world with so many processes at one database, none of them started."""
    url = await shared_server().new_database(migrated=False)
    common: dict[str, Any] = {
        "DATABASE_URL": url,
        "POLL_MIN_SECONDS": "1",
        "POLL_MAX_SECONDS": "2",
        "ARCHIVE_DIR": str(directory / "media"),
    }
    async with AsyncExitStack() as stack:
        ports = [stack.enter_context(reserved_port()) for _ in range(count)]
        for number in range(count):
            (directory / str(number)).mkdir()
        first = {"LISTEN_PORT": str(ports[0]), "PROCESS_NAME": "p0"}
        world = await stack.enter_async_context(
            open_world(directory / "0", module=MODULE, start=False, callbacks=False, **common, **first, **settings)
        )
        world.__class__ = Several
        assert isinstance(world, Several)
        world.url = f"http://127.0.0.1:{ports[0]}"
        world.bots = [world.bot]
        for number in range(1, count):
            own = {"LISTEN_PORT": str(ports[number]), "PROCESS_NAME": f"p{number}"}
            bot = Bot(directory / str(number), world.bot.settings | own, world.discord)
            bot.module = MODULE
            world.bots.append(bot)
            stack.push_async_callback(bot.kill)
        yield world
        for bot in world.bots[1:]:
            if bot.running:
                await bot.stop()
    await shared_server().drop(url)


def sessions(world: World) -> list[int]:
    """Return the shards that somebody is connected for, each as often as there are sessions."""
    living = [one for one in world.discord.gateway.sessions if one.connection is not None and one.complete]
    return sorted(one.shard for one in living)


async def one_runs_and_one_stands_by(world: Several) -> None:
    await world.bots[0].start()
    await world.bots[1].launch()
    await world.bots[1].wait_log("this process stands by")


async def is_waiting(world: World) -> bool:
    """Tell whether VidGo has taken the newest order, and its answer is written down."""
    found = await rows(world, "SELECT status FROM tasks ORDER BY id DESC LIMIT 1")
    return bool(found[0]["status"] == "waiting")


async def a_session_may_begin(world: World) -> bool:
    found = await rows(
        world, "SELECT name FROM turns WHERE name = 'identify 0' AND free_at > extract(epoch FROM now())"
    )
    return not found


async def readyz(world: World, bot: Bot) -> tuple[int, str]:
    port = bot.settings["LISTEN_PORT"]
    async with world.http.get(f"http://127.0.0.1:{port}/readyz") as response:
        return response.status, await response.text()


async def metrics(world: World, bot: Bot) -> str:
    port = bot.settings["LISTEN_PORT"]
    async with world.http.get(f"http://127.0.0.1:{port}/metrics") as response:
        return await response.text()


async def test_what_describes_the_database_is_shown_by_the_leader_alone(tmp_path: Path) -> None:
    async with several(tmp_path) as world:
        await one_runs_and_one_stands_by(world)
        shown = [await metrics(world, bot) for bot in world.bots]
        assert [f'coverbot_leads{{process="p{number}"}} {1 - number}.0' in shown[number] for number in (0, 1)] == [
            True
        ] * 2
        assert [f'coverbot_shards{{process="p{number}"}} {1 - number}.0' in shown[number] for number in (0, 1)] == [
            True
        ] * 2
        for name in ("coverbot_database_bytes{", "coverbot_oldest_task_seconds{", "coverbot_vidgo_credits{"):
            assert [f"\n{name}" in text for text in shown] == [True, False], name
        for text in shown:
            samples = [line for line in text.splitlines() if not line.startswith("#")]
            assert [line for line in samples if 'process="p' not in line] == []
            assert any(line.startswith("coverbot_vidgo_requests_total{") for line in samples)


async def test_who_finds_no_free_block_stands_by_and_works_all_the_same(tmp_path: Path) -> None:
    async with several(tmp_path) as world:
        await one_runs_and_one_stands_by(world)
        assert sessions(world) == [0]
        holder, other = world.bots

        async def is_ready() -> bool:
            return (await readyz(world, other))[0] == 200

        await eventually(is_ready)
        assert '"standby": true' in (await readyz(world, other))[1]
        assert '"standby": false' in (await readyz(world, holder))[1]
        # What the one has ordered the other ends, without the gateway.
        anna = world.person("anna")
        await anna.imports("Sea")
        world.vidgo.seconds = 1.5
        call = await anna.cover()
        await eventually(lambda: is_waiting(world))
        os.kill(holder.pid, signal.SIGSTOP)
        try:
            post = await anna.result(call, 60)
        finally:
            os.kill(holder.pid, signal.SIGCONT)
        assert post.attachments


async def test_a_block_whose_holder_is_killed_is_taken_over(tmp_path: Path) -> None:
    async with several(tmp_path) as world:
        await one_runs_and_one_stands_by(world)
        killed_at = time.monotonic()
        await world.bots[0].kill()
        await world.discord.wait_until(lambda: sessions(world) == [0], 40)
        took = time.monotonic() - killed_at
        assert took < 20, "leases are shorter here than the real ones"
        await world.bots[1].wait_log("connected to Discord as")
        anna = world.person("anna")
        await anna.imports("Sea")
        assert (await anna.covered()).attachments


async def test_at_a_stop_the_successor_is_ready_before_the_sessions_end(tmp_path: Path) -> None:
    async with several(tmp_path) as world:
        await one_runs_and_one_stands_by(world)
        anna, berta = world.person("anna"), world.person("berta")
        await anna.imports("Sea")
        await berta.imports("Storm")
        await eventually(lambda: a_session_may_begin(world))
        world.vidgo.seconds = 1.5
        running = await anna.cover()
        await eventually(lambda: is_waiting(world))
        counts: list[int] = []
        stopping = asyncio.create_task(world.bots[0].stop())
        calls: list[Call] = []
        # At most so many, that their answers are no load of their own where others have the processors.
        while not stopping.done():
            counts.append(len(sessions(world)))
            if len(calls) < 20:
                calls.append(await world.person(f"member{len(calls)}").use("music status"))
            await asyncio.sleep(0.1)
        assert await stopping < 10
        assert min(counts) >= 1, "somebody is always there"
        assert sessions(world) == [0]
        for call in calls:
            reply = await call.reply()
            assert "interrupted" not in reply.content
        assert (await anna.result(running, 40)).attachments
        world.vidgo.seconds = 0.3
        assert (await berta.covered()).attachments
        await world.bots[1].wait_log("has taken over shards 0 to 0")
        assert world.discord.identified == 2


async def test_blocks_are_shared_out_and_sessions_begin_apart(tmp_path: Path) -> None:
    async with several(tmp_path, SHARD_COUNT="3", SHARDS_PER_PROCESS="2") as world:
        world.discord.session_starts.seconds = 5.0
        for _ in range(4):
            world.discord.add_guild("More")
        await asyncio.gather(*(bot.launch() for bot in world.bots))
        await world.discord.wait_until(lambda: sessions(world) == [0, 1, 2], 60)
        times = [at for at, _ in world.discord.session_starts.times]
        assert [later - earlier > 5.0 for earlier, later in itertools.pairwise(times)] == [True, True]
        assert world.discord.session_starts.refused == 0
        found = await rows(world, "SELECT first, last, holder FROM shard_blocks ORDER BY number")
        assert [(row["first"], row["last"]) for row in found] == [(0, 1), (2, 2)]
        assert len({row["holder"] for row in found}) == 2
        # Each server's commands reach the one process that runs its shard.
        await world.discord.wait_ready()
        assert (await world.person("anna").use("music status")) is not None


async def test_a_process_that_is_stopped_closes_its_sessions_when_it_goes_on(tmp_path: Path) -> None:
    async with several(tmp_path) as world:
        await one_runs_and_one_stands_by(world)
        os.kill(world.bots[0].pid, signal.SIGSTOP)
        try:
            await world.bots[1].wait_log("connected to Discord as", timeout=60)
        finally:
            os.kill(world.bots[0].pid, signal.SIGCONT)
        await world.bots[0].wait_log("this process stands by", timeout=40)
        await world.discord.wait_until(lambda: sessions(world) == [0], 20)
        anna = world.person("anna")
        await anna.imports("Sea")
        assert (await anna.covered()).attachments


async def test_settings_say_which_shards_a_process_runs(tmp_path: Path) -> None:
    async with several(tmp_path, SHARD_COUNT="4") as world:
        world.bots[0].settings["SHARD_IDS"] = "0,2-3"
        world.bots[1].settings["SHARD_IDS"] = "1"
        await asyncio.gather(*(bot.launch() for bot in world.bots))
        await world.discord.wait_until(lambda: sessions(world) == [0, 1, 2, 3], 60)
        assert await rows(world, "SELECT * FROM shard_blocks") == []


async def test_one_rate_is_kept_by_both_processes(tmp_path: Path) -> None:
    async with several(tmp_path, VIDGO_REQUESTS_PER_SECOND="4", SHARD_IDS="0") as world:
        await asyncio.gather(*(bot.launch() for bot in world.bots))
        await asyncio.gather(*(bot.wait_log("connected to Discord as") for bot in world.bots))
        world.vidgo.seconds = 2.0
        people = [world.person(f"member{number}") for number in range(8)]
        await asyncio.gather(*(person.imports(f"Song {person.member.name}") for person in people))
        seen = len(world.vidgo.requests)
        began_at = time.monotonic()
        posts = await asyncio.gather(*(person.covered() for person in people))
        assert all(post.attachments for post in posts)
        took = time.monotonic() - began_at
        asked = sum(one.path.startswith("/api/") for one in world.vidgo.requests[seen:])
        assert asked <= 4 * (took + 1) + 1, f"{asked} requests in {took:.1f} s"


async def test_scarce_starts_are_told_in_time(tmp_path: Path) -> None:
    async with several(tmp_path, 1) as world:
        world.discord.session_starts.total = 9
        for shard in range(7):
            world.discord.session_starts.take(shard)
        await world.bots[0].start()
        line = await world.bots[0].wait_log("more sessions today")
        assert re.search(r"only 2 more sessions today, of 9", line)


async def test_a_pause_that_discord_wants_of_the_whole_bot_is_kept_by_all(tmp_path: Path) -> None:
    async with several(tmp_path, SHARD_IDS="0") as world:
        await asyncio.gather(*(bot.launch() for bot in world.bots))
        await asyncio.gather(*(bot.wait_log("connected to Discord as") for bot in world.bots))
        anna = world.person("anna")
        await anna.imports("Sea")
        fault = world.discord.rate_limit("POST", r"^/channels/\d+/messages$", 4, global_=True)
        call = await anna.cover()
        await fault.used_up()
        await asyncio.gather(*(bot.wait_log("Discord wants no requests of this bot for") for bot in world.bots))
        assert (await anna.result(call, 40)).attachments


async def test_a_button_that_reaches_two_processes_does_its_work_once(tmp_path: Path) -> None:
    async with several(tmp_path, SHARD_IDS="0") as world:
        await asyncio.gather(*(bot.launch() for bot in world.bots))
        await asyncio.gather(*(bot.wait_log("connected to Discord as") for bot in world.bots))
        anna = world.person("anna")
        await anna.imports("Sea")
        post = await anna.covered()
        seen = [len(bot.log_lines) for bot in world.bots]
        await world.discord.press(anna.member, post, "Like")

        def came_twice() -> bool:
            lines = [line for bot, number in zip(world.bots, seen, strict=True) for line in bot.log_lines[number:]]
            return any("came twice" in line for line in lines)

        await eventually(came_twice)
        await post.channel.wait_for(lambda one: one is post and any(button.label == "1" for button in one.buttons), 20)
        found = await rows(world, "SELECT count(*) AS hearts FROM likes")
        assert found[0]["hearts"] == 1


async def test_what_another_process_sees_of_key_and_version_the_one_that_leads_tells_the_owner(tmp_path: Path) -> None:
    async with several(tmp_path, SHARD_COUNT="2", VIDGO_MUSIC_VERSION="V6") as world:
        own = (world.guild.id >> 22) % 2
        leader, other = world.bots
        leader.settings["SHARD_IDS"], other.settings["SHARD_IDS"] = str(1 - own), str(own)
        for bot in world.bots:
            await bot.launch()
            await bot.wait_log("connected to Discord as")
        ada, owner = world.person("ada"), world.discord.state.direct(world.discord.state.owner)
        await ada.ending(await ada.use("music generate", prompt="the sea"))
        assert "refuses VIDGO_MUSIC_VERSION" in other.log
        await owner.wait_for(lambda message: "VidGo refuses the model version" in message.content)
        world.vidgo.revoke_key()
        await ada.ending(await ada.use("music generate", prompt="the shore"))
        await owner.wait_for(lambda message: "VidGo refuses this bot's key" in message.content)
        world.vidgo.revoked = False
        # A restart is what a new key or version needs, and shows to whoever has seen the old one that it is over.
        await other.stop()
        other.settings["VIDGO_MUSIC_VERSION"] = "V5"
        lines = len(other.log_lines)
        await other.launch()
        await other.wait_log("connected to Discord as", after=lines)
        await ada.result(await ada.use("music generate", prompt="the dunes"))
        await owner.wait_for(lambda message: "VidGo takes the model version" in message.content)
        await owner.wait_for(lambda message: "VidGo takes this bot's key again." in message.content)
        assert len(owner.messages) == 4
