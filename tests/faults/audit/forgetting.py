"""Nobody who was forgotten comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.faults.audit.ledgers import ALL_FORGOTTEN

if TYPE_CHECKING:
    from tests.faults.audit.ledgers import Ledgers
    from tests.faults.audit.verdict import Verdict


def audit_forgetting(ledgers: Ledgers, verdict: Verdict) -> None:
    """Demand that no row knows a member who was told to be forgotten, and that no later message speaks to them."""
    for number, at in _forgotten(ledgers).items():
        name = ledgers.stage.discord.state.users[number].name
        for table, column in ledgers.rows_with(number):
            verdict.note("remembered", f"{name} stands in {table}.{column} after being forgotten")
        for shown, addressed, _ in ledgers.said:
            recipient = shown.message.channel.recipient
            to_them = addressed == number or (recipient is not None and recipient.id == number)
            if to_them and shown.first and shown.at > at:
                verdict.note("remembered", f"{name} was addressed after being forgotten: {shown.text}")


def _forgotten(ledgers: Ledgers) -> dict[int, float]:
    """Return who was told that everything is forgotten, and did nothing since."""
    found: dict[int, float] = {}
    for shown, _, sentences in ledgers.said:
        if shown.call is not None and any(sentence.template == ALL_FORGOTTEN for sentence in sentences or ()):
            found[shown.call.user.id] = shown.at
    for order in ledgers.stage.orders:
        if ledgers.asked_at(order) > found.get(order.member.id, float("inf")):
            del found[order.member.id]
    return found
