"""Alarms: what the owner is told of, and every way in which the state of one can change.

Each is told at most once a day, and once for one cause; that it is over is told to those who were told that it began.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import String, bindparam, insert, select, text, update

from storage import planned
from storage.database import Snapshot, Transaction
from storage.planned import Due, Gone
from storage.quick import quick
from storage.schema import AlarmKind, AlarmState, alarms, notifications
from storage.wakeups import Queue

DAY = 86400.0

GATHER_SECONDS = 60.0
"""How long results that are given up are gathered, for they seldom come alone."""

REMEMBERED = 50
"""How many results that were given up are known one by one."""

Details = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Alarm:
    """A row of `alarms`."""

    kind: AlarmKind
    state: AlarmState
    since: float
    details: Details
    tell_at: float | None
    sent_at: float | None
    told_at: float | None
    told: dict[str, bool]

    @property
    def knowing(self) -> list[int]:
        """Return who was told that it began, and not that it is over."""
        return [int(person) for person, could in self.told.items() if could]

    @property
    def is_being_sent(self) -> bool:
        """Return whether somebody may have been told what is to be told now."""
        return self.sent_at is not None


_QUIET = AlarmState.QUIET
_RAISED, _TOLD, _OVER = AlarmState.RAISED, AlarmState.TOLD, AlarmState.OVER

_GET = quick(select(alarms).where(alarms.c.kind == bindparam("of_kind")))
_ALL = quick(select(alarms))
_LOCALE = quick(
    select(notifications.c.locale)
    .where(notifications.c.user_id == bindparam("user_id"))
    .order_by(notifications.c.created_at.desc())
    .limit(1)
)
_ADD = quick(insert(alarms))
_SAVE = quick(
    update(alarms)
    .where(alarms.c.kind == bindparam("of_kind", type_=String))
    .values({column: bindparam(f"new_{column.name}") for column in alarms.c if column.name != "kind"})
)
_IS_PLANNED = text("tell_at IS NOT NULL")
_CLAIM = planned.due(alarms.c.kind, alarms.c.tell_at, _IS_PLANNED)
_NEXT = planned.next_due(alarms.c.kind, alarms.c.tell_at, _IS_PLANNED)


async def get(snapshot: Snapshot, kind: AlarmKind) -> Alarm | None:
    """Return an alarm, None where it was never raised."""
    row = (await snapshot.execute(_GET, {"of_kind": kind})).first()
    return None if row is None else _from_row(row)


async def claim(snapshot: Snapshot, now: float, skip: Collection[str], limit: int) -> list[Due]:
    """Return up to `limit` kinds of which there is something to tell now."""
    rows = await snapshot.execute(_CLAIM, planned.asked(now, now + 2 * DAY, skip, limit))
    return [Due(kind, at) for kind, at in rows]


async def next_due(snapshot: Snapshot, skip: Collection[str]) -> float | None:
    """Return when there is something to tell next."""
    return (await snapshot.execute(_NEXT, {"skip": list(skip)})).scalar()


async def locale_of(snapshot: Snapshot, user_id: int) -> str | None:
    """Return the language of the last command of a member's that is known."""
    return (await snapshot.execute(_LOCALE, {"user_id": user_id})).scalar()


async def recover(transaction: Transaction, now: float) -> None:
    """Let what was to be told wait until somebody sees that it is still so; what has happened stays so."""
    await transaction.alone("alarms")
    for row in (await transaction.execute(_ALL)).all():
        alarm = _from_row(row)
        if alarm.state in (_RAISED, _OVER):
            at = max(alarm.tell_at or now, now) if alarm.kind is AlarmKind.GIVEN_UP else None
            await _save(transaction, replace(alarm, tell_at=at))


