"""Places in line while VidGo has no room: told, told anew as the line gets shorter, and gone with it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from bot.answers.places import NEAR, _is_news
from sandbox.discord.rest.faults import EDITS
from tests.end_to_end.world import SONG
from tests.tasks.room import open_room

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.discord import Message

pytestmark = pytest.mark.asyncio


def place(message: Message) -> int | None:
    """Return the place that an acknowledgement tells."""
    if "it is next in line" in message.content:
        return 1
    found = re.search(r"it is #(\d+) in line", message.content)
    return None if found is None else int(found[1])


async def test_a_place_is_told_anew_while_the_line_gets_shorter(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        room.vidgo.fault("submit", "busy_retry_after", seconds=200, times=1000, model=SONG)
        messages = []
        for number in range(3):
            messages.append(await (await ada.use("music generate", prompt=f"wave {number}")).reply())
            room.advance(1)  # what is asked for in one moment stands in line in any order
        await room.pass_until(lambda: [place(one) for one in messages] == [1, 2, 3])
        # Whoever is not wanted any more leaves the line; the others move up, though VidGo has taken nothing.
        await room.discord.press(ada.member, messages[0], "Don't post")
        await room.pass_until(lambda: "will not be posted" in messages[0].content)
        await room.pass_until(lambda: [place(one) for one in messages[1:]] == [1, 2], limit=120)
        accepted = len(room.vidgo.accepted(SONG))
        # What has not changed is not edited.
        edits = [len(one.edits) for one in messages]
        for _ in range(4):
            room.advance(20)
            await room.settle()
        assert [len(one.edits) for one in messages] == edits
        assert len(room.vidgo.accepted(SONG)) == accepted == 0
        room.vidgo.clear_faults()
        await room.pass_until(lambda: all("Making" in one.content or "is done" in one.content for one in messages[1:]))
        await room.pass_until(lambda: all("is done" in one.content for one in messages[1:]))


async def test_a_start_tells_places_once_more_at_most(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        room.vidgo.fault("submit", "busy_retry_after", seconds=300, times=1000, model=SONG)
        message = await (await ada.use("music generate", prompt="wave")).reply()
        await room.pass_until(lambda: place(message) == 1)
        await room.bot.kill()
        await room.bot.start()
        asked = sum(one.method == "PATCH" and re.search(EDITS, one.path) is not None for one in room.discord.requests)
        for _ in range(5):
            room.advance(20)
            await room.settle()
        now = sum(one.method == "PATCH" and re.search(EDITS, one.path) is not None for one in room.discord.requests)
        assert now - asked <= 1
        assert place(message) == 1
        room.vidgo.clear_faults()
        await room.pass_until(lambda: "is done" in message.content)


async def test_nobody_stands_behind_orders_that_are_never_sent_again(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        lost = room.vidgo.fault("submit", "lose_answer_before", model=SONG)
        unconfirmed = await (await ada.use("music generate", prompt="one whose answer is lost")).reply()
        await room.vidgo.wait_fault(lost)
        await room.until(lambda: "has not confirmed" in unconfirmed.content)
        # One that VidGo had no room for at first, and whose order then died on its way.
        room.vidgo.fault("submit", "busy_retry_after", seconds=30, model=SONG)
        died = await (await ada.use("music generate", prompt="one whose process dies")).reply()
        await room.pass_until(lambda: place(died) == 1)
        hanging = room.vidgo.fault("submit", "hang", model=SONG)
        await room.pass_until(lambda: hanging.struck == 1)
        await room.bot.kill()
        await room.bot.start()
        room.vidgo.fault("submit", "busy_retry_after", seconds=200, times=1000, model=SONG)
        await room.until(lambda: "has not confirmed" in died.content)
        message = await (await ada.use("music generate", prompt="wave")).reply()
        await room.until(lambda: place(message) is not None)
        assert place(message) == 1


@pytest.mark.parametrize(
    ("told", "place", "news"),
    [
        (None, 5, True),
        (3, 3, False),
        (3, 2, True),
        (NEAR + 1, NEAR, True),
        (100, 99, False),
        (100, 80, True),
        (2, 3, True),
    ],
)
async def test_far_off_not_each_step_is_told(told: int | None, place: int, news: bool) -> None:
    assert _is_news(told, place) is news
