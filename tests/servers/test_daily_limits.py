"""Daily limits: what counts against them, what is given back, and what a member is told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tests.end_to_end.world import COVER, SONG, said
from tests.tasks.room import open_room

if TYPE_CHECKING:
    from pathlib import Path

    from tests.end_to_end.world import Person
    from tests.tasks.room import Room

DAY = 86400.0
BRIEF = 30.0
"""VidGo takes less than any test leaves to the end of the day."""


def start_of_day(room: Room) -> None:
    """Let time pass to the beginning of the next day, so that none ends within the test."""
    room.advance(DAY - room.now() % DAY + 60)


def counted(room: Room, person: Person) -> tuple[int, int, int]:
    """Return a member's covers, songs and failures of today."""
    day = int(room.now() // DAY)
    rows = room.rows("SELECT covers, songs, failures FROM usage WHERE user_id = ? AND day = ?", person.member.id, day)
    return tuple(rows[0].values()) if rows else (0, 0, 0)


async def refused(person: Person, **options: str) -> str:
    return await person.refusal(await person.use("music generate", **options))


async def test_a_hundred_requests_at_once_lead_to_as_many_orders_as_are_allowed(tmp_path: Path) -> None:
    async with open_room(tmp_path, vidgo_seconds=BRIEF, DAILY_SONGS_PER_USER="5") as room:
        start_of_day(room)
        ada = room.person("ada")
        calls = [await ada.use("music generate", prompt=f"the sea, number {number}") for number in range(100)]
        await asyncio.gather(*(call.settled(60) for call in calls))
        await room.pass_until(lambda: room.tasks("finished") == 5)
        assert len(room.vidgo.accepted(SONG)) == 5
        told = [call.replies[0] for call in calls]
        private = [message.content for message in told if message.ephemeral]
        assert len(private) == 95
        assert {text.partition(" It resets")[0] for text in private} == {
            "Your limit of new songs for today (5) is reached."
        }
        assert counted(room, ada) == (0, 5, 0)


async def test_a_member_is_told_what_is_left_and_when_it_starts_anew(tmp_path: Path) -> None:
    async with open_room(tmp_path, vidgo_seconds=BRIEF, DAILY_SONGS_PER_USER="2", DAILY_COVERS_PER_USER="1") as room:
        start_of_day(room)
        ada = room.person("ada")
        call = await ada.use("music generate", prompt="the sea")
        assert (await call.reply()).content.endswith("1 of 2 songs left today.")
        await room.pass_until(lambda: room.tasks("finished") == 1)
        call = await ada.cover()
        assert (await call.reply()).content.endswith("0 of 1 covers left today.")
        call = await ada.use("music extend")
        assert (await call.reply()).content.endswith("0 of 2 songs left today.")
        midnight = int((room.now() // DAY + 1) * DAY)
        assert await refused(ada, prompt="the shore") == (
            f"Your limit of new songs for today (2) is reached. It resets <t:{midnight}:R>, at "
            f"<t:{midnight}:t>. No credits were used."
        )
        assert await ada.refusal(await ada.use("cover", style="folk")) == await refused(ada, prompt="the dunes")
        await room.until(lambda: len(room.vidgo.submissions) == 3)
        await room.pass_until(lambda: room.tasks("finished") == 3)
        song = await ada.imports("Another Song")
        assert await ada.refusal(await ada.cover(song.id)) == (
            f"Your limit of covers for today (1) is reached. It resets <t:{midnight}:R>, at "
            f"<t:{midnight}:t>. No credits were used."
        )
        # Others have limits of their own, and everybody has new ones on the next day.
        call = await room.person("bob").use("music generate", prompt="the shore")
        assert (await call.reply()).content.endswith("1 of 2 songs left today.")
        await room.pass_until(lambda: room.tasks("finished") == 5)
        start_of_day(room)
        call = await ada.use("music generate", prompt="the moor")
        assert (await call.reply()).content.endswith("1 of 2 songs left today.")
        await room.pass_until(lambda: room.tasks("finished") == 6)


async def test_nobody_orders_what_is_not_allowed_and_a_server_has_a_limit_too(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "DAILY_SONGS_PER_USER": "-1",
        "DAILY_COVERS_PER_USER": "0",
        "DAILY_ORDERS_PER_SERVER": "1",
    }
    async with open_room(tmp_path, vidgo_seconds=BRIEF, **settings) as room:
        start_of_day(room)
        ada, bob = room.person("ada"), room.person("bob")
        song = await ada.imports("Sea Song")
        assert await ada.refusal(await ada.cover(song.id)) == (
            "You may not order covers in this server. No credits were used."
        )
        call = await ada.use("music generate", prompt="the sea")
        # Where the server's limit leaves less than the member's, it is the one that is told.
        assert (await call.reply()).content.endswith("All members of this server together: 0 of 1 orders left today.")
        midnight = int((room.now() // DAY + 1) * DAY)
        assert await refused(bob, prompt="the shore") == (
            f"This server's limit of orders for today (1) is reached. It resets <t:{midnight}:R>, at "
            f"<t:{midnight}:t>. No credits were used."
        )
        assert counted(room, bob) == (0, 0, 0)
        page = await (await bob.use("help")).reply()
        [limits] = [field["value"] for field in page.embeds[0]["fields"] if field["name"] == "Your limits"]
        assert limits.count("All members of this server together: 0 of 1 orders left today.") == 1
        assert "As many songs" not in limits
        await room.pass_until(lambda: room.tasks("finished") == 2)
        assert len(room.vidgo.submissions) == 1


async def test_a_server_in_which_nothing_may_be_ordered_says_so_and_promises_no_other_day(tmp_path: Path) -> None:
    async with open_room(tmp_path, vidgo_seconds=BRIEF, DAILY_ORDERS_PER_SERVER="0") as room:
        ada = room.person("ada")
        assert await refused(ada, prompt="the sea") == (
            "No songs may be made in this server at the moment. No credits were used."
        )
        page = await (await ada.use("help")).reply()
        [limits] = [field["value"] for field in page.embeds[0]["fields"] if field["name"] == "Your limits"]
        assert "All members of this server together: 0 of 0 orders left today." in limits
        assert "reset" not in limits
        assert room.vidgo.submissions == []


async def test_joining_and_posting_again_cost_nothing(tmp_path: Path) -> None:
    async with open_room(tmp_path, vidgo_seconds=BRIEF, DAILY_COVERS_PER_USER="1") as room:
        start_of_day(room)
        ada, bob = room.person("ada"), room.person("bob")
        song = await ada.imports("Sea Song")
        await bob.brings_in(song)
        first = await ada.cover(song.id)
        assert (await first.reply()).content.endswith("0 of 1 covers left today.")
        joined = await bob.cover(song.id)
        assert "left today" not in (await joined.reply()).content
        await room.pass_until(lambda: len(room.rows("SELECT 1 FROM notifications WHERE state = 'delivered'")) == 2)
        has_it = await (await ada.cover(song.id)).reply()
        assert "You have this one" in has_it.content
        again = await room.discord.press(ada.member, has_it, "Post again")
        await room.until(lambda: len(room.rows("SELECT 1 FROM notifications WHERE state = 'delivered'")) == 3)
        assert "covered before" in said(again.replies[0])
        assert (counted(room, ada), counted(room, bob)) == ((1, 0, 0), (0, 0, 0))
        assert len(room.vidgo.accepted(COVER)) == 1


async def test_what_is_refused_or_fails_is_given_back(tmp_path: Path) -> None:
    async with open_room(tmp_path, vidgo_seconds=BRIEF, DAILY_SONGS_PER_USER="1") as room:
        start_of_day(room)
        ada = room.person("ada")
        error = {"error": {"message": "The prompt was refused"}}
        room.vidgo.fault("submit", "status", status=400, body=error)
        told = await ada.failure(await ada.use("music generate", prompt="something rude"))
        assert "VidGo" in told.content
        assert counted(room, ada) == (0, 0, 1)
        room.vidgo.fault("submit", "lose_answer_before")
        call = await ada.use("music generate", prompt="the sea")
        await call.reply()
        assert counted(room, ada) == (0, 1, 1)
        await room.pass_until(lambda: room.tasks("given_up") == 1, stride=30)
        assert counted(room, ada) == (0, 0, 2)
        assert "0 of 1 songs left" in (await (await ada.use("music generate", prompt="the sea")).reply()).content
        await room.pass_until(lambda: room.tasks("finished") == 1)
        assert counted(room, ada) == (0, 1, 2)


async def test_what_comes_after_all_is_not_counted_again_and_nothing_is_given_back_twice(tmp_path: Path) -> None:
    async with open_room(tmp_path, vidgo_seconds=BRIEF, DAILY_SONGS_PER_USER="3") as room:
        start_of_day(room)
        ada = room.person("ada")
        room.vidgo.fault("submit", "lose_answer_after")
        room.vidgo.hold(SONG)
        call = await ada.use("music generate", prompt="the sea")
        await call.reply()
        await room.pass_until(lambda: room.tasks("given_up") == 1, stride=30)
        assert counted(room, ada) == (0, 0, 1)
        await room.bot.kill()
        await room.bot.start()
        room.vidgo.finish(room.vidgo.tasks[str(room.vidgo.accepted(SONG)[0].task_id)])
        await room.pass_until(lambda: room.tasks("finished") == 1)
        await room.until(lambda: any(message.attachments for message in ada.channel.messages))
        assert counted(room, ada) == (0, 0, 1)


async def test_what_is_stopped_before_vidgo_saw_it_is_given_back(tmp_path: Path) -> None:
    async with open_room(tmp_path, vidgo_seconds=BRIEF, DAILY_SONGS_PER_USER="1") as room:
        start_of_day(room)
        ada = room.person("ada")
        room.vidgo.fault("submit", "busy_plain", times=None)
        call = await ada.use("music generate", prompt="the sea")
        reply = await call.reply()
        assert reply.content.endswith("0 of 1 songs left today.")
        await room.until(lambda: room.vidgo.submissions and room.tasks("queued"))
        await room.discord.press(ada.member, reply, "Don't post")
        await room.until(lambda: room.tasks("failed") == 1)
        assert counted(room, ada) == (0, 0, 0)
        await room.until(lambda: "No credits were used" in reply.content)


async def test_forgetting_is_no_way_around_the_limits_of_today(tmp_path: Path) -> None:
    async with open_room(tmp_path, vidgo_seconds=BRIEF, DAILY_SONGS_PER_USER="1") as room:
        start_of_day(room)
        ada = room.person("ada")
        await (await ada.use("music generate", prompt="the sea")).reply()
        await room.pass_until(lambda: room.tasks("finished") == 1)
        start_of_day(room)
        await (await ada.use("music generate", prompt="the shore")).reply()
        await room.pass_until(lambda: room.tasks("finished") == 2)
        question = await (await ada.use("music forget")).reply()
        await room.discord.press(ada.member, question, "Forget everything")
        await room.until(lambda: "I have forgotten you" in question.content)
        midnight = int((room.now() // DAY + 1) * DAY)
        assert (
            f"How much you ordered today is counted until <t:{midnight}:f>, because of the limits; then I forget that "
            "too."
        ) in question.content
        assert len(room.rows("SELECT 1 FROM usage WHERE user_id = ?", ada.member.id)) == 1
        assert "is reached" in await refused(ada, prompt="the moor")
        start_of_day(room)
        await room.pass_until(lambda: not room.rows("SELECT 1 FROM usage WHERE user_id = ?", ada.member.id))
