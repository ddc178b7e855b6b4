"""Figures, what they are held against, and how they are shown."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Unit: TypeAlias = Literal["ms", "s", "MB", "/s", "/min"]
Comparison: TypeAlias = Literal["ratio", "difference", "absolute"]


@dataclass(frozen=True)
class Figure:
    """One line of the result.

    `value` is bot ÷ floor, or bot - floor in the figure's unit, or the bot's own figure; `target` is its upper bound,
    None where nothing was promised. `samples` is how many measurements of each program stand behind it.
    """

    key: str
    title: str
    unit: Unit
    floor: float
    bot: float
    compared: Comparison
    target: float | None
    samples: int

    @property
    def value(self) -> float:
        """What the target is about."""
        if self.compared == "absolute":
            return self.bot
        return self.bot / self.floor if self.compared == "ratio" else self.bot - self.floor

    @property
    def verdict(self) -> Literal["ok", "MISSED", ""]:
        """Whether the target was reached; empty where there is none."""
        if self.target is None:
            return ""
        return "ok" if self.value <= self.target else "MISSED"


def p50(samples: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(samples)


def p99(samples: Sequence[float]) -> float:
    """Return the value that 99 of 100 samples do not exceed, interpolated."""
    return statistics.quantiles(samples, n=100, method="inclusive")[98]


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as lines of text."""
    lines = [f"{'':58}{'floor':>10}{'bot':>10}{'bot/floor':>11}{'target':>10}"]
    for figure in figures:
        value = f"{figure.value:.2f} x" if figure.compared == "ratio" else f"{figure.value:+.1f} {figure.unit}"
        if figure.compared == "absolute":
            value = f"{figure.value:.1f} {figure.unit}"
        target = "-"
        if figure.target is not None:
            unit = "x" if figure.compared == "ratio" else figure.unit
            target = f"≤ {figure.target:g} {unit}"
        lines.append(
            f"{figure.title + ', ' + figure.unit:58}{figure.floor:>10.2f}{figure.bot:>10.2f}{value:>11}{target:>10}"
            f"  {figure.verdict}".rstrip()
        )
    return "\n".join(lines)
