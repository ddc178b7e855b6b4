"""The owner is told what only the owner can mend: once, when it begins, and when it is over."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, NamedTuple

import pytest

from bot.servers.conditions import FULL_BYTES, ROOM_BYTES, SILENCE_SECONDS
from bot.servers.watch import BALANCE_SECONDS, SILENT_SECONDS, TROUBLED_SECONDS
from storage.servers.alarms import DAY, GATHER_SECONDS
from tests.end_to_end.world import KEY, SONG
from tests.tasks.room import open_room

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.discord import User
    from tests.tasks.room import Room


def told(room: Room, owner: User | None = None) -> list[str]:
    """Return what the owner was told."""
    return [message.content for message in room.discord.state.direct(owner or room.discord.state.owner).messages]


async def tells(room: Room, words: str, *, times: int = 1, stride: float = 5.0, limit: float = 7200.0) -> float:
    """Let time pass until the owner was told something so often, and return how many seconds that took."""
    _, passed = await room.pass_until(
        lambda: sum(words in one for one in told(room)) >= times, stride=stride, limit=limit
    )
    assert sum(words in one for one in told(room)) == times
    return passed


async def pass_time(room: Room, seconds: float, *, stride: float = 300.0) -> None:
    """Let some time pass in which everybody does what they do."""
    until = room.now() + seconds
    while room.now() < until:
        room.advance(min(stride, until - room.now()))
        await room.settle()


def alarm(room: Room, kind: str) -> dict[str, object]:
    [row] = room.rows("SELECT * FROM alarms WHERE kind = ?", kind)
    return row


# The key


async def test_a_key_that_is_refused_is_told_at_the_start_and_once_over_restarts(tmp_path: Path) -> None:
    async with open_room(tmp_path, start=False) as room:
        room.vidgo.revoke_key()
        await room.bot.start()
        assert await tells(room, "VidGo refuses this bot's key, first seen <t:") < 60
        assert told(room)[0].endswith(
            "so nothing can be ordered. Make a new key in VidGo's dashboard, put it into `VIDGO_API_KEY`, and "
            "restart me."
        )
        assert any("refuses VIDGO_API_KEY" in line for line in room.bot.log_lines)
        assert KEY not in told(room)[0]
        await room.bot.stop()
        await room.bot.start()
        await pass_time(room, 2 * TROUBLED_SECONDS)
        await room.bot.kill()
        await room.bot.start()
        await pass_time(room, 2 * DAY, stride=4 * 3600)
        assert len(told(room)) == 1
        room.vidgo.revoked = False
        assert await tells(room, "VidGo takes this bot's key again.") <= TROUBLED_SECONDS + 60
        await pass_time(room, 2 * BALANCE_SECONDS)
        assert len(told(room)) == 2
        assert alarm(room, "key")["state"] == "quiet"


async def test_that_a_key_is_taken_again_is_seen_after_a_restart(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        room.vidgo.revoke_key()
        await ada.use("music generate", prompt="the sea")
        await tells(room, "VidGo refuses this bot's key")
        await room.bot.kill()
        room.vidgo.revoked = False
        await room.bot.start()
        assert await tells(room, "VidGo takes this bot's key again.") < 60


async def test_what_is_over_before_anybody_was_told_is_not_told(tmp_path: Path) -> None:
    async with open_room(tmp_path, start=False) as room:
        room.vidgo.revoke_key()
        out = room.discord.refuse_at_edge("POST", "^/users/@me/channels$", 503, times=None)
        await room.bot.start()
        await room.until(lambda: out.struck, "attempt to tell the owner")
        await room.bot.kill()
        room.discord.clear_faults()
        room.vidgo.revoked = False
        await room.bot.start()
        await pass_time(room, 1200)
        assert told(room) == []
        assert alarm(room, "key")["state"] == "quiet"


# Credits


async def test_few_credits_are_told_and_that_there_are_enough_again(tmp_path: Path) -> None:
    async with open_room(tmp_path, start=False) as room:
        room.vidgo.credits = 60
        await room.bot.start()
        await tells(
            room,
            "This bot's VidGo account has 60 credits left, fewer than 100. Top it up before members are refused; "
            "`CREDITS_WARNING` sets from when on I tell you.",
        )
        assert "the VidGo account has 60 credits" in room.bot.log
        room.vidgo.credits = 50
        await pass_time(room, BALANCE_SECONDS)
        room.vidgo.credits = 500
        assert await tells(room, "This bot's VidGo account has enough credits again: 500.") <= TROUBLED_SECONDS + 60
        await pass_time(room, 2 * BALANCE_SECONDS)
        room.vidgo.credits = 20  # again, on the same day
        await pass_time(room, 6 * BALANCE_SECONDS)
        assert len(told(room)) == 2
        assert await tells(room, "has 20 credits left", stride=1800, limit=DAY) > DAY - 12 * BALANCE_SECONDS


async def test_no_credits_are_told_when_an_order_is_refused_and_that_there_are_more_only_when_seen(
    tmp_path: Path,
) -> None:
    async with open_room(tmp_path, CREDITS_WARNING="0") as room:
        ada = room.person("ada")
        room.vidgo.credits = 2
        call = await ada.use("music generate", prompt="the sea")
        assert "has run out of credits" in (await ada.failure(call)).content
        await tells(
            room,
            "This bot's VidGo account has too few credits left for orders: 2. Top it up; I need no restart.",
        )
        await room.bot.kill()
        await room.bot.start()
        await pass_time(room, 3 * BALANCE_SECONDS)
        assert len(told(room)) == 1
        room.vidgo.credits = 300
        await tells(room, "This bot's VidGo account has credits again: 300.")
        await pass_time(room, 2 * BALANCE_SECONDS)
        assert len(told(room)) == 2


async def test_no_credits_are_told_where_nobody_knows_how_many_there_are_and_that_orders_are_taken_again(
    tmp_path: Path,
) -> None:
    async with open_room(tmp_path) as room:
        await room.until(lambda: "credits" in room.bot.log, "the balance")
        room.vidgo.fault("balance", "status", status=404, body={"message": "no Route matched"}, times=None)
        room.vidgo.credits = 2
        ada = room.person("ada")
        await ada.failure(await ada.use("music generate", prompt="the sea"))
        await tells(
            room,
            "VidGo refuses orders because this bot's account has too few credits. Top it up; I need no restart.",
        )
        await room.bot.stop()
        await room.bot.start()
        room.vidgo.credits = 300
        await (await ada.use("music generate", prompt="the shore")).reply()
        await tells(room, "VidGo takes orders again.")
        await room.pass_until(lambda: room.tasks("finished"))
        assert len(told(room)) == 2


async def test_the_balance_is_asked_for_seldom(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await room.until(lambda: "the VidGo account has 1000 credits" in room.bot.log, "the balance")
        await pass_time(room, 10 * BALANCE_SECONDS)
        asked = sum(one.path.endswith("/balance") for one in room.vidgo.requests)
        assert 9 <= asked <= 12
        assert told(room) == []


# VidGo out of reach


async def test_vidgo_out_of_reach_is_told_after_ten_minutes_and_when_it_answers(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await room.until(lambda: "credits" in room.bot.log, "the balance")
        room.vidgo.fault("balance", "lose_answer_before", times=None)
        await tells(room, "VidGo has given me no usable answer since <t:", stride=60)
        assert told(room)[0].endswith(":f>. I keep trying, and tell you when it answers again.")
        log = next(line for line in room.bot.log_lines if "VidGo has given no usable answer for" in line)
        assert SILENCE_SECONDS / 60 <= float(log.split()[-2]) <= (SILENCE_SECONDS + 2 * SILENT_SECONDS) / 60
        room.vidgo.clear_faults("balance")
        await tells(room, "VidGo answers again. It gave me no usable answer from <t:")
        assert len(told(room)) == 2


async def test_a_short_outage_is_not_told(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        await room.until(lambda: "credits" in room.bot.log, "the balance")
        fault = room.vidgo.fault("balance", "status", status=503, lasting=400)
        await room.pass_until(lambda: fault.struck, stride=60)
        await pass_time(room, 3600, stride=120)
        assert told(room) == []


# The disk


class Usage(NamedTuple):
    total: int
    used: int
    free: int


async def test_a_disk_that_is_nearly_full_is_told_and_that_it_has_room_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = FULL_BYTES - 1

    def usage(_: Path) -> Usage:
        return Usage(10**10, 10**10 - free, free)

    monkeypatch.setattr(shutil, "disk_usage", usage)  # a disk of one's own needs a privileged user
    async with open_room(tmp_path) as room:
        await tells(
            room,
            "The disk that I keep my files on is nearly full: 499 MB are free. Make room, or lower "
            "`ARCHIVE_MAX_BYTES`; when it is full I can take no orders.",
        )
        free = FULL_BYTES + 1
        await pass_time(room, 600)
        free = ROOM_BYTES
        await tells(room, "There is room again on the disk that I keep my files on: 750 MB are free.")
        assert len(told(room)) == 2


# Results


async def test_results_that_are_given_up_are_told_together_and_when_all_have_come(tmp_path: Path) -> None:
    async with open_room(tmp_path, TASK_GIVE_UP_SECONDS="3600") as room:
        room.vidgo.hold(SONG)
        for name in ("ada", "bob"):
            person = room.person(name)
            await (await person.use("music generate", prompt=f"the sea of {name}")).acknowledged()
        await room.pass_until(lambda: room.tasks("given_up") == 2, stride=60)
        words = (
            "I have given up on 2 results for which VidGo may have charged. The log says why; the last of them is task "
        )
        assert await tells(room, words) <= GATHER_SECONDS + 60
        ids = [row["id"] for row in room.rows("SELECT id FROM tasks")]
        assert any(task in told(room)[0] for task in ids)
        await room.bot.stop()
        await room.bot.start()
        room.vidgo.release()
        await room.pass_until(lambda: room.tasks("finished") == 2)
        await tells(room, "What I had given up on has come after all.")
        assert len(told(room)) == 2


async def test_a_result_without_files_is_told_with_its_task(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        room.vidgo.set_result(SONG, "no_files")
        await room.person("ada").use("music generate", prompt="the sea")
        await room.pass_until(lambda: room.tasks("failed"))
        await tells(
            room,
            f"I have given up on a result for which VidGo may have charged. The log says why: look for task "
            f"{room.task()['id']}.",
        )


# Who is told, and how


async def test_a_death_while_the_owner_is_told_does_not_tell_twice(tmp_path: Path) -> None:
    async with open_room(tmp_path, start=False) as room:
        direct = room.discord.state.direct(room.discord.state.owner)
        room.vidgo.credits = 60
        hanging = room.discord.hang("POST", rf"^/channels/{direct.id}/messages$", 1e6, when="after")
        await room.bot.start()
        await room.until(lambda: hanging.struck and told(room), "the message")
        ada = room.person("ada")
        assert "no songs here yet" in str(
            (await (await ada.use("music library")).reply()).components
        )  # nobody waits for it
        await room.bot.kill()
        room.discord.clear_faults()
        room.advance(1200)  # Discord has forgotten the nonce
        await room.bot.start()
        await room.pass_until(lambda: alarm(room, "credits_low")["state"] == "told")
        assert len(told(room)) == 1
        room.vidgo.credits = 600
        await tells(room, "enough credits again")


async def test_each_of_a_team_is_told_who_can_be_and_has_accepted(tmp_path: Path) -> None:
    async with open_room(tmp_path, start=False) as room:
        ada, bob, cleo = room.discord.make_team("ada", "bob", invited=["cleo"])
        for person in (ada, bob, cleo):
            room.guild.add_member(person)
        bob.dms_open = False
        room.vidgo.revoke_key()
        await room.bot.start()
        await room.pass_until(lambda: alarm(room, "key")["state"] == "told")
        assert [len(told(room, person)) for person in (ada, bob, cleo)] == [1, 0, 0]
        assert told(room) == []
        assert sum("takes no direct message" in line for line in room.bot.log_lines) == 1
        room.vidgo.revoked = False
        await room.pass_until(lambda: alarm(room, "key")["state"] == "quiet", stride=30)
        assert [len(told(room, person)) for person in (ada, bob, cleo)] == [2, 0, 0]


async def test_whoever_owner_ids_names_is_told_in_their_language(tmp_path: Path) -> None:
    async with open_room(tmp_path, start=False) as room:
        ada = room.person("ada")
        ada.member.user.locale = "de"
        room.bot.settings["OWNER_IDS"] = f"{ada.member.id}, 17"
        await room.bot.start()
        await (await ada.use("music library")).reply()
        room.vidgo.revoke_key()
        await ada.use("music generate", prompt="the sea")
        await room.pass_until(lambda: told(room, ada.member.user))
        assert "den Schlüssel dieses Bots ab" in told(room, ada.member.user)[0]
        await room.until(lambda: "the owner 17 takes no direct message" in room.bot.log, "the other one's line")
        assert told(room) == []


async def test_an_owner_is_told_when_discord_can_be_reached_again(tmp_path: Path) -> None:
    async with open_room(tmp_path, start=False) as room:
        room.vidgo.revoke_key()
        direct = room.discord.state.direct(room.discord.state.owner)
        fault = room.discord.refuse_at_edge("POST", rf"^/channels/{direct.id}/messages$", 503, times=None)
        await room.bot.start()
        await room.pass_until(lambda: len(fault.struck) > 3)
        assert told(room) == []
        room.discord.clear_faults()
        await tells(room, "VidGo refuses this bot's key")


# The version of the model


async def test_a_version_that_vidgo_refuses_is_told_to_the_owner_and_is_no_fault_of_a_members(tmp_path: Path) -> None:
    async with open_room(tmp_path, VIDGO_MUSIC_VERSION="V6") as room:
        ada = room.person("ada")
        call = await ada.use("music generate", prompt="the sea")
        refused = await room.until(lambda: next((one for one in call.replies if one.ephemeral), None))
        assert refused.content.startswith("VidGo does not take the model version that this bot asks for")
        assert refused.content.endswith("No credits were used.")
        await tells(room, "VidGo refuses the model version that I ask for, first seen <t:")
        assert told(room)[0].endswith(
            "so songs cannot be ordered. Set another one in `VIDGO_MUSIC_VERSION`, and restart me."
        )
        assert any("refuses VIDGO_MUSIC_VERSION" in line for line in room.bot.log_lines)
        # A cover has no version, and is no sign that it is taken.
        await ada.imports("Sea")
        await ada.cover()
        await pass_time(room, 600)
        assert alarm(room, "version")["state"] == "told"
        await room.bot.stop()
        room.bot.settings["VIDGO_MUSIC_VERSION"] = "V4_5"
        await room.bot.start()
        await ada.use("music generate", prompt="the sea")
        await tells(room, "VidGo takes the model version that I ask for again.")
        assert room.vidgo.submissions[-1].input["mv"] == "V4_5"
