"""What has to be so that a sentence is true, by the ledgers: each returns None, or why the sentence is false."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.faults.audit.ledgers import is_closed
from tests.faults.harness import LIVE
from tests.faults.orders import COVER
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.vidgo import RequestRecord, Submission, Task
    from tests.faults.audit.ledgers import Ledgers, Row
    from tests.faults.audit.shown import Shown
    from tests.faults.orders import Order

OF_OTHERS = (
    (
        "VidGo says that what was ordered for **{title}** exists already, but does not let me have it. It was not made "
        "again."
    ),
    "VidGo says that **{title}** is not finished yet. Try again in a few minutes.",
    "VidGo does not find **{title}**, so it was not continued. If the song is new, try again in a few minutes.",
)
"""Refusals of an extension or a song that those of a cover have words of their own for."""

STAYS_SECONDS = 120.0
STAYS_TIMES = 3
"""Only what was said so often, over so long a time, by the same side, is taken for its last word."""

INTENT_SECONDS = patient(1.0)
"""How long before its death the program may have noted an order that it did not come to send."""

OUTAGE_SECONDS = 30.0
"""For how long after the database was away somebody may hear of it."""

KNOWN_SECONDS = patient(2.0)
"""How long something may have been so before everybody has to know."""

QUEUE_SECONDS = 30.0

ENOUGH = 3
POLL_SECONDS = 120.0
"""How much later than VidGo the program may know of an end."""

GONE = (404, 410)


@dataclass(frozen=True)
class Case:
    """A sentence that was shown, and about which order; all the ledgers are there to judge it by."""

    ledgers: Ledgers
    shown: Shown
    order: Order
    values: Mapping[str, str]

    @property
    def made(self) -> list[Task]:
        """Return VidGo's tasks for what was asked for."""
        return self.ledgers.made(self.order)

    @property
    def before(self) -> list[Submission]:
        """Return what VidGo had been sent for it by then."""
        return [one for one in self.ledgers.submissions(self.order) if one.at <= self.shown.at]

    @property
    def taken(self) -> list[Submission]:
        """Return what VidGo took of it, or may have taken, until today."""
        return self.ledgers.taken(self.order)

    @property
    def row(self) -> Row | None:
        """Return the task's row."""
        return self.ledgers.task_row(self.order)

    @property
    def library(self) -> list[Row]:
        """Return the rows of the member's library."""
        return [row for row in self.ledgers.library if row["user_id"] == self.order.member.id]

    def finished(self, seconds: float = 0.0) -> list[Task]:
        """Return what VidGo had finished so many seconds before it was shown."""
        return self.ledgers.finished(self.order, self.shown.at - seconds)

    def results(self, by: float = float("inf")) -> bool:
        """Tell whether the order's result was shown to its member, at any time or by some time."""
        told = self.ledgers.told.get(self.order, ())
        return any(shown.at < by and (shown.has_audio or shown.has_picture) for shown, _ in told)


Condition = Callable[[Case], str | None]


def always(_: Case) -> str | None:
    """Hold a sentence true whatever happened: it asks, explains, or is about the words that were typed."""
    return None


def all_of(*conditions: Condition) -> Condition:
    """Demand several things at once."""
    return lambda case: next((why for condition in conditions if (why := condition(case)) is not None), None)


def demand(holds: Callable[[Case], object], why: str) -> Condition:
    """Demand one thing; `why` says what is wrong where it does not hold."""
    return lambda case: None if holds(case) else why


# Orders


def nothing_ordered(case: Case) -> str | None:
    """Demand that VidGo never took the order, and that it will not be sent."""
    row = case.row
    if row is not None and row["status"] in LIVE:
        return f"its task is {row['status']}"
    if row is not None and row["vidgo_id"] is not None and case.order.kind not in ("import", "post"):
        return f"VidGo's {row['vidgo_id']} was made for it"
    others = len(case.ledgers.orders_of(case.order)) - 1
    if case.order.model is not None and len(case.taken) > others:
        return f"VidGo was sent it {len(case.taken)} times"
    return None


def _was_away(case: Case) -> bool:
    """Tell whether the database was away a while before it was said."""
    return any(at <= case.shown.at <= at + OUTAGE_SECONDS for at in case.ledgers.stage.program.outages)


