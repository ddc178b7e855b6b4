"""Posting results: exactly once, somewhere, and never because somebody on the way said no."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest

from bot.answers import interactions
from sandbox.discord.rest.faults import EDITS, FOLLOW_UPS, POSTS, When
from tests.end_to_end.music import forge
from tests.end_to_end.world import SONG
from tests.servers.test_server_settings import changed, manager, open_panel
from tests.tasks.room import open_room

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.discord import Call, Message
    from tests.end_to_end.world import Person
    from tests.tasks.room import Room


def posts(person: Person) -> list[Message]:
    return [message for message in person.channel.messages if message.files]


def directly(room: Room, person: Person) -> list[Message]:
    """Return what the bot has written to a person alone."""
    return room.discord.dm(person.member).messages


def states(room: Room) -> list[str]:
    """Return the states of all notifications of orders."""
    return [row["state"] for row in room.rows("SELECT state FROM notifications WHERE task_id IS NOT NULL")]


async def an_order(room: Room, person: Person) -> Call:
    """Let somebody order a new song, which VidGo holds."""
    room.vidgo.hold(SONG)
    call = await person.use("music generate", prompt="the sea")
    await call.reply()
    await room.until(lambda: room.tasks("waiting"))
    await room.settle()
    return call


def finish(room: Room) -> None:
    """Let VidGo finish every song."""
    for task in list(room.vidgo.tasks.values()):
        room.vidgo.finish(task)


# Somebody on the way says no


@pytest.mark.parametrize(("status", "code"), [(403, 0), (404, 0), (403, 40333), (429, 0), (502, 0), (503, 0)])
async def test_an_edges_no_to_the_post_is_not_discords(tmp_path: Path, status: int, code: Literal[0, 40333]) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        await an_order(room, ada)
        edge = room.discord.refuse_at_edge("POST", POSTS, status, times=5, code=code)
        finish(room)
        await room.pass_until(lambda: posts(ada))
        assert edge.over
        assert not directly(room, ada)
        assert len(posts(ada)) == 1


async def test_an_edge_that_says_no_for_hours_is_outlived(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        await an_order(room, ada)
        edge = room.discord.refuse_at_edge("POST", POSTS, 403, times=None)
        finish(room)
        await room.pass_until(lambda: len(edge.struck) > 25, stride=30, limit=20_000)
        assert states(room) == ["sending"]
        edge.end()
        await room.pass_until(lambda: posts(ada), stride=10)
        assert "<html" not in room.bot.log


async def test_a_limit_on_all_of_discord_is_waited_for(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        await an_order(room, ada)
        limit = room.discord.rate_limit("*", r"^/channels/", 75, global_=True, lasting=True)
        finish(room)
        await room.pass_until(lambda: limit.struck)
        _, passed = await room.pass_until(lambda: posts(ada))
        assert passed < 120
        assert len(posts(ada)) == 1


# The channel refuses for good


@pytest.mark.parametrize("code", [50001, 50013, 10003])
async def test_a_closed_channel_is_left_for_a_private_word_at_once(tmp_path: Path, code: int) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        call = await an_order(room, ada)
        room.discord.refuse("POST", POSTS, code, times=None)
        before = room.now()
        finish(room)
        await room.until(lambda: [one for one in call.replies if one.ephemeral and one.files])
        assert room.now() - before < 15
        await room.until(lambda: "got it privately" in call.replies[0].content)


async def test_an_acknowledgement_in_a_channel_that_the_bot_no_longer_sees_promises_nothing_more(
    tmp_path: Path,
) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        call = await an_order(room, ada)
        ada.channel.bot_permissions = []
        finish(room)
        await room.until(lambda: [one for one in call.replies if one.ephemeral and one.files])
        await room.until(lambda: "got it privately" in call.replies[0].content)
        assert call.replies[0].buttons == []


@pytest.mark.parametrize("late", [False, True])
async def test_what_a_closed_channel_leaves_for_a_private_word_is_in_its_readers_language(
    tmp_path: Path, late: bool
) -> None:
    async with open_room(tmp_path) as room:
        mia, ada = manager(room), room.person("ada")
        panel = await open_panel(mia)
        await room.discord.select(mia.member, panel, "settings:language", ["de"])
        await changed(room, panel, "**Language**: · → de")
        call = await an_order(room, ada)
        assert "entsteht gerade" in call.replies[0].content
        if late:
            room.advance(16 * 60)  # the interaction takes nothing any more
        room.discord.refuse("POST", rf"^/channels/{ada.channel.id}/messages$", 50013, times=None)
        finish(room)
        await room.until(lambda: states(room) == ["delivered"])
        told = directly(room, ada)[0] if late else call.replies[-1]
        assert "here is your song **the sea**" in told.content
        assert "Remove" in [button.label for button in told.buttons]


@pytest.mark.parametrize("archived", [True, False])
async def test_a_locked_thread_is_left_for_a_direct_message(tmp_path: Path, archived: bool) -> None:
    async with open_room(tmp_path) as room:
        thread = room.thread(room.guild.add_channel("harbour"), "songs")
        ada = room.person("ada", thread)
        await an_order(room, ada)
        if archived:
            room.discord.archive_thread(thread, locked=True)
        else:
            room.discord.lock_thread(thread)
        finish(room)
        await room.until(lambda: directly(room, ada))
        [message] = directly(room, ada)
        assert message.files
        assert not posts(ada)
        await room.until(lambda: states(room) == ["delivered"])


async def test_a_locked_thread_of_somebody_who_takes_no_direct_messages_is_given_up_truthfully(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        thread = room.thread(room.guild.add_channel("harbour"), "songs")
        ada = room.person("ada", thread)
        room.discord.close_dms(ada.member)
        call = await an_order(room, ada)
        room.discord.archive_thread(thread, locked=True)
        finish(room)
        await room.until(lambda: states(room) == ["undeliverable"])
        await room.settle()
        room.discord.archive_thread(thread, locked=False)
        assert "could not post it" not in call.replies[0].content, "the thread took no edit either"


@pytest.mark.parametrize("status", [400, 403])
async def test_a_reply_that_needs_the_history_comes_as_no_reply(tmp_path: Path, status: int) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        await an_order(room, ada)
        room.discord.refuse("POST", POSTS, 160002, status=status)
        finish(room)
        await room.until(lambda: posts(ada))
        assert posts(ada)[0].reference is None


async def test_what_a_server_blocks_comes_privately(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        call = await an_order(room, ada)
        room.discord.automod("posts", "the sea")
        finish(room)
        await room.until(lambda: [one for one in call.replies if one.ephemeral and one.files])
        await room.until(lambda: "got it privately" in call.replies[0].content)
        assert states(room) == ["delivered"]


async def test_what_discord_takes_nowhere_is_told_of_in_one_sentence(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        call = await an_order(room, ada)
        room.discord.refuse("POST", f"{POSTS}|{FOLLOW_UPS}", 50035, text="here is your song", times=None)
        finish(room)
        await room.until(lambda: states(room) == ["delivered"])
        assert "Discord refuses its message" in ada.channel.messages[-1].content
        await room.until(lambda: "is finished, but could not be posted: " in call.replies[0].content)


async def test_what_discord_takes_nowhere_and_may_not_be_named_is_told_of_privately(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        call = await an_order(room, ada)
        room.discord.refuse("POST", f"{POSTS}|{FOLLOW_UPS}", 50035, text="here is your song", times=None)
        room.discord.automod("posts", "the sea")
        finish(room)
        await room.until(lambda: states(room) == ["delivered"])
        assert [one for one in call.replies if one.ephemeral and "Discord refuses its message" in one.content]
        await room.until(lambda: "could not post it" in call.replies[0].content)


# The acknowledgement is a courtesy


@pytest.fixture
def put_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every command be told first that its answer comes later, as in a crowd."""
    monkeypatch.setattr(interactions, "CROWD", 0)