async def begin(transaction: Transaction, kind: AlarmKind, since: float, details: Details, now: float) -> AlarmState:
    """Note that something is so, since when, and return the state that it leads to."""
    alarm = await _hold(transaction, kind)
    if alarm is None:
        alarm = Alarm(kind, _RAISED, since, details, now, None, None, {})
        await transaction.execute(_ADD, asdict(alarm))
    elif alarm.state is _QUIET:
        alarm = replace(alarm, state=_RAISED, since=since, details=details, tell_at=_allowed(alarm, now), told={})
    elif alarm.state is _RAISED:
        # What may have been sent stays as it was said, and is told to the end.
        details, at = (alarm.details, now) if alarm.is_being_sent else (details, _allowed(alarm, now))
        alarm = replace(alarm, details=details, tell_at=alarm.tell_at or at)
    elif alarm.state is _OVER and alarm.is_being_sent:
        # Somebody may have heard that it is over, and has to hear that it is not.
        alarm = replace(alarm, state=_RAISED, since=since, details=details, tell_at=_allowed(alarm, now), sent_at=None)
    elif alarm.state is _OVER:
        alarm = replace(alarm, state=_TOLD, tell_at=None, sent_at=None)
    await _save(transaction, alarm)
    return alarm.state


async def end(transaction: Transaction, kind: AlarmKind, details: Details, now: float) -> AlarmState:
    """Note that something is not so, or not any more, and return the state that it leads to."""
    alarm = await _hold(transaction, kind)
    if alarm is None or alarm.state is _QUIET:
        return _QUIET
    if alarm.state is _OVER:
        alarm = replace(alarm, tell_at=alarm.tell_at or now)
    elif alarm.knowing or (alarm.state is _RAISED and alarm.is_being_sent):
        details = {**alarm.details, **details, "until": now}
        alarm = replace(alarm, state=_OVER, details=details, tell_at=now, sent_at=None)
    else:
        alarm = replace(alarm, state=_QUIET, tell_at=None, sent_at=None, told={})
    await _save(transaction, alarm)
    return alarm.state


async def drop(transaction: Transaction, kind: AlarmKind) -> None:
    """Forget an alarm without a word, because a greater one says as much."""
    alarm = await _hold(transaction, kind)
    if alarm is not None:
        await _save(transaction, replace(alarm, state=_QUIET, tell_at=None, sent_at=None, told={}))


async def give_up(transaction: Transaction, task_id: str, now: float) -> None:
    """Note that a task's result is given up."""
    alarm = await _hold(transaction, AlarmKind.GIVEN_UP)
    if alarm is None:
        alarm = Alarm(AlarmKind.GIVEN_UP, _QUIET, now, {}, None, None, None, {})
        await transaction.execute(_ADD, asdict(alarm))
    if task_id in (*alarm.details.get("new", []), *alarm.details.get("said", [])):
        return
    new = alarm.details.get("new", [])
    details = {**alarm.details, "new": [*new, task_id][-REMEMBERED:], "more": alarm.details.get("more", 0)}
    details["more"] += len(new) >= REMEMBERED
    if alarm.state is not _RAISED:
        at = max(now + GATHER_SECONDS, _allowed(alarm, now))
        alarm = replace(alarm, state=_RAISED, since=now, tell_at=at, sent_at=None)
    await _save(transaction, replace(alarm, details=details))


async def come_after_all(transaction: Transaction, task_id: str, now: float) -> None:
    """Note that a result that was given up has come."""
    alarm = await _hold(transaction, AlarmKind.GIVEN_UP)
    if alarm is None or alarm.state is _QUIET:
        return
    new = [task for task in alarm.details.get("new", []) if task != task_id]
    said = [task for task in alarm.details.get("said", []) if task != task_id]
    if (new, said) == (alarm.details.get("new", []), alarm.details.get("said", [])):
        return
    alarm = replace(alarm, details={**alarm.details, "new": new, "said": said})
    if not new and not alarm.is_being_sent and alarm.state in (_RAISED, _TOLD):
        if not said and alarm.knowing and not alarm.details.get("partial"):
            alarm = replace(alarm, state=_OVER, tell_at=now)
        else:
            alarm = replace(alarm, state=_TOLD if alarm.knowing else _QUIET, tell_at=None)
    await _save(transaction, alarm)


