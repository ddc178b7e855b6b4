"""Whatever Discord does, each request ends once."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Literal

import pytest
import pytest_asyncio

from tests.faults.audit import assert_sound
from tests.faults.flows import ACKNOWLEDGED, POSTED, SUBMITTED, UNACKNOWLEDGED
from tests.faults.harness import Stage, open_stage
from tests.faults.orders import COVER, SONG

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.faults.orders import Order
    from tests.faults.program import Nursery

pytestmark = pytest.mark.asyncio(loop_scope="module")

POST = r"^/channels/\d+/messages$"
SHOW = r"^/channels/\d+/messages/\d+$"
ACKNOWLEDGE = r"^/interactions/"
ANSWER = r"^/webhooks/.*/messages/@original$"
FOLLOW_UP = r"^/webhooks/\d+/[\w-]+$"
REQUESTS = [("POST", POST), ("PATCH", SHOW), ("POST", ACKNOWLEDGE), ("PATCH", ANSWER), ("DELETE", ANSWER)]


@pytest_asyncio.fixture(loop_scope="module")
async def stage(nursery: Nursery, tmp_path: Path) -> AsyncIterator[Stage]:
    """A program with its stand-ins, audited at the end."""
    async with open_stage(nursery, tmp_path) as stage:
        yield stage
        await assert_sound(stage)


async def posted(stage: Stage, order: Order) -> str:
    """Release what VidGo holds back, and return what a member was told in the channel."""
    stage.vidgo.release(COVER)
    await stage.settle()
    [message] = stage.posts(order)
    return message.content


async def told(stage: Stage, order: Order) -> str:
    """Release what VidGo holds back, and return what a member was told in private."""
    stage.vidgo.release(COVER)
    await stage.settle()
    assert stage.posts(order) == []
    [message] = order.sentences
    return message.content


async def refused_late(stage: Stage) -> Order:
    """Let a member be refused after "thinking…", which comes first where the database is slow."""
    with closing(sqlite3.connect(stage.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        order = await stage.refused()
        await order.call.acknowledged()
        other.execute("ROLLBACK")
    return order


# The gateway


@pytest.mark.parametrize("how", ["cut", "closed", "asked to reconnect"])
async def test_the_gateway_goes_and_is_resumed(stage: Stage, how: str) -> None:
    order = await stage.waiting_cover()
    if how == "asked to reconnect":
        stage.discord.request_reconnect()
    else:
        stage.discord.drop_gateway(4000 if how == "closed" else None)
    assert "New artwork" in await posted(stage, order)
    await stage.discord.wait_until(lambda: stage.discord.resumed == 1, 20)
    await stage.generate()


async def test_the_session_is_invalid(stage: Stage) -> None:
    order = await stage.waiting_cover()
    before = stage.discord.identified
    stage.discord.invalid_session()
    assert "New artwork" in await posted(stage, order)
    await stage.discord.wait_until(lambda: stage.discord.identified > before, 20)
    await stage.discord.wait_ready(newer_than=before)
    await stage.generate()


async def test_the_gateway_is_out_of_reach_for_a_while(stage: Stage) -> None:
    order = await stage.waiting_cover()
    stage.discord.refuse_gateway()
    stage.discord.drop_gateway()
    assert "New artwork" in await posted(stage, order)
    stage.discord.refuse_gateway(False)
    await stage.generate()


# Refused, limited, broken and lost


async def test_the_api_is_out_of_reach_for_a_while(stage: Stage) -> None:
    order = await stage.waiting_cover()
    stage.discord.refuse_rest()
    unheard = await stage.generate()
    refused = await stage.refused()
    stage.vidgo.release(COVER)
    await stage.until(lambda: unheard.call.late and refused.call.late, "end of Discord's patience")
    stage.discord.refuse_rest(False)
    assert "New artwork" in await posted(stage, order)
    assert stage.ignored(unheard)
    assert stage.ignored(refused)
    assert stage.rows("SELECT status FROM tasks WHERE user_id = ?", unheard.member.id) == [{"status": "failed"}]
    assert all(one.model != SONG for one in stage.vidgo.submissions)


async def test_the_api_goes_between_acknowledgement_and_sentence(stage: Stage) -> None:
    # aiohttp itself repeats a DELETE once.
    fault = stage.discord.lose_answer("DELETE", ANSWER, times=2, when="before")
    order = await refused_late(stage)
    await fault.used_up()
    assert "interrupted" in await told(stage, order)


@pytest.mark.parametrize("times", [2, 7])
@pytest.mark.parametrize("global_", [False, True])
async def test_too_many_requests(stage: Stage, times: int, global_: bool) -> None:
    # discord.py waits for the first five itself, and then gives up.
    order = await stage.waiting_cover()
    stage.discord.rate_limit("POST", POST, 0.1, times, global_=global_)
    stage.discord.rate_limit("PATCH", SHOW, 0.1, times, global_=global_)
    assert "New artwork" in await posted(stage, order)


async def test_many_results_for_one_channel_keep_to_its_limit(stage: Stage) -> None:
    await asyncio.gather(*(stage.cover(stage.song(), stage.channels[0]) for _ in range(8)))
    await assert_sound(stage)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("status", [500, 502])
async def test_a_server_error(stage: Stage, status: int, when: Literal["before", "after"]) -> None:
    for method, path in REQUESTS:
        stage.discord.fail(method, path, status, when=when)
    cover, refused = await stage.cover(stage.song()), await stage.refused()
    assert "New artwork" in await posted(stage, cover)
    assert "I do not know a song" in await told(stage, refused)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_an_answer_is_lost(stage: Stage, when: Literal["before", "after"]) -> None:
    for method, path in REQUESTS:
        stage.discord.lose_answer(method, path, when=when)
    await stage.cover(stage.song())
    await stage.refused()
    verdict = await assert_sound(stage)
    assert verdict.repeated == 0


async def test_a_result_is_refused_by_the_server_for_long(stage: Stage) -> None:
    # Five tries of discord.py's, and two of the bot's own.
    order = await stage.waiting_cover()
    stage.discord.fail("POST", POST, 503, times=2)
    assert "New artwork" in await posted(stage, order)


@pytest.mark.parametrize("how", ["500", "lost"])
async def test_a_private_sentence_whose_answer_is_lost_may_be_said_again(stage: Stage, how: str) -> None:
    if how == "lost":
        stage.discord.lose_answer("POST", FOLLOW_UP)
    else:
        stage.discord.fail("POST", FOLLOW_UP, when="after")
    order = await refused_late(stage)
    verdict = await assert_sound(stage)
    assert verdict.repeated == 1
    assert "I do not know a song" in order.sentences[0].content


@pytest.mark.parametrize("how", ["500", "lost"])
async def test_a_private_first_answer_whose_answer_is_lost_is_said_once(stage: Stage, how: str) -> None:
    if how == "lost":
        stage.discord.lose_answer("POST", ACKNOWLEDGE)
    else:
        stage.discord.fail("POST", ACKNOWLEDGE, when="after")
    order = await stage.refused()
    verdict = await assert_sound(stage)
    assert verdict.repeated == 0
    [message] = order.sentences
    assert "I do not know a song" in message.content


# The token


async def test_the_token_expires_while_vidgo_works(stage: Stage) -> None:
    order = await stage.waiting_cover()
    stage.discord.advance(901)
    assert "New artwork" in await posted(stage, order)


async def test_the_token_expires_before_anything_was_ordered(stage: Stage) -> None:
    stage.arm(ACKNOWLEDGED)
    order = await stage.cover(stage.song())
    await stage.died()
    assert stage.vidgo.submissions == []
    stage.discord.advance(901)
    await stage.recover()
    # The acknowledgement that everybody sees is found again in its channel, and kept.
    assert "New artwork" in await posted(stage, order)
    assert order.public is not None
    assert "is done" in order.public.content


async def test_the_token_expires_without_any_answer(stage: Stage) -> None:
    stage.arm(UNACKNOWLEDGED)
    order = await stage.cover(stage.song())
    await stage.died()
    stage.discord.advance(901)
    await stage.recover()
    assert stage.ignored(order)
    assert stage.posts(order) == []
    assert stage.vidgo.submissions == []


async def test_the_token_expires_before_the_acknowledgement(stage: Stage) -> None:
    stage.arm(SUBMITTED)
    order = await stage.cover(stage.song())
    await stage.died()
    stage.discord.advance(901)
    await stage.recover()
    assert "New artwork" in await posted(stage, order)


async def test_what_was_posted_is_found_after_discord_has_forgotten_the_nonce(stage: Stage) -> None:
    stage.arm(POSTED)
    order = await stage.cover(stage.song())
    await stage.died()
    stage.discord.advance(600)
    await stage.recover()
    assert "New artwork" in await posted(stage, order)


# Permissions


@pytest.mark.parametrize("lost", ["view_channel", "send_messages", "attach_files", "embed_links"])
async def test_a_permission_is_taken_away_before_the_result(stage: Stage, lost: str) -> None:
    order = await stage.waiting_cover()
    order.channel.bot_permissions = order.channel.bot_permissions - {lost}
    assert "New artwork" in await told(stage, order)


async def test_without_the_history_the_result_comes_without_a_reply(stage: Stage) -> None:
    order = await stage.waiting_cover()
    order.channel.bot_permissions = order.channel.bot_permissions - {"read_message_history"}
    assert "New artwork" in await posted(stage, order)


async def test_a_closed_channel_and_an_expired_token_leave_the_direct_message(stage: Stage) -> None:
    order = await stage.waiting_cover()
    order.channel.bot_permissions = order.channel.bot_permissions - {"send_messages"}
    stage.discord.advance(901)
    assert "New artwork" in await told(stage, order)
    assert not order.sentences[0].ephemeral


async def test_who_has_closed_every_way_is_given_up(stage: Stage) -> None:
    order = await stage.waiting_cover()
    order.unreachable = True
    order.channel.bot_permissions = order.channel.bot_permissions - {"send_messages"}
    stage.discord.close_dms(order.member)
    stage.discord.advance(901)
    stage.vidgo.release(COVER)
    await stage.settle()
    [row] = stage.rows("SELECT state, error FROM notifications WHERE user_id = ?", order.member.id)
    assert row == {
        "state": "undeliverable",
        "error": "HTTP 403, code 50007: Cannot send messages to this user",
    }
    assert order.public is not None
    assert "is done, but I could not post it" in order.public.content


# What goes away


async def test_the_acknowledgement_is_deleted(stage: Stage) -> None:
    order = await stage.waiting_cover()
    assert order.public is not None
    stage.discord.delete_message(order.public)
    assert "New artwork" in await posted(stage, order)


async def test_the_channel_is_deleted(stage: Stage) -> None:
    order = await stage.waiting_cover()
    stage.discord.delete_channel(order.channel)
    assert "New artwork" in await told(stage, order)
    assert not order.sentences[0].ephemeral


@pytest.mark.parametrize("how", ["deleted", "locked", "archived"])
async def test_the_thread_goes(stage: Stage, how: str) -> None:
    thread = stage.guild.add_thread(stage.channels[0], "songs")
    order = await stage.waiting_cover(thread)
    if how == "deleted":
        stage.discord.delete_channel(thread)
        assert "New artwork" in await told(stage, order)
    elif how == "locked":
        stage.discord.archive_thread(thread, locked=True)
        assert "New artwork" in await told(stage, order)
    else:
        stage.discord.archive_thread(thread)
        assert "New artwork" in await posted(stage, order)


async def test_the_server_throws_the_bot_out(stage: Stage) -> None:
    order = await stage.waiting_cover()
    stage.discord.remove_guild(stage.guild)
    assert "New artwork" in await told(stage, order)
