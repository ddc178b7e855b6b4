"""What members do, one script for each way through the program."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.answers.interactions import DECIDE_SECONDS
from sandbox import music
from tests.faults.harness import Point
from tests.faults.members import again, choose_picture, heart
from tests.faults.orders import COVER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from sandbox.discord import Member
    from sandbox.vidgo import Task
    from tests.faults.harness import Stage
    from tests.faults.orders import Order


TRIES = 3
"""How often a command is given that may come too late to be answered, so that nothing comes of it."""


@dataclass(frozen=True)
class Flow:
    """A script; `callbacks` says whether VidGo can call back, `settings` what the program is told besides.

    `prepare` comes before any fault, and what it returns is given to `act`. With `first` the program dies there before
    the points of this flow are looked at: they are those of its recovery.
    """

    name: str
    act: Callable[[Stage, Any], Awaitable[object]]
    callbacks: bool = True
    prepare: Callable[[Stage], Awaitable[Any]] | None = None
    first: Point | None = None
    settings: Mapping[str, str] | None = None


async def cover(stage: Stage, _: object = None) -> None:
    """Order a cover."""
    await stage.cover(stage.song())


async def generate(stage: Stage, _: object = None) -> None:
    """Order a song."""
    await stage.generate()


async def recording(stage: Stage, _: object = None) -> None:
    """Have a recording of one's own covered."""
    member, channel = stage.guild.add_member("singer"), stage.channels[0]
    file = stage.discord.attach("hummed.mp3", music.compose("Hummed", style="folk", seconds=1))
    style = f"folk, number {next(stage.numbers)}"
    call = await stage.discord.slash(member, channel, "cover", file=file, style=style)
    stage.note("recording", member, channel, style, call)


async def posted_song(stage: Stage) -> Order:
    """Have a song posted."""
    return await _posted(stage, stage.generate)


async def posted_cover(stage: Stage) -> Order:
    """Have new artwork posted, in two pictures."""
    return await _posted(stage, lambda: stage.cover(stage.song()))


async def _posted(stage: Stage, begin: Callable[[], Awaitable[Order]]) -> Order:
    """Order something until it is posted."""
    for _ in range(TRIES):
        order = await begin()
        await stage.settle()
        if stage.posts(order):
            return order
    raise LookupError("nothing was posted")


async def ordered_again(stage: Stage, order: Order) -> None:
    """Press *Again* under a song."""
    await again(stage, order)


async def liked(stage: Stage, order: Order) -> None:
    """Press the heart under a song."""
    await heart(stage, order)


async def chosen_picture(stage: Stage, order: Order) -> None:
    """Choose the second of two pictures."""
    await choose_picture(stage, order, 2)


async def bring_in(stage: Stage) -> tuple[Task, list[Member]]:
    """Let two members bring in one song."""
    song = stage.song()
    return song, [await stage.bring_in(song), await stage.bring_in(song)]


async def same_song(stage: Stage, brought_in: tuple[Task, list[Member]]) -> None:
    """Let two members order the cover of one song at the same moment."""
    song, members = brought_in
    await asyncio.gather(*(stage.cover(song, member=member) for member in members))


async def failure(stage: Stage, _: object = None) -> None:
    """Order a cover that VidGo fails to make."""
    stage.vidgo.set_failure(COVER, "artwork could not be produced")
    await stage.cover(stage.song())


async def refusal(stage: Stage, _: object = None) -> None:
    """Order the cover of a song that does not exist."""
    await stage.refused()


def _slowly(stage: Stage) -> None:
    """Let VidGo take so long to tell of a song that the first answer cannot wait for it."""
    stage.vidgo.clear_faults("detail")
    stage.vidgo.fault("detail", "slow", seconds=1.5 * DECIDE_SECONDS)


async def late_cover(stage: Stage, _: object = None, *, title: str = "Harbour Lights") -> None:
    """Order a cover whose acknowledgement has to be put off."""
    _slowly(stage)
    await stage.cover(stage.song(title))


async def late_refusal(stage: Stage, _: object = None) -> None:
    """Order the cover of a song that does not exist, as turns out only after "thinking…"."""
    _slowly(stage)
    await stage.refused()


async def held_up(stage: Stage, _: object = None) -> None:
    """Order a cover while VidGo has no room."""
    stage.vidgo.clear_faults("submit")
    stage.vidgo.fault("submit", "busy_retry_after", seconds=0.3)
    await stage.cover(stage.song())


async def taken_over(stage: Stage, _: object = None) -> None:
    """Order a cover that was ordered elsewhere with the same key."""
    stage.vidgo.duplicate_style = "409_id"
    song = stage.song()
    made = stage.vidgo.runner.accept(COVER, {"task_id": song.id}, None)
    stage.vidgo.finish(made)
    await stage.cover(song)


async def not_wanted(stage: Stage, _: object = None) -> None:
    """Order a cover and press *Don't post* while it is made."""
    stage.vidgo.hold(COVER)
    order = await stage.cover(stage.song())
    await stage.stop_posting(order)
    stage.vidgo.release(COVER)


async def queue(stage: Stage, _: object = None) -> None:
    """Order more songs than may be sent at once."""
    await asyncio.gather(*(stage.generate() for _ in range(6)))


SLOWLY = {"VIDGO_REQUESTS_PER_SECOND": "4"}
"""A limit as real ones are, so that orders have to wait for their turn."""

UNACKNOWLEDGED = Point("discord POST /interactions/*/*/callback before", wire=True)
ACKNOWLEDGED = Point("discord POST /interactions/*/*/callback after", wire=True)
SUBMITTED = Point("vidgo POST /api/generate/submit after", wire=True)
POSTED = Point("discord POST /channels/*/messages after", wire=True)
DELETED = Point("discord DELETE /webhooks/*/*/messages/@original after", wire=True)

FLOWS = (
    Flow("cover, callback", cover),
    Flow("cover, polling", cover, callbacks=False),
    Flow("new song", generate),
    Flow("a recording", recording),
    Flow("a recording, polling", recording, callbacks=False),
    Flow("again", ordered_again, prepare=posted_song),
    Flow("a heart", liked, prepare=posted_song),
    Flow("a picture", chosen_picture, prepare=posted_cover),
    Flow("two for one song", same_song, callbacks=False, prepare=bring_in),
    Flow("VidGo fails", failure),
    Flow("refused", refusal),
    Flow("acknowledged late", late_cover),
    Flow("refused late", late_refusal),
    Flow("VidGo has no room", held_up, callbacks=False),
    Flow("made elsewhere", taken_over, callbacks=False),
    Flow("don't post", not_wanted),
    Flow("a queue", queue, settings=SLOWLY),
    Flow("restart, a recording", recording, first=SUBMITTED),
    Flow("restart, acknowledged", cover, first=ACKNOWLEDGED),
    Flow("restart, submitted", cover, first=SUBMITTED),
    Flow("restart, posted", cover, first=POSTED),
    Flow("restart, refused", refusal, first=ACKNOWLEDGED),
    Flow("restart, acknowledged late", late_cover, first=ACKNOWLEDGED),
    Flow("restart, refused late", late_refusal, first=ACKNOWLEDGED),
    Flow("restart, half refused", late_refusal, first=DELETED),
)
