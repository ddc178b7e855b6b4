"""Troubles with VidGo: orders whose answers are lost, reads that are refused, results that come late."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from sandbox.vidgo.records import CallbackFaults
from tests.faults.flows import SUBMITTED
from tests.faults.members import acknowledged, ended, under_way
from tests.faults.orders import COVER, SONG
from tests.faults.passing import pass_time, sleep
from tests.faults.troubles.playing import PATIENCE, Trouble, due

if TYPE_CHECKING:
    from sandbox.vidgo import Task
    from tests.faults.harness import Stage
    from tests.faults.orders import Order

DAY = 86400.0
HASTY = {"TASK_TIMEOUT_SECONDS": "60", "TASK_GIVE_UP_SECONDS": "120"}


def _of(stage: Stage, order: Order) -> Task:
    """Return VidGo's task for a song that was ordered."""
    return next(task for task in stage.vidgo.tasks.values() if task.input.get("prompt") == order.key)


async def _ordered(stage: Stage, count: int) -> None:
    """Wait until so many orders stand in the database."""
    await stage.until(lambda: len(stage.rows("SELECT id FROM tasks")) >= count, "orders")


async def a_minute_is_asked_for(stage: Stage, scale: int) -> None:
    """Let VidGo ask for a minute at a read, and the program die with orders that wait for it."""
    stage.vidgo.hold(COVER)
    first = due(await stage.cover(stage.song()))
    await under_way(stage, first)
    pause = stage.vidgo.fault("detail", "busy_retry_after", seconds=60)
    await pass_time(stage, 120, lambda: pause.struck > 0)
    await acknowledged(stage, *[due(await stage.generate()) for _ in range(6 * scale)])
    await pass_time(stage, 10)
    stage.program.kill()
    await stage.died()
    stage.vidgo.release(COVER)
    assert await stage.program.start()


async def a_minute_is_waited_for(stage: Stage, scale: int) -> None:
    """Let VidGo ask for a minute at a read while orders wait, and let more be ordered when all of them are made."""
    stage.vidgo.hold(COVER)
    first = due(await stage.cover(stage.song()))
    await under_way(stage, first)
    pause = stage.vidgo.fault("detail", "busy_retry_after", seconds=60)
    await pass_time(stage, 120, lambda: pause.struck > 0)
    orders = [due(await stage.generate()) for _ in range(4 * scale)]
    await acknowledged(stage, *orders)
    stage.vidgo.release(COVER)
    await pass_time(stage, 240, lambda: all(map(stage.ended, orders)))
    await acknowledged(stage, due(await stage.generate()))


async def a_queue_is_stopped(stage: Stage, scale: int) -> None:
    """Stop the program in good order while orders wait for their turn."""
    for _ in range(16 * scale):
        due(await stage.generate())
    await _ordered(stage, 16 * scale)
    await stage.vidgo.changes.until(lambda: len(stage.vidgo.submissions) > 2 or None, 20)
    assert await stage.program.stop() < 10
    assert await stage.program.start()


async def a_covers_order_is_lost(stage: Stage, scale: int) -> None:
    """Lose the answer to orders of covers, which VidGo makes once, by a fault and by a death, and all callbacks."""
    stage.vidgo.callback_faults = CallbackFaults(never=True)
    stage.vidgo.duplicate_style = "409_id"
    for _ in range(scale):
        stage.vidgo.fault("submit", "lose_answer_after", model=COVER)
        due(await stage.cover(stage.song()))
        await stage.vidgo.wait_submission(lambda one: one.model == COVER)
    stage.arm(SUBMITTED)
    due(await stage.cover(stage.song()))
    await stage.died()
    assert await stage.program.start()


async def a_songs_order_is_lost(stage: Stage, scale: int) -> None:
    """Lose the answer to the order of a song, and its callback until long after everybody was told."""
    stage.vidgo.callback_faults = CallbackFaults(never=True)
    orders = []
    for _ in range(scale):
        lost = stage.vidgo.fault("submit", "lose_answer_after", model=SONG)
        orders.append(due(await stage.generate()))
        await stage.vidgo.wait_fault(lost)
    await pass_time(stage, 400)
    for order in orders:
        await stage.vidgo.send_callback(_of(stage, order))


async def reads_hang(stage: Stage, _scale: int) -> None:
    """Let as many reads hang as there may be at once, and somebody else's song be finished meanwhile."""
    stage.vidgo.hold(SONG)
    waiting = [due(await stage.generate()) for _ in range(8)]
    await under_way(stage, *waiting)
    hanging = stage.vidgo.fault("detail", "hang", times=8)
    await pass_time(stage, 120, lambda: hanging.struck >= 8)
    order = due(await stage.generate(), PATIENCE)
    await under_way(stage, order)
    stage.vidgo.finish(_of(stage, order))
    with suppress(TimeoutError):
        await stage.until(lambda: bool(stage.posts(order)), "post", PATIENCE)
    stage.vidgo.clear_faults()
    stage.vidgo.release()


async def a_gateway_knows_no_route(stage: Stage, _scale: int) -> None:
    """Let a gateway in front of VidGo answer once, long after the order, that it knows no such address."""
    stage.vidgo.hold(SONG)
    order = due(await stage.generate())
    await under_way(stage, order)
    await pass_time(stage, 140)
    stray = stage.vidgo.fault("detail", "no_route")
    await pass_time(stage, 120, lambda: stray.struck > 0)
    await pass_time(stage, 20)
    stage.vidgo.release()


