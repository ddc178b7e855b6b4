"""A server that is joined is greeted once: where the bot may write, else whoever brought it there."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from bot.gateway.client import PERMISSIONS
from bot.servers.onboarding import GIVE_UP_SECONDS, Onboarding
from sandbox.discord.state.permissions import BOT_PERMISSIONS
from storage.database import Database
from storage.servers import greetings as rows
from tests.postgresql import shared_server
from tests.storage.rows import NOW
from tests.tasks.room import open_room

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sandbox.discord import Channel, Guild
    from tests.tasks.room import Room


def greetings(room: Room) -> list[tuple[Channel, str]]:
    """Return each greeting and where it was said."""
    hello = ("Hello! ", "Hallo! ")
    return [(one.channel, one.content) for one in room.discord.said if one.content.startswith(hello)]


async def greeted(room: Room, *, times: int = 1) -> tuple[Channel, str]:
    """Wait until it has greeted so often and is done with it, and return the last greeting."""
    await room.until(lambda: not room.rows("SELECT 1 FROM greetings WHERE greet_at IS NOT NULL"), "the end of it")
    await room.until(lambda: len(greetings(room)) >= times, "the greeting")
    found = greetings(room)
    assert len(found) == times
    return found[-1]


def with_system_channel(name: str) -> Callable[[Guild], None]:
    def prepare(guild: Guild) -> None:
        guild.system_channel = next(channel for channel in guild.channels if channel.name == name)

    return prepare


def silenced(guild: Guild) -> None:
    """Let the bot write nowhere."""
    guild.bot_permissions = BOT_PERMISSIONS - {"send_messages"}


async def test_a_server_is_greeted_once_over_reconnects_and_restarts(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        session = room.discord.gateway.current[0]
        assert session.presence is not None
        assert (session.presence["game"]["type"], session.presence["game"]["name"]) == (2, "/cover")
        prepare = with_system_channel("lobby")
        guild = room.discord.add_guild("Pier", locale="de", channels=["rules", "lobby"], prepare=prepare)
        channel, text = await greeted(room)
        assert channel is guild.system_channel
        assert text.startswith("Hallo! Ich mache mit VidGo Songs")
        assert "</cover:" in text
        assert "fehlt mir" not in text
        identified = room.discord.identified
        room.discord.invalid_session()
        await room.pass_until(lambda: room.discord.identified > identified)
        room.discord.drop_gateway()
        await room.bot.stop()
        await room.bot.start()
        await room.settle()
        await room.bot.kill()
        room.advance(86400)
        lines = len(room.bot.log_lines)
        await room.bot.start()
        await room.pass_until(lambda: any("connected to Discord" in line for line in room.bot.log_lines[lines:]))
        await greeted(room)
        assert [row["guild_id"] for row in room.rows("SELECT guild_id FROM greetings")] == [guild.id]


async def test_a_server_that_is_joined_again_is_greeted_again_and_one_that_is_left_is_forgotten(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        guild = room.discord.add_guild("Pier", channels=["lobby"])
        await greeted(room)
        room.discord.remove_guild(guild)
        await room.until(lambda: not room.rows("SELECT 1 FROM greetings"), "forgetting")
        room.discord.invite_again(guild)
        await greeted(room, times=2)


async def test_what_is_missing_is_said_of_channels_that_everybody_sees(tmp_path: Path) -> None:
    def prepare(guild: Guild) -> None:
        for channel, lacks in zip(
            guild.channels, ({"attach_files"}, {"embed_links"}, {"embed_links"}, {"view_channel"}), strict=True
        ):
            channel.own_permissions = BOT_PERMISSIONS - lacks
        guild.channels[3].hidden = True

    async with open_room(tmp_path) as room:
        guild = room.discord.add_guild("Pier", channels=["lobby", "songs", "jam", "board"], prepare=prepare)
        channel, text = await greeted(room)
        lobby, songs, jam, board = guild.channels
        assert channel is lobby
        ids = {one["name"]: one["id"] for one in room.discord.commands.scope(None)}
        generate, bring = f"</music generate:{ids['music']}>", f"</music import:{ids['music']}>"
        assert text.splitlines() == [
            "Hello! I make songs with VidGo, and covers of them.",
            f"Begin with {generate}, or import a song with {bring}. Then </cover:{ids['cover']}> makes a cover of it.",
            f"In <#{songs.id}>, <#{jam.id}> I lack **Embed Links**. Whoever manages the server can grant it.",
            f"In <#{lobby.id}> I lack **Attach Files**. Whoever manages the server can grant it.",
        ]
        assert str(board.id) not in text


async def test_of_many_channels_that_lack_the_same_eight_are_named(tmp_path: Path) -> None:
    def prepare(guild: Guild) -> None:
        for channel in guild.channels[1:]:
            channel.own_permissions = BOT_PERMISSIONS - {"attach_files"}

    async with open_room(tmp_path) as room:
        names = ["lobby", *(f"songs-{number}" for number in range(11))]
        guild = room.discord.add_guild("Pier", channels=names, prepare=prepare)
        _, text = await greeted(room)
        named = ", ".join(f"<#{channel.id}>" for channel in guild.channels[1:9])
        assert text.endswith(
            f"In {named} and in 3 more channels I lack **Attach Files**. Whoever manages the server can grant it."
        )


async def test_a_channel_that_takes_nothing_is_passed_over(tmp_path: Path) -> None:
    def prepare(guild: Guild) -> None:
        room.discord.refuse("POST", rf"^/channels/{guild.channels[0].id}/messages$", 200000)

    async with open_room(tmp_path) as room:
        guild = room.discord.add_guild("Pier", channels=["lobby", "songs"], prepare=prepare)
        channel, _ = await greeted(room)
        assert channel is guild.channels[1]


@pytest.mark.parametrize("readable", [True, False])
async def test_where_it_may_write_nowhere_whoever_brought_it_or_the_owner_is_told(
    tmp_path: Path, readable: bool
) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada").member

        def prepare(guild: Guild) -> None:
            silenced(guild)
            guild.added_by = guild.add_member(ada).user
            if readable:
                guild.bot_permissions |= {"view_audit_log"}

        guild = room.discord.add_guild("Pier", channels=["lobby"], prepare=prepare)
        channel, text = await greeted(room)
        assert channel.recipient is (ada.user if readable else room.discord.state.owner)
        assert "I may not write in any channel of **Pier**" in text
        assert f"In <#{guild.channels[0].id}> I lack **Send Messages**." in text


async def test_whoever_brought_it_is_told_what_is_missing_where_nobody_else_sees_a_channel(tmp_path: Path) -> None:
    def prepare(guild: Guild) -> None:
        silenced(guild)
        guild.channels[0].hidden = True

    async with open_room(tmp_path) as room:
        guild = room.discord.add_guild("Pier", channels=["board"], prepare=prepare)
        _, text = await greeted(room)
        assert f"In <#{guild.channels[0].id}> I lack **Send Messages**." in text


async def test_who_was_told_of_one_server_is_told_of_another(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        room.discord.add_guild("Pier", channels=["lobby"], prepare=silenced)
        await greeted(room)
        direct = room.discord.state.direct(room.discord.state.owner)
        lost = room.discord.refuse_at_edge("POST", rf"^/channels/{direct.id}/messages$", 503)
        room.discord.add_guild("Quay", channels=["lobby"], prepare=silenced)
        await room.pass_until(lambda: lost.struck)
        await room.pass_until(lambda: not room.rows("SELECT 1 FROM greetings WHERE greet_at IS NOT NULL"))
        assert [text.rpartition("channel of ")[2].partition(",")[0] for _, text in greetings(room)] == [
            "**Pier**",
            "**Quay**",
        ]


async def test_nobody_to_tell_costs_a_line(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        room.discord.state.owner.dms_open = False
        room.discord.add_guild("Pier", channels=["lobby"], prepare=silenced)
        await room.until(lambda: "takes no message" in room.bot.log, "the line")
        await room.until(lambda: not room.rows("SELECT 1 FROM greetings WHERE greet_at IS NOT NULL"), "the end of it")
        assert greetings(room) == []
        assert room.bot.errors() == []


async def test_a_death_while_it_greets_does_not_greet_twice(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        struck = []

        def prepare(guild: Guild) -> None:
            path = rf"^/channels/{guild.channels[0].id}/messages$"
            struck.append(room.discord.hang("POST", path, 1e6, when="after"))
            room.discord.chat(guild.add_member("ada"), guild.channels[0], 230)  # people who talk do not hide it

        room.discord.add_guild("Pier", channels=["lobby"], prepare=prepare)
        await room.until(lambda: struck[0].struck and greetings(room), "the greeting")
        await room.bot.kill()
        room.discord.clear_faults()
        room.advance(1200)  # Discord has forgotten the nonce
        await room.bot.start()
        await greeted(room)


async def test_the_invitation_is_in_the_log_of_a_bot_in_no_server(tmp_path: Path) -> None:
    async with open_room(tmp_path, start=False) as room:
        room.discord.remove_guild(room.guild)
        await room.bot.start()
        line = await room.until(
            lambda: next((line for line in room.bot.log_lines if "it is in no server yet" in line), None), "the line"
        )
        query = parse_qs(urlsplit(line.rpartition(" ")[2]).query)
        assert query["permissions"] == [str(PERMISSIONS.value)]
        assert query["client_id"] == [str(room.discord.state.application_id)]
        room.discord.add_guild("Pier", channels=["lobby"])
        await greeted(room)


async def test_a_server_that_no_process_sees_is_given_up_in_the_end() -> None:
    """Left while none was there to hear of it, it would be looked for as long as the bot lives."""
    server, now = shared_server(), [NOW]
    url = await server.new_database()
    database = await Database.open(url)
    client: Any = SimpleNamespace(get_guild=lambda _guild_id: None)
    work = Onboarding(database, client, PERMISSIONS, lambda: now[0])
    await work.joined(7)
    assert await work.claim((), 4) == []
    now[0] += GIVE_UP_SECONDS + 1
    [due] = await work.claim((), 4)
    await work.do(due.id)
    assert await work.claim((), 4) == []
    async with database.read() as snapshot:
        assert await rows.next_due(snapshot, ()) is None
    await database.close()
    await server.drop(url)
