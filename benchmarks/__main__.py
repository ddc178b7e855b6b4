"""`python -m benchmarks`: measure, print a table and write `benchmarks/latest.json`."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import platform
import sys
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from benchmarks import acknowledgement, deliveries, idle, library, posting, programs, scale
from benchmarks.figures import Figure, table
from benchmarks.stage import Stage, open_stage

LATEST = Path(__file__).with_name("latest.json")
PARTS = ("ack", "post", "idle", "find", "memory", "scale")
READY_SECONDS = 60.0


@dataclass(frozen=True)
class Plan:
    """How much of everything is measured."""

    alone: acknowledgement.Load
    bursts: acknowledgement.Load
    posts: posting.Load
    idle: idle.Load
    find: library.Load
    memory: deliveries.Load
    scale: scale.Load

    @property
    def songs(self) -> int:
        """How many songs it takes, as each is ordered once."""
        orders = self.alone.rounds * self.alone.commands + (self.bursts.rounds + 1) * self.bursts.commands
        return orders + 2 * (self.posts.posts + self.posts.warm_up)


WHOLE = Plan(
    alone=acknowledgement.Load(rounds=20, commands=20),
    bursts=acknowledgement.Load(rounds=24, commands=50),
    posts=posting.Load(posts=50, warm_up=5, size=3_000_000),
    idle=idle.Load(starts_in_few=5, starts_in_many=3, few=1, many=1000),
    find=library.Load(songs=5_000, few=10_000, many=1_000_000, samples=300),
    memory=deliveries.Load(files=200, size=10_000_000, settled_after=20),
    scale=scale.WHOLE,
)
QUICK = Plan(
    alone=acknowledgement.Load(rounds=2, commands=5),
    bursts=acknowledgement.Load(rounds=2, commands=50),
    posts=posting.Load(posts=4, warm_up=1, size=300_000),
    idle=idle.Load(starts_in_few=1, starts_in_many=1, few=1, many=20),
    find=library.Load(songs=100, few=200, many=2_000, samples=5),
    memory=deliveries.Load(files=8, size=300_000, settled_after=4),
    scale=scale.QUICK,
)


def main() -> int:
    """Measure and return the exit code: 1 when a target is missed and `--strict` asks for it, else 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="measure so little that the figures mean nothing")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a target is missed")
    parser.add_argument("--json", type=Path, default=LATEST, metavar="FILE", help="where the figures go")
    parser.add_argument("--only", choices=PARTS, action="append", help="measure one part; may be repeated")
    options = parser.parse_args()
    began = time.monotonic()
    figures, violations = asyncio.run(_measure(QUICK if options.quick else WHOLE, options.only or PARTS))
    print(table(figures))
    missed = [figure.title for figure in figures if figure.verdict == "MISSED"]
    print(f"\n{len(missed)} of {sum(figure.target is not None for figure in figures)} targets missed", end="")
    print(f": {'; '.join(missed)}" if missed else "")
    print(f"{violations['judged']} requests judged by Discord's description, {violations['violations']} violations")
    seconds = time.monotonic() - began
    options.json.write_text(json.dumps(_report(figures, violations, options.quick, seconds), indent=2) + "\n", "utf-8")
    print(f"{seconds:.0f} s, written to {options.json}")
    return 1 if options.strict and (missed or violations["violations"]) else 0


async def _measure(plan: Plan, parts: Collection[str]) -> tuple[list[Figure], dict[str, int]]:
    figures: list[Figure] = []
    seen = {"judged": 0, "violations": 0}
    with tempfile.TemporaryDirectory(prefix="coverbot-bench-") as name:
        directory = Path(name)
        if {"ack", "post"} & set(parts):
            async with open_stage(directory, plan.songs) as stage:
                with _no_collections():
                    figures += await _meet(stage, plan, parts)
                seen = {"judged": stage.bot.discord.judged, "violations": len(stage.bot.discord.violations)}
        if "idle" in parts:
            _say("start and memory")
            figures += await idle.starts_and_memory(directory, plan.idle)
        if "find" in parts:
            _say("finding songs")
            figures += await library.finding_songs(directory, plan.find)
        if "memory" in parts:
            _say("memory while delivering")
            figures += await deliveries.memory_while_delivering(directory, plan.memory)
        if "scale" in parts:
            figures += await scale.measure(directory, plan.scale)
    return figures, seen


async def _meet(stage: Stage, plan: Plan, parts: Collection[str]) -> list[Figure]:
    """Measure what members wait for, with one bot throughout, as it lives for weeks."""
    floor, keeper, bot = stage.floor, stage.keeper, stage.bot
    figures: list[Figure] = []
    async with programs.bot(bot.discord, stage.database, stage.vidgo.api_url) as bot.program:
        await bot.program.or_end(bot.discord.wait_ready(READY_SECONDS))
        await bot.program.ready()
        if "ack" in parts:
            async with stage.floors("floor_ack", "floor_order"):
                for side in (floor, keeper):
                    await side.program.or_end(side.discord.wait_ready(READY_SECONDS))
                _say("acknowledgement")
                figures += await acknowledgement.one_at_a_time([floor, keeper], bot, plan.alone)
                figures += await acknowledgement.at_once([floor, keeper], bot, plan.bursts)
        if "post" in parts:
            async with stage.floors("floor_pipe", "floor_delivery"):
                _say("callback to post")
                posting.prepare(stage.vidgo, plan.posts)
                figures += await posting.callback_to_post([floor, keeper], bot, plan.posts, picture=False)
                figures += await posting.callback_to_post([floor, keeper], bot, plan.posts, picture=True)
    return figures


@contextmanager
def _no_collections() -> Iterator[None]:
    """Put off this process's collections of garbage, which would fall on one program's answers or the other's."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def _say(what: str) -> None:
    print(f"measuring {what} …", file=sys.stderr, flush=True)


def _report(figures: list[Figure], violations: dict[str, int], quick: bool, seconds: float) -> dict[str, Any]:
    packages = ("aiohttp", "asyncpg", "discord.py", "sqlalchemy")
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "quick": quick,
        "machine": {
            "system": platform.platform(),
            "processors": psutil.cpu_count(),
            "python": platform.python_version(),
            "packages": {name: version(name) for name in packages},
        },
        "discord": violations,
        "figures": [asdict(figure) | {"value": figure.value, "verdict": figure.verdict} for figure in figures],
    }


if __name__ == "__main__":
    sys.exit(main())
