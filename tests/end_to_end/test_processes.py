"""Several processes on one PostgreSQL: any of them takes anything, and those that die or hang cost only time.

Here both are at the gateway with the same shard, so that each event reaches both.
"""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from sandbox.discord.state.content import texts
from sandbox.discord.state.permissions import MEMBER_PERMISSIONS
from sandbox.ports import reserved_port
from tests.end_to_end.process import Bot
from tests.end_to_end.shell import rows
from tests.end_to_end.world import World, eventually, open_world, said
from tests.postgresql import shared_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.asyncio(loop_scope="module")

MODULE = "tests.end_to_end.short_leases"


class Pair(World):
    """A world with a second process, which alone is called back."""

    second: Bot

    @property
    def both(self) -> tuple[Bot, Bot]:
        """Return both processes."""
        return self.bot, self.second


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    url = await shared_server().new_database(migrated=False)
    directories = [tmp_path_factory.mktemp(name) for name in ("first", "second")]
    with reserved_port() as port:
        settings: dict[str, Any] = {
            "DATABASE_URL": url,
            "PUBLIC_URL": f"http://127.0.0.1:{port}",
            "SHARD_IDS": "0",
            "POLL_MIN_SECONDS": "1",
            "POLL_MAX_SECONDS": "2",
            "ARCHIVE_DIR": str(directories[0] / "media"),
        }
        names: list[dict[str, Any]] = [{"PROCESS_NAME": name} for name in ("first", "second")]
        async with open_world(directories[0], module=MODULE, start=False, **settings, **names[0]) as world:
            world.__class__ = Pair
            assert isinstance(world, Pair)
            world.second = Bot(
                directories[1], world.bot.settings | {"LISTEN_PORT": str(port)} | names[1], world.discord
            )
            world.second.module = MODULE
            await asyncio.gather(*(bot.launch() for bot in world.both))
            await asyncio.gather(*(bot.wait_log("connected to Discord as") for bot in world.both))
            try:
                yield world
                if world.second.running:
                    await world.second.stop()
            finally:
                await world.second.kill()
    await shared_server().drop(url)


async def living(pair: Pair) -> list[str]:
    return [row["name"] for row in await rows(pair, "SELECT name FROM processes ORDER BY name")]


async def holds_nothing(pair: Pair) -> bool:
    found = await rows(
        pair,
        "SELECT id FROM tasks WHERE holder IS NOT NULL UNION ALL"
        " SELECT id FROM notifications WHERE holder IS NOT NULL OR ack_holder IS NOT NULL",
    )
    return found == []


async def test_whatever_one_orders_another_is_called_back_for_and_it_is_posted_once(pair: Pair) -> None:
    assert await living(pair) == ["first", "second"]
    people = [pair.person(f"member{number}") for number in range(6)]
    songs = await asyncio.gather(*(person.imports(f"Song {person.member.name}") for person in people))
    posts = await asyncio.gather(*(person.covered() for person in people))
    assert all(post.attachments for post in posts)
    assert [pair.submitted(song) for song in songs] == [1] * len(songs)
    await eventually(lambda: holds_nothing(pair))


async def test_a_server_is_greeted_once_and_its_settings_hold_at_once_in_both(pair: Pair) -> None:
    quay = pair.discord.add_guild("Quay", channels=["lobby"])
    [lobby] = quay.channels
    greeting = await lobby.wait_for(lambda message: message.content.startswith("Hello! I make songs with VidGo"))

    async def is_done() -> bool:
        return [row["greet_at"] for row in await rows(pair, "SELECT greet_at FROM greetings")] == [None]

    await eventually(is_done)
    assert lobby.messages == [greeting]
    mia = pair.person("mia")
    mia.member.permissions = MEMBER_PERMISSIONS | {"manage_guild"}
    for wanted, words in (("0", "**Mentions**: ✓ → ✗"), ("1", "**Mentions**: ✗ → ✓")):
        panel = await (await mia.use("coverbot settings")).reply()
        await (await pair.discord.press(mia.member, panel, f"settings:mentions:{wanted}")).settled(20)
        await pair.discord.wait_until(lambda: words in "\n".join(texts(panel.components)))  # noqa: B023 (at once)
    assert [row["after"] for row in await rows(pair, "SELECT after FROM changes ORDER BY id")] == ["✗", "✓"]