async def reads_are_answered_oddly(stage: Stage, _scale: int) -> None:
    """Let VidGo, and who stands in front of it, give odd answers to single reads of songs that are made."""
    stage.vidgo.hold(SONG)
    orders = [due(await stage.generate()) for _ in range(4)]
    await under_way(stage, *orders)
    await pass_time(stage, 140)
    odd = [
        stage.vidgo.fault("detail", "status", status=404),
        stage.vidgo.fault("detail", "html", status=403),
        stage.vidgo.fault("detail", "unknown_status"),
        stage.vidgo.fault("detail", "broken_json"),
    ]
    await pass_time(stage, 240, lambda: all(fault.struck for fault in odd))
    await pass_time(stage, 20)
    stage.vidgo.release()


async def a_pause_is_longer_than_the_deadline(stage: Stage, _scale: int) -> None:
    """Stop the program for longer than it waits for anything, and let the first answer afterwards be an error."""
    stage.vidgo.hold(SONG)
    order = due(await stage.generate())
    await under_way(stage, order)
    await stage.program.stop()
    stage.vidgo.finish(_of(stage, order))
    sleep(stage, DAY + 3600)
    stage.vidgo.fault("detail", "status", status=500)
    assert await stage.program.start()


async def what_was_given_up_is_imported(stage: Stage, _scale: int) -> None:
    """Import a song that was given up here, and was finished at VidGo after all."""
    stage.vidgo.hold(SONG)
    order = await stage.generate()
    await under_way(stage, order)
    await pass_time(stage, 400, lambda: bool(stage.posts(order) or order.sentences))
    made = _of(stage, order)
    stage.vidgo.finish(made)
    await asyncio.sleep(0)
    sleep(stage, 5)
    await stage.bring_in(made)


async def what_was_given_up_comes(stage: Stage, scale: int) -> None:
    """Let VidGo finish, and call back, after a song was given up."""
    stage.vidgo.hold(SONG)
    orders = [due(await stage.generate()) for _ in range(scale)]
    await under_way(stage, *orders)
    await pass_time(stage, 400, lambda: all(map(stage.ended, orders)))
    stage.vidgo.release()
    # Nothing but VidGo's callbacks shows that there is something to come.
    with suppress(TimeoutError):
        await stage.until(lambda: all(any(one.files for one in stage.posts(order)) for order in orders), "posts", 10)


async def files_come_after_the_end(stage: Stage, scale: int) -> None:
    """Let VidGo call results finished some seconds before it names their files."""
    stage.vidgo.files_lag = 20
    for _ in range(scale):
        due(await stage.generate())
        due(await stage.cover(stage.song()))


async def an_answer_has_large_headers(stage: Stage, _scale: int) -> None:
    """Answer an order with a header that is longer than clients mostly take."""
    stage.vidgo.fault("submit", "large_headers", size=9_000)
    due(await stage.generate())


async def a_connection_is_dead_already(stage: Stage, _scale: int) -> None:
    """Close a connection that was used before, at the moment in which an order is sent over it."""
    first = due(await stage.generate())
    await under_way(stage, first)
    stage.vidgo.fault("submit", "stale_connection")
    due(await stage.generate())


async def addresses_are_unusual(stage: Stage, _scale: int) -> None:
    """Name the files of performances by addresses with spaces, and by very long ones."""
    for kind in ("spaced", "long"):
        stage.vidgo.set_result(COVER, "audio", times=1)
        stage.vidgo.set_song_files(kind, model=COVER, times=1)
        order = due(await stage.cover(stage.song()))
        await ended(stage, order)


VIDGO = (
    Trouble("a minute is asked for, and the program dies", a_minute_is_asked_for, callbacks=False),
    Trouble("a minute is asked for, and waited for", a_minute_is_waited_for, callbacks=False),
    Trouble(
        "a queue of orders is stopped", a_queue_is_stopped, callbacks=False, settings={"VIDGO_REQUESTS_PER_SECOND": "1"}
    ),
    Trouble("a cover's order is lost", a_covers_order_is_lost, seconds=400),
    Trouble("a song's order is lost, and comes late", a_songs_order_is_lost, seconds=400),
    Trouble("reads of VidGo hang", reads_hang),
    Trouble("a gateway knows no route", a_gateway_knows_no_route, callbacks=False),
    Trouble("reads are answered oddly", reads_are_answered_oddly, callbacks=False),
    Trouble("a pause is longer than the deadline", a_pause_is_longer_than_the_deadline, callbacks=False),
    Trouble(
        "what was given up is imported",
        what_was_given_up_is_imported,
        callbacks=False,
        settings=HASTY,
    ),
    Trouble("what was given up comes after all", what_was_given_up_comes, settings=HASTY),
    Trouble("files come after the end", files_come_after_the_end),
    Trouble("an answer has large headers", an_answer_has_large_headers, callbacks=False),
    Trouble("a connection is dead already", a_connection_is_dead_already, callbacks=False),
    Trouble("addresses of files are unusual", addresses_are_unusual),
)
