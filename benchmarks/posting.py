"""How long a finished cover is on its way: from VidGo's callback being sent to the message in the channel."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.figures import Figure, p50, p99
from benchmarks.stage import COVER, Side
from sandbox.artwork import paint
from sandbox.discord import Message
from sandbox.music import compose_of_size
from sandbox.vidgo import Task, VidGoStandIn

P50_TARGET = 1.3
KEPT_TARGET, KEPT_PICTURE_TARGET = 1.4, 1.5
"""Beside a floor that keeps the same promises."""

TITLE = "Benchmark"
QUIET_SECONDS = 0.05
POST_SECONDS = 30.0


@dataclass(frozen=True)
class Load:
    """How much is measured: posts by each program, after some that do not count, and the size of the MP3 in bytes."""

    posts: int
    warm_up: int
    size: int


def prepare(vidgo: VidGoStandIn, load: Load) -> None:
    """Let every cover be an MP3 of that size, and a picture where the result has one: the same bytes each time."""
    vidgo.callbacks = "wrapped"
    song, picture = compose_of_size(TITLE, load.size), paint(TITLE, fmt="jpeg")
    vidgo.set_song_files("bytes", model=COVER, data=song, content_type="audio/mpeg")
    vidgo.set_song_files("bytes", model=COVER, media="image", data=picture, content_type="image/jpeg")


async def callback_to_post(floors: Sequence[Side], bot: Side, load: Load, *, picture: bool) -> list[Figure]:
    """Measure all sides in turns. The result has one variant: an MP3, with a picture or without."""
    vidgo, sides = bot.vidgo, [*floors, bot]
    vidgo.set_result(COVER, "audio" if picture else "audio_no_image")
    times: dict[str, list[float]] = {side.name: [] for side in sides}
    costs: dict[str, list[float]] = {side.name: [] for side in sides}
    song = compose_of_size(TITLE, load.size)
    for number in range(-load.warm_up, load.posts):
        first = number % len(sides)
        for side in (*sides[first:], *sides[:first]):
            task, asked = await (_order(side) if side.does_the_work else _arrange(side))
            for each in sides:
                await each.program.quiet(QUIET_SECONDS)
            used, sent_at = side.program.used_exactly(), time.monotonic()
            vidgo.finish(task)
            message = await side.channel.wait_for(replies_to(asked), POST_SECONDS)
            if number >= 0:
                times[side.name].append((message.created_at_monotonic - sent_at) * 1000)
                costs[side.name].append((side.program.used_exactly() - used) * 1000)
            if len(message.files) != (2 if picture else 1) or message.files[0].data != song:
                raise RuntimeError(f"{side.name} posted something else: {message}")
            for file in message.files:
                file.data = b""  # hundreds of songs would fill the memory
    key = "post_picture" if picture else "post"
    size = f"{load.size / 1e6:g} MB MP3"
    title = f"Callback to post, {size}{' + picture' if picture else ''}"
    slow, dear = times[bot.name], costs[bot.name]
    kept_target = KEPT_PICTURE_TARGET if picture else KEPT_TARGET
    figures = []
    for floor in floors:
        name, fast, cheap = f"{title}{floor.title}", times[floor.name], costs[floor.name]
        most = kept_target if floor.keeps else P50_TARGET
        figures += [
            Figure(f"{key}_p50{floor.key}", f"{name}, p50", "ms", p50(fast), p50(slow), "ratio", most, load.posts),
            Figure(f"{key}_p99{floor.key}", f"{name}, p99", "ms", p99(fast), p99(slow), "ratio", None, load.posts),
            Figure(f"{key}_cpu{floor.key}", f"{name}, cpu p50", "ms", p50(cheap), p50(dear), "ratio", None, load.posts),
        ]
    return figures


async def _order(bot: Side) -> tuple[Task, Message]:
    """Let a member order a cover; return VidGo's task and the message that promises it."""
    known = len(bot.vidgo.submissions)
    call = await bot.order()
    promise = await call.reply(POST_SECONDS)
    submission = await bot.vidgo.wait_submission(after=known)
    return bot.vidgo.tasks[submission.task_id or ""], promise


async def _arrange(floor: Side) -> tuple[Task, Message]:
    """Give VidGo a task whose callback names a message for the floor to reply to."""
    member, _ = next(floor.orders)
    asked = floor.discord.post_as(member, floor.channel, "cover my song")
    song = floor.vidgo.add_song(TITLE, seconds=120, variants=1)
    url = f"http://127.0.0.1:{floor.program.port}/{floor.channel.id}/{asked.id}"
    return floor.vidgo.runner.accept(COVER, {"task_id": song.id}, url), asked


def replies_to(asked: Message) -> Callable[[Message], bool]:
    """Recognise the message that replies to another."""
    return lambda message: message.reference == asked.id
