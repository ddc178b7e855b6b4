"""Troubles with Discord: edge servers, AutoMod, locked threads, slow and busy channels."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from sandbox.discord.rest.faults import EDITS, POSTS
from tests.faults.flows import late_cover, late_refusal
from tests.faults.members import ended, under_way
from tests.faults.orders import COVER, SONG
from tests.faults.passing import pass_time, sleep
from tests.faults.troubles.playing import PATIENCE, Trouble, due

if TYPE_CHECKING:
    from tests.faults.harness import Stage

NONCE_SECONDS = 600.0
"""By then Discord has forgotten what it was sent."""


TRIES = 5
"""How often discord.py sends what Discord's servers fail at, before it says so."""


async def one_channel_is_slow(stage: Stage, _scale: int) -> None:
    """Post more results in a slow channel than may be posted at once, and somebody else's in another one."""
    slow, other = stage.channels[:2]
    fault = stage.discord.slow_posts(slow.id, 4)
    for _ in range(10):
        due(await stage.generate(slow))
    await fault.strikes(1, 20)
    order = due(await stage.generate(other), PATIENCE)
    with suppress(TimeoutError):
        await stage.until(lambda: bool(stage.posts(order)), "post", PATIENCE)
    fault.end()


async def one_channel_has_to_wait(stage: Stage, _scale: int) -> None:
    """Have Discord ask for a minute in one channel, and post somebody else's song in another one meanwhile."""
    busy, other = stage.channels[:2]
    fault = stage.discord.rate_limit("POST", f"^/channels/{busy.id}/messages$", 60, shared=True, lasting=True)
    for _ in range(10):
        due(await stage.generate(busy))
    await fault.strikes(1, 20)
    order = due(await stage.generate(other), PATIENCE)
    with suppress(TimeoutError):
        await stage.until(lambda: bool(stage.posts(order)), "post", PATIENCE)


async def an_edge_server_refuses(stage: Stage, scale: int) -> None:
    """Refuse posts with pages of an edge server, which knows nothing of channels."""
    for status in (403, 404) * scale:
        stage.discord.refuse_at_edge("POST", POSTS, status)
        order = due(await stage.generate())
        await under_way(stage, order)
        await stage.settle(3)


async def automod_refuses_an_acknowledgement(stage: Stage, _scale: int) -> None:
    """Let AutoMod refuse every edit that names a song; its post is another matter."""
    stage.discord.automod("edits", "Sea Song")
    due(await stage.generate(), patience=60)
    # One that was put off names its song by an edit.
    await late_cover(stage, title="Sea Song")
    due(stage.orders[-1], patience=60)


async def a_thread_is_locked(stage: Stage, _scale: int) -> None:
    """Lock threads while songs for them are made: open ones and archived ones."""
    orders = []
    stage.vidgo.hold(SONG)
    for name in ("open", "archived"):
        thread = stage.guild.add_thread(stage.channels[0], name)
        order = await stage.generate(thread)
        await under_way(stage, order)
        if name == "open":
            stage.discord.lock_thread(thread)
        else:
            stage.discord.archive_thread(thread, locked=True)
        orders.append(order)
    stage.vidgo.release()
    with suppress(TimeoutError):
        await ended(stage, *orders, seconds=5)


async def a_follow_up_is_refused(stage: Stage, scale: int) -> None:
    """Take no follow-up after "thinking…" was deleted, which is how a public answer turns private."""
    stage.discord.refuse_follow_ups_after_deletion()
    for _ in range(scale):
        await late_refusal(stage)
        with suppress(TimeoutError):
            await stage.until(lambda: bool(stage.orders[-1].sentences), "sentence")


async def a_post_is_lost_in_a_busy_channel(stage: Stage, _scale: int) -> None:
    """Lose the answer to a post by a death, a thousand messages after the acknowledgement."""
    stage.vidgo.hold(COVER)
    order = due(await stage.cover(stage.song()))
    await under_way(stage, order)
    stage.discord.chat(stage.guild.add_member("talker"), order.channel, 1100)
    await pass_time(stage, 60)
    post = stage.discord.hang("POST", POSTS, 30, when="after")
    stage.vidgo.release()
    await post.used_up()
    stage.program.kill()
    await stage.died()
    sleep(stage, NONCE_SECONDS)
    assert await stage.program.start()


async def a_word_of_delay_meets_the_end(stage: Stage, _scale: int) -> None:
    """Finish a song at the moment in which somebody is told that it takes longer than usual."""
    stage.vidgo.hold(SONG)
    order = due(await stage.generate())
    await under_way(stage, order)
    # Whether those words are a message or the edit of one.
    faults = [stage.discord.fail(*request, 503, times=TRIES) for request in (("POST", POSTS), ("PATCH", EDITS))]
    await pass_time(stage, 120, lambda: any(fault.over for fault in faults))
    stage.vidgo.release()
    await stage.settle(5)


DISCORD = (
    Trouble("one channel is slow", one_channel_is_slow),
    Trouble("one channel has to wait", one_channel_has_to_wait),
    Trouble("an edge server refuses posts", an_edge_server_refuses),
    Trouble("AutoMod refuses an acknowledgement", automod_refuses_an_acknowledgement),
    Trouble("a thread is locked", a_thread_is_locked),
    Trouble("a follow-up is refused", a_follow_up_is_refused),
    Trouble("a post is lost in a busy channel", a_post_is_lost_in_a_busy_channel),
    Trouble(
        "a word of delay meets the end",
        a_word_of_delay_meets_the_end,
        settings={"TASK_TIMEOUT_SECONDS": "30"},
        seconds=300,
    ),
)
