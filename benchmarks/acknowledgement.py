"""How long a member waits for the first answer: from the dispatch of `/cover` to its callback.

Every command orders the cover of another song, so the bot does all its real work after each answer: it submits to
VidGo, rewrites its answer and notes it. The next commands meet that work, as they do in life. No cover ends within the
run, so nothing is posted meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.figures import Figure, p50, p99
from benchmarks.programs import Program
from benchmarks.stage import Side
from sandbox.discord import Call

P50_TARGET, P99_TARGET = 1.3, 2.0
PACE_SECONDS = 0.01
"""Between a command's last answer and the next command of the same round."""

QUIET_SECONDS = 0.05
ANSWER_SECONDS = 30.0


@dataclass(frozen=True)
class Load:
    """How much is measured: rounds of each program, and the commands in one of them."""

    rounds: int
    commands: int


async def one_at_a_time(floor: Side, bot: Side, load: Load) -> list[Figure]:
    """Measure commands that come alone."""
    times: dict[str, list[float]] = {"floor": [], "bot": []}
    for name, side in _alternating(floor, bot, load.rounds):
        await _calm(floor.program, bot.program)
        for _ in range(load.commands):
            call = await side.order()
            times[name].append(await call.acknowledged(ANSWER_SECONDS))
            await _finished(side, [call])
            await asyncio.sleep(PACE_SECONDS)
        side.forget()
    return _figures("ack_1", "Acknowledgement, 1 at a time", times)


async def at_once(floor: Side, bot: Side, load: Load) -> list[Figure]:
    """Measure bursts of commands by as many members."""
    times: dict[str, list[float]] = {"floor": [], "bot": []}
    for name, side in _alternating(floor, bot, load.rounds):
        await _calm(floor.program, bot.program)
        calls = await asyncio.gather(*(side.order() for _ in range(load.commands)))
        times[name] += await asyncio.gather(*(call.acknowledged(ANSWER_SECONDS) for call in calls))
        await _finished(side, calls)
        side.forget()
    return _figures(f"ack_{load.commands}", f"Acknowledgement, {load.commands} at once", times)


def _alternating(floor: Side, bot: Side, rounds: int) -> Iterator[tuple[str, Side]]:
    """Give each side its round, in turns that begin with either: a drift of the machine falls on both alike."""
    for number in range(rounds):
        pair = [("floor", floor), ("bot", bot)]
        yield from pair if number % 2 == 0 else reversed(pair)


async def _finished(side: Side, calls: list[Call]) -> None:
    """Wait for what follows the acknowledgement: the floor stops there, the bot says what it makes."""
    if side.does_the_work:
        for call in calls:
            await call.reply(ANSWER_SECONDS)
            if call.deleted_original:
                raise RuntimeError(f"the bot refused an order: {call.replies[0].content}")


async def _calm(*programs: Program) -> None:
    for program in programs:
        await program.quiet(QUIET_SECONDS)


def _figures(key: str, title: str, times: dict[str, list[float]]) -> list[Figure]:
    floor, bot = times["floor"], times["bot"]
    return [
        Figure(f"{key}_p50", f"{title}, p50", "ms", p50(floor), p50(bot), "ratio", P50_TARGET, len(bot)),
        Figure(f"{key}_p99", f"{title}, p99", "ms", p99(floor), p99(bot), "ratio", P99_TARGET, len(bot)),
    ]
