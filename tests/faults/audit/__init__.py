"""Holds the ledgers against each other: what members asked for, what VidGo made and charged, what Discord shows, and
what the database says.

The rule is one ending for each request, one payment at most, nothing left behind, no file left half, and no sentence
that is not true. Two things are counted apart, because no protocol closes their windows (docs/reliability.md): a
private sentence that was said twice because the first could not be recorded, and a task that VidGo made although its
answer never arrived, of which the requester was told the truth.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from tests.faults.audit.endings import audit_endings, audit_notifications
from tests.faults.audit.files import audit_files
from tests.faults.audit.forgetting import audit_forgetting
from tests.faults.audit.ledgers import Ledgers
from tests.faults.audit.owner import audit_owner
from tests.faults.audit.payments import audit_payments, audit_tasks
from tests.faults.audit.presses import audit_hearts, audit_pictures
from tests.faults.audit.promptness import audit_promptness
from tests.faults.audit.spinning import audit_spinning
from tests.faults.audit.truths import audit_doubts, audit_sentences
from tests.faults.audit.verdict import KINDS, Damage, Kind, Verdict

if TYPE_CHECKING:
    from tests.faults.harness import Stage

__all__ = ["KINDS", "Damage", "Kind", "Verdict", "assert_sound", "audit"]

MOMENTS = 5
"""How many moments are looked at until there is one in which nobody is at work on files."""

RULES = (
    audit_endings,
    audit_notifications,
    audit_payments,
    audit_tasks,
    audit_sentences,
    audit_doubts,
    audit_hearts,
    audit_pictures,
    audit_promptness,
    audit_forgetting,
    audit_owner,
    audit_spinning,
    audit_files,
)


async def assert_sound(stage: Stage) -> Verdict:
    """Wait until nothing is under way any more and audit; raises AssertionError that names each damage."""
    await stage.settle()
    verdict = await audit(stage)
    assert not verdict.damages, f"{verdict}\n{stage.unsettled()}\n{stage.program.log[-6000:]}"
    return verdict


async def audit(stage: Stage) -> Verdict:
    """Hold the ledgers of a stage against each other once nothing is under way any more."""
    for _ in range(MOMENTS):
        # The archive gets what nobody waits for at times of its own, and each time only for a moment.
        with suppress(TimeoutError):
            await stage.until(lambda: not stage.on_their_way, "moment without files on their way", 1)
        verdict = _audit(stage)
        if not stage.on_their_way:
            break
    return verdict


def _audit(stage: Stage) -> Verdict:
    verdict, ledgers = Verdict(), Ledgers(stage)
    for rule in RULES:
        rule(ledgers, verdict)
    for why in stage.broken_history():
        verdict.note("history", why)
    return verdict