def went_wrong(case: Case) -> str | None:
    """Demand that nothing was ordered, unless the database was away: who says it could not know, and does not say."""
    return None if _was_away(case) else nothing_ordered(case)


def in_doubt(case: Case) -> str | None:
    """Demand that VidGo saw the order, or that the program died in the moment in which it was to send it."""
    for one in case.before:
        if _was_confirmed(case, one):
            return f"VidGo had confirmed {one.task_id}"
    if case.before or died_on_the_way(case.ledgers, case.order, case.shown.at):
        return None
    return "VidGo was never sent it"


def _was_confirmed(case: Case, one: Submission) -> bool:
    """Tell whether the program had VidGo's answer to an order, and lived long enough to note it.

    What its sender left in the system's buffers VidGo may read when the death is known already. It then finds nobody at
    the other end; that alone, without a death since the order was asked for, is no excuse: who hangs up hears nothing.
    """
    if not one.accepted or one.status != 200:
        return False
    asked_at = min(map(case.ledgers.asked_at, case.ledgers.orders_of(case.order)))
    since = asked_at if one.hung_up else one.at
    return not any(since <= end <= one.at + KNOWN_SECONDS for end in case.ledgers.ends)


def died_on_the_way(ledgers: Ledgers, order: Order, by: float = float("inf")) -> float | None:
    """Return at which of its deaths the program may have been about to send what VidGo had not seen `by` some time."""
    row = ledgers.task_row(order)
    sent = row["submitted_at"] if row is not None else None
    if sent is None or any(one.at <= by for one in ledgers.submissions(order)):
        return None
    return next((end for end in ledgers.ends if sent <= end <= sent + INTENT_SECONDS), None)


def under_way(case: Case) -> str | None:
    """Demand that what is announced was ordered, or is going to be."""
    row = case.ledgers.row_of.get(case.order)
    ordered = case.taken or case.made or (row is not None and row["task_id"] is not None)
    return None if ordered or case.ledgers.is_forgotten(case.order) else "nothing was ever ordered"


def queued(case: Case) -> str | None:
    """Demand that VidGo has not taken the order yet, nor long before the words go."""
    until = case.shown.until or case.ledgers.now
    taken = [one for one in case.ledgers.submissions(case.order) if one.accepted]
    return "VidGo had taken it" if any(one.at < until - QUEUE_SECONDS for one in taken) else None


def refused(*statuses: int) -> Condition:
    """Demand that VidGo refused the order, with one of these statuses where any are named, and took no other."""

    def check(case: Case) -> str | None:
        said = [one.status for one in case.before if not one.accepted and one.status is not None]
        if not any(status in statuses or (not statuses and 400 <= status < 500) for status in said):
            return f"VidGo said {said}"
        return "VidGo has taken it" if len(case.taken) >= len(case.ledgers.orders_of(case.order)) else None

    return check


def refused_or_failed(case: Case) -> str | None:
    """Demand that VidGo refused the order, or took it and failed."""
    return refused()(case) and (not_made(case) if any(one.status == "failed" for one in case.made) else "VidGo did not")


def never_taken(case: Case) -> str | None:
    """Demand that VidGo took nothing for the order by then."""
    own = case.row["vidgo_id"] if case.row is not None else None
    taken = [one for one in case.before if one.accepted]
    if own is None and len(taken) >= len(case.ledgers.orders_of(case.order)):
        own = taken[-1].task_id  # which the program has not heard
    return None if own is None else f"VidGo took {own}"


def not_finished(case: Case) -> str | None:
    """Demand that VidGo failed to make it."""
    return None if any(one.status == "failed" for one in case.made) else "VidGo did not fail"


def refused_anything(*statuses: int) -> Condition:
    """Demand that VidGo refused some request of the program's before."""

    def check(case: Case) -> str | None:
        answers = [one.status for one in case.ledgers.stage.vidgo.requests if one.at <= case.shown.at + 1]
        return None if set(statuses) & set(answers) else "VidGo has refused nothing"

    return check


def joined(case: Case) -> str | None:
    """Demand that somebody had asked for the same before."""
    asked = case.ledgers.asked_at
    others = [one for one in case.ledgers.orders_of(case.order) if one is not case.order]
    return None if any(asked(one) < case.shown.at for one in others) else "nobody else had asked for it"


