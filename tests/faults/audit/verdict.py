"""What an audit has found."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal, get_args

Kind = Literal[
    "lost",
    "twice",
    "paid twice",
    "left thinking",
    "left behind",
    "half file",
    "falsehood",
    "held up",
    "remembered",
    "spinning",
    "history",
]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Damage:
    """One thing that is wrong."""

    kind: Kind
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}"


@dataclass
class Verdict:
    """What an audit has found; `repeated` and `unconfirmed` count what cannot be had exactly once."""

    damages: list[Damage] = field(default_factory=list)
    endings: int = 0
    sentences: int = 0
    repeated: int = 0
    unconfirmed: int = 0
    again: list[str] = field(default_factory=list)

    def note(self, kind: Kind, what: str) -> None:
        """Note a damage; the text names no time that would differ when it is looked at again."""
        damage = Damage(kind, what)
        if damage not in self.damages:
            self.damages.append(damage)

    def add(self, other: Verdict) -> None:
        """Add what another audit has found."""
        self.damages += other.damages
        self.endings += other.endings
        self.sentences += other.sentences
        self.repeated += other.repeated
        self.unconfirmed += other.unconfirmed
        self.again += other.again

    def subtract(self, earlier: Verdict) -> None:
        """Leave what an earlier audit of the same stage has not found yet."""
        self.damages = [damage for damage in self.damages if damage not in earlier.damages]
        self.endings -= earlier.endings
        self.sentences -= earlier.sentences
        self.repeated -= earlier.repeated
        self.unconfirmed -= earlier.unconfirmed
        self.again = [told for told in self.again if told not in earlier.again]

    @property
    def kinds(self) -> Counter[Kind]:
        """Return how often each kind of damage was found."""
        return Counter(damage.kind for damage in self.damages)

    def __str__(self) -> str:
        return "\n".join(map(str, self.damages)) or "no damage"
