"""How long a member waits for the first answer: from the dispatch of `/cover` to its callback.

Every command orders the cover of another song, so the bot does all its real work after each answer: it submits to
VidGo and notes what VidGo says. Those that come at once meet that work, as they do in life; who comes alone waits for
nobody. No cover ends within the run, so nothing is posted meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.figures import Figure, p50, p99
from benchmarks.stage import Side
from sandbox.discord import Call

P50_TARGET, P99_TARGET = 1.3, 2.0
KEPT_P50_TARGET, KEPT_P99_TARGET = 1.15, 1.5
"""Beside a floor that keeps the same promise."""

QUIET_SECONDS = 0.05
ALONE_SECONDS = 0.03
ANSWER_SECONDS = 30.0


@dataclass(frozen=True)
class Load:
    """How much is measured: rounds of each program, and the commands in one of them."""

    rounds: int
    commands: int


async def one_at_a_time(floors: Sequence[Side], bot: Side, load: Load) -> list[Figure]:
    """Measure commands that come alone: the time, and what it takes of a processor."""
    times: dict[str, list[float]] = {}
    costs: dict[str, list[float]] = {}
    for side in _alternating([*floors, bot], load.rounds):
        for _ in range(load.commands):
            await _calm([*floors, bot], ALONE_SECONDS)
            used = side.program.used_exactly()
            call = await side.order()
            times.setdefault(side.name, []).append(await call.acknowledged(ANSWER_SECONDS))
            costs.setdefault(side.name, []).append((side.program.used_exactly() - used) * 1000)
            await _finished(side, [call])
        side.forget()
    title = "Acknowledgement, 1 at a time"
    return _figures("ack_1", title, floors, times) + [
        Figure(
            f"ack_1_cpu{floor.key}",
            f"{title}, processor{floor.title}, p50",
            "ms",
            p50(costs[floor.name]),
            p50(costs[bot.name]),
            "ratio",
            None,
            len(costs[bot.name]),
        )
        for floor in floors
    ]


async def at_once(floors: Sequence[Side], bot: Side, load: Load) -> list[Figure]:
    """Measure bursts of commands by as many members."""
    times: dict[str, list[float]] = {}
    for side in _alternating([*floors, bot], load.rounds):
        await _calm([*floors, bot], QUIET_SECONDS)
        calls = await asyncio.gather(*(side.order() for _ in range(load.commands)))
        waited = await asyncio.gather(*(call.acknowledged(ANSWER_SECONDS) for call in calls))
        times.setdefault(side.name, []).extend(waited)
        await _finished(side, calls)
        side.forget()
    return _figures(f"ack_{load.commands}", f"Acknowledgement, {load.commands} at once", floors, times)


def _alternating(sides: Sequence[Side], rounds: int) -> Iterator[Side]:
    """Give each side its round, in turns that begin with each: a drift of the machine falls on all alike."""
    for number in range(rounds):
        first = number % len(sides)
        yield from (*sides[first:], *sides[:first])


async def _finished(side: Side, calls: list[Call]) -> None:
    """See that the bot has answered with an order; the floors know nothing else."""
    if side.does_the_work:
        for call in calls:
            await call.reply(ANSWER_SECONDS)
            if call.deleted_original:
                raise RuntimeError(f"the bot refused an order: {call.replies[0].content}")


async def _calm(sides: Sequence[Side], seconds: float) -> None:
    for side in sides:
        await side.program.quiet(seconds)


def _figures(key: str, title: str, floors: Sequence[Side], times: dict[str, list[float]]) -> list[Figure]:
    bot, figures = times["bot"], []
    for side in floors:
        floor = times[side.name]
        most_p50, most_p99 = (KEPT_P50_TARGET, KEPT_P99_TARGET) if side.keeps else (P50_TARGET, P99_TARGET)
        named = f"{title}{side.title}"
        figures += [
            Figure(f"{key}_p50{side.key}", f"{named}, p50", "ms", p50(floor), p50(bot), "ratio", most_p50, len(bot)),
            Figure(f"{key}_p99{side.key}", f"{named}, p99", "ms", p99(floor), p99(bot), "ratio", most_p99, len(bot)),
        ]
    return figures
