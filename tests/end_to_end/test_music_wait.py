"""The wait: what an acknowledgement says in between, how to stop it, and what comes of it when something is gone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.end_to_end.music import (
    archived,
    eventually,
    forge,
    handed_over,
    noted,
    open_music,
    perform,
    press,
    private_word,
    refusals,
    says,
)
from tests.end_to_end.world import COVER, SONG, said

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from sandbox.discord import Call, Message
    from tests.end_to_end.world import Person, World

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOKEN_SECONDS = 900


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A bot whose members wait."""
    async with open_music(tmp_path_factory.mktemp("wait")) as world:
        yield world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hasty(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A bot to which everything seems late after a second."""
    async with open_music(tmp_path_factory.mktemp("hasty"), TASK_TIMEOUT_SECONDS="1") as world:
        yield world


@pytest.fixture(autouse=True)
def let_go(request: pytest.FixtureRequest) -> Iterator[None]:
    """Leave nothing held that the next test waits for."""
    yield
    for name in {"world", "hasty"} & set(request.fixturenames):
        request.getfixturevalue(name).vidgo.release()


def jump(message: Message) -> str:
    """Return the address that leads to a message."""
    assert message.channel.guild is not None
    return f"https://discord.com/channels/{message.channel.guild.id}/{message.channel.id}/{message.id}"


def changes(world: World, message: Message) -> int:
    """Return how often the bot has asked Discord to change a message that people could see already."""
    return sum(one.method == "PATCH" and one.path.endswith(f"/messages/{message.id}") for one in world.discord.requests)


async def begin(person: Person, title: str) -> tuple[Call, Message]:
    """Bring in a song and order its cover, which will not be finished; return the call and its acknowledgement."""
    await person.imports(title)
    person.world.vidgo.hold(COVER)
    call = await person.cover(title)
    reply = await handed_over(person.world, await call.reply())
    await eventually(lambda: person.world.rows("SELECT 1 FROM tasks WHERE status IN ('queued', 'submitting')") == [])
    return call, reply


def answers(person: Person, message: Message) -> list[Message]:
    """Return the messages in a channel that answer another."""
    return [one for one in person.channel.messages if one.reference == message.id]


# What the acknowledgement says


async def test_it_changes_once_and_leads_to_the_result(world: World) -> None:
    ada = world.person("ada")
    call, acknowledgement = await begin(ada, "Straight On")
    first = acknowledgement.content
    assert "<t:" in first
    assert [button.label for button in acknowledgement.buttons] == ["Don't post"]
    world.vidgo.release()
    result = await ada.result(call)
    await says(acknowledgement, "is done:")
    assert jump(result) in acknowledgement.content
    assert acknowledgement.edits == [first]
    assert changes(world, acknowledgement) == 1
    assert acknowledgement.buttons == []
    assert acknowledgement.pings == set()


async def test_it_says_only_that_it_failed_and_the_reason_is_told_in_private(world: World) -> None:
    ada = world.person("ada")
    world.vidgo.set_failure(COVER, "no paint left", times=1)
    call, acknowledgement = await begin(ada, "Came To Nothing")
    first = acknowledgement.content
    world.vidgo.release()
    told = await ada.failure(call)
    assert "no paint left" in told.content
    await says(acknowledgement, "**Came To Nothing** could not be made.")
    assert "http" not in acknowledgement.content
    assert answers(ada, acknowledgement) == []
    assert acknowledgement.edits == [first]
    assert acknowledgement.buttons == []


async def test_it_says_once_that_it_is_late_and_the_result_apologises(hasty: World) -> None:
    ada = hasty.person("ada")
    _, acknowledgement = await begin(ada, "Slow Train")
    first = acknowledgement.content
    await says(acknowledgement, "**Slow Train** needs longer than most")
    assert [button.label for button in acknowledgement.buttons] == ["Don't post"]
    status = await (await ada.use("music status")).reply()
    assert re.search(r"\*\*Slow Train\*\* needs longer than most, still on it – started <t:\d+:R>", status.content)
    hasty.vidgo.release()
    result = await ada.channel.wait_for(lambda one: bool(one.files))
    assert result.reference == acknowledgement.id
    assert "Sorry that it took so long" in result.content
    await says(acknowledgement, "is done:")
    assert jump(result) in acknowledgement.content
    assert len(acknowledgement.edits) == 2
    assert acknowledgement.edits[0] == first
    assert changes(hasty, acknowledgement) == 2
    assert answers(ada, acknowledgement) == [result]


async def test_what_is_late_can_still_be_stopped(hasty: World) -> None:
    ada = hasty.person("ada")
    _, acknowledgement = await begin(ada, "Never Mind")
    await says(acknowledgement, "needs longer than most")
    await press(ada, acknowledgement, "Don't post")
    await says(acknowledgement, "will not be posted")
    hasty.vidgo.release()
    await ada.covered("Never Mind")  # asked for again, it comes, and nothing came before it
    assert answers(ada, acknowledgement) == []


# Don't post


async def test_stopped_nothing_is_posted_and_who_joined_still_gets_theirs(world: World) -> None:
    ada = world.person("ada")
    bob = world.person("bob", ada.channel)
    _, acknowledgement = await begin(ada, "Half Wanted")
    first = acknowledgement.content
    song = next(task for task in world.vidgo.tasks.values() if task.title == "Half Wanted")
    await bob.brings_in(song)
    joined = await bob.cover()
    assert "already" in said(await joined.reply())
    call = await press(ada, acknowledgement, "Don't post")
    await says(acknowledgement, "will not be posted")
    assert "may use credits all the same" in acknowledgement.content
    assert acknowledgement.buttons == []
    assert call.followups == []
    world.vidgo.release()
    result = await bob.result(joined)
    assert result.pings == {bob.member.id}
    assert len(result.attachments) == 1
    assert answers(ada, acknowledgement) == []
    assert acknowledgement.edits == [first]
    # Wanted after all, it is there at once, and charged no second time.
    again = await ada.cover("Half Wanted")
    assert "before" in said(await again.reply())
    await ada.result(again)
    assert answers(ada, acknowledgement) == []
    assert acknowledgement.edits == [first]
    assert world.submitted(song) == 1


async def test_stopped_in_the_queue_it_is_never_ordered(world: World) -> None:
    ada = world.person("ada")
    song = await ada.imports("Not Even Ordered")
    world.vidgo.fault("submit", "busy_retry_after", times=None, model=COVER, seconds=1)
    call = await ada.cover()
    acknowledgement = await handed_over(world, await call.reply())
    await says(acknowledgement, "has not taken")
    await press(ada, acknowledgement, "Don't post")
    await says(acknowledgement, "will not be posted")
    world.vidgo.clear_faults()
    tried = world.submitted(song)
    result = await ada.covered("Not Even Ordered")
    assert "New artwork" in result.content
    assert world.submitted(song) == tried + 1
    assert len([one for one in world.vidgo.accepted(COVER) if one.input == {"task_id": song.id}]) == 1
    assert answers(ada, acknowledgement) == []


async def test_what_is_posted_cannot_be_stopped(world: World) -> None:
    ada = world.person("ada")
    call, acknowledgement = await begin(ada, "Too Late To Stop")
    stop = str(acknowledgement.buttons[0].custom_id)
    world.vidgo.release()
    result = await noted(world, await ada.result(call))
    await says(acknowledgement, "is done:")
    assert "posted already" in await private_word(await forge(ada, acknowledgement, stop))
    assert not result.deleted
    assert jump(result) in acknowledgement.content


async def test_stopping_twice_is_stopping_once(world: World) -> None:
    ada = world.person("ada")
    _, acknowledgement = await begin(ada, "Twice No")
    stop = str(acknowledgement.buttons[0].custom_id)
    await press(ada, acknowledgement, "Don't post")
    await says(acknowledgement, "will not be posted")
    call = await forge(ada, acknowledgement, stop)
    await call.acknowledged()
    # What is asked for is so already, and said above the button.
    assert "will not be posted" in acknowledgement.content


# Something is gone


async def test_a_member_who_left_disturbs_nobody(world: World) -> None:
    ada = world.person("ada")
    call, acknowledgement = await begin(ada, "Left Behind")
    world.discord.remove_member(ada.member)
    world.vidgo.release()
    result = await ada.result(call)
    assert len(result.attachments) == 1
    assert result.pings == set()
    await says(acknowledgement, "is done:")


async def test_a_deleted_acknowledgement_is_not_missed(world: World) -> None:
    ada = world.person("ada")
    _, acknowledgement = await begin(ada, "Unread")
    world.discord.delete_message(acknowledgement)
    log = len(world.bot.log_lines)
    world.vidgo.release()
    result = await ada.channel.wait_for(lambda one: bool(one.files))
    assert result.reference is None
    assert result.pings == {ada.member.id}
    await world.bot.wait_log("cannot be changed", after=log)
    # It is asked for through its interaction too, by which alone a private one is found.
    assert refusals(world) == [("PATCH", 10008)] * 2


async def test_a_deleted_channel_sends_the_result_to_its_requester(world: World) -> None:
    ada = world.person("ada")
    _, _ = await begin(ada, "Homeless")
    world.discord.delete_channel(ada.channel)
    world.channels.remove(ada.channel)
    log = len(world.bot.log_lines)
    world.vidgo.release()
    direct = world.discord.dm(ada.member)
    result = await noted(world, await direct.wait_for(lambda one: bool(one.files)))
    assert "New artwork for **Homeless**" in result.content
    assert result.pings == {ada.member.id}
    await world.bot.wait_log("cannot be changed", after=log)
    # The acknowledgement is asked for through its interaction too, but is gone with its channel.
    assert set(refusals(world)) == {("POST", 10003), ("PATCH", 10003), ("PATCH", 10008)}
    # Its buttons work there too; those that order something, which would only refuse, are not there.
    assert [button.label for button in result.buttons] == ["Like", "Keep", "Remove"]
    call = await world.discord.press(ada.member, result, "Remove")
    await world.discord.wait_until(lambda: result.deleted)
    assert call.followups == []


async def test_a_closed_channel_tells_the_requester_through_the_interaction(world: World) -> None:
    ada = world.person("ada")
    call, acknowledgement = await begin(ada, "Locked Out")
    ada.channel.bot_permissions = {"view_channel", "read_message_history"}
    world.vidgo.release()
    await call.changed.wait_for(lambda: call.followups or None, 15, "follow-up")
    [told] = call.followups
    assert told.ephemeral
    assert "New artwork for **Locked Out**" in told.content
    assert len(told.attachments) == 1
    # The acknowledgement can still be changed, and leads nowhere wrong.
    await ada.channel.wait_for(lambda one: one is acknowledgement and bool(one.edits))
    assert "**Locked Out** is done" in acknowledgement.content
    assert "privately" in acknowledgement.content
    assert "discord.com/channels" not in acknowledgement.content
    assert acknowledgement.buttons == []
    assert refusals(world) == [("POST", 50013)]
    await noted(world, told)
    pressed = await world.discord.press(ada.member, told, "Remove")
    await world.discord.wait_until(lambda: told.deleted)
    assert pressed.followups == []


@pytest.mark.parametrize("direct", ["open", "closed"])
async def test_after_the_interaction_has_expired_the_requester_is_told_directly(world: World, direct: str) -> None:
    ada = world.person("ada")
    _, acknowledgement = await begin(ada, f"Long Gone {direct}")
    ada.channel.bot_permissions = {"view_channel", "read_message_history"}
    world.discord.advance(TOKEN_SECONDS + 1)
    world.discord.close_dms(ada.member, direct == "closed")
    log = len(world.bot.log_lines)
    world.vidgo.release()
    if direct == "open":
        result = await world.discord.dm(ada.member).wait_for(lambda one: bool(one.files))
        assert f"New artwork for **Long Gone {direct}**" in result.content
        await says(acknowledgement, "got it privately")
        assert refusals(world) == [("POST", 50013), ("POST", 50027)]
    else:
        await world.bot.wait_log("its requester cannot be reached", after=log)
        await says(acknowledgement, "is done, but I could not post it")
        assert refusals(world) == [("POST", 50013), ("POST", 50027), ("POST", 50007)]
    assert "discord.com/channels" not in acknowledgement.content
    assert acknowledgement.buttons == []


@pytest.mark.parametrize("locked", [False, True])
async def test_an_archived_thread_is_opened_again_unless_it_is_locked(world: World, locked: bool) -> None:
    ada = world.person("ada")
    ada.channel = world.thread(ada.channel, "songs")
    call, _ = await begin(ada, f"Shelved {locked}")
    world.discord.archive_thread(ada.channel, locked=locked)
    log = len(world.bot.log_lines)
    world.vidgo.release()
    if not locked:
        assert len((await ada.result(call)).attachments) == 1
        return
    # A locked thread takes nothing through the interaction either, so the song comes directly.
    told = await world.discord.dm(ada.member).wait_for(lambda one: bool(one.files), 15)
    assert f"New artwork for **Shelved {locked}**" in told.content
    await world.bot.wait_log("cannot be changed", after=log)
    assert call.followups == []
    assert refusals(world) == [("POST", 50083), ("POST", 50083), ("PATCH", 50083), ("PATCH", 50083)]


async def test_a_server_that_threw_the_bot_out_is_no_reason_to_fail(world: World) -> None:
    guild = world.discord.add_guild("Short Stay")
    ada = world.person("ada")
    ada.member = guild.add_member("ada")
    ada.channel = guild.add_channel("songs")
    await world.discord.wait_ready()
    _, _ = await begin(ada, "Thrown Out")
    log = len(world.bot.log_lines)
    world.discord.remove_guild(guild)
    world.discord.advance(TOKEN_SECONDS + 1)
    world.vidgo.release()
    await world.bot.wait_log("its requester cannot be reached", after=log)
    await world.bot.wait_log("cannot be changed", after=log)
    refused = {("POST", 50001), ("POST", 50027), ("POST", 50278), ("PATCH", 50001), ("PATCH", 50027)}
    assert set(refusals(world)) == refused
    assert world.bot.errors(log) == []


async def test_an_acknowledgement_is_kept_up_to_date_through_a_restart(world: World) -> None:
    ada = world.person("ada")
    call, acknowledgement = await begin(ada, "Meanwhile Down")
    await world.bot.kill()
    world.vidgo.release()
    await world.bot.start()
    result = await ada.result(call)
    await says(acknowledgement, "is done:")
    assert jump(result) in acknowledgement.content
    assert len(acknowledgement.edits) == 1


async def test_waiting_for_songs_and_performances_is_the_same(world: World) -> None:
    ada = world.person("ada")
    song = await ada.imports("All Alike")
    await archived(world, song)
    calls = [
        await ada.use("music generate", prompt="rain", title="All New"),
        await perform(ada, "jazz", "All Alike"),
        await ada.use("music extend", track="All Alike"),
    ]
    for call in calls:
        acknowledgement = await call.reply()
        result = await ada.result(call)
        await says(acknowledgement, "is done:")
        assert jump(result) in acknowledgement.content
        assert len(acknowledgement.edits) == 1
        assert changes(world, acknowledgement) == 1
    assert world.vidgo.accepted(SONG)
    await eventually(lambda: not world.rows("SELECT 1 FROM notifications WHERE ack_wanted IS NOT NULL"))
