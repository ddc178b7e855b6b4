"""What the controls do to the wires, and what members then see; that needs the real bot, and no browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psutil
import pytest
import pytest_asyncio

from sandbox.play.books import Books
from sandbox.play.mischief import Mischief, NoSuchMischiefError
from sandbox.play.stage import CREDITS
from tests.play.conftest import turns

if TYPE_CHECKING:
    from sandbox.discord import Call, Message
    from tests.play.conftest import Play

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mischief(play: Play) -> Mischief:
    """The controls of the page, in a stage with a living bot."""
    await turns(play.stage, "alive")
    return Mischief(play.stage, Books(play.stage))


async def cover(play: Play, name: str, title: str, channel: int = 0) -> Call:
    """Let somebody order a cover of one of their songs."""
    stage = play.stage
    person = next(one for one in stage.people if one.name == name)
    place = stage.guild.channels[channel]
    choices = await stage.discord.autocomplete(person, place, "cover", "track", title)
    return await stage.discord.slash(person, place, "cover", track=choices[0].value)


async def posted(play: Play, call: Call) -> Message:
    """Wait for the cover that answers a command."""
    acknowledgement = await call.reply(20)
    return await call.channel.wait_for(lambda one: one.reference == acknowledgement.id and bool(one.attachments), 20)


async def test_a_callback_that_is_lost_costs_time_and_nothing_else(play: Play, mischief: Mischief) -> None:
    await mischief.do("callbacks", "lost")
    call = await cover(play, "ada", "Harbour")
    await posted(play, call)
    assert play.stage.vidgo.deliveries == []
    await mischief.do("callbacks", "once")


async def test_a_callback_that_comes_twice_posts_once(play: Play, mischief: Mischief) -> None:
    await mischief.do("callbacks", "twice")
    call = await cover(play, "ada", "Harvest")
    post = await posted(play, call)
    await play.stage.vidgo.wait_delivery(after=1)
    assert [one.status for one in play.stage.vidgo.deliveries] == [200, 200]
    await mischief.do("callbacks", "once")
    assert [one for one in call.channel.messages if one.reference == post.reference] == [post]


@pytest.mark.parametrize(
    ("what", "wrong", "right"),
    [("vidgo", "refuses", "as usual"), ("credits", False, True)],
    ids=["refused", "no credits"],
)
async def test_what_vidgo_does_not_take_is_neither_paid_nor_posted(
    play: Play, mischief: Mischief, what: str, wrong: Any, right: Any
) -> None:
    books = Books(play.stage)
    before = books.counts()
    await mischief.do(what, wrong)
    call = await cover(play, "ben", "Night")
    await call.changed.wait_for(lambda: any(one.ephemeral for one in call.replies), 20, "private word")
    await call.settled(20)
    assert {name: count - before[name] for name, count in books.counts().items() if name != "asked"} == {
        "ordered": 0,
        "paid": 0,
        "posted": 0,
    }
    await mischief.do(what, right)
    assert play.stage.vidgo.credits > 0


async def test_a_permission_that_is_missing_is_seen_before_anything_is_ordered(play: Play, mischief: Mischief) -> None:
    channel = play.stage.guild.channels[1]
    place = {"channel": str(channel.id), "name": "attach_files"}
    await mischief.do("permission", place | {"granted": False})
    ordered = len(play.stage.vidgo.submissions)
    reply = await (await cover(play, "ben", "Tin", channel=1)).reply(20)
    assert reply.ephemeral
    assert "Attach Files" in reply.content
    assert len(play.stage.vidgo.submissions) == ordered
    await mischief.do("permission", place | {"granted": True})
    await posted(play, await cover(play, "ben", "Tin", channel=1))


async def test_vidgo_can_be_slow_and_finish_without_files(play: Play, mischief: Mischief) -> None:
    vidgo = play.stage.vidgo
    usual = vidgo.seconds
    await mischief.do("vidgo", "slow")
    assert vidgo.seconds > 10 * usual
    await mischief.do("vidgo", "without files")
    assert vidgo.seconds == usual
    ordered = len(vidgo.accepted())
    await (await cover(play, "cleo", "Glass")).reply(20)
    await vidgo.wait_submission(lambda _: len(vidgo.accepted()) > ordered)
    task = await vidgo.wait_task(vidgo.accepted()[-1].task_id or "", "finished")
    assert task.files == []
    await mischief.do("vidgo", "as usual")


@pytest.mark.parametrize(
    ("what", "value"),
    [("explode", None), ("vidgo", "sings"), ("callbacks", ["once"]), ("credits", 5), ("permission", {"channel": "1"})],
)
async def test_what_is_not_known_changes_nothing(play: Play, mischief: Mischief, what: str, value: Any) -> None:
    before = mischief.settings()
    with pytest.raises(NoSuchMischiefError):
        await mischief.do(what, value)
    assert mischief.settings() == before
    assert before["credits"] <= CREDITS


async def test_it_can_be_killed_while_it_starts_and_started_again(play: Play, mischief: Mischief) -> None:
    for what in ("kill", "kill", "start", "start", "kill"):
        await mischief.do(what, None)
    assert (play.stage.life, play.stage.reason) == ("dead", "it was killed")
    await mischief.do("start", None)
    await turns(play.stage, "alive")


async def test_a_bot_that_dies_by_itself_is_told_of(play: Play, mischief: Mischief) -> None:
    (bot,) = [child for child in psutil.Process().children() if child.cmdline()[-1:] == ["run"]]
    bot.kill()
    await turns(play.stage, "dead")
    assert play.stage.reason == "ended by SIGKILL"
    await mischief.do("start", None)
    await turns(play.stage, "alive")
