"""What the managers of a server read about what was used."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

import discord

from bot.words.cards import COLOUR
from bot.words.sentences.limits import NO_LIMIT
from bot.words.sentences.owners import plain
from bot.words.text import Text
from storage.servers.usage import DAY_SECONDS, Used

DAYS = 30
SHOWN_MEMBERS = 15
CHART_LINES = 4
_BARS = " ▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Usage:
    """What was ordered in a server: by member today and in the last days, and how much on each of them, up to today."""

    today: int
    now: Sequence[Used]
    by_member: Sequence[Used]
    counts: Sequence[int]
    per_server: int


def page(usage: Usage) -> discord.Embed:
    """Show a chart of the days, and who has ordered how much."""
    embed = discord.Embed(title=str(Text("What was ordered here")), description=_chart(usage), colour=COLOUR)
    today = Text("Today")
    if usage.per_server != NO_LIMIT:
        today = Text("Today, {number} of {limit}", number=usage.counts[-1], limit=usage.per_server)
    for name, rows in ((today, usage.now), (Text("{number} days", number=DAYS), usage.by_member)):
        embed.add_field(name=str(name), value=_table(rows), inline=False)
    notes = [
        Text("covers / new songs / failed / credits, as far as they are known; what failed counts against no limit")
    ]
    if any(row.credits is None for row in (*usage.now, *usage.by_member)):
        notes.append(Text("?: it is not known what that cost"))
    embed.set_footer(text="\n".join(map(str, notes)))
    return embed


def chart(counts: Sequence[int], lines: int = CHART_LINES) -> list[str]:
    """Draw a column for each number, from the top down."""
    highest = max(counts, default=0)
    steps = len(_BARS) - 1
    heights = [-(-count * lines * steps // highest) if highest else 0 for count in counts]
    return [
        "".join(_BARS[min(max(height - line * steps, 0), steps)] for height in heights)
        for line in reversed(range(lines))
    ]


def _chart(usage: Usage) -> str:
    highest = max(usage.counts, default=0)
    width = len(str(highest))
    drawn = chart(usage.counts)
    sides = [str(highest), *[""] * (len(drawn) - 1)]
    rows = [f"{side:>{width}} │{line}" for side, line in zip(sides, drawn, strict=True)]
    first, last = (_date(usage.today - DAYS + 1), _date(usage.today))
    below = f"{0:>{width}} └{'─' * len(usage.counts)}"
    dates = f"{'':>{width}}  {first}{last:>{len(usage.counts) - len(first)}}"
    return "\n".join(["```", *rows, below, dates, "```"])


def _date(day: int) -> str:
    return datetime.datetime.fromtimestamp(day * DAY_SECONDS, datetime.UTC).strftime("%m-%d")


def _table(rows: Sequence[Used]) -> str:
    lines = [
        f"<@{row.user_id}>: {row.covers} / {row.songs} / {row.failures} / {_credits(row.credits)}"
        for row in rows[:SHOWN_MEMBERS]
    ]
    if len(rows) > SHOWN_MEMBERS:
        lines.append(str(Text("and {number} more", number=len(rows) - SHOWN_MEMBERS)))
    return "\n".join(lines) or str(Text("nothing"))


def _credits(amount: float | None) -> str:
    return "?" if amount is None else plain(amount)