async def send(transaction: Transaction, kind: AlarmKind, now: float, later: float) -> tuple[Alarm, bool]:
    """Begin to tell something, and return it, and whether somebody may have been told before.

    Until it is done it is due again at `later`. Raises `Gone` where there is nothing to tell.
    """
    alarm = await _hold(transaction, kind)
    if alarm is None or alarm.state not in (_RAISED, _OVER) or alarm.tell_at is None:
        raise Gone(kind)
    began = alarm.is_being_sent
    if not began:
        alarm = replace(alarm, sent_at=now)
        if alarm.state is _RAISED:
            # This is what is said, however often it has to be tried; what comes meanwhile is told on another day.
            alarm = replace(alarm, told_at=now, told={}, details=_worded(alarm.details))
    alarm = replace(alarm, tell_at=later)
    await _save(transaction, alarm)
    return alarm, began


async def know(transaction: Transaction, kind: AlarmKind, state: AlarmState, person: int, *, could: bool) -> None:
    """Note that somebody was told what was to be told in a state, or could not be."""
    alarm = await _hold(transaction, kind)
    if alarm is None:
        raise Gone(kind)
    told = {name: known for name, known in alarm.told.items() if name != str(person)}
    if state is _RAISED:
        told[str(person)] = could
    await _save(transaction, replace(alarm, told=told))


async def done(transaction: Transaction, kind: AlarmKind, state: AlarmState, now: float) -> None:
    """Note that everybody was told what was to be told in a state; raises `Gone` where it has changed meanwhile."""
    alarm = await _hold(transaction, kind)
    if alarm is None or alarm.state is not state:
        raise Gone(kind)
    if state is _OVER:
        alarm = replace(alarm, state=_QUIET, tell_at=None, sent_at=None, told={})
    elif kind is AlarmKind.GIVEN_UP and alarm.details.get("new"):
        alarm = replace(alarm, since=now, tell_at=_allowed(alarm, now), sent_at=None)
    else:
        alarm = replace(alarm, state=_TOLD, tell_at=None, sent_at=None)
    await _save(transaction, alarm)


async def _hold(transaction: Transaction, kind: AlarmKind) -> Alarm | None:
    """Return an alarm that nobody else changes, nor adds, until the transaction ends."""
    await transaction.alone("alarms")
    return await get(transaction, kind)


def _worded(details: Details) -> Details:
    """Fix how many results the words speak of, and which was the last."""
    if "new" not in details:
        return details
    new = details["new"]
    said = [*details.get("said", []), *new]
    count = len(new) + details.get("more", 0)
    partial = details.get("partial", False) or count > len(new) or len(said) > REMEMBERED
    worded = {"count": count, "task": new[-1] if new else "", "said": said[-REMEMBERED:], "new": [], "more": 0}
    return {**details, **worded, "partial": partial}


def _allowed(alarm: Alarm, now: float) -> float:
    """Return from when on a kind may be told again; a clock that was set back makes it no later than a day."""
    return now if alarm.told_at is None else min(max(now, alarm.told_at + DAY), now + DAY)


def _from_row(row: Any) -> Alarm:
    values = dict(row._mapping)
    return Alarm(**{**values, "kind": AlarmKind(values["kind"]), "state": AlarmState(values["state"])})


async def _save(transaction: Transaction, alarm: Alarm) -> None:
    values = asdict(alarm)
    kind = values.pop("kind")
    if alarm.tell_at is not None:
        transaction.wakes(Queue.ALARMS)
    await transaction.execute(_SAVE, {"of_kind": kind, **{f"new_{name}": value for name, value in values.items()}})