def made_before(case: Case) -> str | None:
    """Demand that VidGo had finished it before the member asked; while the database is away it is decided later."""
    by = case.shown.at if _was_away(case) else case.ledgers.asked_at(case.order)
    return None if case.ledgers.finished(case.order, by) else "it was not made before"


def stopped(case: Case) -> str | None:
    """Demand that somebody pressed the button, and that nothing was posted."""
    if not any(one.stopped for one in case.ledgers.orders_of(case.order)):
        return "nobody stopped it"
    return "it was posted" if case.order.stopped and case.results() else None


# Ends


def unfinished(case: Case) -> str | None:
    """Demand that VidGo had not finished it."""
    return "VidGo had finished it" if case.finished(KNOWN_SECONDS) else None


def failed(case: Case) -> str | None:
    """Demand that VidGo failed to make it, for the reason that is given."""
    reasons = [task.error_message or "" for task in case.made if task.status == "failed"]
    said = case.values.get("reason", "").replace("\\", "")
    if not reasons:
        return "VidGo did not fail"
    return None if any(said in reason for reason in reasons) else f"VidGo gave the reasons {reasons}"


def not_made(case: Case) -> str | None:
    """Demand that no result was shown, and that VidGo made none."""
    if case.results():
        return "its result was posted"
    # A song's cover that failed may be ordered anew, by others too: that one is not what this member was told of.
    own = case.row["id"] if case.row is not None else None
    others = {row["vidgo_id"] for row in case.ledgers.tasks if row["id"] != own}
    finished = [task for task in case.ledgers.finished(case.order, case.ledgers.now) if task.id not in others]
    usable = [task for task in finished if case.ledgers.has_files(task)]
    return f"VidGo made it: {usable[0].id}" if usable and case.order.model is not None else None


def without_files(case: Case) -> str | None:
    """Demand that VidGo had finished the task for a while, and never handed out a file of it."""
    if any(map(case.ledgers.has_files, case.made)):
        return "VidGo delivers files"
    return None if case.finished(STAYS_SECONDS) else "it had only just been finished"


def said_there(case: Case) -> str | None:
    """Demand that the message that is linked says why the result is not in it."""
    number = int(case.values["link"].rpartition("/")[2])
    linked = [shown for shown in case.ledgers.shown if shown.message.id == number]
    if any(shown.has_audio or shown.has_picture or shown.links for shown in linked):
        return "the message that it names has the result"
    return None if any("is finished, but" in shown.text for shown in linked) else "nothing there says why"


def unknown_to_vidgo(case: Case) -> str | None:
    """Demand that VidGo does not know the task, and said so often enough."""
    vidgo = case.ledgers.stage.vidgo
    number = case.row["vidgo_id"] if case.row is not None else None
    if any(vidgo.visible_task(task.id) is not None for task in case.made):
        return "VidGo knows it"
    answers = [one for one in vidgo.requests if "/detail/" in one.path and str(number) in one.query]
    return None if stays(answers, case.shown.at) else "VidGo had hardly been asked"


def shown_there(case: Case) -> str | None:
    """Demand that the message that is linked has the result in it."""
    number = int(case.values["link"].rpartition("/")[2])
    linked = [shown for shown in case.ledgers.shown if shown.message.id == number]
    if not linked:
        return "the message that it names does not exist"
    whole = any(shown.has_audio or shown.has_picture or shown.links for shown in linked)
    return None if whole else f"the message that it names says: {linked[-1].text}"


def closed(case: Case) -> str | None:
    """Demand that the bot may post nothing where the member asked."""
    return None if is_closed(case.order.channel) else "the channel is open to the bot"


def told_privately(case: Case) -> str | None:
    """Demand that the member has the result in private."""
    found = [one for one in case.order.sentences if one.files]
    return None if found else "the member has nothing in private"


def stays(answers: list[RequestRecord], by: float) -> bool:
    """Tell whether the last answers were all the same refusal, often enough and for long enough."""
    same: list[RequestRecord] = []
    for one in reversed([one for one in answers if one.at <= by]):
        if one.status not in GONE:
            break
        same.append(one)
    return len(same) >= STAYS_TIMES and same[0].at - same[-1].at >= STAYS_SECONDS


# Times


