"""Daily limits against the real program: they hold when everybody orders at once, and over its death."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.discord.state import model
from sandbox.ports import reserved_port
from tests.end_to_end.process import Bot
from tests.end_to_end.world import SONG, eventually, open_world
from tests.postgresql import shared_server

if TYPE_CHECKING:
    from pathlib import Path

REQUESTS, LIMIT = 100, 5


@pytest.mark.parametrize(("engine", "processes"), [("sqlite", 1), ("postgresql", 1), ("postgresql", 3)])
async def test_a_hundred_requests_at_once_are_as_many_orders_as_are_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str, processes: int
) -> None:
    # A busy machine shall not decide which of them are answered in time.
    monkeypatch.setattr(model, "ANSWER_SECONDS", 600.0)
    settings: dict[str, Any] = {"DAILY_SONGS_PER_USER": str(LIMIT)}
    homes = [tmp_path / str(number) for number in range(processes)]
    for home in homes:
        home.mkdir()
    async with AsyncExitStack() as stack:
        if engine == "postgresql":
            settings |= {"DATABASE_URL": await shared_server().new_database(migrated=False), "SHARD_IDS": "0"}
            settings |= {"ARCHIVE_DIR": str(tmp_path / "media"), "PROCESS_NAME": "0"}
            stack.push_async_callback(shared_server().drop, settings["DATABASE_URL"])
        world = await stack.enter_async_context(open_world(homes[0], callbacks=False, start=False, **settings))
        bots = [world.bot]
        for number in range(1, processes):
            own = {"LISTEN_PORT": str(stack.enter_context(reserved_port())), "PROCESS_NAME": str(number)}
            bots.append(Bot(homes[number], world.bot.settings | own, world.discord))
            stack.push_async_callback(bots[-1].kill)
        # All of them are at the gateway with the same shard, so that each event reaches each process.
        await asyncio.gather(*(bot.launch() for bot in bots))
        await asyncio.gather(*(bot.wait_log("connected to Discord as") for bot in bots))
        ada = world.person("ada")
        calls = [await ada.use("music generate", prompt=f"the sea, number {number}") for number in range(REQUESTS)]
        await asyncio.gather(*(call.settled(60) for call in calls))
        private = [call.replies[0].content for call in calls if call.replies[0].ephemeral]
        assert len(private) == REQUESTS - LIMIT
        assert {text.partition(" It resets")[0] for text in private} == {
            f"Your limit of new songs for today ({LIMIT}) is reached."
        }
        await asyncio.gather(*(ada.result(call, 60) for call in calls if not call.replies[0].ephemeral))
        assert len(world.vidgo.submissions) == LIMIT
        for bot in bots:
            await bot.stop()


async def test_they_hold_when_everybody_orders_at_once_and_over_a_death(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"DAILY_SONGS_PER_USER": "6", "DAILY_ORDERS_PER_SERVER": "9"}
    async with open_world(tmp_path, callbacks=False, **settings) as world:
        ada, bob = world.person("ada"), world.person("bob")
        world.vidgo.hold(SONG)
        calls = [
            await person.use("music generate", prompt=f"the sea, number {number}")
            for number in range(20)
            for person in (ada, bob)
        ]
        await asyncio.gather(*(call.settled(60) for call in calls))
        await eventually(lambda: len(world.vidgo.accepted(SONG)) == 9)
        by_member = world.rows("SELECT user_id, songs FROM usage WHERE user_id != 0")
        assert sum(row["songs"] for row in by_member) == 9
        assert max(row["songs"] for row in by_member) <= 6
        # An order that was on its way at a death may be VidGo's; nobody knows, so it counts no more, once.
        world.vidgo.finish(next(iter(world.vidgo.tasks.values())), error_message="the choir was ill")
        await eventually(lambda: len(world.rows("SELECT 1 FROM tasks WHERE status = 'failed'")) == 1)
        assert world.rows("SELECT songs, failures FROM usage WHERE user_id = 0") == [{"songs": 8, "failures": 1}]
        fault = world.vidgo.fault("submit", "slow", seconds=30)
        giver = next(person for person in (ada, bob) if songs_of(by_member, person.member.id) < 6)
        await giver.use("music generate", prompt="the last one")
        await world.vidgo.wait_fault(fault)
        await world.bot.kill()
        assert world.rows("SELECT songs FROM usage WHERE user_id = 0") == [{"songs": 9}]
        world.vidgo.release()
        await world.bot.start()
        await eventually(lambda: world.rows("SELECT 1 FROM tasks WHERE status = 'given_up'") != [])
        assert world.rows("SELECT songs, failures FROM usage WHERE user_id = 0") == [{"songs": 8, "failures": 2}]
        await eventually(
            lambda: world.rows("SELECT 1 FROM tasks WHERE status NOT IN ('finished', 'failed', 'given_up')") == []
        )
        assert world.rows("SELECT songs, failures FROM usage WHERE user_id = 0") == [{"songs": 8, "failures": 2}]


def songs_of(rows: list[dict[str, Any]], user_id: int) -> int:
    return next((row["songs"] for row in rows if row["user_id"] == user_id), 0)
