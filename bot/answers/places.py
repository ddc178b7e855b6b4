"""The places in line that acknowledgements tell while VidGo has no room: told anew while the line gets shorter."""

from __future__ import annotations

from collections.abc import Callable

from bot.tasks.submission import Submission
from storage import notifications
from storage import tasks as rows
from storage.database import Database
from storage.schema import Acknowledgement

LOOK_SECONDS = 15.0
"""How often the line is looked at."""

MOST_TOLD = 200
"""How many are told their place anew."""

NEAR = 10
"""Up to which place each step is told; farther off only a fifth of the way, for each is a request to Discord."""


class Places:
    """Sees to it that acknowledgements tell places that are so."""

    def __init__(self, database: Database, submission: Submission, clock: Callable[[], float]) -> None:
        self._database = database
        self._submission = submission
        self._clock = clock
        self._looked_at = clock()
        self._told: dict[str, int] = {}
        """The place that each task was told last; after a start nobody knows, and it is told once more."""

    async def renew(self) -> None:
        """Have acknowledgements changed that tell a place which is no longer so, now and then, by one process."""
        now = self._clock()
        if not self._database.leads or 0 <= now - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = now
        async with self._database.read() as snapshot:
            line = await rows.in_line(snapshot, MOST_TOLD)
        has_room = self._submission.has_room
        places = {task_id: place for task_id, place, is_held_up in line if is_held_up or not has_room}
        stale = [task_id for task_id, place in places.items() if _is_news(self._told.get(task_id), place)]
        self._told = {task_id: self._told.get(task_id, place) for task_id, place in places.items()}
        if stale:
            async with self._database.write(durable=False) as transaction:
                for task_id in stale:
                    await notifications.want(transaction, task_id, Acknowledgement.ORDERED)
        self._told |= {task_id: places[task_id] for task_id in stale}


def _is_news(told: int | None, place: int) -> bool:
    if told is None or place > told:
        return True
    return place < told and (place <= NEAR or place <= 0.8 * told)