def in_future(case: Case) -> str | None:
    """Demand that a time that is named does not pass while the words are shown."""
    if case.ledgers.stage.program.was_wrong or case.shown.message.deleted:
        return None
    promised = int(re.findall(r"-?\d+", case.values["when"])[0])
    until = min(case.shown.until or case.ledgers.now, case.ledgers.forgotten.get(case.order.member.id, float("inf")))
    return "that time passed while it was shown" if promised + KNOWN_SECONDS < until else None


def in_past(case: Case) -> str | None:
    """Demand that a time that is named as the beginning is not one to come."""
    if case.ledgers.stage.program.was_wrong:
        return None
    since = int(re.findall(r"-?\d+", case.values.get("since") or case.values["when"])[0])
    return "that time had not come yet" if since > case.shown.at + KNOWN_SECONDS else None


def usual(case: Case) -> str | None:
    """Demand that the usual time is not much longer than what VidGo took, and the program needed to see it."""
    seen = {
        row["vidgo_id"]
        for row in case.ledgers.tasks
        if row["status"] == "finished" and (row["finished_at"] or case.shown.at) < case.shown.at - KNOWN_SECONDS
    }
    took = sorted(
        ended_at - one.at
        for one in case.ledgers.stage.vidgo.accepted(case.order.model)
        if (made := case.ledgers.stage.vidgo.tasks.get(str(one.task_id))) is not None
        and (ended_at := case.ledgers.ended_at(made)) is not None
        and str(one.task_id) in seen
    )
    said = case.values["duration"]
    seconds = 60 * {"half a": 0.5, "a": 1.0, "1½": 1.5, "2½": 2.5}.get(said.rpartition(" ")[0], 0.0)
    seconds = seconds or 60 * float(said.split()[0])
    if len(took) >= ENOUGH and seconds > 2 * took[len(took) // 2] + POLL_SECONDS:
        return f"VidGo takes {took[len(took) // 2]:.0f} s"
    return None


def unconfirmed(case: Case) -> str | None:
    """Demand that the last order that VidGo was sent was not confirmed by then."""
    if not case.before:
        died = died_on_the_way(case.ledgers, case.order, case.shown.at)
        return "VidGo was never sent it" if died is None else None
    last = case.before[-1]
    is_known = last.at < case.shown.at - KNOWN_SECONDS and _was_confirmed(case, last)
    return "VidGo had confirmed it" if is_known else None


# Songs and libraries


def in_library(case: Case) -> str | None:
    """Demand that the song is in the member's library, unless it was taken out again."""
    title = case.values["title"].replace("\\", "")
    if case.ledgers.is_forgotten(case.order) or any(row["title"] == title for row in case.library):
        return None
    return "it is not in the library"


def no_songs(case: Case) -> str | None:
    """Demand that the member had no songs."""
    return "there are songs" if any(row["added_at"] < case.shown.at for row in case.library) else None


def waits_for_nothing(case: Case) -> str | None:
    """Demand that no other order of the member's was open."""
    for order in case.ledgers.stage.orders:
        if order.member is case.order.member and order.model is not None:
            ends = [shown.at for shown, _ in case.ledgers.told.get(order, ())]
            if case.ledgers.asked_at(order) < case.shown.at - KNOWN_SECONDS and max(ends, default=0.0) > case.shown.at:
                return f"{case.ledgers.name(order)} was open"
    return None


def song_is(*statuses: str) -> Condition:
    """Demand that VidGo's task with the id that was typed has one of these statuses, without any that there is none."""

    def check(case: Case) -> str | None:
        found = case.ledgers.stage.vidgo.tasks.get(case.values.get("track") or case.order.key)
        if found is None:
            return "VidGo does not know it" if statuses else None
        if not statuses:
            return "VidGo knows it"
        ended_at = case.ledgers.ended_at(found)
        if found.status in statuses or (ended_at is not None and ended_at > case.shown.at - KNOWN_SECONDS):
            return None
        return f"VidGo's task is {found.status}"

    return check


def is_cover(case: Case) -> str | None:
    """Demand that VidGo's task is no song."""
    found = case.ledgers.stage.vidgo.tasks.get(case.order.key)
    return "it is a song" if found is not None and found.model != COVER and case.ledgers.has_audio(found) else None
