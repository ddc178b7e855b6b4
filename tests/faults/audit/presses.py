"""What was pressed under posts against what is noted of it and shown: hearts, and pictures that were chosen."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.discord import Call, Message
    from tests.faults.audit.ledgers import Ledgers, Row
    from tests.faults.audit.verdict import Verdict
    from tests.faults.orders import Order


def audit_hearts(ledgers: Ledgers, verdict: Verdict) -> None:
    """Demand one like for each heart that was answered, none of anybody else, and the number under the post.

    Where the program died on the way, the like may be there without the number, which the next press brings.
    """
    pressed: dict[Order, list[Call]] = defaultdict(list)
    for order, number, call in ledgers.stage.pressed:
        if number == 0:
            pressed[order].append(call)
    for order, calls in pressed.items():
        name, row, post = ledgers.name(order), ledgers.row_of.get(order), _post(ledgers, order)
        if row is None or post is None:
            continue  # which is a damage of another kind
        likes = [one["user_id"] for one in ledgers.likes if one["task_id"] == row["task_id"]]
        fans = {call.user.id: call for call in calls}
        for who, call in fans.items():
            if call.updated and who not in likes:
                verdict.note("lost", f"the heart of {who} under {name}")
        if not set(likes) <= fans.keys():
            verdict.note("twice", f"likes of {set(likes) - fans.keys()} under {name}, who pressed nothing")
        shown = next(one.label for one in post.buttons if str(one.custom_id).startswith("like:"))
        if calls[-1].updated and shown != str(len(likes)):
            verdict.note("falsehood", f"{name} shows {shown} hearts of {len(likes)}")


def audit_pictures(ledgers: Ledgers, verdict: Verdict) -> None:
    """Demand that a post carries the picture that is noted, which is the last one chosen, and the library the same."""
    for order, number, _ in ledgers.stage.pressed:
        name, row, post = ledgers.name(order), ledgers.row_of.get(order), _post(ledgers, order)
        if number == 0 or row is None or post is None:
            continue
        if row["picture_wanted"] is not None:
            verdict.note("left behind", f"picture {row['picture_wanted']} of {name} is not shown")
            continue
        noted = (row["picture"] or 0) + 1
        chosen = [str(one.custom_id) for one in post.buttons if _is_choice(str(one.custom_id)) and one.disabled]
        if [one.rpartition(":")[2] for one in chosen] != [str(noted)]:
            verdict.note("falsehood", f"{name} shows {chosen} as chosen, and {noted} is noted")
        if noted not in (1, number):
            verdict.note("falsehood", f"picture {noted} of {name}, which nobody chose")
        kept = [one["position"] for one in ledgers.library if _is_of(one, order, row)]
        if row["picture"] is not None and kept != [row["picture"]]:
            verdict.note("lost", f"the library has {kept} of {name}, and not {row['picture']}")


def _post(ledgers: Ledgers, order: Order) -> Message | None:
    return next(iter(ledgers.stage.posts(order)), None)


def _is_choice(custom_id: str) -> bool:
    return custom_id.startswith("picture:")


def _is_of(entry: Row, order: Order, row: Row) -> bool:
    return (entry["user_id"], entry["task_id"], entry["kind"]) == (order.member.id, row["task_id"], "cover")
