"""In which states rows can be, and the conditions of partial indexes that follow from that."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import text


class TaskStatus(StrEnum):
    """The life of a task: `queued → submitting → waiting → running → finished | failed | given_up`.

    `queued` has certainly not reached VidGo and may be sent; `submitting` may have, and is sent again only where VidGo
    cannot be paid twice for it. A task that was called failed or given up and is finished at VidGo after all becomes
    `finished`.
    """

    QUEUED = "queued"
    SUBMITTING = "submitting"
    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    GIVEN_UP = "given_up"

    @property
    def is_final(self) -> bool:
        """Whether nobody waits for the task any more."""
        return self in (TaskStatus.FINISHED, TaskStatus.FAILED, TaskStatus.GIVEN_UP)


class NotificationState(StrEnum):
    """The life of a notification.

    `asked` is written before Discord gets its first answer, so that no member is left "thinking…": it turns into
    `answered` (a private sentence said it all) or, tied to a task, into `waiting → due → sending → delivered |
    undeliverable`. A requester who does not want the post any more makes it `cancelled` before it is sent.
    """

    ASKED = "asked"
    ANSWERED = "answered"
    WAITING = "waiting"
    DUE = "due"
    SENDING = "sending"
    DELIVERED = "delivered"
    UNDELIVERABLE = "undeliverable"
    CANCELLED = "cancelled"


class Acknowledgement(StrEnum):
    """What the acknowledgement of a command can be changed to say."""

    ORDERED = "ordered"
    LATE = "late"
    NOT_YET = "not_yet"
    STILL_NOT = "still_not"
    DONE = "done"
    WITHOUT_IT = "without_it"
    ELSEWHERE = "elsewhere"
    FAILED = "failed"
    CANCELLED = "cancelled"


COVER_MODEL = "generate-music-cover"
"""VidGo's model that makes one cover of a song."""


class MediaState(StrEnum):
    """The life of a file in the archive: `coming → kept → going`, and then no row at all.

    A row is `coming` before its file is put there and `going` before it is removed, so neither step needs to be inside
    a transaction: what is `kept` is there, and what is `going` is never relied on by whoever would put it there again.
    """

    COMING = "coming"
    KEPT = "kept"
    GOING = "going"


class AlarmKind(StrEnum):
    """What the owner is told of. Each is there or not, but for `given_up`, which happens."""

    KEY = "key"
    CREDITS_LOW = "credits_low"
    CREDITS_GONE = "credits_gone"
    VERSION = "version"
    VIDGO = "vidgo"
    DISK = "disk"
    GIVEN_UP = "given_up"


class AlarmState(StrEnum):
    """The life of an alarm: `quiet → raised → told → over → quiet`.

    `raised` has to be told, `over` has to be told to those who were told that it began. What is over before anybody
    was told becomes `quiet` without a word.
    """

    QUIET = "quiet"
    RAISED = "raised"
    TOLD = "told"
    OVER = "over"


LIVE_TASKS = (TaskStatus.QUEUED, TaskStatus.SUBMITTING, TaskStatus.WAITING, TaskStatus.RUNNING)
OPEN_NOTIFICATIONS = (NotificationState.ASKED, NotificationState.DUE, NotificationState.SENDING)
PASSING_NOTIFICATIONS = (NotificationState.ANSWERED, NotificationState.UNDELIVERABLE, NotificationState.CANCELLED)
"""What serves nobody any more after some days; what was delivered is a place to find its files again."""


def _any_of(column: str, values: tuple[StrEnum, ...]) -> str:
    return f"{column} IN ({', '.join(repr(str(value)) for value in values)})"


# Literals, not parameters: a partial index is used only where it can be seen that the query implies its condition.
IS_LIVE = text(_any_of("status", LIVE_TASKS))
HOLDS_COVER = text(f"model = '{COVER_MODEL}' AND {_any_of('status', (*LIVE_TASKS, TaskStatus.FINISHED))}")
IS_IN_LINE = text(_any_of("status", (TaskStatus.QUEUED, TaskStatus.SUBMITTING)))
IS_ORDERED = text(f"order_key IS NOT NULL AND {_any_of('status', LIVE_TASKS)}")
IS_OPEN = text(_any_of("state", OPEN_NOTIFICATIONS))
IS_PASSING = text(_any_of("state", PASSING_NOTIFICATIONS))
IS_CHANGING = text(_any_of("state", (MediaState.COMING, MediaState.GOING)))
