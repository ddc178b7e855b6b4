"""What a member has typed for an order, so that it is not lost where nothing comes of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, bindparam, null, update

from storage.database import Transaction
from storage.quick import quick
from storage.schema import NotificationState, notifications

PROMPT_LIMIT = 3000
STYLE_LIMIT = 1000
TITLE_LIMIT = 80
AT_LIMIT = 10
TRACK_LIMIT = 200

_LIMITS = {
    "track": TRACK_LIMIT,
    "prompt": PROMPT_LIMIT,
    "style": STYLE_LIMIT,
    "title": TITLE_LIMIT,
    "at": AT_LIMIT,
}


class Making(StrEnum):
    """What an order makes: a song, a version in another style of one or of a recording, a continuation, or a cover."""

    SONG = "song"
    STYLE = "style"
    RECORDING = "recording"
    EXTENSION = "extension"
    COVER = "cover"

    @property
    def has_words(self) -> bool:
        """Whether there is a form to type it into."""
        return self is not Making.COVER


@dataclass(frozen=True, slots=True)
class Draft:
    """An order as it was typed.

    `track` is the song that it is made from; left out: the member's newest. Of a recording it is that one's id, and
    `title` its name. `at` is the second from which a song goes on, as it was typed. What was tried again is `used`;
    `again` is the notification of what this one tries again.
    """

    making: Making
    track: str | None = None
    prompt: str = ""
    style: str = ""
    title: str = ""
    instrumental: bool = False
    at: str = ""
    used: bool = False
    again: str = ""

    def dump(self) -> dict[str, Any]:
        """Return it as JSON can hold it, within the limits of what can be typed."""
        values = {name: value for name, value in asdict(self).items() if value}
        for name, limit in _LIMITS.items():
            if name in values:
                # A lone surrogate, which JSON can carry, cannot be stored.
                values[name] = values[name][:limit].encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return values


def load(values: Any) -> Draft | None:
    """Return what `dump` gave, None where there is nothing, or it is of a version of the program that knows more."""
    if not isinstance(values, dict) or values.get("making") not in list(Making):
        return None
    known = {name: values[name] for name in Draft.__dataclass_fields__ if name in values}
    return Draft(**{**known, "making": Making(values["making"])})


_KEEP = quick(
    update(notifications)
    .where(notifications.c.id == bindparam("row_id"))
    .values(draft=bindparam("new_draft", type_=JSON(none_as_null=True)))
)
_EXPIRE = (
    update(notifications)
    .where(
        notifications.c.draft.is_not(None),
        notifications.c.created_at < bindparam("before"),
        notifications.c.state == NotificationState.DELIVERED,
    )
    .values(draft=null())
)


async def keep(transaction: Transaction, notification_id: str, draft: Draft) -> None:
    """Keep what was typed with the notification that answers it, in the place of what was kept there."""
    await transaction.execute(_KEEP, {"row_id": notification_id, "new_draft": draft.dump()})


async def expire(transaction: Transaction, before: float) -> None:
    """Forget what was typed before some time; with the rows that are deleted it goes by itself."""
    await transaction.execute(_EXPIRE, {"before": before})