@pytest.mark.usefixtures("put_off")
@pytest.mark.parametrize("text", ["Making", ""])
async def test_an_acknowledgement_that_a_server_blocks_holds_up_nothing(tmp_path: Path, text: str) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        room.vidgo.hold(SONG)
        room.discord.automod("edits", text)
        call = await ada.use("music generate", prompt="the sea")
        await room.until(lambda: states(room) == ["waiting"])
        if text:
            assert "post the result here" in call.replies[0].content
        else:
            assert call.deleted_original
        await room.until(lambda: room.tasks("waiting"))
        finish(room)
        await room.until(lambda: posts(ada))
        await room.settle()


@pytest.mark.usefixtures("put_off")
@pytest.mark.parametrize("kind", ["hang", "edge", "fail"])
async def test_a_result_waits_for_no_acknowledgement_that_cannot_be_had(tmp_path: Path, kind: str) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        if kind == "hang":
            fault = room.discord.hang("PATCH", EDITS, 600, times=None)
        elif kind == "edge":
            fault = room.discord.refuse_at_edge("PATCH", EDITS, 403, times=None)
        else:
            fault = room.discord.fail("PATCH", EDITS, 503, times=None)
        room.vidgo.hold(SONG)
        call = await ada.use("music generate", prompt="the sea")
        await fault.strikes(1)
        await room.until(lambda: room.tasks("waiting"))
        finish(room)
        _, passed = await room.pass_until(lambda: posts(ada))
        assert passed < 30
        fault.end()
        await room.pass_until(lambda: bool(call.replies) and "is done" in call.replies[0].content)


