"""Nobody waits for long without a true word, and nobody waits for what others wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.faults.orders import COVER

if TYPE_CHECKING:
    from tests.faults.audit.ledgers import Ledgers
    from tests.faults.audit.verdict import Verdict
    from tests.faults.orders import Order

UNCONFIRMED_SECONDS = 300.0
"""Within which time a member learns that VidGo never confirmed an order."""

TROUBLE_SECONDS = 30.0
"""Within which time a member learns that a finished file cannot be fetched, and that it is tried again."""

SLACK_SECONDS = 20.0
"""What a busy machine, and time that passes in steps, may add."""


def audit_promptness(ledgers: Ledgers, verdict: Verdict) -> None:
    """Hold when members were told something against when it happened."""
    for order in ledgers.stage.orders:
        if ledgers.stage.ignored(order) or ledgers.is_forgotten(order) or order.unreachable:
            continue
        told = [shown.at for shown, _ in ledgers.told.get(order, ())]
        name = ledgers.name(order)
        if (late := _patience_ended(ledgers, order)) is not None and not _result_by(ledgers, order, late):
            verdict.note("held up", f"{name} came later than {order.patience:g} s after its end")
        if (since := _unconfirmed_since(ledgers, order)) is not None:
            until = _until(ledgers, since, UNCONFIRMED_SECONDS)
            if until < ledgers.now and not any(since < at <= until for at in told[1:]):
                verdict.note("held up", f"{name} was not told within five minutes that nothing was confirmed")
        if (since := _trouble_since(ledgers, order)) is not None:
            until = _until(ledgers, since, TROUBLE_SECONDS)
            if until < ledgers.now and not any(since - 1 < at <= until for at in told[1:]):
                verdict.note("held up", f"{name} was not told within half a minute that its file does not come")


def _patience_ended(ledgers: Ledgers, order: Order) -> float | None:
    ended = [at for task in ledgers.made(order) if (at := ledgers.ended_at(task)) is not None]
    if order.patience is None or not ended:
        return None
    return max(min(ended), ledgers.asked_at(order)) + order.patience


def _result_by(ledgers: Ledgers, order: Order, latest: float) -> bool:
    posts = {message.id for message in (*ledgers.stage.posts(order), *order.sentences)}
    return any(shown.message.id in posts and shown.at <= latest for shown in ledgers.shown)


def _unconfirmed_since(ledgers: Ledgers, order: Order) -> float | None:
    """Return since when nobody knows whether VidGo has taken an order, as far as the last answer tells."""
    submissions = ledgers.submissions(order)
    exists = order.model == COVER and submissions[-1:] and submissions[-1].status in (400, 409)
    if not submissions or (submissions[-1].status is not None and not exists):
        return None
    return submissions[-1].at


def _trouble_since(ledgers: Ledgers, order: Order) -> float | None:
    """Return since when the file of a finished result cannot be had."""
    for task in ledgers.finished(order, ledgers.now) if order.model is not None else ():
        media = "audio" if ledgers.has_audio(task) else "image"
        failed = (one.at for one in ledgers.file_answers(task, media, ledgers.now) if one.status != 200)
        if (first := next(failed, None)) is not None:
            return first
    return None


def _until(ledgers: Ledgers, since: float, seconds: float) -> float:
    """Return until when somebody has to be told what has been so since a time: whoever died meanwhile begins anew."""
    until = since + seconds + SLACK_SECONDS
    for end in sorted(ledgers.ends):
        if since < end <= until:
            until = end + seconds + SLACK_SECONDS
    return until
