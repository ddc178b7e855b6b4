"""What only the owner can mend: the log says it once, not for each request."""

from __future__ import annotations

import logging

from bot.vidgo import KeyRefused, NoCredits, VidGoError

log = logging.getLogger(__name__)


class OwnerNotices:
    """Says that VidGo refuses the key or has no credits, until it has worked again."""

    def __init__(self) -> None:
        self._told: set[type[VidGoError]] = set()

    def tell(self, error: VidGoError, task_id: str | None = None) -> None:
        """Log why VidGo refuses, as an error once where only the owner can mend it."""
        if not isinstance(error, KeyRefused | NoCredits):
            log.warning("task %s was refused: %s: %s", task_id, type(error).__name__, error.reason)
        elif type(error) not in self._told:
            self._told.add(type(error))
            what = "refuses VIDGO_API_KEY" if isinstance(error, KeyRefused) else "has no credits left for this key"
            log.error("VidGo %s (%s); members are told that the owner has to act", what, error.reason)

    def works(self, *kinds: type[VidGoError]) -> None:
        """Note that VidGo has taken what it refused before."""
        self._told.difference_update(kinds)
