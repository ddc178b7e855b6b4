"""The record that the database itself keeps of who held what, and when: triggers, so that nothing is left out.

What a trigger writes is part of the transaction that it records. What is rolled back has never been.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING

from tests.faults.processes.history import Acted, Changed, Died, Lived, Promised

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.processes.history import Event
    from tests.faults.processes.stage import SharedStage

_TABLE = """
CREATE TABLE history.events (
    number bigserial PRIMARY KEY,
    at double precision NOT NULL DEFAULT extract(epoch FROM clock_timestamp()),
    writer text NOT NULL DEFAULT current_setting('application_name'),
    kind text NOT NULL,
    row text NOT NULL,
    was_holder text,
    holder text,
    was_state text,
    state text,
    is_left boolean NOT NULL DEFAULT false,
    user_id bigint,
    channel_id bigint,
    until double precision
)
"""

_FUNCTION = """
CREATE FUNCTION history.note_{table}() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    old_row {table}%ROWTYPE; new_row {table}%ROWTYPE; one {table}%ROWTYPE;
BEGIN
    IF TG_OP <> 'INSERT' THEN old_row := OLD; one := OLD; END IF;
    IF TG_OP <> 'DELETE' THEN new_row := NEW; one := NEW; END IF;
    IF old_row.holder IS DISTINCT FROM new_row.holder OR old_row.{state} IS DISTINCT FROM new_row.{state} THEN
        INSERT INTO history.events
            (kind, row, was_holder, holder, was_state, state, is_left, user_id, channel_id)
        VALUES ('{kind}', one.id, old_row.holder, new_row.holder, old_row.{state}, new_row.{state},
            old_row.holder IS NOT NULL AND NOT EXISTS (SELECT 1 FROM processes WHERE id = old_row.holder),
            one.user_id, {channel});
    END IF;
    RETURN NULL;
END $$
"""

_LIVES = """
CREATE FUNCTION history.note_processes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO history.events (kind, row, state) VALUES ('process', OLD.id, OLD.name);
    ELSE
        INSERT INTO history.events (kind, row, state, until) VALUES ('process', NEW.id, NEW.name, NEW.lease_until);
    END IF;
    RETURN NULL;
END $$
"""

_TRIGGER = """
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON {table}
FOR EACH ROW EXECUTE FUNCTION history.note_{table}()
"""

_WATCHED = {
    "tasks": {"kind": "task", "state": "status", "channel": "NULL"},
    "notifications": {"kind": "notification", "state": "state", "channel": "one.channel_id"},
}

RECORD = (
    "CREATE SCHEMA history",
    _TABLE,
    *(_FUNCTION.format(table=table, **names) for table, names in _WATCHED.items()),
    _LIVES,
    *(_TRIGGER.format(table=table) for table in (*_WATCHED, "processes")),
)
"""What makes a database keep the record."""

UNTOLD = """
SELECT count(*) AS times FROM history.events
WHERE kind = 'notification' AND is_left AND was_state IN ('asked', 'sending') AND user_id = ? AND channel_id = ?
"""
"""How often a notification was taken over whose holder may have told somebody something and not written it down."""

BURIED = "SELECT at FROM history.events WHERE kind = 'process' AND until IS NULL"
"""When somebody's lease was taken out."""

_EVENTS = "SELECT * FROM history.events ORDER BY number"


def read_history(stage: SharedStage) -> list[Event]:
    """Return what the database, the processes and those outside have noted, in order."""
    events = [*_of_database(stage), *_effects(stage), *_promises(stage)]
    return sorted(events, key=lambda event: event.at)


def _of_database(stage: SharedStage) -> Iterator[Event]:
    ids: dict[str, str] = {}
    """Who has a name, at that time."""
    earlier: dict[str, set[str]] = defaultdict(set)
    """Who had it before, and may be writing still."""
    for row in stage.rows(_EVENTS):
        who = ids.get(row["writer"], row["writer"])
        if row["kind"] == "process" and row["until"] is None:
            yield Died(row["at"], row["row"], by_itself=who == row["row"])
        elif row["kind"] == "process":
            earlier[row["state"]].add(ids.get(row["state"], row["row"]))
            ids[row["state"]] = row["row"]
            yield Lived(row["at"], row["row"], row["until"])
        else:
            name = f"{row['kind']} {row['row']}"
            if row["holder"] in earlier[row["writer"]]:
                who = row["holder"]
            yield Changed(row["at"], who, name, row["was_holder"], row["holder"], row["was_state"], row["state"])


def _effects(stage: SharedStage) -> Iterator[Event]:
    for one in stage.program.members:
        for line in one.effects.splitlines():
            noted = json.loads(line)
            yield Acted(noted["at"], noted["row"], noted["process"])


def _promises(stage: SharedStage) -> Iterator[Event]:
    """Return what VidGo was told is stored, and what members were told in public is under way."""
    for delivery in stage.vidgo.deliveries:
        if delivery.status == 200 and "/callbacks/" in delivery.url:
            yield Promised(delivery.at, f"task {delivery.url.split('/')[-2]}")
    rows = {row["interaction_id"]: row["id"] for row in stage.rows("SELECT id, interaction_id FROM notifications")}
    for order in stage.orders:
        said = [one for one in (order.public.revisions if order.public is not None else ()) if one.content]
        if said:
            yield Promised(stage.time.at(said[0].at), f"notification {rows.get(order.call.id)}")
