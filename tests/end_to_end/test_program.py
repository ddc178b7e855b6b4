"""`invite`, and how `run` begins and ends."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio

from sandbox.ports import reserved_port
from tests.end_to_end.process import SHUTDOWN_SECONDS, run_program
from tests.end_to_end.world import COVER, eventually, open_world
from tests.patience import idle_seconds, patient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.end_to_end.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")

# View Channel, Send Messages, Embed Links, Attach Files, Read Message History, Send Messages in Threads.
NEEDED = sum(1 << bit for bit in (10, 11, 14, 15, 16, 38))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def idle(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """The stand-ins and settings for a bot that is not running."""
    async with open_world(tmp_path_factory.mktemp("idle"), start=False) as world:
        yield world


async def test_invite_asks_for_exactly_what_the_bot_needs(idle: World) -> None:
    ended = await run_program(idle.bot.directory, idle.bot.settings, "invite")
    assert (ended.code, ended.err) == (0, "")
    [line] = ended.out.splitlines()
    query = parse_qs(urlsplit(line).query)
    assert query["client_id"] == [str(idle.discord.bot_id)]
    assert set(query["scope"][0].split()) == {"bot", "applications.commands"}
    assert int(query["permissions"][0]) == NEEDED


async def test_the_version_is_printed(tmp_path: Path) -> None:
    ended = await run_program(tmp_path, {}, "--version")
    assert ended.code == 0
    assert ended.out.startswith("coverbot ")


async def test_a_second_program_on_one_database_is_refused(calling: World) -> None:
    with reserved_port() as port:
        settings = calling.bot.settings | {"LISTEN_PORT": str(port)}
        ended = await run_program(calling.bot.directory, settings, "run")
    assert ended.code == 2
    [line] = ended.lines
    assert "DATABASE_URL" in line
    assert "in use by another running Coverbot" in line
    assert await calling.get("/healthz") == (200, '{"status": "ok"}')


# The end of `run`


async def test_every_log_line_can_be_json(tmp_path: Path) -> None:
    async with open_world(tmp_path, LOG_FORMAT="json", LOG_LEVEL="DEBUG") as world:
        ada = world.person("ada")
        await ada.imports("Logged")
        await ada.covered()
        await world.bot.stop()
        lines = [json.loads(line) for line in world.bot.log_lines]
    assert {"level", "message", "name", "asctime"} <= set.intersection(*(set(line) for line in lines))
    assert [line for line in lines if "is finished" in line["message"]]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_post_under_way_is_finished_first(calling: World, number: signal.Signals) -> None:
    ada = calling.person("ada")
    await ada.imports("Just In Time")
    fault = calling.discord.hang("POST", f"^/channels/{ada.channel.id}/messages$", seconds=1.5)
    call = await ada.cover()
    await call.reply()
    await fault.used_up()
    took = await calling.bot.stop(number)
    assert took >= 0.5
    [message] = [message for message in ada.channel.messages if message.attachments]
    [row] = calling.rows("SELECT * FROM notifications WHERE message_id = ?", message.id)
    assert row["state"] == "delivered"
    assert row["interaction_token"] is None or row["ack_wanted"] is not None
    await calling.bot.start()


@pytest.mark.parametrize(
    ("event", "data"),
    [
        ("INTERACTION_CREATE", {"id": "1", "type": 2, "application_id": "2", "token": "no-token", "version": 1}),
        ("GUILD_CREATE", {"id": "no number"}),
        ("CHANNEL_UPDATE", None),
    ],
)
async def test_an_event_that_cannot_be_read_is_left_out_and_nothing_else(
    calling: World, event: str, data: object
) -> None:
    ada = calling.person("ada")
    await ada.imports(f"After {event}")
    before = calling.bot.pid, calling.discord.identified
    lines = len(calling.bot.log_lines)
    [session] = calling.discord.gateway.current.values()
    session.dispatch(event, cast("dict[str, Any]", data))
    assert (await ada.covered()).attachments
    await calling.bot.wait_log("ERROR", f"Discord sent a {event} that cannot be read", after=lines)
    assert (calling.bot.pid, calling.discord.identified) == before


@pytest.fixture
def whole(calling: World) -> Iterator[None]:
    """Let Discord send whole events again."""
    yield
    calling.discord.leave_out()


@pytest.mark.usefixtures("whole")
@pytest.mark.parametrize(
    "names",
    [
        ("version", "attachment_size_limit", "app_permissions", "entitlements", "context", "guild", "guild_locale"),
        ("authorizing_integration_owners", "locale"),
        ("channel",),
        ("message.type", "message.content"),
    ],
)
async def test_what_an_interaction_lacks_keeps_no_member_waiting(calling: World, names: tuple[str, ...]) -> None:
    ada = calling.person("ada")
    calling.discord.leave_out(*names)
    await ada.imports(f"Without {names[0]}")
    assert (await ada.covered()).channel is ada.channel


@pytest.mark.usefixtures("whole")
async def test_a_thread_that_is_not_known_and_told_in_part_takes_commands(calling: World) -> None:
    ada = calling.person("ada")
    await ada.imports("In Part")
    ada.channel = thread = calling.thread(ada.channel, "songs")
    [session] = calling.discord.gateway.current.values()
    place = {"id": str(thread.id), "guild_id": str(calling.guild.id), "parent_id": "1", "type": 11}
    session.dispatch("THREAD_DELETE", place)
    calling.discord.leave_out(*(f"channel.{key}" for key in ("owner_id", "message_count", "member_count", "position")))
    assert (await ada.covered()).channel is thread


@pytest.mark.usefixtures("whole")
async def test_a_button_works_under_a_message_that_is_told_without_it(calling: World) -> None:
    ada = calling.person("ada")
    await ada.imports("Bare")
    post = await ada.covered()
    calling.discord.leave_out("message.components")
    call = await calling.discord.press(ada.member, post, "Keep")
    assert "**Bare** is in your library" in (await call.reply()).content
    buttons = len(post.buttons)
    await (await calling.discord.press(ada.member, post, "Like")).acknowledged()
    await eventually(lambda: len(calling.rows("SELECT 1 FROM likes")) == 1)
    await (await calling.discord.press(ada.member, post, "Keep")).reply()
    assert len(post.buttons) == buttons


@pytest.mark.usefixtures("whole")
async def test_a_server_that_is_told_without_the_bot_is_greeted(calling: World) -> None:
    async def is_ready() -> bool:
        return (await calling.get("/readyz"))[0] == 200

    await eventually(is_ready)  # what comes before was there before
    calling.discord.leave_out("members")
    lines = len(calling.bot.log_lines)
    guild = calling.discord.add_guild("Quay", channels=["lobby"])
    await calling.bot.wait_log(f"the server {guild.id} is greeted", after=lines)


async def test_a_frame_that_cannot_be_read_costs_no_more_than_its_session(calling: World) -> None:
    ada = calling.person("ada")
    await ada.imports("After A Frame")
    pid, before = calling.bot.pid, calling.discord.identified
    calling.discord.send_broken_frame()
    await calling.discord.wait_ready(patient(30), newer_than=before)
    assert (await ada.covered()).attachments
    assert calling.bot.pid == pid


async def test_a_start_can_be_broken_off(tmp_path: Path) -> None:
    async with open_world(tmp_path, start=False) as world:
        fault = world.discord.hang("GET", "^/users/@me$", seconds=30)
        await world.bot.launch()
        await fault.used_up()
        assert await world.bot.stop() < patient(5)
        assert any(line.endswith("shutting down") for line in world.bot.log_lines)


async def test_the_program_waits_for_a_discord_that_is_out_of_reach(tmp_path: Path) -> None:
    async with open_world(tmp_path, start=False) as world:
        world.discord.refuse_rest()
        await world.bot.launch()
        line = await world.bot.wait_log("Discord cannot be reached")
        assert " WARNING " in line
        status, body = await world.get("/readyz")
        assert status == 503
        assert "discord" in json.loads(body)["reasons"]
        world.discord.refuse_rest(False)
        await world.discord.wait_ready()
        ada = world.person("ada")
        await ada.imports("Late Start")
        assert len((await ada.covered()).attachments) == 1


async def test_an_outage_of_everything_does_not_hold_up_the_end(tmp_path: Path) -> None:
    async with open_world(tmp_path, callbacks=False) as world:
        world.vidgo.duplicate_style = "409_id"
        ada, bob, eve = (world.person(name) for name in ("ada", "bob", "eve"))
        for person in (ada, bob, eve):
            await person.imports(f"{person.member.name}'s song")
        # A file that never ends, an order that nobody answers, and a question that nobody answers.
        world.vidgo.set_song_files("hang", model=COVER, media="image", times=1)
        first = await ada.cover()
        await world.vidgo.wait_request(lambda one: one.path.endswith("1.mp3"))
        world.vidgo.hold(COVER)
        second = await bob.cover()
        await second.reply()
        world.vidgo.fault("detail", "hang", times=1)
        await world.vidgo.wait_request(lambda one: "/detail/" in one.path and one.status is None)
        world.vidgo.fault("submit", "hang", times=1)
        third = await eve.cover()
        await world.vidgo.wait_submission(lambda one: one.model == COVER and not one.accepted)
        assert await idle_seconds(world.bot.stop()) < SHUTDOWN_SECONDS

        world.vidgo.release(COVER)
        world.vidgo.clear_song_files()
        for task in world.vidgo.tasks.values():
            task.file_rules.clear()
        await world.bot.start()
        # Whether VidGo took the third order nobody knows, so it is ordered again: a cover is made and charged once.
        results = await asyncio.gather(ada.result(first), bob.result(second), eve.result(third))
        assert [len(result.attachments) for result in results] == [1, 1, 1]


async def test_a_database_that_is_removed_under_the_program_makes_it_unready(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await eventually(lambda: answers(world, 200))
        kept = tmp_path / "kept.db"
        (tmp_path / "coverbot.db").rename(kept)
        status, body = await world.get("/readyz")
        assert status == 503
        assert "was removed or replaced" in json.loads(body)["reasons"]["database"]
        assert " ERROR " in await world.bot.wait_log("was removed or replaced")
        kept.rename(tmp_path / "coverbot.db")
        await eventually(lambda: answers(world, 200))


async def answers(world: World, status: int) -> bool:
    return (await world.get("/readyz"))[0] == status


async def test_a_second_program_is_refused_through_a_link_too(calling: World) -> None:
    (calling.bot.directory / "link.db").symlink_to(calling.bot.directory / "coverbot.db")
    link = {"DATABASE_URL": f"sqlite:///{calling.bot.directory}/link.db", "LISTEN_PORT": "0"}
    ended = await run_program(calling.bot.directory, calling.bot.settings | link, "run")
    assert (ended.code, len(ended.lines)) == (2, 1)
    assert "in use by another running Coverbot" in ended.err