@pytest.mark.usefixtures("put_off")
async def test_words_that_were_on_their_way_do_not_stay_where_the_post_was_stopped(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        late = room.discord.hang("PATCH", EDITS, 5, times=1)
        room.vidgo.hold(SONG)
        call = await ada.use("music generate", prompt="the sea")
        await late.strikes(1)
        assert call.original is not None
        [row] = room.rows("SELECT id FROM notifications")
        await forge(ada, call.original, f"stop:{row['id']}")
        await room.until(lambda: states(room) == ["cancelled"])
        await room.until(lambda: any(one.path.endswith("@original") and one.status for one in room.discord.requests))
        await room.settle()
        assert "will not be posted" in call.original.content
        assert call.original.buttons == []


async def test_an_acknowledgement_that_is_refused_for_ever_is_left_alone(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        await an_order(room, ada)
        room.discord.refuse_at_edge("PATCH", EDITS, 403, times=None)
        finish(room)
        await room.until(lambda: posts(ada))
        room.advance(86_400)
        await room.until(lambda: not room.rows("SELECT 1 FROM notifications WHERE ack_wanted IS NOT NULL"))


# Exactly once


@pytest.mark.parametrize("downtime", [0, 3600])
async def test_a_post_whose_answer_was_lost_is_found_again_in_a_busy_channel(tmp_path: Path, downtime: int) -> None:
    async with open_room(tmp_path) as room:
        ada, _eve = room.person("ada"), room.person("eve")
        await an_order(room, ada)
        for _ in range(4):
            room.advance(60)
            await room.settle()
            room.discord.chat(ada.member, ada.channel, 100)
        lost = room.discord.lose_answer("POST", POSTS)
        finish(room)
        await lost.used_up()
        room.discord.chat(ada.member, ada.channel, 350)
        if downtime:
            await room.settle()
            await room.bot.stop()
            room.advance(downtime)
            room.discord.chat(ada.member, ada.channel, 350)
            await room.bot.start()
        await room.pass_until(lambda: states(room) == ["delivered"])
        assert len(posts(ada)) == 1


@pytest.mark.parametrize("between", ["the next try", "a death"])
async def test_what_went_out_directly_is_found_there_before_the_channel_gets_it_too(
    tmp_path: Path, between: str
) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        call = await an_order(room, ada)
        room.advance(16 * 60)  # the interaction takes nothing any more
        room.discord.refuse("POST", rf"^/channels/{ada.channel.id}/messages$", 50013)
        lost = room.discord.lose_answer("POST", rf"^/channels/{room.discord.dm(ada.member).id}/messages$")
        finish(room)
        await lost.used_up()
        if between == "a death":
            await room.bot.kill()
            await room.bot.start()
        await room.pass_until(lambda: states(room) == ["delivered"])
        await room.settle()
        assert len(directly(room, ada)) == 1
        assert directly(room, ada)[0].files
        assert not posts(ada)
        await room.until(lambda: "got it privately" in call.replies[0].content)


async def test_a_post_that_is_removed_while_its_answer_is_lost_stays_removed(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        await an_order(room, ada)
        lost = room.discord.lose_answer("POST", POSTS)
        room.discord.refuse_at_edge("GET", POSTS, 503, times=2)
        finish(room)
        await lost.used_up()
        [post] = posts(ada)
        await room.discord.press(ada.member, post, "Remove")
        await room.until(lambda: post.deleted)
        room.advance(600)
        await room.settle()
        assert states(room) == ["cancelled"]
        assert not posts(ada)


async def test_a_post_that_is_removed_while_it_is_being_sent_stays_removed(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        await an_order(room, ada)
        slow = room.discord.hang("POST", POSTS, 20, when="after")
        finish(room)
        await slow.strikes(1)
        [post] = posts(ada)
        await room.discord.press(ada.member, post, "Remove")
        await room.until(lambda: post.deleted)
        room.advance(20)
        await room.settle()
        assert states(room) == ["cancelled"]
        room.advance(600)
        await room.settle()
        assert not posts(ada)


async def forget_everything(room: Room, person: Person) -> None:
    """Let somebody have everything forgotten."""
    asked = await (await person.use("music forget")).reply()
    call = await room.discord.press(person.member, asked, "Forget everything")
    await room.until(lambda: "I have forgotten you" in asked.content)
    assert call.acknowledged_at is not None


@pytest.mark.parametrize("when", ["before", "after"])
async def test_whoever_is_forgotten_while_the_post_is_sent_does_not_reappear(tmp_path: Path, when: When) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        await an_order(room, ada)
        slow = room.discord.hang("POST", POSTS, 20, when=when)
        finish(room)
        await slow.strikes(1)
        await forget_everything(room, ada)
        room.advance(20)
        await room.settle()
        await room.until(lambda: not posts(ada))
        assert room.rows("SELECT 1 FROM notifications WHERE user_id = ?", ada.member.id) == []
        assert room.rows("SELECT 1 FROM library WHERE user_id = ?", ada.member.id) == []


async def test_whoever_is_forgotten_while_the_file_is_fetched_does_not_reappear(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        room.vidgo.set_song_files("trickle", model=SONG, rate=2_000)
        await an_order(room, ada)
        finish(room)
        await room.until(lambda: room.tasks("finished"))
        await forget_everything(room, ada)
        room.vidgo.clear_song_files()
        for _ in range(10):
            room.advance(30)
            await room.settle()
        assert not posts(ada)
        assert room.rows("SELECT 1 FROM library WHERE user_id = ?", ada.member.id) == []


async def test_whoever_is_forgotten_while_vidgo_works_gets_no_library_back(tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        ada = room.person("ada")
        await an_order(room, ada)
        await forget_everything(room, ada)
        finish(room)
        await room.until(lambda: room.tasks("finished") or not room.rows("SELECT 1 FROM tasks"))
        await room.settle()
        assert not posts(ada)
        assert room.rows("SELECT 1 FROM library") == []
