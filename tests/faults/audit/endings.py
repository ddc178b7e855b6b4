"""Discord against the members: one ending for each request, and a row for each message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.faults.audit.truths import HAVE_THIS_ONE, PROVISIONAL, RESULTS
from tests.faults.harness import OPEN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.discord import Message
    from tests.faults.audit.ledgers import Ledgers, Row
    from tests.faults.audit.verdict import Verdict
    from tests.faults.harness import Stage
    from tests.faults.orders import Order


def audit_endings(ledgers: Ledgers, verdict: Verdict) -> None:
    """Hold what each member asked for against what Discord shows of it."""
    for order in ledgers.stage.orders:
        _audit_ending(ledgers, order, verdict)
        _audit_result(ledgers, order, verdict)


def _audit_ending(ledgers: Ledgers, order: Order, verdict: Verdict) -> None:
    stage, name, row = ledgers.stage, ledgers.name(order), ledgers.row_of.get(order)
    posts, sentences, call = stage.posts(order), order.sentences, order.call
    endings = len(posts) + len(sentences) + stage.cancelled(order)
    verdict.endings += endings
    told = [one.content for one in (*posts, *sentences)]
    if call.thinking and not call.expired:
        verdict.note("left thinking", name)
    if stage.ignored(order):
        # Discord has told the member that the application did not respond; that is the ending.
        if endings or (row is not None and row["task_id"] is not None):
            verdict.note("twice", f"{name} was never acknowledged, and yet: {told or row}")
        return
    # Where an end was not certain, and was told as such, the result may come after all.
    endings -= sum(bool(_templates(ledgers, one) & PROVISIONAL) for one in (*posts, *sentences)) if endings > 1 else 0
    if endings == 0:
        # A token that expired before anything was ordered: Discord ends the "thinking…" by itself.
        by_discord = call.expired and (row is None or row["task_id"] is None)
        if not order.unreachable and not by_discord and not ledgers.is_forgotten(order):
            verdict.note("lost", f"{name} has no ending; its notification: {row}")
    elif endings > 1:
        if not posts[1:] and endings - 1 <= stage.untold(order):
            verdict.repeated += 1
            verdict.again.append(f"{name}: {told}")
        else:
            verdict.note("twice", f"{name}: {told}")
    if order.stopped and stage.cancelled(order) and posts:
        verdict.note("twice", f"{name} was stopped, and posted")


def _audit_result(ledgers: Ledgers, order: Order, verdict: Verdict) -> None:
    """Demand the result where nothing stood in its way for good."""
    if not order.due or ledgers.has_said(order, HAVE_THIS_ONE):
        return
    results = [one for one in ledgers.stage.posts(order) if _templates(ledgers, one) & RESULTS.keys() and one.files]
    if not results:
        told = [one.content for one in (*ledgers.stage.posts(order), *order.sentences)]
        verdict.note("lost", f"{ledgers.name(order)} has no result in its channel; told: {told}")


def _templates(ledgers: Ledgers, message: Message) -> set[str]:
    """Return the sentences that a message says now."""
    versions = [said for shown, _, said in ledgers.said if shown.message.id == message.id]
    return {sentence.template for sentence in (versions[-1] or () if versions else ())}


def audit_notifications(ledgers: Ledgers, verdict: Verdict) -> None:
    """Hold each row against the message that it is recorded as, and each message against its row."""
    shown = {button: message for message in ledgers.visible for button in _own_buttons(message)}
    for row in ledgers.notifications:
        order = ledgers.order_of.get(row["id"])
        message = shown.pop(row["id"], None)
        if order is None:
            verdict.note("left behind", f"{_name(row)} is of nobody")
        else:
            _audit_notification(ledgers, order, row, message, verdict)
    for message in shown.values():
        # What was posted stays when its requester is forgotten.
        if not any(user.id in ledgers.forgotten for user in message.mentions):
            verdict.note("left behind", f"message {message.id} belongs to no notification")


def _audit_notification(ledgers: Ledgers, order: Order, row: Row, message: Message | None, verdict: Verdict) -> None:
    name = _name(row)
    if row["state"] in OPEN or row["ack_wanted"] or row["interaction_token"]:
        verdict.note("left behind", f"{name}: wants {row['ack_wanted']}, error {row['error']}")
    if row["state"] == "delivered":
        gone = row["message_id"] not in {one.id for one in (*ledgers.visible, *order.sentences)}
        if gone and not order.channel.deleted:
            verdict.note("lost", f"{name} is recorded as message {row['message_id']}, which is not there")
        public = order.public
        # One whose token expired before it was acknowledged shows "thinking…" until Discord ends that.
        if message is not None and public is not None and not public.thinking and not _names_end(ledgers, order):
            verdict.note("left behind", f"the acknowledgement of {name} says: {public.content}")
    elif row["state"] == "cancelled" and _promises_still(ledgers, order, row):
        verdict.note("falsehood", f"the acknowledgement of {name} promises a post that was stopped or removed")
    elif message is not None and not ledgers.stage.untold(order):
        verdict.note("left behind", f"{name} was posted as message {message.id}, unrecorded")
    if row["state"] == "undeliverable" and not order.unreachable:
        verdict.note("lost", f"{name} was given up: {row['error']}")


def _names_end(ledgers: Ledgers, order: Order) -> bool:
    """Tell whether an acknowledgement names a message of its order, or Discord will not have it say anything else."""
    public = order.public
    assert public is not None
    ends = [row["message_id"] for row in ledgers.notifications if ledgers.order_of.get(row["id"]) is order]
    return _is_fixed(ledgers.stage, public) or any(str(end) in public.content for end in ends if end is not None)


def _promises_still(ledgers: Ledgers, order: Order, row: Row) -> bool:
    """Tell whether an acknowledgement that Discord lets us change still has the button that stops its post."""
    public = order.public
    if public is None or row["ack_message_id"] != public.id or _is_fixed(ledgers.stage, public):
        return False
    return any((button.custom_id or "").startswith("stop:") for button in public.buttons)


def _is_fixed(stage: Stage, public: Message) -> bool:
    """Tell whether Discord does not let an acknowledgement say anything else."""
    edits = [one for one in stage.discord.requests if one.method == "PATCH" and one.path.endswith(f"/{public.id}")]
    return bool(edits) and 400 <= (edits[-1].status or 0) < 500


def _name(row: Row) -> str:
    return f"notification {row['id']} ({row['state']})"


def _own_buttons(message: Message) -> Iterator[str]:
    for button in message.buttons:
        name, _, notification = (button.custom_id or "").partition(":")
        if name == "remove":
            yield notification