async def test_what_a_process_was_doing_that_is_killed_the_other_ends(pair: Pair) -> None:
    people = [pair.person(f"friend{number}") for number in range(4)]
    songs = await asyncio.gather(*(person.imports(f"Song {person.member.name}") for person in people))
    pair.vidgo.seconds = 1.0
    calls = await asyncio.gather(*(person.cover() for person in people))
    await eventually(lambda: all(pair.submitted(song) == 1 for song in songs))
    await pair.bot.kill()
    posts = await asyncio.gather(*(person.result(call, 40) for person, call in zip(people, calls, strict=True)))
    pair.vidgo.seconds = 0.3
    assert all(post.attachments for post in posts)
    assert [pair.submitted(song) for song in songs] == [1] * len(songs)
    await pair.second.wait_log("process first has died")
    assert await living(pair) == ["second"]
    await pair.bot.start()
    await eventually(lambda: holds_nothing(pair))


async def test_a_command_whose_process_is_killed_before_it_has_ordered_is_answered_by_the_other(pair: Pair) -> None:
    olga = pair.person("olga")
    song = await olga.imports("Storm")
    call = await olga.cover()
    await call.acknowledged()
    seen = len(pair.second.log_lines)
    await pair.bot.kill()
    await pair.second.wait_log("process first has died", after=seen)
    reply = await call.reply(40)
    if "Covering **Storm**" in said(reply):  # what somebody reads there is so, whoever does it
        assert (await olga.result(call, 40)).attachments
        assert pair.submitted(song) == 1
    else:
        assert "No credits were used" in reply.content
        assert pair.submitted(song) == 0
    await pair.bot.start()


async def test_who_was_stopped_for_longer_than_its_lease_goes_on_and_does_nothing_twice(pair: Pair) -> None:
    people = [pair.person(f"guest{number}") for number in range(4)]
    songs = await asyncio.gather(*(person.imports(f"Song {person.member.name}") for person in people))
    pair.vidgo.seconds = 1.0
    calls = await asyncio.gather(*(person.cover() for person in people))
    await eventually(lambda: all(pair.submitted(song) == 1 for song in songs))
    lines, seen = len(pair.bot.log_lines), len(pair.second.log_lines)
    os.kill(pair.bot.pid, signal.SIGSTOP)
    try:
        await pair.second.wait_log("process first has died", after=seen, timeout=40)
        posts = await asyncio.gather(*(person.result(call, 40) for person, call in zip(people, calls, strict=True)))
    finally:
        os.kill(pair.bot.pid, signal.SIGCONT)
    await pair.bot.wait_log("was silent for too long", after=lines)
    assert all(post.attachments for post in posts)
    pair.vidgo.seconds = 0.3
    again = await people[0].covered()
    assert again.attachments
    assert [pair.submitted(song) for song in songs] == [1] * len(songs)
    await eventually(lambda: holds_nothing(pair))


async def test_who_leads_again_registers_the_commands_again_which_another_version_may_have_changed(pair: Pair) -> None:
    await pair.second.wait_log("this process leads")
    seen, lines = len(pair.bot.log_lines), len(pair.second.log_lines)
    os.kill(pair.second.pid, signal.SIGSTOP)
    try:
        await pair.bot.wait_log("Discord has the commands as they are", after=seen, timeout=40)
    finally:
        os.kill(pair.second.pid, signal.SIGCONT)
    [cover] = [one for one in pair.discord.commands.scope(None) if one["name"] == "cover"]
    cover["options"][0]["required"] = True
    await pair.second.wait_log("was silent for too long", after=lines)
    await pair.bot.stop()

    def is_mended() -> bool:
        [cover] = [one for one in pair.discord.commands.scope(None) if one["name"] == "cover"]
        return not cover["options"][0].get("required")

    await pair.discord.wait_until(is_mended, 40)
    await pair.bot.start()


async def test_who_ends_in_order_leaves_everything_to_the_other_at_once(pair: Pair) -> None:
    await pair.bot.stop()
    assert await living(pair) == ["second"]
    anna = pair.person("anna")
    await anna.imports("Sea")
    assert (await anna.covered()).attachments
    await pair.second.wait_log("this process leads")
