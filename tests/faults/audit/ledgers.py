"""The ledgers as they are at one moment, read once and put in relation: every query to the database is here."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tests.faults.audit.sentences import Sentence, parse
from tests.faults.audit.shown import Shown, read_shown
from tests.faults.orders import key_of
from tests.faults.reading import numbered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.discord import Channel, Message
    from sandbox.vidgo import RequestRecord, Submission, Task
    from tests.faults.harness import Stage
    from tests.faults.orders import Order

Row = dict[str, Any]

ALL_FORGOTTEN = (
    "I have forgotten you. What I posted stays in its channels until somebody removes it, and VidGo keeps its own "
    "records."
)
SONG_FORGOTTEN = (
    "**{title}** is forgotten. What was posted stays in its channel until somebody removes it, and VidGo keeps its own "
    "records."
)

_OWN_BUTTON = re.compile(r"(?:remove|stop):(\w+)")


class Ledgers:
    """What members asked for, what VidGo was asked for and made, what Discord shows, and what the database says."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.now = stage.time.now()
        self.tasks: list[Row] = stage.rows("SELECT * FROM tasks")
        self.notifications: list[Row] = stage.rows("SELECT * FROM notifications")
        self.files: list[Row] = stage.rows("SELECT * FROM files")
        self.media: list[Row] = stage.rows("SELECT * FROM media")
        self.library: list[Row] = stage.rows("SELECT * FROM library")
        self.likes: list[Row] = stage.rows("SELECT * FROM likes")
        self.task_of = {row["id"]: row for row in self.tasks}
        self.row_of: dict[Order, Row] = {}
        """The notification of each order's result."""
        self.order_of: dict[str, Order] = {}
        """Whose each notification is, by its id."""
        self._match()

    @cached_property
    def ends(self) -> list[float]:
        """Return when the program died, or as good as died for others."""
        return self.stage.ends()

    # Orders and their rows

    def _match(self) -> None:
        rows: dict[tuple[int, int], list[Row]] = defaultdict(list)
        orders: dict[tuple[int, int], list[Order]] = defaultdict(list)
        for row in sorted(self.notifications, key=lambda row: row["created_at"]):
            rows[row["user_id"], row["channel_id"]].append(row)
        for order in self.stage.orders:
            orders[order.place].append(order)
        for place, asked in orders.items():
            left = list(asked)
            for row in rows[place]:
                likely = [one for one in left if not self.stage.ignored(one)] or left
                found = next((one for one in left if _is_of(row, one)), None) or next(iter(likely), None)
                if found is not None:
                    left.remove(found)
                    self.row_of[found] = row
                    self.order_of[row["id"]] = found
            for row in rows[place]:
                same = [one for one in asked if self.row_of.get(one, {}).get("task_id") == row["task_id"]]
                self.order_of.setdefault(row["id"], (same or asked)[0])

    def name(self, order: Order) -> str:
        """Return what a report calls an order."""
        return f"{order.kind} of {order.member.name}"

    def asked_at(self, order: Order) -> float:
        """Return when a member asked."""
        return self.stage.time.at(order.call.dispatched_at)

    def orders_of(self, order: Order) -> list[Order]:
        """Return everybody's orders for the same thing."""
        return [one for one in self.stage.orders if one.wanted == order.wanted]

    def task_row(self, order: Order) -> Row | None:
        """Return the row of the task that an order waits for."""
        row = self.row_of.get(order)
        return self.task_of.get(row["task_id"]) if row is not None else None

    @staticmethod
    def key_of_row(row: Row) -> tuple[str, str]:
        """Return what a task's row asks VidGo for."""
        return key_of(row["model"], json.loads(row["request"]))

    # VidGo

    def submissions(self, order: Order) -> list[Submission]:
        """Return what VidGo was sent for an order, or for another one for the same thing."""
        return [one for one in self.stage.vidgo.submissions if key_of(one.model, one.input) == order.wanted]

    def taken(self, order: Order) -> list[Submission]:
        """Return those submissions that VidGo took, or may have taken."""
        return [one for one in self.submissions(order) if one.accepted or one.status is None]

    def made(self, order: Order) -> list[Task]:
        """Return VidGo's tasks for what an order asks for, the oldest first; an import's is the song itself."""
        tasks = self.stage.vidgo.tasks
        if order.model is None:
            return [tasks[order.key]] if order.key in tasks else []
        return [task for task in tasks.values() if key_of(task.model, task.input) == order.wanted]

    def ended_at(self, task: Task) -> float | None:
        """Return when VidGo finished a task or failed it, None before; 0 for a song that was there from the start."""
        if not task.final:
            return None
        return task.visible_at

    def finished(self, order: Order, by: float) -> list[Task]:
        """Return what VidGo had finished of an order by some time."""
        ended = ((task, self.ended_at(task)) for task in self.made(order) if task.status == "finished")
        return [task for task, at in ended if at is not None and at <= by]

    @staticmethod
    def has_audio(task: Task) -> bool:
        """Tell whether anything in a task's result is music."""
        return any(entry.get("audio_url") or entry.get("wav_url") for entry in task.files or ())

    @staticmethod
    def has_files(task: Task) -> bool:
        """Tell whether a task's result names any address."""
        return "http" in json.dumps(task.files)

    def source(self, order: Order) -> Task | None:
        """Return the song that a cover is made from."""
        return next((task.source for task in self.made(order) if task.source is not None), None)

    @cached_property
    def _file_requests(self) -> dict[str, list[RequestRecord]]:
        found: dict[str, list[RequestRecord]] = defaultdict(list)
        for one in self.stage.vidgo.requests:
            if one.path.startswith("/files/"):
                found[one.path.split("/")[2]].append(one)
        return found

    def file_answers(self, task: Task, media: str, by: float) -> list[RequestRecord]:
        """Return how the host answered, until some time, whenever a task's files of a kind were asked for."""
        wanted = (".mp3", ".wav") if media == "audio" else (".jpeg", ".png")
        asked = self._file_requests[task.id]
        return [one for one in asked if one.at <= by and one.path.endswith(wanted)]

    # What was shown

    @cached_property
    def shown(self) -> list[Shown]:
        """Return everything that the bot showed anybody."""
        return read_shown(self.stage)

    @cached_property
    def said(self) -> list[tuple[Shown, int | None, list[Sentence] | None]]:
        """Return everything shown with whom it addresses and its sentences, None where it has others."""
        return [(shown, *parse(shown.text)) for shown in self.shown]

    @cached_property
    def _order_of_message(self) -> dict[int, Order]:
        found: dict[int, Order] = {}
        for order in self.stage.orders:
            for message in (order.call.original, *order.call.followups):
                if message is not None:
                    found[message.id] = order
        for shown in self.shown:
            for button in shown.buttons:
                if (own := _OWN_BUTTON.fullmatch(button)) and own[1] in self.order_of:
                    found[shown.message.id] = self.order_of[own[1]]
        return found

    def order_shown(self, shown: Shown, addressed: int | None) -> Order | None:
        """Return the order that a message is about."""
        order = self._order_of_message.get(shown.message.id)
        if order is None and shown.call is not None and shown.call.message is not None:
            order = self._order_of_message.get(shown.call.message.id)
        if order is not None:
            return order
        recipient = shown.message.channel.recipient
        who = recipient.id if recipient is not None else addressed
        before = [one for one in self.stage.orders if one.member.id == who and self.asked_at(one) <= shown.at]
        here = [one for one in before if one.channel is shown.message.channel]
        return next(reversed(here or before), None)

    @cached_property
    def told(self) -> dict[Order, list[tuple[Shown, Sentence]]]:
        """Return each sentence that was shown about each order, in the order in which they were shown."""
        found: dict[Order, list[tuple[Shown, Sentence]]] = defaultdict(list)
        for shown, addressed, sentences in self.said:
            order = self.order_shown(shown, addressed)
            if order is not None:
                found[order] += [(shown, sentence) for sentence in sentences or ()]
        return found

    def has_said(self, order: Order, *templates: str) -> bool:
        """Tell whether any of some sentences was shown about an order."""
        return any(sentence.template in templates for _, sentence in self.told.get(order, ()))

    @cached_property
    def forgotten(self) -> dict[int, float]:
        """Return who was told that they are forgotten, or one of their songs, and when for the last time."""
        return {
            shown.call.user.id: shown.at
            for shown, _, sentences in self.said
            for sentence in sentences or ()
            if shown.call is not None and sentence.template in (ALL_FORGOTTEN, SONG_FORGOTTEN)
        }

    def is_forgotten(self, order: Order) -> bool:
        """Tell whether a member had something forgotten after an order, which may have been it."""
        return self.asked_at(order) < self.forgotten.get(order.member.id, 0.0)

    @property
    def visible(self) -> list[Message]:
        """Return the messages that everybody sees."""
        return [message for channel in self.stage.places for message in channel.messages]

    # The database

    def check(self) -> list[str]:
        """Return what the database finds wrong with itself."""
        return self.stage.reader.damages()

    def rows_with(self, number: int) -> Iterator[tuple[str, str]]:
        """Return each table and column that holds a number, as itself or within a text.

        What counts against today's limits is not among them: it stays to the end of the day, which members are told.
        """
        return numbered(self.stage.reader, number, but=frozenset({"usage"}))


def _is_of(row: Row, order: Order) -> bool:
    """Tell whether a row names the interaction of an order."""
    call = order.call
    if row.get("interaction_id") is not None:
        return int(row["interaction_id"]) == call.id
    if row["interaction_token"] is not None:
        return bool(row["interaction_token"] == call.token)
    return row["ack_message_id"] is not None and call.original is not None and row["ack_message_id"] == call.original.id


def is_closed(channel: Channel) -> bool:
    """Tell whether the bot can post nothing in a channel."""
    needed = {"view_channel", "send_messages", "attach_files", "embed_links"}
    guild_gone = channel.guild is not None and channel.guild.removed
    return channel.deleted or channel.locked or guild_gone or not needed <= channel.bot_permissions
