"""What orders cost, learnt from their results, or from the balance before and after them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bot.servers.spending import CALM_SECONDS
from bot.servers.watch import COSTS_SECONDS
from tests.end_to_end.world import SONG
from tests.tasks.room import open_room

if TYPE_CHECKING:
    from pathlib import Path

    from tests.end_to_end.world import Person
    from tests.tasks.room import Room

SETTINGS: dict[str, Any] = {"DAILY_SONGS_PER_USER": "-1"}
LONG_ENOUGH = 2 * (COSTS_SECONDS + CALM_SECONDS)


def costs(room: Room) -> list[float | None]:
    """Return what each order cost, as far as it is known, in the order in which they were made."""
    return [row["credits"] for row in room.rows("SELECT credits FROM tasks WHERE submitted_at IS NOT NULL ORDER BY id")]


def spent(room: Room, person: Person) -> float | None:
    """Return what a member's orders cost in all."""
    [row] = room.rows("SELECT sum(credits) AS credits FROM usage WHERE user_id = ?", person.member.id)
    found: float | None = row["credits"]
    return found


async def order(room: Room, person: Person, words: str) -> None:
    """Have a song made, to its end."""
    before = room.tasks("finished")
    await (await person.use("music generate", prompt=words)).reply()
    await room.pass_until(lambda: room.tasks("finished") == before + 1)


async def pass_time(room: Room, seconds: float) -> None:
    """Let some time pass in which everybody does what they do."""
    until = room.now() + seconds
    while room.now() < until:
        room.advance(min(15.0, until - room.now()))
        await room.settle()


def asked(room: Room) -> int:
    """Return how often the balance was asked for."""
    return sum(one.path.endswith("/balance") for one in room.vidgo.requests)


async def test_what_a_result_says_is_kept_and_asks_for_no_balance(tmp_path: Path) -> None:
    async with open_room(tmp_path, **SETTINGS) as room:
        room.vidgo.tells_credits = ("finished",)
        ada = room.person("ada")
        await pass_time(room, LONG_ENOUGH)
        before = asked(room)
        await order(room, ada, "the sea")
        await (await ada.cover()).reply()
        await room.pass_until(lambda: room.tasks("finished") == 2)
        assert costs(room) == [20, 1]
        assert spent(room, ada) == 21
        await pass_time(room, LONG_ENOUGH)
        assert (costs(room), spent(room, ada), asked(room)) == ([20, 1], 21, before)


@pytest.mark.parametrize("at", ["order", "running"])
async def test_what_only_an_answer_before_the_result_says_is_kept_too(tmp_path: Path, at: str) -> None:
    async with open_room(tmp_path, **SETTINGS) as room:
        room.vidgo.tells_credits = (at,)
        ada = room.person("ada")
        await pass_time(room, LONG_ENOUGH)
        before = asked(room)
        room.vidgo.hold(SONG)
        await (await ada.use("music generate", prompt="the sea")).reply()
        await room.pass_until(lambda: costs(room) == [20])
        # Only what is finished is charged.
        assert spent(room, ada) is None
        room.vidgo.release(SONG)
        await room.pass_until(lambda: room.tasks("finished") == 1)
        assert (costs(room), spent(room, ada)) == ([20], 20)
        room.vidgo.hold(SONG)
        await (await ada.use("music generate", prompt="the shore")).reply()
        await room.pass_until(lambda: costs(room) == [20, 20])
        room.vidgo.finish(list(room.vidgo.tasks.values())[-1], error_message="the choir was ill")
        await room.pass_until(lambda: room.tasks("failed") == 1)
        assert spent(room, ada) == 20
        await pass_time(room, LONG_ENOUGH)
        assert (spent(room, ada), asked(room)) == (20, before)


async def test_what_a_result_does_not_say_the_balance_does_once_nothing_is_under_way(tmp_path: Path) -> None:
    async with open_room(tmp_path, **SETTINGS) as room:
        room.vidgo.tells_credits = ()
        ada, bob = room.person("ada"), room.person("bob")
        await pass_time(room, LONG_ENOUGH)
        await order(room, ada, "the sea")
        assert costs(room) == [None]
        await order(room, bob, "the shore")
        await room.pass_until(lambda: costs(room) == [20, 20])
        assert (spent(room, ada), spent(room, bob)) == (20, 20)
        before = asked(room)
        await pass_time(room, LONG_ENOUGH)
        assert asked(room) == before
        # The next balance is compared with that one, not with the first.
        await order(room, ada, "the dunes")
        await room.pass_until(lambda: costs(room) == [20, 20, 20])
        assert spent(room, ada) == 40


async def test_what_is_told_is_taken_off_what_the_balance_tells(tmp_path: Path) -> None:
    async with open_room(tmp_path, **SETTINGS) as room:
        room.vidgo.tells_credits = ("finished",)
        ada = room.person("ada")
        await pass_time(room, LONG_ENOUGH)
        await order(room, ada, "the sea")
        room.vidgo.tells_credits = ()
        await (await ada.cover()).reply()
        await room.pass_until(lambda: costs(room) == [20, 1])
        assert spent(room, ada) == 21


@pytest.mark.parametrize("spoilt", ["two models", "a failure", "topped up"])
async def test_where_the_balance_cannot_tell_nothing_is_made_up(tmp_path: Path, spoilt: str) -> None:
    async with open_room(tmp_path, **SETTINGS) as room:
        room.vidgo.tells_credits = ()
        ada = room.person("ada")
        await pass_time(room, LONG_ENOUGH)
        await order(room, ada, "the sea")
        if spoilt == "two models":
            await (await ada.cover()).reply()
            await room.pass_until(lambda: room.tasks("finished") == 2)
        elif spoilt == "a failure":
            room.vidgo.set_failure(SONG, "the choir was ill", times=1)
            await (await ada.use("music generate", prompt="the shore")).reply()
            await room.pass_until(lambda: room.tasks("failed") == 1)
        else:
            room.vidgo.credits += 500
        await pass_time(room, LONG_ENOUGH)
        assert set(costs(room)) == {None}
        assert spent(room, ada) is None
        # It is asked no more about them, and learns from what comes next.
        before = asked(room)
        await pass_time(room, LONG_ENOUGH)
        assert asked(room) == before
        await order(room, ada, "the dunes")
        await room.pass_until(lambda: costs(room)[-1] == 20)
        assert spent(room, ada) == 20
