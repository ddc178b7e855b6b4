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
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from benchmarks import acknowledgement, idle, posting, programs
from benchmarks.figures import Figure, table
from benchmarks.stage import open_stage

LATEST = Path(__file__).with_name("latest.json")
READY_SECONDS = 60.0


@dataclass(frozen=True)
class Plan:
    """How much of everything is measured."""

    alone: acknowledgement.Load
    bursts: acknowledgement.Load
    posts: posting.Load
    idle: idle.Load

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
)
QUICK = Plan(
    alone=acknowledgement.Load(rounds=2, commands=5),
    bursts=acknowledgement.Load(rounds=2, commands=50),
    posts=posting.Load(posts=4, warm_up=1, size=300_000),
    idle=idle.Load(starts_in_few=1, starts_in_many=1, few=1, many=20),
)


def main() -> int:
    """Measure and return the exit code: 1 when a target is missed and `--strict` asks for it, else 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="measure so little that the figures mean nothing")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a target is missed")
    parser.add_argument("--json", type=Path, default=LATEST, metavar="FILE", help="where the figures go")
    options = parser.parse_args()
    began = time.monotonic()
    figures, violations = asyncio.run(_measure(QUICK if options.quick else WHOLE))
    print(table(figures))
    missed = [figure.title for figure in figures if figure.verdict == "MISSED"]
    print(f"\n{len(missed)} of {sum(figure.target is not None for figure in figures)} targets missed", end="")
    print(f": {'; '.join(missed)}" if missed else "")
    print(f"{violations['judged']} requests judged by Discord's description, {violations['violations']} violations")
    seconds = time.monotonic() - began
    options.json.write_text(json.dumps(_report(figures, violations, options.quick, seconds), indent=2) + "\n", "utf-8")
    print(f"{seconds:.0f} s, written to {options.json}")
    return 1 if options.strict and (missed or violations["violations"]) else 0


async def _measure(plan: Plan) -> tuple[list[Figure], dict[str, int]]:
    with tempfile.TemporaryDirectory(prefix="coverbot-bench-") as name:
        directory = Path(name)
        _say("start and memory")
        figures = await idle.starts_and_memory(directory, plan.idle)
        async with open_stage(directory, plan.songs) as stage:
            # The stand-ins' own collections of garbage would fall on one program or the other.
            gc.collect()
            gc.freeze()
            gc.disable()
            floor, bot = stage.floor, stage.bot
            async with programs.bot(bot.discord, stage.database, stage.vidgo.api_url) as bot.program:
                async with programs.floor("floor_ack", floor.discord) as floor.program:
                    for side in (floor, bot):
                        await side.program.or_end(side.discord.wait_ready(READY_SECONDS))
                        await side.program.ready()
                    _say("acknowledgement")
                    alone = await acknowledgement.one_at_a_time(floor, bot, plan.alone)
                    bursts = await acknowledgement.at_once(floor, bot, plan.bursts)
                async with programs.floor("floor_pipe", floor.discord) as floor.program:
                    await floor.program.ready()
                    _say("callback to post")
                    posting.prepare(stage.vidgo, plan.posts)
                    bare = await posting.callback_to_post(floor, bot, plan.posts, picture=False)
                    whole = await posting.callback_to_post(floor, bot, plan.posts, picture=True)
            gc.enable()
            seen = {"judged": bot.discord.judged, "violations": len(bot.discord.violations)}
        return [*alone, *bursts, *bare, *whole, *figures], seen


def _say(what: str) -> None:
    print(f"measuring {what} …", file=sys.stderr, flush=True)


def _report(figures: list[Figure], violations: dict[str, int], quick: bool, seconds: float) -> dict[str, Any]:
    packages = ("aiohttp", "discord.py", "sqlalchemy")
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
