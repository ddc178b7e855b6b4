"""What members read about limits of a day."""

from __future__ import annotations

from dataclasses import dataclass

from bot.words.text import Raw, Text
from storage.servers.usage import Kind

NO_LIMIT = -1


@dataclass(frozen=True, slots=True)
class LeftInServer:
    """How many orders count against a server's limit of today, which is for all its members together."""

    limit: int
    used: int

    @property
    def left(self) -> int:
        """Return how many may still be ordered."""
        return max(self.limit - self.used, 0)


@dataclass(frozen=True, slots=True)
class Left:
    """How many orders of a kind count against a member's limit of today, and what of the server's is left to all."""

    kind: Kind
    limit: int
    used: int
    in_server: LeftInServer | None = None

    @property
    def left(self) -> int:
        """Return how many the member's own limit leaves; it means nothing where there is none."""
        return max(self.limit - self.used, 0)

    @property
    def server_decides(self) -> bool:
        """Return whether the server's limit leaves less than the member's own."""
        return self.in_server is not None and (self.limit == NO_LIMIT or self.in_server.left < self.left)


def reached(kind: Kind, limit: int, starts_anew: float) -> Text:
    if limit == 0:
        if kind is Kind.COVER:
            return Text("You may not order covers in this server. No credits were used.")
        return Text("You may not order new songs in this server. No credits were used.")
    when, until = Raw(f"<t:{int(starts_anew)}:R>"), Raw(f"<t:{int(starts_anew)}:t>")
    if kind is Kind.COVER:
        return Text(
            "Your limit of covers for today ({limit}) is reached. It resets {when}, at {until}. No credits were used.",
            limit=limit,
            when=when,
            until=until,
        )
    return Text(
        "Your limit of new songs for today ({limit}) is reached. It resets {when}, at {until}. No credits were used.",
        limit=limit,
        when=when,
        until=until,
    )


def reached_by_server(limit: int, starts_anew: float) -> Text:
    if limit == 0:
        return Text("No songs may be made in this server at the moment. No credits were used.")
    return Text(
        "This server's limit of orders for today ({limit}) is reached. It resets {when}, at {until}. No credits "
        "were used.",
        limit=limit,
        when=Raw(f"<t:{int(starts_anew)}:R>"),
        until=Raw(f"<t:{int(starts_anew)}:t>"),
    )


def left(of: Left) -> Text:
    """Say how much of a limit is left, of whichever leaves less; in a list of several also that there is no limit."""
    if of.in_server is not None and of.server_decides:
        return left_in_server(of.in_server)
    if of.limit == NO_LIMIT:
        if of.kind is Kind.COVER:
            return Text("As many covers as you like.")
        return Text("As many songs as you like.")
    if of.kind is Kind.COVER:
        # Translators: follows an acknowledgement, such as "Covering **Sea**. … 2 of 5 covers left today."
        return Text("{number} of {limit} covers left today.", number=of.left, limit=of.limit)
    return Text("{number} of {limit} songs left today.", number=of.left, limit=of.limit)


def left_in_server(of: LeftInServer) -> Text:
    return Text(
        "All members of this server together: {number} of {limit} orders left today.", number=of.left, limit=of.limit
    )


def counted_until(until: float) -> Text:
    return Text(
        "How much you ordered today is counted until {until}, because of the limits; then I forget that too.",
        until=Raw(f"<t:{int(until)}:f>"),
    )
