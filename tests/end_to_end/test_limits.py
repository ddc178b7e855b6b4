"""Daily limits against the real program: they hold when everybody orders at once, and over its death."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tests.end_to_end.world import SONG, eventually, open_world

if TYPE_CHECKING:
    from pathlib import Path


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
